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
    /// The closed and the spilled ones; the others are in their account's row.
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
        for id in &needs.spilled {
            for grant in self.spilled_of(id) {
                state.grants.load((id.clone(), grant.id), Some(grant.clone()));
            }
        }
        state.whole.clone_from(&needs.spilled);
        for name in &needs.holds {
            state.holds.load(name.clone(), self.holds.get(name).cloned());
        }
        for name in &needs.reversals {
            state.reversals.load(name.clone(), self.reversals.get(name).cloned());
        }
        for name in &needs.clawbacks {
            state.clawbacks.load(name.clone(), self.clawbacks.get(name).cloned());
        }
        for (id, credit) in &needs.tips {
            let own = self.entries_of(id).filter(|it| it.account == *id);
            let tips = own.filter(|it| {
                let drew = it.own().draws().any(|draw| draw.grant == *credit);
                it.kind == TransactionType::Transfer && drew
            });
            state.tips.load((id.clone(), *credit), Some(tips.cloned().collect()));
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
        self.grants.extend(effects.grants);
        for name in effects.returned_grants {
            self.grants.remove(&name).expect("a grant that returns was there");
        }
        self.holds.extend(effects.ended_holds);
        self.reversals.extend(effects.reversals);
        self.clawbacks.extend(effects.clawbacks);
    }

    /// The account's open grants that aren't in its row.
    pub(super) fn spilled_of(&self, id: &AccountId) -> impl Iterator<Item = &Grant> {
        let own = self.grants.iter().filter(move |((owner, _), _)| owner == id);
        own.map(|(_, grant)| grant).filter(|grant| !grant.is_closed())
    }

    /// The account with all its grants.
    pub(super) fn whole(&self, id: &AccountId) -> Option<Account> {
        let mut account = self.accounts.get(id)?.clone();
        account.take_in(self.spilled_of(id).cloned());
        Some(account)
    }

    /// What each account's row says of grants that are elsewhere is what they are.
    pub(super) fn check_spilled(&self) {
        for (id, row) in &self.accounts {
            let summary = &row.body.spilled;
            let whole = self.whole(id).expect("it is there");
            assert_eq!(summary.count(), self.spilled_of(id).count(), "grants elsewhere of {id}");
            assert_eq!(row.due(), whole.due(), "what is due next on {id}");
            assert_eq!(row.scheduled(), whole.scheduled(), "scheduled tokens of {id}");
            let now = row.updated;
            let told = |account| token_service::grpc::convert::account::holdings(account, now);
            assert_eq!(told(row), told(&whole), "what {id} holds");
            assert!(self.spilled_of(id).all(|grant| grant.held == 0), "held grants stay");
        }
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
