//! Transfers: tips, from one customer's account to another's.

use super::{
    Book, Receipt,
    credit::has_room,
    post::{Draft, Leg},
};
use crate::{
    command::Command,
    funding::{give, may_spend, within_caps},
    grant::{Grant, GrantKind},
    id::{AccountId, System},
    rejection::Rejection,
    state::Stop,
    tokens::{Exact, Tokens, share},
    transaction::{Change, Split, TransactionType},
};

/// Basis points in a whole.
const WHOLE: i64 = 10_000;

impl Book<'_> {
    pub(super) fn transfer(
        &mut self,
        command: &Command,
        amount: Tokens,
        to: &AccountId,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account, to])?;
        let payer = self.state.existing(&command.account)?;
        let kinds = &self.policy.transfers.kinds;
        if kinds.is_empty() {
            return Err(Rejection::NotEnabled { what: "transfers" }.into());
        }
        may_spend(payer)?;
        let funding = give(payer, self.policy, amount, |grant| kinds.contains(&grant.kind))?;
        within_caps(payer, amount, at)?;
        has_room(self.state.account(to)?, amount)?;
        let sequence = self.next_sequence(to)?;

        let fee = share(amount, self.policy.transfers.fee_basis_points, WHOLE);
        let received = amount.minus(fee);
        let mut draft = Draft::of(command, TransactionType::Transfer, at);
        draft.amount = amount;
        draft.legs.push(Leg {
            account: command.account.clone(),
            counter: to.clone(),
            split: fee_split(0_i64.minus(fee)),
            changes: funding.draws.into_iter().map(Change::Draw).collect(),
        });
        let earned = Grant {
            id: command.wanted_id(),
            sequence,
            kind: GrantKind::Earned,
            priority: 0,
            amount: received,
            carried: 0,
            remaining: received,
            held: 0,
            noticed: 0,
            scheduled: None,
            effective: None,
            expire: None,
            actions: Vec::new(),
            cost: None,
            reference: command.note.reference.clone(),
            created: at,
        };
        draft.legs.push(Leg {
            account: to.clone(),
            counter: command.account.clone(),
            split: None,
            changes: (received > 0).then(|| Change::Open(Box::new(earned))).into_iter().collect(),
        });
        Ok(self.post(draft))
    }
}

/// The part of the payer's amount that stands against our fees.
pub(super) fn fee_split(amount: Tokens) -> Option<Split> {
    (amount != 0).then(|| Split { account: System::Fees.id(), amount })
}
