//! The rows that a batch works on: loaded by the shell, changed by [`crate::apply`].

use crate::{
    account::Account,
    apply::{Outcome, Receipt},
    footprint::Footprint,
    grant::Grant,
    hold::Hold,
    id::{AccountId, Name, TransactionId},
    policy::Policy,
    rejection::Rejection,
    tokens::Tokens,
    transaction::Transaction,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How much of a transaction has been reversed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// Tokens so far.
    pub reversed: Tokens,
    /// Whether nothing is left to reverse.
    pub complete: bool,
}

/// How much of a credit is clawed back, and from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clawback {
    /// The credit.
    pub credit: TransactionId,
    /// The newest revision.
    pub revision: i64,
    /// What that revision asked for.
    pub target: Tokens,
    /// Where the tokens were taken, in order; what is returned goes back from the end.
    pub sources: Vec<Source>,
}

/// Where clawed-back tokens were taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A grant of the credited account.
    Grant(TransactionId, Tokens),
    /// An immature tip: the receiver's grant, named by the transfer.
    Tip(AccountId, TransactionId, Tokens),
    /// Nothing was left: the account owes them.
    Debt(Tokens),
}

impl Source {
    /// Tokens taken there.
    #[must_use]
    pub fn amount(&self) -> Tokens {
        match self {
            Self::Grant(_, amount) | Self::Tip(_, _, amount) | Self::Debt(amount) => *amount,
        }
    }

    /// The other account that they were taken from, if they were.
    pub(crate) fn receiver(&self) -> Option<&AccountId> {
        match self {
            Self::Tip(receiver, ..) => Some(receiver),
            Self::Grant(..) | Self::Debt(_) => None,
        }
    }
}

/// Why a command stops before it moves anything.
pub(crate) enum Stop {
    /// It is refused.
    Refused(Rejection),
    /// Rows are needed that weren't loaded.
    Lacks(Box<Footprint>),
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<Footprint> for Stop {
    fn from(needs: Footprint) -> Self {
        Self::Lacks(Box::new(needs))
    }
}

impl Stop {
    /// The account's spilled grants are needed.
    pub(crate) fn lacks_spilled(account: &Account) -> Self {
        Footprint { spilled: [account.id.clone()].into(), ..Footprint::default() }.into()
    }
}

/// All of them, or every row that any of them lacks: a command that needs many rows asks once.
pub(crate) fn gather<T>(found: impl Iterator<Item = Result<T, Stop>>) -> Result<Vec<T>, Stop> {
    let mut all = Vec::new();
    let mut needs = Footprint::default();
    for one in found {
        match one {
            Ok(one) => all.push(one),
            Err(Stop::Lacks(rows)) => {
                needs.extend(*rows);
            }
            Err(Stop::Refused(rejection)) => return Err(rejection.into()),
        }
    }
    if needs.is_empty() { Ok(all) } else { Err(needs.into()) }
}

/// Rows of one table: those loaded, those known to be absent, and what became of them.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    rows: BTreeMap<K, Row<V>>,
    /// While a job may still be undone: its rows as they were before it.
    journal: Option<BTreeMap<K, Option<Row<V>>>>,
}

#[derive(Clone, Debug)]
struct Row<V> {
    value: Option<V>,
    existed: bool,
    changed: bool,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), journal: None }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// Says what the database holds under this name; `None`: nothing.
    pub fn load(&mut self, key: K, value: Option<V>) {
        let row = Row { existed: value.is_some(), value, changed: false };
        self.rows.insert(key, row);
    }

    /// What is there now: `None` if it wasn't loaded, `Some(None)` if there is nothing.
    pub(crate) fn get(&self, key: &K) -> Option<Option<&V>> {
        self.rows.get(key).map(|row| row.value.as_ref())
    }

    pub(crate) fn put(&mut self, key: &K, value: Option<V>) {
        self.remember(key);
        let existed = self.rows.get(key).is_some_and(|row| row.existed);
        self.rows.insert(key.clone(), Row { value, existed, changed: true });
    }

    /// Changes a row where it stands, if there is one.
    fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        self.remember(key);
        if let Some(value) = self.rows.get_mut(key).and_then(|row| row.value.as_mut()) {
            change(value);
        }
    }

    fn remember(&mut self, key: &K) {
        if let Some(journal) = &mut self.journal {
            journal.entry(key.clone()).or_insert_with(|| self.rows.get(key).cloned());
        }
    }

    fn begin(&mut self) {
        self.journal = Some(BTreeMap::new());
    }

    fn keep(&mut self) {
        self.journal = None;
    }

    fn undo(&mut self) {
        for (key, row) in self.journal.take().into_iter().flatten() {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// The rows that changed: name, what is there now, and whether there was something before.
    pub(crate) fn into_changed(self) -> impl Iterator<Item = (K, Option<V>, bool)> {
        let changed = self.rows.into_iter().filter(|(_, row)| row.changed);
        changed.map(|(key, row)| (key, row.value, row.existed))
    }
}

/// What the shell loaded, row by row of the footprint; rows that don't exist are loaded as `None`.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Accounts.
    pub accounts: Table<AccountId, Account>,
    /// Transactions with all their entries.
    pub transactions: Table<Name, Arc<Transaction>>,
    /// Closed grants, and spilled ones.
    pub grants: Table<Name, Grant>,
    /// Accounts of which every spilled grant is loaded, beside others, in `grants`.
    pub whole: BTreeSet<AccountId>,
    /// Holds that have ended.
    pub holds: Table<Name, Hold>,
    /// What was reversed.
    pub reversals: Table<Name, Reversal>,
    /// What was clawed back.
    pub clawbacks: Table<Name, Clawback>,
    /// Transfers that drew from a credit's grant and are not older than the time that makes them
    /// mature, the newest first.
    pub tips: Table<Name, Vec<Arc<Transaction>>>,
}

