//! The deck of calls: each is drawn by chance, and aimed with the model's help.

use super::{ACCOUNTS, Step};
use crate::model::{Account, Model, Past, Rules};
use crate::target::Call;
use prost_types::Duration;
use proto::catalog::Catalog;
use proto::v1::{self, AuthorizeMode, DebitMode, DebitPurpose};
use std::collections::VecDeque;
use story::Told;

mod around;
mod crowd;
mod money;
mod several;
mod story;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Names nothing.
const NOWHERE: &str = "nobody/nowhere";

/// What the next call is drawn from.
pub(super) struct Deck {
    pub rng: fastrand::Rng,
    pub model: Model,
    pub now: i64,
    start: i64,
    keys: u32,
    /// Commands with a key that were sent.
    sent: Vec<Call>,
    actions: Vec<String>,
    /// Calls to come, among others.
    story: VecDeque<Told>,
}

impl Deck {
    pub fn new(mut rng: fastrand::Rng, catalog: &Catalog) -> Self {
        let midnight = (20_454 + rng.i64(0..360)) * DAY; // a day of 2026
        let now = midnight + rng.i64(0..DAY);
        Self {
            rng,
            model: Model::new(Rules::of(catalog)),
            now,
            start: now,
            keys: 0,
            sent: Vec::new(),
            actions: catalog.actions.iter().map(|action| action.id.clone()).collect(),
            story: VecDeque::new(),
        }
    }

    pub fn deal(mut self, calls: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while steps.len() < calls {
            let told = if self.chance(75) { self.story.pop_front() } else { None };
            let call = match told {
                Some((after, call)) => {
                    self.now += after;
                    self.sent.extend(command(&call));
                    call
                }
                None => {
                    self.tick();
                    self.call()
                }
            };
            if self.story.is_empty() && self.chance(2) {
                self.tell();
            }
            // Refused or not: what counts is how the model stands after it.
            self.model.answer(&call, self.now).ok();
            steps.push(Step { at_micros: self.now, call });
        }
        steps
    }

    fn call(&mut self) -> Call {
        match self.rng.u32(..100) {
            0..66 => self.remember(Self::command),
            66..73 => self.authorize(),
            73..80 => self.batch(),
            80..87 => self.repeat(),
            87..93 => self.status(),
            93..96 => self.settings(),
            96..98 => self.transaction(),
            98 => v1::GetAccountRequest { account_id: self.anyone() }.into(),
            _ => self.quote(),
        }
    }

    fn remember(&mut self, make: fn(&mut Self) -> Call) -> Call {
        let call = make(self);
        self.sent.push(call.clone());
        call
    }

    /// One of the commands that can also stand in a batch.
    fn command(&mut self) -> Call {
        let first = self.model.accounts().len() < 2 && self.chance(60);
        let no_holds = self.model.accounts().iter().all(|a| a.open_holds().next().is_none());
        let no_transfers = self.model.rules().transferable.is_empty();
        match self.rng.u32(..67) {
            _ if first => self.credit(),
            0..16 => self.credit(),
            16..28 => self.debit(),
            36..46 if no_holds && self.chance(85) => self.create_hold(),
            53..59 if no_transfers && self.chance(85) => self.debit(),
            28..36 => self.create_hold(),
            36..42 => self.capture(),
            42..46 => self.release(),
            46..53 => self.reverse(),
            53..59 => self.transfer(),
            59..64 => self.clawback(),
            _ => self.entitlement(),
        }
    }

    pub(super) fn key(&mut self) -> String {
        self.keys += 1;
        format!("k{}", self.keys)
    }

    /// An account that may come into being, the first ones more often.
    pub(super) fn someone(&mut self) -> String {
        let nth = self.rng.usize(..4).min(self.rng.usize(..4));
        ACCOUNTS[nth].to_owned()
    }

    /// As `someone`, and rarely nobody.
    pub(super) fn anyone(&mut self) -> String {
        if self.rng.u32(..30) == 0 { "nobody".to_owned() } else { self.someone() }
    }

    pub(super) fn of(&self, account_id: &str) -> Option<&Account> {
        self.model.accounts().iter().find(|account| account.id == account_id)
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(..100) < percent
    }

