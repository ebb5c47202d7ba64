//! What time itself brings about: README rules 6 and 7.

use super::Model;
use super::account::{Account, Taken};
use super::book::Words;
use proto::v1::{HoldState, TransactionType as Type};

impl Model {
    /// Posts what is due on every account, the earliest first.
    pub(crate) fn lapse(&mut self) {
        for at in 0..self.accounts.len() {
            for lot in &mut self.accounts[at].lots {
                // One that was taken back before its time has nothing left to activate.
                let over = lot.remaining == 0 && lot.effective.is_some_and(|time| time <= self.now);
                lot.waiting = lot.waiting && !over;
            }
            while let Some((due, what)) = self.accounts[at].next_due(self.now) {
                self.post_due(at, due.max(self.accounts[at].newest), what);
            }
        }
    }

    fn post_due(&mut self, at: usize, time: i64, what: Due) {
        let (kind, key, nth) = match what {
            Due::Activation(nth) => (Type::Activation, "activate", nth),
            Due::Hold(nth) => (Type::HoldExpiry, "lapse", nth),
            Due::Grant(nth) => (Type::GrantExpiry, "expire", nth),
        };
        let account = &self.accounts[at];
        let related = match what {
            Due::Hold(nth) => account.holds[nth].label.clone(),
            Due::Activation(nth) | Due::Grant(nth) => account.lots[nth].label.clone(),
        };
        // A grant can expire again when tokens come back to it: the sequence keeps labels apart.
        let key = format!("sys/{key}/{related}/{}", account.sequence);
        let mut draft = self.begin(kind, at, &key, Words::default());
        draft.time = time;
        draft.related = related;
        let account = &mut self.accounts[at];
        match what {
            Due::Activation(_) => {
                account.lots[nth].waiting = false;
                draft.amount = account.lots[nth].remaining;
                "sys/issuance".clone_into(&mut draft.counter);
            }
            Due::Hold(_) => {
                draft.amount = account.holds[nth].amount;
                account.end_hold(nth, HoldState::Expired, 0);
            }
            Due::Grant(_) => {
                draft.amount = account.free_of(&account.lots[nth]);
                let lot = &mut account.lots[nth];
                lot.remaining -= draft.amount;
                let (lot, kind) = (lot.label.clone(), lot.kind);
                draft.draws.push((at, Taken { lot, kind, tokens: draft.amount }));
                "sys/expiry".clone_into(&mut draft.counter);
            }
        }
        self.commit(draft);
    }
}

/// What time brings about: of the lot or hold with this index.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Due {
    Activation(usize),
    Hold(usize),
    Grant(usize),
}

impl Account {
    /// The earliest thing that is due; at one moment activations, then holds, then grants.
    fn next_due(&self, now: i64) -> Option<(i64, Due)> {
        let mut due: Vec<(i64, Due)> = Vec::new();
        for (nth, lot) in self.lots.iter().enumerate() {
            match (lot.waiting, lot.effective, lot.expire) {
                (true, Some(time), _) if lot.remaining > 0 => {
                    due.push((time, Due::Activation(nth)))
                }
                (false, _, Some(time)) if self.free_of(lot) > 0 => {
                    due.push((time, Due::Grant(nth)));
                }
                _ => {}
            }
        }
        for (nth, hold) in self.holds.iter().enumerate() {
            if hold.state == HoldState::Open {
                due.push((hold.expires, Due::Hold(nth)));
            }
        }
        due.into_iter().filter(|(time, _)| *time <= now).min()
    }

    /// Ends an open hold: what isn't captured is free again.
    pub(crate) fn end_hold(&mut self, nth: usize, state: HoldState, captured: i128) {
        let hold = &mut self.holds[nth];
        hold.state = state;
        hold.captured = captured;
        self.spends.push((hold.created, captured - hold.amount));
        if state != HoldState::Captured {
            let counted = hold.counted.clone();
            self.uncount(counted.as_ref());
        }
    }
}