/// The same for every table, so that none can be forgotten: a new field doesn't compile without it.
macro_rules! every_table {
    ($state:ident.$method:ident()) => {{
        // What was loaded stays loaded.
        let State { accounts, transactions, grants, holds, reversals, clawbacks, tips, whole: _ } =
            $state;
        accounts.$method();
        transactions.$method();
        grants.$method();
        holds.$method();
        reversals.$method();
        clawbacks.$method();
        tips.$method();
    }};
}

impl State {
    /// As if nothing of the footprint existed; whoever loads it puts what does over it.
    #[must_use]
    pub fn absent(needs: &Footprint) -> Self {
        let mut state = Self::default();
        needs.accounts.iter().for_each(|id| state.accounts.load(id.clone(), None));
        needs.transactions.iter().for_each(|it| state.transactions.load(it.clone(), None));
        needs.grants.iter().for_each(|it| state.grants.load(it.clone(), None));
        needs.holds.iter().for_each(|it| state.holds.load(it.clone(), None));
        needs.reversals.iter().for_each(|it| state.reversals.load(it.clone(), None));
        needs.clawbacks.iter().for_each(|it| state.clawbacks.load(it.clone(), None));
        state
    }

    /// Whether the transaction that this outcome made, link by link the same, is among the loaded ones:
    /// so whoever doesn't know whether it was committed finds out.
    #[must_use]
    pub fn has_done(&self, outcome: &Outcome) -> bool {
        let Ok(Receipt { transaction: Some(ours), replayed: false, .. }) = outcome else {
            return false;
        };
        let there = self.transactions.get(&ours.name()).flatten();
        there.is_some_and(|there| there.own().chain == ours.own().chain)
    }

    /// From here on everything can be undone.
    pub(crate) fn begin(&mut self) {
        every_table!(self.begin());
    }

    /// Nothing can be undone any more.
    pub(crate) fn keep(&mut self) {
        every_table!(self.keep());
    }

    /// As it was when it [began](Self::begin).
    pub(crate) fn undo(&mut self) {
        every_table!(self.undo());
    }

    /// The account, if there is one.
    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<&Account>, Stop> {
        let lacks = || Footprint { accounts: [id.clone()].into(), ..Footprint::default() };
        self.accounts.get(id).ok_or_else(|| lacks().into())
    }

    /// The account, or a refusal.
    pub(crate) fn existing(&self, id: &AccountId) -> Result<&Account, Stop> {
        let missing = || Rejection::AccountNotFound { account: id.clone() };
        self.account(id)?.ok_or_else(|| missing().into())
    }

    /// The transaction of this name, if there is one.
    pub(crate) fn transaction(&self, name: &Name) -> Result<Option<&Arc<Transaction>>, Stop> {
        let lacks = || Footprint { transactions: [name.clone()].into(), ..Footprint::default() };
        self.transactions.get(name).ok_or_else(|| lacks().into())
    }

    /// The grant of this name: the account's own row of it, or the closed or spilled one.
    pub(crate) fn grant(&self, name: &Name) -> Result<Option<&Grant>, Stop> {
        let account = self.account(&name.0)?;
        let resident = account.and_then(|account| account.grant(name.1));
        if resident.is_some() {
            return Ok(resident);
        }
        let lacks = || Footprint { grants: [name.clone()].into(), ..Footprint::default() };
        let found = self.grants.get(name).ok_or_else(|| Stop::from(lacks()))?;
        let spilled = found.filter(|grant| !grant.is_closed()).zip(account);
        match spilled {
            Some((grant, account)) if !account.body.spilled.can_miss(grant) => {
                Err(Stop::lacks_spilled(account))
            }
            Some(_) | None => Ok(found),
        }
    }

