//! Tokens in, out, back and over to another account.

use super::{Ask, flat, method};
use crate::{
    grpc::convert::{
        fields::{Common, Fields},
        wire::{self, Done},
    },
    identity::method,
};
use ledger::{AMOUNT_MAX, Act, Credit, Extent, GrantKind, Purpose, Receipt, Supersede};
use proto::{catalog::Catalog, v1};

/// Actions that a grant may be limited to at most.
const ACTIONS_MAX: usize = 32;

impl Ask for v1::CreditRequest {
    method!("Credit");
    type Answer = v1::CreditResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let amount = fields.amount("amount", self.amount);
        let kind = fields.grant_kind("kind", self.kind).and_then(|kind| {
            let ours = "give another kind: only a Transfer makes EARNED tokens";
            fields.check(kind != GrantKind::Earned, "kind", ours).map(|()| kind)
        });
        let period = fields
            .period(("effective_time", self.effective_time), ("expire_time", self.expire_time));
        let actions = fields.actions("actions", &self.actions, ACTIONS_MAX);
        let cost = self.cost.as_ref().map(|cost| fields.money("cost", cost));
        let supersede = self.supersede.as_ref().map(|it| {
            let grant = fields.id("supersede.grant_id", &it.grant_id);
            let most = it.carry_over_max;
            let most = fields.within_range("supersede.carry_over_max", most, 0, AMOUNT_MAX);
            Some(Supersede { grant: grant?, carry_over_max: most? })
        });
        let (effective, expire) = period?;
        Some(Act::Credit(Box::new(Credit {
            amount: amount?,
            kind: kind?,
            priority: self.priority,
            effective,
            expire,
            actions: actions?,
            cost: flat(cost)?,
            supersede: flat(supersede)?,
        })))
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::CreditResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let grant_id = transaction.as_ref().map(|it| it.transaction_id.clone()).unwrap_or_default();
        v1::CreditResponse { transaction, balance, replayed, grant_id }
    }
}

impl Ask for v1::DebitRequest {
    method!("Debit");
    type Answer = v1::DebitResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let charge = fields.charge(self.amount, &self.action, self.quantity);
        let extent = match v1::DebitMode::try_from(self.mode) {
            Ok(v1::DebitMode::Unspecified | v1::DebitMode::Exact) => Some(Extent::Exact),
            Ok(v1::DebitMode::UpTo) => Some(Extent::UpTo),
            Err(_) => fields.fail("mode", "give exact or up to"),
        };
        let purpose = match v1::DebitPurpose::try_from(self.purpose) {
            Ok(v1::DebitPurpose::Unspecified | v1::DebitPurpose::Usage) => Some(Purpose::Usage),
            Ok(v1::DebitPurpose::Withdrawal) => Some(Purpose::Withdrawal),
            Err(_) => fields.fail("purpose", "give usage or withdrawal"),
        };
        if purpose == Some(Purpose::Withdrawal) {
            // What leaves for money isn't spending.
            fields.may(method::ADMIN)?;
            let exact = extent != Some(Extent::UpTo);
            fields.check(exact, "mode", "leave it out: a withdrawal is exact");
            fields.check(self.action.is_empty(), "action", "give an amount: it is a withdrawal");
        }
        Some(Act::Debit { charge: charge?, extent: extent?, purpose: purpose? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::DebitResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        v1::DebitResponse { transaction, balance, replayed }
    }
}

impl Ask for v1::ReverseRequest {
    method!("Reverse");
    type Answer = v1::ReverseResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let original = fields.id("transaction_id", &self.transaction_id);
        let amount = self.amount.map(|amount| fields.amount("amount", amount));
        let reach = fields.reach();
        Some(Act::Reverse { original: original?, amount: flat(amount)?, reach })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::ReverseResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        v1::ReverseResponse { transaction, balance, replayed }
    }
}

impl Ask for v1::TransferRequest {
    method!("Transfer");
    type Answer = v1::TransferResponse;

    fn act(&self, fields: &mut Fields<'_>) -> Option<Act> {
        let amount = fields.amount("amount", self.amount);
        let to = fields.account("to_account_id", &self.to_account_id);
        let other = self.to_account_id != self.account_id;
        fields.check(other, "to_account_id", "give another account than the payer's");
        Some(Act::Transfer { amount: amount?, to: to? })
    }

    fn answer(&self, receipt: &Receipt, _: &Catalog) -> v1::TransferResponse {
        let Done { transaction, balance, replayed } = wire::done(&self.account_id, receipt);
        let other = receipt.transaction.as_ref().and_then(|it| it.other());
        let to_balance = other.map(|entry| {
            let (posted, held) = (entry.balance_after, entry.held_after);
            let after = ledger::Balance { posted, held, sequence: entry.sequence };
            wire::balance(&self.to_account_id, after)
        });
        v1::TransferResponse { transaction, balance, replayed, to_balance }
    }
}
