//! Holds: set aside before the work, spend what it cost, give back on failure.

use super::{
    Book, Receipt,
    post::{Draft, Leg},
};
use crate::{
    command::{Charge, Command, Extent},
    funding::{fund, may_spend, within_caps},
    grant::Draw,
    hold::{Hold, HoldState},
    id::{System, TransactionId},
    planted::{self, Bug},
    rejection::{Limit, Rejection},
    state::Stop,
    tokens::{Exact, Tokens},
    transaction::{Change, TransactionType},
};

/// The most holds that an account may have open at once.
const HOLDS_MAX: i64 = 1_000;

impl Book<'_> {
    pub(super) fn create_hold(
        &mut self,
        command: &Command,
        charge: &Charge,
        lasts_micros: i64,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let account = self.state.existing(&command.account)?;
        may_spend(account)?;
        if i64::try_from(account.body.holds.len()).is_ok_and(|open| open >= HOLDS_MAX) {
            let (limit, maximum) = (Limit::Holds, HOLDS_MAX);
            let retry = account.body.holds.iter().map(|hold| hold.expire).min();
            return Err(Rejection::LimitExceeded { limit, maximum, retry }.into());
        }
        let funding = fund(account, self.policy, charge, Extent::Exact, at)?;
        within_caps(account, funding.tokens(), at)?;
        let sequence = self.next_sequence(&command.account)?;

        let used = funding.used(charge);
        let mut draft = Draft::of(command, TransactionType::Hold, at);
        draft.amount = funding.tokens();
        draft.action = charge.action().map(ToOwned::to_owned);
        draft.quantity = funding.quantity;
        draft.entitled.clone_from(&funding.entitled);
        let hold = Hold {
            id: command.wanted_id(),
            sequence,
            draws: funding.draws,
            action: draft.action.clone(),
            quantity: funding.quantity,
            entitled: funding.entitled,
            created: at,
            expire: at.after_micros(lasts_micros),
            state: HoldState::Open,
            captured: 0,
        };
        let changes = std::iter::once(Change::Hold(Box::new(hold))).chain(used).collect();
        draft.legs.push(Leg::new(&command.account, System::Usage, changes));
        Ok(self.post(draft))
    }

    pub(super) fn capture_hold(
        &mut self,
        command: &Command,
        id: TransactionId,
        amount: Option<Tokens>,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let hold = self.open_hold(command, id)?;
        let held = hold.amount();
        let captured = amount.unwrap_or(held);
        if captured > held {
            return Err(Rejection::CaptureExceedsHold { required: captured, held }.into());
        }

        let changes = vec![Change::Unhold {
            hold: id,
            captured: first(&hold.draws, captured),
            state: HoldState::Captured,
        }];
        let mut draft = Draft::of(command, TransactionType::Capture, at);
        draft.amount = captured;
        draft.action.clone_from(&hold.action);
        draft.quantity = hold.quantity;
        draft.entitled.clone_from(&hold.entitled);
        draft.related = Some(id);
        draft.legs.push(Leg::new(&command.account, System::Usage, changes));
        Ok(self.post(draft))
    }

    pub(super) fn release_hold(
        &mut self,
        command: &Command,
        id: TransactionId,
    ) -> Result<Receipt, Stop> {
        let at = self.now_for(&[&command.account])?;
        let hold = self.open_hold(command, id)?;

        let (captured, state) = (Vec::new(), HoldState::Released);
        let mut changes = vec![Change::Unhold { hold: id, captured, state }];
        changes.extend(hold.unused());
        if planted::is(Bug::ReleasedTwice) {
            changes.extend(hold.draws.iter().cloned().map(Change::Restore));
        }
        let mut draft = Draft::of(command, TransactionType::Release, at);
        draft.amount = hold.amount();
        draft.related = Some(id);
        draft.legs.push(Leg::new(&command.account, System::Usage, changes));
        Ok(self.post(draft))
    }

    fn open_hold(&self, command: &Command, id: TransactionId) -> Result<Hold, Stop> {
        let account = self.state.existing(&command.account)?;
        if let Some(hold) = account.hold(id) {
            return Ok(hold.clone());
        }
        let name = (command.account.clone(), id);
        Err(match self.state.ended_hold(&name)? {
            Some(ended) => Rejection::HoldNotOpen { hold: id, state: ended.state }.into(),
            None => Rejection::HoldNotFound { account: name.0, hold: id }.into(),
        })
    }
}

/// The first `amount` tokens of these draws.
fn first(draws: &[Draw], amount: Tokens) -> Vec<Draw> {
    let mut rest = amount;
    let mut taken = Vec::new();
    for draw in draws {
        let part = rest.min(draw.amount);
        if part > 0 {
            taken.push(Draw { amount: part, ..draw.clone() });
            rest = rest.minus(part);
        }
    }
    taken
}