    /// The scheduled or open grant of this name.
    pub(crate) fn open_grant(&self, name: &Name) -> Result<Option<&Grant>, Stop> {
        let Some(account) = self.account(&name.0)? else { return Ok(None) };
        if account.body.spilled.count() == 0 {
            return Ok(account.grant(name.1));
        }
        Ok(self.grant(name)?.filter(|grant| !grant.is_closed()))
    }

    /// The ended hold of this name.
    pub(crate) fn ended_hold(&self, name: &Name) -> Result<Option<&Hold>, Stop> {
        let lacks = || Footprint { holds: [name.clone()].into(), ..Footprint::default() };
        self.holds.get(name).ok_or_else(|| lacks().into())
    }

    /// What was reversed of this transaction.
    pub(crate) fn reversal(&self, name: &Name) -> Result<Reversal, Stop> {
        let lacks = || Footprint { reversals: [name.clone()].into(), ..Footprint::default() };
        let found = self.reversals.get(name).ok_or_else(|| Stop::from(lacks()))?;
        Ok(found.cloned().unwrap_or(Reversal { reversed: 0, complete: false }))
    }

    /// What was clawed back of this credit.
    pub(crate) fn clawback(&self, name: &Name) -> Result<Option<&Clawback>, Stop> {
        let lacks = || Footprint { clawbacks: [name.clone()].into(), ..Footprint::default() };
        self.clawbacks.get(name).ok_or_else(|| lacks().into())
    }

    /// A transfer of this batch, which a clawback later in it must find.
    pub(crate) fn add_tip(&mut self, transfer: &Arc<Transaction>) {
        for draw in transfer.own().draws() {
            let credit = (transfer.account.clone(), draw.grant);
            self.tips.change(&credit, |tips| tips.insert(0, Arc::clone(transfer)));
        }
    }

    /// The transfers that drew from this credit's grant and aren't mature yet.
    pub(crate) fn tips(&self, credit: &Name) -> Result<&[Arc<Transaction>], Stop> {
        let lacks = || Footprint { tips: [credit.clone()].into(), ..Footprint::default() };
        let found = self.tips.get(credit).ok_or_else(|| Stop::from(lacks()))?;
        Ok(found.map_or(&[], Vec::as_slice))
    }

    /// Puts the spilled grants that are loaded into their accounts, before anything happens.
    pub(crate) fn unite(&mut self) {
        for id in &self.whole {
            let spilled: Vec<Grant> = self.spilled(id).map(|(_, grant)| grant.clone()).collect();
            self.accounts.change(id, |account| {
                let count = account.body.spilled.count();
                assert!(count == spilled.len(), "a row knows how many grants are elsewhere");
                account.take_in(spilled);
            });
        }
    }

    /// Parts those accounts from what is too much for their rows, after everything has happened.
    pub(crate) fn part(&mut self, policy: &Policy) {
        for id in std::mem::take(&mut self.whole) {
            let Some(row) = self.accounts.rows.get_mut(&id).filter(|row| row.changed) else {
                continue;
            };
            let gone = row.value.as_mut().map(|account| account.spill(policy));
            let gone = gone.into_iter().flatten().map(|grant| (grant.id, grant));
            let mut gone: BTreeMap<TransactionId, Grant> = gone.collect();
            let were: Vec<(Name, Grant)> =
                self.spilled(&id).map(|(name, grant)| (name.clone(), grant.clone())).collect();
            for (name, was) in were {
                let is = gone.remove(&name.1);
                if is.as_ref() != Some(&was) {
                    self.grants.put(&name, is);
                }
            }
            for (grant, is) in gone {
                self.grants.put(&(id.clone(), grant), Some(is));
            }
        }
    }

    /// The account's spilled grants, as far as they are loaded.
    fn spilled(&self, id: &AccountId) -> impl Iterator<Item = (&Name, &Grant)> {
        let first = (id.clone(), TransactionId::from_bytes([0; 16]));
        let rows = self.grants.rows.range(first..).take_while(move |((owner, _), _)| owner == id);
        let grants = rows.filter_map(|(name, row)| Some((name, row.value.as_ref()?)));
        grants.filter(|(_, grant)| !grant.is_closed())
    }
}
