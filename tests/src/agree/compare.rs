//! What is compared, and what the model leaves open: its own reply and the target's are brought into
//! the same form, in which equal means agreed.
//!
//! Left open: the actor, keys and ids of what the service does by itself, the words of messages;
//! sequence numbers in reads (a read may show a lapse before it is posted); the counter-account where
//! nothing moves; the order in which a clawback takes from the grants of one account.

use super::ids;
use crate::model::{Expected, Refused, code};
use crate::target::{Call, Reply};
use proto::v1::{self, TransactionType as Type};
use std::collections::BTreeMap;

/// Both answers in the same form.
pub(super) fn comparable(
    call: &Call,
    expected: Expected,
    actual: Expected,
) -> (Expected, Expected) {
    match (expected, actual) {
        (Ok(mut expected), Ok(mut actual)) => {
            for reply in [&mut expected, &mut actual] {
                settle(call, reply);
            }
            leave_open(&mut expected, &mut actual);
            (Ok(expected), Ok(actual))
        }
        (Err(expected), Err(actual)) => {
            let code = format!("{:?}", code(expected.reason));
            let expected = expected.with("code", code);
            let metadata = prune(&expected.metadata, actual.metadata);
            (Err(expected), Err(Refused { metadata, ..actual }))
        }
        other => other,
    }
}

/// One form for what can be written in several ways.
fn settle(call: &Call, reply: &mut Reply) {
    for transaction in ids::transactions(reply) {
        transaction.actor.clear();
        if transaction.idempotency_key.starts_with("sys/")
            && transaction.idempotency_key != "sys/trial"
        {
            "sys/".clone_into(&mut transaction.idempotency_key);
            transaction.transaction_id.clear();
        }
        if let Some((_, others)) = transaction.entries.split_first_mut() {
            others.sort_by(|a, b| a.account_id.cmp(&b.account_id));
        }
        for entry in &mut transaction.entries {
            if transaction.r#type == i32::from(Type::Clawback) {
                sum(&mut entry.draws);
                sum(&mut entry.restored);
            }
        }
    }
    match reply {
        Reply::GetBalance(r) => {
            r.balance.iter_mut().for_each(|balance| balance.sequence = 0);
            r.kinds.sort_by_key(|kind| kind.kind);
        }
        Reply::Authorize(r) => {
            settle_funding(&mut r.funding);
            // A check has no newest entry to show.
            if let Call::Authorize(asked) = call
                && asked.mode() == v1::AuthorizeMode::Check
            {
                r.balance.iter_mut().for_each(|balance| balance.sequence = 0);
                r.hold = None;
            }
        }
        Reply::Quote(r) => settle_funding(&mut r.funding),
        Reply::GetUsage(r) => {
            r.actions.sort_by(|a, b| (b.tokens, &a.action).cmp(&(a.tokens, &b.action)));
        }
        Reply::ListGrants(r) => {
            // Open ones in burn-down order; where the scheduled ones stand is left open.
            let scheduled = i32::from(v1::GrantState::Scheduled);
            r.grants.sort_by_key(|grant| match grant.state == scheduled {
                true => (1, grant.grant_id.clone()),
                false => (0, String::new()),
            });
        }
        Reply::GetAccount(v1::GetAccountResponse { account }) => {
            let balance = account.as_mut().and_then(|account| account.balance.as_mut());
            balance.into_iter().for_each(|balance| balance.sequence = 0);
            account.iter_mut().for_each(settle_account);
        }
        Reply::UpdateAccount(v1::UpdateAccountResponse { account })
        | Reply::FreezeAccount(v1::FreezeAccountResponse { account })
        | Reply::UnfreezeAccount(v1::UnfreezeAccountResponse { account })
        | Reply::CloseAccount(v1::CloseAccountResponse { account }) => {
            account.iter_mut().for_each(settle_account);
        }
        _ => {}
    }
}

fn settle_account(account: &mut v1::Account) {
    account.entitlements.sort_by(|a, b| a.source.cmp(&b.source));
    for entitlement in &mut account.entitlements {
        entitlement.used_units.retain(|_, units| *units != 0);
    }
}

fn settle_funding(funding: &mut Vec<v1::Funding>) {
    let mut sums: Vec<v1::Funding> = Vec::new();
    for part in funding.drain(..) {
        let same = |sum: &&mut v1::Funding| {
            (&sum.entitlement_source, sum.kind) == (&part.entitlement_source, part.kind)
        };
        match sums.iter_mut().find(same) {
            Some(sum) => {
                sum.amount += part.amount;
                sum.entitled_quantity += part.entitled_quantity;
            }
            None => sums.push(part),
        }
    }
    *funding = sums;
}

/// One draw per grant, by grant.
fn sum(draws: &mut Vec<v1::Draw>) {
    let mut sums: BTreeMap<String, v1::Draw> = BTreeMap::new();
    for draw in draws.drain(..) {
        let none = v1::Draw { amount: 0, ..draw.clone() };
        sums.entry(draw.grant_id.clone()).or_insert(none).amount += draw.amount;
    }
    *draws = sums.into_values().collect();
}

/// What the model doesn't say isn't compared.
fn leave_open(expected: &mut Reply, actual: &mut Reply) {
    let pairs = ids::transactions(expected).into_iter().zip(ids::transactions(actual));
    for (expected, actual) in pairs {
        for (expected, actual) in expected.entries.iter().zip(&mut actual.entries) {
            // Nobody stands on the other side of nothing.
            if expected.amount == 0 && expected.counter_account.is_empty() {
                actual.counter_account.clear();
            }
        }
    }
    let pairs = ids::refusals(expected).into_iter().zip(ids::refusals(actual));
    for (expected, actual) in pairs {
        actual.message.clear();
        actual.metadata = prune(&expected.metadata, std::mem::take(&mut actual.metadata));
    }
}

/// The figures that the model names, in its form.
fn prune(
    expected: &BTreeMap<String, String>,
    actual: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let named = actual.into_iter().filter(|(name, _)| expected.contains_key(name));
    let settled = named.map(|(name, value)| {
        let value = match name.as_str() {
            "fields" => {
                let words = value.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
                let mut words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
                words.sort_unstable();
                words.join(",")
            }
            "state" | "type" => {
                let value = value.to_uppercase();
                let value = value.trim_start_matches("HOLD_STATE_");
                value.trim_start_matches("TRANSACTION_TYPE_").to_owned()
            }
            _ => value,
        };
        (name, value)
    });
    settled.collect()
}