    pub(super) fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())].clone()
    }

    pub(super) fn action(&mut self) -> Option<String> {
        let actions = self.actions.clone();
        self.rng.choice(actions)
    }

    /// At, below and above a figure, and something small: at least 1.
    pub(super) fn near(&mut self, figure: i128) -> i64 {
        let figure = i64::try_from(figure).expect("figures are small");
        let small = self.rng.i64(1..6);
        let half = figure / 2;
        self.pick(&[figure, figure + 1, figure - 1, half, small, small, small]).max(1)
    }

    /// A transaction of the account (or rarely of another), the newer the likelier.
    pub(super) fn past(&mut self, account_id: &str, wanted: fn(&Past) -> bool) -> Option<Past> {
        let elsewhere = self.chance(4);
        let of = |past: &&Past| {
            let own = past.key == "sys/trial" || !past.key.starts_with("sys/");
            own && wanted(past) && (elsewhere || past.account_id == account_id)
        };
        let found: Vec<Past> = self.model.pasts().iter().filter(of).cloned().collect();
        let nth = self.rng.usize(..found.len().max(1)).max(self.rng.usize(..found.len().max(1)));
        found.get(nth).cloned()
    }

    fn authorize(&mut self) -> Call {
        let account_id = self.anyone();
        let mode = self.pick(&[
            AuthorizeMode::Check,
            AuthorizeMode::Hold,
            AuthorizeMode::Charge,
            AuthorizeMode::Charge,
        ]);
        let (amount, action, quantity) = self.ask(&account_id);
        let check = mode == AuthorizeMode::Check;
        let call = Call::from(v1::AuthorizeRequest {
            idempotency_key: if check { String::new() } else { self.key() },
            hold_duration: if mode == AuthorizeMode::Hold { self.duration() } else { None },
            account_id,
            amount,
            action,
            quantity,
            mode: mode.into(),
            ..v1::AuthorizeRequest::default()
        });
        if !check {
            self.sent.push(call.clone());
        }
        call
    }

    pub(super) fn duration(&mut self) -> Option<Duration> {
        let longest = self.model.rules().hold_max / SECOND;
        let some = self.rng.i64(1..=longest);
        let seconds = self.pick(&[0, 0, 1, 60, 900, some, longest]);
        (seconds > 0).then_some(Duration { seconds, nanos: 0 })
    }

    fn debit(&mut self) -> Call {
        let account_id = self.anyone();
        let (mut amount, mut action, mut quantity) = self.ask(&account_id);
        let mut mode = self.pick(&[
            DebitMode::Unspecified,
            DebitMode::Exact,
            DebitMode::Exact,
            DebitMode::UpTo,
        ]);
        let mut purpose = self.pick(&[DebitPurpose::Unspecified, DebitPurpose::Usage]);
        let withdrawals = self.model.rules().withdrawals;
        if self.chance(if withdrawals { 12 } else { 2 }) {
            let earned = self.of(&account_id).map_or(0, |account| {
                let lots = account.lots.iter();
                let earned = lots.filter(|lot| lot.kind == v1::GrantKind::Earned);
                earned.map(|lot| account.free_of(lot)).sum()
            });
            (amount, action, quantity) = (self.near(earned), String::new(), 0);
            (mode, purpose) = (DebitMode::Exact, DebitPurpose::Withdrawal);
        } else if self.chance(6) {
            // Everything, so that the account can be closed.
            (amount, action, quantity) = (1000, String::new(), 0);
            mode = DebitMode::UpTo;
        }
        v1::DebitRequest {
            idempotency_key: self.key(),
            account_id,
            amount,
            action,
            quantity,
            mode: mode.into(),
            purpose: purpose.into(),
            ..v1::DebitRequest::default()
        }
        .into()
    }

    /// An amount, or an action and a quantity.
    pub(super) fn ask(&mut self, account_id: &str) -> (i64, String, i64) {
        let account = self.of(account_id);
        let available = account.map_or(0, |account| account.available().max(0));
        let some_lot = account.map(|account| account.lots.clone()).unwrap_or_default();
        let some_lot = self.rng.choice(some_lot).map_or(0, |lot| lot.remaining);
        let figure = self.pick(&[available, available, some_lot]);
        let Some(action) = self.action().filter(|_| self.chance(60)) else {
            return (self.near(figure), String::new(), 0);
        };
        if self.chance(1) && self.of(account_id).is_some() && self.model.rules().trial.is_none() {
            return (0, "nothing".to_owned(), 1);
        }
        let price = self.model.rules().prices[&action];
        let quantity = self.near(figure / price).min(12);
        let unset = self.chance(15);
        (0, action, if unset { 0 } else { quantity })
    }
}

/// A call that can be sent again.
fn command(call: &Call) -> Option<Call> {
    let read = matches!(call, Call::GetAccount(_) | Call::UpdateAccount(_) | Call::Batch(_));
    (!read).then(|| call.clone())
}
