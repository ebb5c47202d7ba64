//! What a batch touches, so that the shell can load it.

use crate::{
    apply::Job,
    command::Act,
    id::{AccountId, Name, TransactionId},
};
use std::collections::BTreeSet;

/// Rows to load. What is locked is `accounts`, in their order; everything else hangs on one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Transactions with their entries: what keys may name, what commands refer to.
    pub transactions: BTreeSet<Name>,
    /// Grants that may be closed or spilled, and so not in their account's row.
    pub grants: BTreeSet<Name>,
    /// Accounts of which every spilled grant is needed.
    pub spilled: BTreeSet<AccountId>,
    /// Holds that may have ended, and so not be in their account's row.
    pub holds: BTreeSet<Name>,
    /// What was reversed of these transactions.
    pub reversals: BTreeSet<Name>,
    /// What was clawed back of these credits.
    pub clawbacks: BTreeSet<Name>,
    /// Credits from whose grants transfers may have drawn: those transfers, back to the time that
    /// makes them mature.
    pub tips: BTreeSet<Name>,
}

impl Footprint {
    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether accounts and transactions are all there is.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let Self {
            accounts: _,
            transactions: _,
            grants,
            spilled,
            holds,
            reversals,
            clawbacks,
            tips,
        } = self;
        spilled.is_empty()
            && [grants, holds, reversals, clawbacks, tips].iter().all(|names| names.is_empty())
    }

    /// Adds another's rows to these; whether any was new.
    pub fn extend(&mut self, other: Self) -> bool {
        let before = self.rows();
        self.accounts.extend(other.accounts);
        self.transactions.extend(other.transactions);
        self.grants.extend(other.grants);
        self.spilled.extend(other.spilled);
        self.holds.extend(other.holds);
        self.reversals.extend(other.reversals);
        self.clawbacks.extend(other.clawbacks);
        self.tips.extend(other.tips);
        self.rows() > before
    }

    fn rows(&self) -> usize {
        let Self { accounts, transactions, grants, spilled, holds, reversals, clawbacks, tips } =
            self;
        let named = [transactions, grants, holds, reversals, clawbacks, tips].map(BTreeSet::len);
        [accounts.len(), spilled.len()].into_iter().chain(named).fold(0, usize::saturating_add)
    }
}

/// What the jobs will surely touch. [`crate::apply`] asks for the rest when it finds out.
#[must_use]
pub fn footprint(jobs: &[Job]) -> Footprint {
    let mut needs = Footprint::default();
    for command in jobs.iter().flat_map(|job| &job.commands) {
        let name = |id: TransactionId| (command.account.clone(), id);
        needs.accounts.insert(command.account.clone());
        needs.transactions.extend(command.id().map(name));
        match &command.act {
            Act::Reverse { original, .. } => {
                needs.transactions.insert(name(*original));
                needs.reversals.insert(name(*original));
            }
            Act::Transfer { to, .. } => {
                needs.accounts.insert(to.clone());
            }
            Act::SetClawback { credit, .. } => {
                let credit = TransactionId::of(&command.account, credit);
                needs.transactions.insert(name(credit));
                needs.reversals.insert(name(credit));
                needs.clawbacks.insert(name(credit));
            }
            Act::Credit(_)
            | Act::Debit { .. }
            | Act::CreateHold { .. }
            | Act::CaptureHold { .. }
            | Act::ReleaseHold { .. }
            | Act::SetEntitlement(_)
            | Act::Authorize { .. }
            | Act::SetStatus(_)
            | Act::SetSettings { .. }
            | Act::Sweep => {}
        }
    }
    needs
}
