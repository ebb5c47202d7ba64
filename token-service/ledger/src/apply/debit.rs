//! Debit, and Authorize, which is the trial and then a debit or a hold.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
};
use crate::{
    command::{Charge, Command, Extent, Purpose, Work},
    funding::{fund, give, is_mature, may_spend, within_caps},
    grant::GrantKind,
    id::System,
    rejection::Rejection,
    state::Stop,
    transaction::{Change, TransactionType},
};

impl Book<'_> {
    pub(super) fn debit(
        &mut self,
        command: &Command,
        charge: &Charge,
        extent: Extent,
        purpose: Purpose,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let account = self.state.existing(&command.account)?;
        if purpose == Purpose::Withdrawal && !self.policy.withdrawals {
            return Err(Rejection::NotEnabled { what: "withdrawals" }.into());
        }
        may_spend(account)?;
        let (kind, counter, funding) = match (purpose, charge) {
            (Purpose::Withdrawal, Charge::Tokens(amount)) => {
                let (earned, mature) = ([GrantKind::Earned], is_mature(self.policy, at));
                let funding = give(account, self.policy, *amount, &earned, mature)?;
                (TransactionType::Withdrawal, System::Payouts, funding)
            }
            (Purpose::Usage | Purpose::Withdrawal, _) => {
                let funding = fund(account, self.policy, charge, extent, at)?;
                within_caps(account, funding.tokens(), at)?;
                (TransactionType::Debit, System::Usage, funding)
            }
        };

        let mut changes: Vec<Change> = funding.draws.iter().cloned().map(Change::Draw).collect();
        changes.extend(funding.used(charge));
        let mut draft = Draft::of(command, kind, at);
        draft.amount = funding.tokens();
        draft.action = charge.action().map(ToOwned::to_owned);
        draft.quantity = funding.quantity;
        draft.entitled = funding.entitled;
        draft.legs.push(Leg::new(&command.account, counter, changes));
        Ok(self.post(draft))
    }

    pub(super) fn authorize(
        &mut self,
        command: &Command,
        charge: &Charge,
        work: Work,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        self.grant_trial(&command.account, at)?;
        match work {
            Work::Hold(lasts_micros) => self.create_hold(command, charge, lasts_micros),
            Work::Charge => self.debit(command, charge, Extent::Exact, Purpose::Usage),
        }
    }
}
