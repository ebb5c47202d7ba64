//! The simulated database: rows as maps, a lock per account, a stream of commits; and what a replica
//! reads from it. It does what PostgreSQL promises and no more, see `session`.

use super::{
    session::{Connection, Fate},
    world::{Fault, World},
};
use crate::rows::Rows;
use ledger::{
    Account, AccountId, Effects, Entry, Name, Time,
    planted::{self, Bug},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use token_service::store::{
    Commit, Position, StoreError,
    simulated::{Answer, Database, Session},
};

/// What the database holds.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) rows: Rows,
    /// Which session has locked which account.
    pub(super) locks: BTreeMap<AccountId, u64>,
    pub(super) sessions: u64,
    /// Counts the crashes; sessions end with one.
    pub(super) crashes: u64,
    /// What open sessions have written.
    pub(super) uncommitted: BTreeMap<u64, Effects>,
    /// Of the newest commit: the accounts as they were before it.
    before: Vec<(AccountId, Option<Account>)>,
    /// The stream of entries.
    commits: Vec<Commit>,
    /// Transactions that are there, but aren't found.
    pub(super) keyless: BTreeSet<Name>,
}

/// What a replica connects through.
#[derive(Debug)]
pub(super) struct Connections {
    world: Arc<World>,
    replica: usize,
}

pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.into())
}

impl Connections {
    pub(super) fn new(world: &Arc<World>, replica: usize) -> Self {
        Self { world: Arc::clone(world), replica }
    }

    /// A read now and then finds nobody.
    fn read(&self) -> Result<(), StoreError> {
        match self.world.lock().fault() {
            Some(Fault::Lost) => Err(unavailable("the connection is lost")),
            Some(_) | None => Ok(()),
        }
    }
}

impl Database for Connections {
    fn writer(&self) -> Answer<'_, Box<dyn Session>> {
        Box::pin(async {
            let session = Connection::connect(&self.world, self.replica).await?;
            let session: Box<dyn Session> = Box::new(session);
            Ok(session)
        })
    }

    fn accounts<'a>(&'a self, ids: &'a [AccountId]) -> Answer<'a, Vec<Account>> {
        Box::pin(async {
            self.world.linger().await;
            self.read()?;
            let found = {
                let tables = &self.world.lock().tables;
                ids.iter().filter_map(|id| tables.visible(id)).cloned().collect()
            };
            self.world.linger().await;
            Ok(found)
        })
    }

    fn due(&self, now: Time, limit: usize) -> Answer<'_, Vec<AccountId>> {
        Box::pin(async move {
            self.read()?;
            let state = self.world.lock();
            let accounts = state.tables.rows.accounts.values();
            let due = accounts.filter(|account| account.sweep_time().is_some_and(|due| due <= now));
            Ok(due.take(limit).map(|account| account.id.clone()).collect())
        })
    }

    fn position(&self) -> Answer<'_, Position> {
        Box::pin(async {
            let position = self.commits(0, usize::MAX).await?.last().map_or(0, |it| it.position);
            Ok(Position { epoch: "simulated".to_owned(), position })
        })
    }

    fn commits_after(&self, position: i64, limit: usize) -> Answer<'_, Vec<Commit>> {
        Box::pin(self.commits(position, limit))
    }
}

impl Connections {
    async fn commits(&self, position: i64, limit: usize) -> Result<Vec<Commit>, StoreError> {
        self.world.linger().await;
        self.read()?;
        let commits = &self.world.lock().tables.commits;
        let later = commits.iter().filter(|commit| commit.position > position);
        Ok(later.take(limit).cloned().collect())
    }
}

impl Tables {
    /// The account as anybody sees it.
    fn visible(&self, id: &AccountId) -> Option<&Account> {
        let written = self.uncommitted.values().flat_map(Effects::all_accounts);
        let dirty = written.filter(|_| planted::is(Bug::WatchUncommitted)).find(|it| it.id == *id);
        dirty.or_else(|| self.rows.accounts.get(id))
    }

    /// Whether the account has an entry of that number.
    pub(super) fn has_entry(&self, entry: &Entry) -> bool {
        let account = self.rows.accounts.get(&entry.account);
        account.is_some_and(|account| account.sequence >= entry.sequence)
    }

    pub(super) fn write(&mut self, effects: Effects, fate: Fate) -> Result<(), String> {
        let before = |it: &Account| (it.id.clone(), self.rows.accounts.get(&it.id).cloned());
        self.before = effects.all_accounts().map(before).collect();
        for transaction in &effects.transactions {
            if self.rows.transactions.contains_key(&transaction.name()) {
                return Err(format!("two transactions have one name: {transaction:#?}"));
            }
        }
        if planted::is(Bug::KeyNotStored) && !matches!(fate, Fate::Done) {
            self.keyless.extend(effects.transactions.iter().map(|it| it.name()));
        }
        let entries = effects.transactions.iter().flat_map(|it| &it.entries);
        let entries: Vec<_> = entries.map(|it| (it.account.clone(), it.sequence)).collect();
        let before = self.commits.last().map_or(0, |commit| commit.position);
        let position = before + i64::try_from(entries.len()).expect("few entries");
        self.commits.push(Commit { position, entries });
        self.rows.write(effects);
        Ok(())
    }

    /// Whatever wasn't committed is gone, and so is everybody who was connected.
    pub(super) fn crash(&mut self) {
        self.crashes += 1;
        self.locks.clear();
        self.uncommitted.clear();
        if planted::is(Bug::SequenceReused) {
            for (id, account) in self.before.drain(..) {
                match account {
                    Some(account) => self.rows.accounts.insert(id, account),
                    None => self.rows.accounts.remove(&id),
                };
            }
        }
    }
}
