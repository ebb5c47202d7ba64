//! Where ids stand in calls and in replies.

use crate::target::{Call, Reply};
use proto::v1::batch_command::Command;
use proto::v1::get_transaction_request::Name;
use proto::v1::{self};

/// Shows every id of a call.
pub(super) fn in_call(call: &mut Call, see: &mut impl FnMut(&mut String)) {
    match call {
        Call::Credit(r) => in_credit(r, see),
        Call::Reverse(r) => see(&mut r.transaction_id),
        Call::CaptureHold(r) => see(&mut r.hold_id),
        Call::ReleaseHold(r) => see(&mut r.hold_id),
        Call::GetTransaction(r) => {
            if let Some(Name::TransactionId(id)) = &mut r.name {
                see(id);
            }
        }
        Call::Batch(r) => {
            for command in r.commands.iter_mut().filter_map(|member| member.command.as_mut()) {
                match command {
                    Command::Credit(r) => in_credit(r, see),
                    Command::Reverse(r) => see(&mut r.transaction_id),
                    Command::CaptureHold(r) => see(&mut r.hold_id),
                    Command::ReleaseHold(r) => see(&mut r.hold_id),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn in_credit(r: &mut v1::CreditRequest, see: &mut impl FnMut(&mut String)) {
    if let Some(supersede) = &mut r.supersede {
        see(&mut supersede.grant_id);
    }
}

/// The transactions in a reply.
pub(super) fn transactions(reply: &mut Reply) -> Vec<&mut v1::Transaction> {
    macro_rules! in_replies {
        ($($name:ident)*) => {
            match reply {
                $(Reply::$name(r) => r.transaction.iter_mut().collect(),)*
                Reply::Batch(r) => {
                    r.results.iter_mut().filter_map(|result| result.transaction.as_mut()).collect()
                }
                Reply::ListTransactions(r) => r.transactions.iter_mut().collect(),
                _ => Vec::new(),
            }
        };
    }
    in_replies!(Credit Debit Reverse Transfer CreateHold CaptureHold ReleaseHold SetClawback
        SetEntitlement Authorize GetTransaction)
}

/// The holds in a reply.
pub(super) fn holds(reply: &mut Reply) -> Vec<&mut v1::Hold> {
    match reply {
        Reply::CreateHold(r) => r.hold.iter_mut().collect(),
        Reply::Authorize(r) => r.hold.iter_mut().collect(),
        Reply::ListHolds(r) => r.holds.iter_mut().collect(),
        _ => Vec::new(),
    }
}

/// The refusals in a reply.
pub(super) fn refusals(reply: &mut Reply) -> Vec<&mut v1::Refusal> {
    match reply {
        Reply::Batch(r) => r.results.iter_mut().filter_map(|r| r.refusal.as_mut()).collect(),
        Reply::Quote(r) => r.refusal.iter_mut().collect(),
        _ => Vec::new(),
    }
}

/// Shows every id of a reply.
pub(super) fn in_reply(reply: &mut Reply, see: &mut impl FnMut(&mut String)) {
    for transaction in transactions(reply) {
        see(&mut transaction.transaction_id);
        see(&mut transaction.related_transaction_id);
        for entry in &mut transaction.entries {
            see(&mut entry.grant_id);
            for draw in entry.draws.iter_mut().chain(&mut entry.restored) {
                see(&mut draw.grant_id);
            }
        }
    }
    for hold in holds(reply) {
        see(&mut hold.hold_id);
        hold.draws.iter_mut().for_each(|draw| see(&mut draw.grant_id));
    }
    for refusal in refusals(reply) {
        refusal.metadata.values_mut().for_each(&mut *see);
    }
    match reply {
        Reply::Credit(r) => see(&mut r.grant_id),
        Reply::ListGrants(r) => r.grants.iter_mut().for_each(|grant| see(&mut grant.grant_id)),
        _ => {}
    }
}
