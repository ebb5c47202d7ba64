//! The order of the commits, held against the numbers of the entries: per account so many, in their
//! order, each once. Of an account 16 bytes are kept, under a hash of its id.

use ledger::AccountId;
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

/// What the commits say of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The number of its newest entry.
    newest: u32,
    /// The number of its newest entry at or before the checkpoint's position.
    pinned: u32,
}

impl Seen {
    pub(super) fn newest(self) -> i64 {
        self.newest.into()
    }

    pub(super) fn pinned(self) -> i64 {
        self.pinned.into()
    }
}

/// What they say of all accounts.
#[derive(Debug, Default)]
pub(super) struct Commits {
    seen: HashMap<u64, Seen>,
    hasher: RandomState,
}

impl Commits {
    /// The next entry that was committed; whether it is that account's next one.
    pub(super) fn add(&mut self, account: &str, sequence: i64, is_pinned: bool) -> bool {
        let seen = self.seen.entry(self.hasher.hash_one(account)).or_default();
        let follows = i64::from(seen.newest) + 1 == sequence;
        let Ok(number) = u32::try_from(sequence) else { return false };
        if number > seen.newest {
            seen.newest = number;
        }
        if is_pinned {
            seen.pinned = seen.newest;
        }
        follows
    }

    /// What they say of this one.
    pub(super) fn of(&self, account: &AccountId) -> Seen {
        self.seen.get(&self.hasher.hash_one(account.as_str())).copied().unwrap_or_default()
    }

    /// The same, and forgets it.
    pub(super) fn take(&mut self, account: &AccountId) -> Seen {
        self.seen.remove(&self.hasher.hash_one(account.as_str())).unwrap_or_default()
    }

    /// How many accounts are left.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}
