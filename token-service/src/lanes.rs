//! Lanes: what concerns one account always goes by the same of them, so that it meets.

use ledger::AccountId;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The account's lane; `None` if there are no lanes.
pub(crate) fn of<'l, T>(lanes: &'l [T], account: &AccountId) -> Option<&'l T> {
    let mut hasher = DefaultHasher::new();
    account.hash(&mut hasher);
    let number = hasher.finish().checked_rem(u64::try_from(lanes.len()).ok()?)?;
    lanes.get(usize::try_from(number).ok()?)
}
