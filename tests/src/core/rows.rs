//! The rows of a ledger as maps: loaded by footprint, written by effects, as a store would.

use ledger::{
    Account, AccountId, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State,
    Transaction, TransactionType,
};
use std::{collections::BTreeMap, sync::Arc};

/// Every table.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) transactions: BTreeMap<Name, Arc<Transaction>>,
    /// The closed ones; the others are in their account's row.
    pub(super) grants: BTreeMap<Name, Grant>,
    /// Those that ended; the others are in their account's row.
    pub(super) holds: BTreeMap<Name, Hold>,
    reversals: BTreeMap<Name, Reversal>,
    clawbacks: BTreeMap<Name, Clawback>,
}

impl Rows {
    pub(super) fn load(&self, needs: &Footprint) -> State {
        let mut state = State::default();
        for id in &needs.accounts {
            state.accounts.load(id.clone(), self.accounts.get(id).cloned());
        }
        for name in &needs.transactions {
            state.transactions.load(name.clone(), self.transactions.get(name).cloned());
        }
        for name in &needs.grants {
            state.grants.load(name.clone(), self.grants.get(name).cloned());
        }
        for name in &needs.holds {
            state.holds.load(name.clone(), self.holds.get(name).cloned());
        }
        for name in &needs.reversals {
            state.reversals.load(name.clone(), self.reversals.get(name).cloned());
        }
        for name in &needs.clawbacks {
            state.clawbacks.load(name.clone(), self.clawbacks.get(name).cloned());
        }
        for id in &needs.tips {
            let own = self.entries_of(id).filter(|it| it.kind == TransactionType::Transfer);
            state
                .tips
                .load(id.clone(), Some(own.filter(|it| it.account == *id).cloned().collect()));
        }
        state
    }

    pub(super) fn write(&mut self, effects: Effects) {
        for account in effects.new_accounts {
            let old = self.accounts.insert(account.id.clone(), account);
            assert!(old.is_none(), "a new account wasn't there before");
        }
        for account in effects.accounts {
            let old = self.accounts.insert(account.id.clone(), account);
            assert!(old.is_some(), "a changed account was there before");
        }
        for transaction in effects.transactions {
            let old = self.transactions.insert(transaction.name(), transaction);
            assert!(old.is_none(), "a transaction is never changed");
        }
        self.grants.extend(effects.closed_grants);
        for name in effects.reopened_grants {
            self.grants.remove(&name).expect("a grant that opens again was closed");
        }
        self.holds.extend(effects.ended_holds);
        self.reversals.extend(effects.reversals);
        self.clawbacks.extend(effects.clawbacks);
    }

    /// The transactions with an entry in the account, the newest first.
    pub(super) fn entries_of(&self, id: &AccountId) -> impl Iterator<Item = &Arc<Transaction>> {
        let mut found: Vec<(i64, &Arc<Transaction>)> = Vec::new();
        for transaction in self.transactions.values() {
            let entry = transaction.entries.iter().find(|entry| entry.account == *id);
            found.extend(entry.map(|entry| (entry.sequence, transaction)));
        }
        found.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        found.into_iter().map(|(_, transaction)| transaction)
    }

    /// Whether nothing of it is left to reverse.
    pub(super) fn is_reversed(&self, name: &Name) -> bool {
        self.reversals.get(name).is_some_and(|reversal| reversal.complete)
    }
}
