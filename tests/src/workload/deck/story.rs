//! Stories: calls that mean something only one after the other, too rarely met by chance.

use super::{DAY, Deck};
use crate::model::wire::stamp;
use crate::target::Call;
use proto::v1::batch_command::Command;
use proto::v1::set_entitlement_request::Benefit;
use proto::v1::{self, CapPeriod, DebitPurpose, GrantKind};

/// The next call of a story, and how long after the one before.
pub(super) type Told = (i64, Call);

impl Deck {
    /// Begins one of the stories.
    pub(super) fn tell(&mut self) {
        let account_id = self.someone();
        let calls = match self.rng.u32(..9) {
            0 => self.a_quota_begins_anew(&account_id),
            1 => self.a_hold_of_yesterday_is_undone(&account_id),
            2 => self.a_tip_returns_in_parts(&account_id),
            3 => self.a_tip_comes_back_late(&account_id),
            4 => self.a_batch_takes_its_own_tip_back(&account_id),
            5 | 6 => self.a_crowd_of_grants(&account_id),
            7 => self.a_crowd_of_tips(&account_id),
            _ => self.a_tip_matures(&account_id),
        };
        self.story.extend(calls);
    }

    /// What was used in one period isn't given back in the next.
    fn a_quota_begins_anew(&mut self, account_id: &str) -> Vec<Told> {
        let Some(action) = self.action() else { return Vec::new() };
        let newest = self.of(account_id).and_then(|account| {
            account.entitlements.iter().find(|it| it.source == "plan/1").map(|it| it.version)
        });
        let mut version = newest.unwrap_or(0);
        let begin = self.start;
        let mut period = |deck: &mut Self, days: i64| {
            version += 1;
            let units = [(action.clone(), 9)].into();
            let benefit = Some(Benefit::Quota(v1::Quota { units }));
            Call::from(v1::SetEntitlementRequest {
                idempotency_key: deck.key(),
                account_id: account_id.to_owned(),
                source: "plan/1".to_owned(),
                source_version: version,
                benefit,
                period_start_time: Some(stamp(begin - days * DAY)),
                ..v1::SetEntitlementRequest::default()
            })
        };
        let (old, new) = (period(self, 90), period(self, 60));
        let (held, debited) = (self.key(), self.key());
        let hold = v1::CreateHoldRequest {
            idempotency_key: held.clone(),
            account_id: account_id.to_owned(),
            action: action.clone(),
            quantity: 3,
            ..v1::CreateHoldRequest::default()
        };
        let debit = |idempotency_key: String, quantity: i64| v1::DebitRequest {
            idempotency_key,
            account_id: account_id.to_owned(),
            action: action.clone(),
            quantity,
            ..v1::DebitRequest::default()
        };
        let release = v1::ReleaseHoldRequest {
            idempotency_key: self.key(),
            account_id: account_id.to_owned(),
            hold_id: format!("{account_id}/{held}"),
            ..v1::ReleaseHoldRequest::default()
        };
        let reverse = self.undo(account_id, &debited, None);
        let first = debit(debited, 2).into();
        let second = debit(self.key(), 4).into();
        let mut calls = vec![old, hold.into(), first, new, second, release.into(), reverse];
        if self.chance(30) {
            calls.remove(3); // the period stays
        }
        calls.into_iter().map(|call| (0, call)).collect()
    }

    /// Tokens that were held on one day and captured on another.
    fn a_hold_of_yesterday_is_undone(&mut self, account_id: &str) -> Vec<Told> {
        let cap = |period: CapPeriod| v1::SpendCap { period: period.into(), limit: 50, spent: 0 };
        let caps = vec![cap(CapPeriod::Day), cap(CapPeriod::Month)];
        let settings = v1::UpdateAccountRequest {
            account_id: account_id.to_owned(),
            spend_caps: Some(v1::SpendCaps { caps }),
            ..v1::UpdateAccountRequest::default()
        };
        let (held, captured) = (self.key(), self.key());
        let hold = v1::CreateHoldRequest {
            idempotency_key: held.clone(),
            account_id: account_id.to_owned(),
            amount: 5,
            duration: Some(prost_types::Duration { seconds: 48 * 3600, nanos: 0 }),
            ..v1::CreateHoldRequest::default()
        };
        let part = self.chance(50).then_some(3);
        let capture = v1::CaptureHoldRequest {
            idempotency_key: captured.clone(),
            account_id: account_id.to_owned(),
            hold_id: format!("{account_id}/{held}"),
            amount: part,
            ..v1::CaptureHoldRequest::default()
        };
        let debit = v1::DebitRequest {
            idempotency_key: self.key(),
            account_id: account_id.to_owned(),
            amount: 4,
            ..v1::DebitRequest::default()
        };
        let look = v1::GetAccountRequest { account_id: account_id.to_owned() };
        let midnight = (self.now.div_euclid(DAY) + 1) * DAY - self.now;
        vec![
            (0, self.gift(account_id, 20)),
            (0, settings.into()),
            (0, hold.into()),
            (midnight - 1, look.clone().into()),
            (1, debit.into()),
            (0, capture.into()),
            (0, self.undo(account_id, &captured, Some(2))),
            (0, look.clone().into()),
            (0, self.undo(account_id, &captured, None)),
            (0, look.into()),
        ]
    }

