//! The rows of a ledger as maps: loaded by footprint, written by effects, as a store would.

use ledger::{
    Account, AccountId, Clawback, Effects, Footprint, Grant, Hold, Name, Reversal, State,
    Transaction, TransactionType,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Every table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) accounts: BTreeMap<AccountId, Account>,
    pub(crate) transactions: BTreeMap<Name, Arc<Transaction>>,
    /// The closed and the spilled ones; the others are in their account's row.
    pub(crate) grants: BTreeMap<Name, Grant>,
    /// Those that ended; the others are in their account's row.
    pub(crate) holds: BTreeMap<Name, Hold>,
    pub(crate) reversals: BTreeMap<Name, Reversal>,
    pub(crate) clawbacks: BTreeMap<Name, Clawback>,
}

impl Rows {
    pub(crate) fn load(&self, needs: &Footprint) -> State {
        self.load_but(needs, &BTreeSet::new())
    }

    /// Those of these accounts.
    pub(crate) fn only(&self, accounts: &BTreeSet<AccountId>) -> Self {
        fn named<V: Clone>(
            rows: &BTreeMap<Name, V>,
            accounts: &BTreeSet<AccountId>,
        ) -> BTreeMap<Name, V> {
            let own = rows.iter().filter(|((account, _), _)| accounts.contains(account));
            own.map(|(name, row)| (name.clone(), row.clone())).collect()
        }
        let own = self.accounts.iter().filter(|(id, _)| accounts.contains(*id));
        Self {
            accounts: own.map(|(id, account)| (id.clone(), account.clone())).collect(),
            transactions: named(&self.transactions, accounts),
            grants: named(&self.grants, accounts),
            holds: named(&self.holds, accounts),
            reversals: named(&self.reversals, accounts),
            clawbacks: named(&self.clawbacks, accounts),
        }
    }

    /// As if these accounts didn't exist.
    pub(crate) fn load_but(&self, needs: &Footprint, hidden: &BTreeSet<AccountId>) -> State {
        fn row<V: Clone>(
            rows: &BTreeMap<Name, V>,
            name: &Name,
            hidden: &BTreeSet<AccountId>,
        ) -> Option<V> {
            rows.get(name).filter(|_| !hidden.contains(&name.0)).cloned()
        }
        let mut state = State::default();
        for id in &needs.accounts {
            let account = self.accounts.get(id).filter(|_| !hidden.contains(id));
            state.accounts.load(id.clone(), account.cloned());
        }
        for name in &needs.transactions {
            state.transactions.load(name.clone(), row(&self.transactions, name, hidden));
        }
        for name in &needs.grants {
            state.grants.load(name.clone(), row(&self.grants, name, hidden));
        }
        for id in needs.spilled.iter().filter(|id| !hidden.contains(*id)) {
            for grant in self.spilled_of(id) {
                state.grants.load((id.clone(), grant.id), Some(grant.clone()));
            }
        }
        state.whole.clone_from(&needs.spilled);
        for name in &needs.holds {
            state.holds.load(name.clone(), row(&self.holds, name, hidden));
        }
        for name in &needs.reversals {
            state.reversals.load(name.clone(), row(&self.reversals, name, hidden));
        }
        for name in &needs.clawbacks {
            state.clawbacks.load(name.clone(), row(&self.clawbacks, name, hidden));
        }
        for (id, credit) in &needs.tips {
            let own = self.entries_of(id).filter(|it| it.account == *id && !hidden.contains(id));
            let tips = own.filter(|it| {
                let drew = it.own().draws().any(|draw| draw.grant == *credit);
                it.kind == TransactionType::Transfer && drew
            });
            state.tips.load((id.clone(), *credit), Some(tips.cloned().collect()));
        }
        state
    }

    pub(crate) fn write(&mut self, effects: Effects) {
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
    pub(crate) fn spilled_of(&self, id: &AccountId) -> impl Iterator<Item = &Grant> {
        let own = self.grants.iter().filter(move |((owner, _), _)| owner == id);
        own.map(|(_, grant)| grant).filter(|grant| !grant.is_closed())
    }

    /// The account with all its grants.
    pub(crate) fn whole(&self, id: &AccountId) -> Option<Account> {
        let mut account = self.accounts.get(id)?.clone();
        account.take_in(self.spilled_of(id).cloned());
        Some(account)
    }

    /// What each account's row says of grants that are elsewhere is what they are.
    pub(crate) fn check_spilled(&self) {
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
    pub(crate) fn entries_of(&self, id: &AccountId) -> impl Iterator<Item = &Arc<Transaction>> {
        let mut found: Vec<(i64, &Arc<Transaction>)> = Vec::new();
        for transaction in self.transactions.values() {
            let entry = transaction.entries.iter().find(|entry| entry.account == *id);
            found.extend(entry.map(|entry| (entry.sequence, transaction)));
        }
        found.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        found.into_iter().map(|(_, transaction)| transaction)
    }

    /// Whether nothing of it is left to reverse.
    pub(crate) fn is_reversed(&self, name: &Name) -> bool {
        self.reversals.get(name).is_some_and(|reversal| reversal.complete)
    }
}
