//! When a change was answered and when it was seen, for accounts that are watched.

use crate::load::Run;
use proto::v1::Balance;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The watched accounts.
#[derive(Debug)]
pub struct Sightings {
    accounts: HashMap<String, Mutex<Account>>,
}

#[derive(Debug)]
struct Account {
    /// The latest change that was seen.
    sequence: i64,
    /// Messages about it.
    messages: u64,
    /// Changes that were answered and not seen yet.
    waiting: VecDeque<(i64, Instant)>,
    latency: Run,
}

impl Sightings {
    /// Of these accounts.
    pub fn of(accounts: impl Iterator<Item = String>) -> Self {
        let account = || Account {
            sequence: 0,
            messages: 0,
            waiting: VecDeque::new(),
            latency: Run::empty(),
        };
        Self { accounts: accounts.map(|id| (id, Mutex::new(account()))).collect() }
    }

    /// A change was answered with this balance.
    pub fn answered(&self, balance: &Balance) {
        self.with(balance, |account| {
            if account.sequence >= balance.sequence {
                account.latency.call(Duration::ZERO, 1, Ok(0));
            } else {
                account.waiting.push_back((balance.sequence, Instant::now()));
            }
        });
    }

    /// A watcher was told this balance; changes before it are seen with it.
    pub fn seen(&self, balance: &Balance) {
        self.with(balance, |account| {
            account.messages += 1;
            account.sequence = account.sequence.max(balance.sequence);
            let Account { sequence, waiting, latency, .. } = account;
            waiting.retain(|(waits, since)| {
                let visible = waits <= sequence;
                if visible {
                    latency.call(since.elapsed(), 1, Ok(0));
                }
                !visible
            });
        });
    }

    /// How long it took, how many messages there were, and how many changes weren't seen.
    pub fn end(&self) -> (Run, u64, usize) {
        let mut all = (Run::empty(), 0, 0);
        for account in self.accounts.values() {
            let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
            let latency = std::mem::replace(&mut account.latency, Run::empty());
            all.0.add(latency).expect("the same bounds");
            all.1 += account.messages;
            all.2 += account.waiting.len();
        }
        all
    }

    fn with(&self, balance: &Balance, act: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get(&balance.account_id) {
            act(&mut account.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once_whichever_comes_first() {
        let sights = Sightings::of(["a".to_owned()].into_iter());
        let balance = |account: &str, sequence| Balance {
            account_id: account.to_owned(),
            sequence,
            ..Balance::default()
        };
        sights.answered(&balance("a", 2));
        sights.answered(&balance("a", 4));
        sights.seen(&balance("a", 3));
        sights.answered(&balance("a", 3));
        sights.answered(&balance("not watched", 1));
        let (latency, messages, unseen) = sights.end();
        assert_eq!(latency.operations().to_string(), "2");
        assert_eq!((messages, unseen), (1, 1));
    }
}