    /// What the fee gives back in parts is what it would give back at once.
    fn a_tip_returns_in_parts(&mut self, account_id: &str) -> Vec<Told> {
        let tip = self.key();
        let amount = self.rng.i64(5..12);
        let transfer = self.tip(account_id, &tip, amount);
        let mut calls = vec![(0, self.gift(account_id, amount)), (0, transfer.into())];
        for part in [1, 2, 1] {
            calls.push((0, self.undo(account_id, &tip, Some(part))));
        }
        calls.push((0, self.undo(account_id, &tip, None)));
        calls
    }

    /// What is due on the receiver comes before what is given back to it.
    fn a_tip_comes_back_late(&mut self, account_id: &str) -> Vec<Told> {
        let (credit, credited) = self.spent_first(account_id, 6);
        let tip = self.key();
        let transfer = self.tip(account_id, &tip, 6);
        let wait = self.pick(&[1, DAY]);
        let lapsing = v1::CreditRequest {
            idempotency_key: self.key(),
            account_id: transfer.to_account_id.clone(),
            amount: 3,
            kind: GrantKind::Promotional.into(),
            expire_time: Some(stamp(self.now + wait)),
            ..v1::CreditRequest::default()
        };
        let take = self.claw(account_id, &credited, 6, 1);
        let give = self.claw(account_id, &credited, 1, 2);
        vec![
            (0, credit.into()),
            (0, transfer.into()),
            (0, lapsing.into()),
            (0, take.into()),
            (wait, give.into()),
        ]
    }

    /// What a batch did earlier counts for what it does later.
    fn a_batch_takes_its_own_tip_back(&mut self, account_id: &str) -> Vec<Told> {
        let (credit, credited) = self.spent_first(account_id, 6);
        let tip = self.key();
        let transfer = self.tip(account_id, &tip, 5);
        let take = self.claw(account_id, &credited, 4, 1);
        let give = self.claw(account_id, &credited, 2, 2);
        let commands = [
            Command::Credit(credit),
            Command::Transfer(transfer),
            Command::SetClawback(take),
            Command::SetClawback(give),
        ];
        let commands = commands.map(|command| v1::BatchCommand { command: Some(command) });
        let mode = self.pick(&[v1::BatchMode::Atomic, v1::BatchMode::Independent]).into();
        let batch = v1::BatchRequest { commands: commands.into(), mode, dry_run: false };
        vec![(0, batch.into())]
    }

    /// Earned tokens at the very moment at which they may be paid out, and no longer taken back.
    fn a_tip_matures(&mut self, account_id: &str) -> Vec<Told> {
        let (credit, credited) = self.spent_first(account_id, 9);
        let tip = self.key();
        let transfer = self.tip(account_id, &tip, 8);
        let withdrawal = v1::DebitRequest {
            idempotency_key: self.key(),
            account_id: transfer.to_account_id.clone(),
            amount: 1,
            purpose: DebitPurpose::Withdrawal.into(),
            ..v1::DebitRequest::default()
        };
        let clawback = self.claw(account_id, &credited, 5, 1);
        let off = self.pick(&[-1, 0, 0, 1]);
        let matured = (self.model.rules().maturity + off).max(0);
        vec![
            (0, credit.into()),
            (0, transfer.into()),
            (matured, withdrawal.into()),
            (0, clawback.into()),
        ]
    }

    /// A credit that goes before others of its step, and its key.
    pub(super) fn spent_first(
        &mut self,
        account_id: &str,
        amount: i64,
    ) -> (v1::CreditRequest, String) {
        let key = self.key();
        let credit = v1::CreditRequest {
            idempotency_key: key.clone(),
            account_id: account_id.to_owned(),
            amount,
            kind: GrantKind::Purchased.into(),
            priority: -9,
            ..v1::CreditRequest::default()
        };
        (credit, key)
    }

    fn claw(
        &mut self,
        account_id: &str,
        credit_key: &str,
        target: i64,
        revision: i64,
    ) -> v1::SetClawbackRequest {
        v1::SetClawbackRequest {
            idempotency_key: self.key(),
            account_id: account_id.to_owned(),
            credit_key: credit_key.to_owned(),
            target,
            revision,
            ..v1::SetClawbackRequest::default()
        }
    }

    fn gift(&mut self, account_id: &str, amount: i64) -> Call {
        v1::CreditRequest {
            idempotency_key: self.key(),
            account_id: account_id.to_owned(),
            amount,
            kind: GrantKind::Purchased.into(),
            ..v1::CreditRequest::default()
        }
        .into()
    }

    pub(super) fn tip(&mut self, account_id: &str, key: &str, amount: i64) -> v1::TransferRequest {
        let mut to_account_id = self.someone();
        while to_account_id == account_id {
            to_account_id = self.someone();
        }
        v1::TransferRequest {
            idempotency_key: key.to_owned(),
            account_id: account_id.to_owned(),
            amount,
            to_account_id,
            ..v1::TransferRequest::default()
        }
    }

    fn undo(&mut self, account_id: &str, key: &str, amount: Option<i64>) -> Call {
        v1::ReverseRequest {
            idempotency_key: self.key(),
            account_id: account_id.to_owned(),
            transaction_id: format!("{account_id}/{key}"),
            amount,
            ..v1::ReverseRequest::default()
        }
        .into()
    }
}
