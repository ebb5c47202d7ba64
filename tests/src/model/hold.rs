//! Tokens set aside: README rule 21.

use super::book::words;
use super::{Expected, Model, Refused, wire};
use crate::target::Reply;
use proto::v1::{self, ErrorReason, HoldState, TransactionType as Type};

impl Model {
    pub(crate) fn create_hold(&mut self, r: &v1::CreateHoldRequest) -> Expected {
        let ask = self.ask(r.amount, &r.action, r.quantity)?;
        let (at, plan) = self.judge(&r.account_id, &ask)?;
        let (key, duration) = (&r.idempotency_key, r.duration.as_ref());
        let transaction = self.reserve(at, key, &ask, &plan, duration, words!(r));
        let account = &self.accounts[at];
        Ok(Reply::CreateHold(v1::CreateHoldResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(account)),
            replayed: false,
            hold: account.holds.last().map(|held| wire::hold(account, held)),
        }))
    }

    pub(crate) fn capture_hold(&mut self, r: &v1::CaptureHoldRequest) -> Expected {
        let (at, nth) = self.open_hold(&r.account_id, &r.hold_id)?;
        let hold = self.accounts[at].holds[nth].clone();
        let amount = r.amount.map_or(hold.amount, i128::from);
        if amount > hold.amount {
            return Err(Refused::new(ErrorReason::CaptureExceedsHold)
                .with("required", amount)
                .with("held", hold.amount));
        }

        let mut draft = self.begin(Type::Capture, at, &r.idempotency_key, words!(r));
        let account = &mut self.accounts[at];
        account.end_hold(nth, HoldState::Captured, amount);
        let mut left = amount;
        for mut draw in hold.draws {
            draw.tokens = draw.tokens.min(left);
            left -= draw.tokens;
            account.lot_mut(&draw.lot).remaining -= draw.tokens;
            if draw.tokens > 0 {
                draft.draws.push((at, draw));
            }
        }
        draft.amount = amount;
        draft.action = hold.action;
        draft.quantity = hold.quantity;
        draft.entitled = hold.entitled;
        draft.related = hold.label;
        "sys/usage".clone_into(&mut draft.counter);
        let transaction = self.commit(draft);
        let past = self.newest();
        (past.counted, past.spent_at) = (hold.counted, Some(hold.created));
        Ok(Reply::CaptureHold(v1::CaptureHoldResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            released: wire::tokens(hold.amount - amount),
        }))
    }

    pub(crate) fn release_hold(&mut self, r: &v1::ReleaseHoldRequest) -> Expected {
        let (at, nth) = self.open_hold(&r.account_id, &r.hold_id)?;

        let mut draft = self.begin(Type::Release, at, &r.idempotency_key, words!(r));
        self.accounts[at].end_hold(nth, HoldState::Released, 0);
        draft.amount = self.accounts[at].holds[nth].amount;
        draft.related = r.hold_id.clone();
        let released = wire::tokens(draft.amount);
        let transaction = self.commit(draft);
        Ok(Reply::ReleaseHold(v1::ReleaseHoldResponse {
            transaction: Some(transaction),
            balance: Some(wire::balance(&self.accounts[at])),
            replayed: false,
            released,
        }))
    }

    fn open_hold(&self, account_id: &str, hold_id: &str) -> Result<(usize, usize), Refused> {
        let at = self.need(account_id)?;
        let holds = &self.accounts[at].holds;
        let Some(nth) = holds.iter().position(|hold| hold.label == hold_id) else {
            return Err(Refused::new(ErrorReason::HoldNotFound)
                .with("account_id", account_id)
                .with("hold_id", hold_id));
        };
        match holds[nth].state {
            HoldState::Open => Ok((at, nth)),
            state => Err(Refused::new(ErrorReason::HoldNotOpen)
                .with("hold_id", hold_id)
                .with("state", state.as_str_name().trim_start_matches("HOLD_STATE_"))),
        }
    }
}
