//! The store: where the ledger's rows are kept. The same contract for every database.
//!
//! Writing is the committer's alone. A [`Writer`] takes one batch through four steps: *begin*; *load*
//! reads the footprint's rows, as of one moment or with its accounts locked in their order; *persist*
//! writes the effects, if nobody else has changed the accounts meanwhile; *commit* makes them
//! durable, if they aren't. A writer that fails anywhere is thrown away with its connection, and the
//! batch is begun again with a new one: what had been committed is then found among what it loads.
//!
//! The rules are never here. A store knows rows, not tokens.

pub mod filed;
pub mod postgres;
pub mod records;
pub mod rows;
#[cfg(feature = "simulator")]
pub mod simulated;
pub mod snapshot;
pub mod sqlite;
pub mod totals;

use crate::config::{Config, Database};
use ledger::{
    Account, AccountId, Balance, ChainKey, Effects, EntryId, Footprint, Grant, Hold, HoldState,
    Name, State, Status, Time, Transaction, TransactionId, TransactionType,
};
use sqlx::{migrate::Migrator, postgres::PgDatabaseError};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    time::Duration,
};
use totals::{Activity, Totals};

/// How long after its load a batch may be persisted without locks. Whoever lost the answer waits so long
/// before they ask again: it can't happen behind their back then.
pub(crate) const UNLOCKED_TIME: Duration = Duration::from_secs(1);

/// Why the store couldn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, is full or was busy: the same again may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another batch was first, or keeps a lock: load and apply again.
    #[error("another batch was first: {0}")]
    Conflict(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered what it never should: our bug, or somebody edited its rows.
    #[error("the database doesn't hold what it should: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// The same, for one more who waits for it.
    pub(crate) fn again(&self) -> Self {
        let words = |cause: &(dyn std::error::Error + Send + Sync)| cause.to_string().into();
        match self {
            Self::Unavailable(cause) => Self::Unavailable(words(&**cause)),
            Self::Conflict(cause) => Self::Conflict(words(&**cause)),
            Self::Broken(cause) => Self::Broken(words(&**cause)),
        }
    }

    /// A row that can't be what we wrote.
    pub(crate) fn broken(words: impl Into<String>) -> Self {
        Self::Broken(words.into().into())
    }
}

/// Where the ledger is kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// In one file.
    Sqlite(sqlite::Sqlite),
    /// In a server's database.
    Postgres(postgres::Postgres),
    /// In the simulator.
    #[cfg(feature = "simulator")]
    Simulated(std::sync::Arc<dyn simulated::Database>),
}

/// The writing side of a store.
#[derive(Debug)]
pub enum Writer {
    /// Of the one file.
    Sqlite(sqlite::SqliteWriter),
    /// One of several.
    Postgres(postgres::PostgresWriter),
    /// One of the simulator's.
    #[cfg(feature = "simulator")]
    Simulated(Box<dyn simulated::Session>),
}

/// The same, whatever the database is.
macro_rules! either {
    ($this:ident.$method:ident($($argument:expr),*)) => {
        match $this {
            Self::Sqlite(it) => it.$method($($argument),*).await,
            Self::Postgres(it) => it.$method($($argument),*).await,
            #[cfg(feature = "simulator")]
            Self::Simulated(it) => it.$method($($argument),*).await,
        }
    };
}

/// Which transactions to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct TransactionQuery {
    /// Of this account; `None`: of all, account by account.
    pub account: Option<AccountId>,
    /// Where the page before ended: account and entry of its last row.
    pub before: Option<(AccountId, i64)>,
    /// How many at most.
    pub limit: usize,
    /// Only these types; empty: all.
    pub types: Vec<TransactionType>,
    /// Only this action.
    pub action: Option<String>,
    /// Only from this time on.
    pub start: Option<Time>,
    /// Only before this time.
    pub end: Option<Time>,
    /// Only this reference.
    pub reference: Option<String>,
    /// Only with this text in the description, ASCII letters in either case.
    pub description: Option<String>,
    /// Only with all of these pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Which accounts to list, by id.
#[derive(Clone, Debug)]
pub struct AccountQuery {
    /// Ids from the first of these on, and before the other, byte by byte.
    pub ids: Range<String>,
    /// Only those with this status.
    pub status: Option<Status>,
    /// How many at most.
    pub limit: usize,
}

/// Which part of an account's history, oldest first.
#[derive(Clone, Debug)]
pub struct StatementQuery {
    /// The account.
    pub account: AccountId,
    /// From this time on.
    pub start: Option<Time>,
    /// Before this time.
    pub end: Option<Time>,
    /// The entry that the page before ended with.
    pub after: Option<i64>,
    /// How many entries at most.
    pub limit: usize,
}

/// A part of an account's history.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Right before its first entry.
    pub opening: Balance,
    /// Oldest first, each with the account's entry only.
    pub transactions: Vec<Transaction>,
}

/// What was used of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The action; `None`: debits by amount.
    pub action: Option<String>,
    /// Tokens, less reversals.
    pub tokens: i64,
    /// Units, less whole reversals.
    pub count: i64,
}

/// Whether the database's tables are of this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Those that are still to be applied, by name.
    pub pending: Vec<String>,
}

/// Where the stream of entries stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which stream: another one after the database was restored.
    pub epoch: String,
    /// The number of its newest entry.
    pub position: i64,
}

/// What one batch wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The number of its last entry in the stream; the one before has the number before.
    pub position: i64,
    /// Its entries; those of one account in their order.
    pub entries: Vec<EntryId>,
}

impl Commit {
    /// From the columns of `commits`.
    pub(crate) fn of(position: i64, entries: &str) -> Result<Self, StoreError> {
        let entries: Vec<(String, i64)> = rows::from_json("commits.entries", entries)?;
        let entry = |(account, sequence): (String, i64)| (AccountId::new(&account), sequence);
        Ok(Self { position, entries: entries.into_iter().map(entry).collect() })
    }
}

/// The transactions of these entries in the order asked for, from those found in any.
fn in_order(
    ids: &[EntryId],
    found: impl Iterator<Item = Result<Transaction, StoreError>>,
) -> Result<Vec<Transaction>, StoreError> {
    let mut by_entry = HashMap::with_capacity(ids.len());
    for transaction in found {
        let transaction = transaction?;
        let entry = transaction.own();
        by_entry.insert((entry.account.clone(), entry.sequence), transaction);
    }
    let missing = |(account, sequence): &EntryId| {
        StoreError::broken(format!("entry {sequence} of {account} is not there"))
    };
    ids.iter().map(|id| by_entry.remove(id).ok_or_else(|| missing(id))).collect()
}

impl Migrations {
    /// Those of `all` that are not yet `applied`.
    fn between(all: &Migrator, applied: &[i64]) -> Result<Self, StoreError> {
        let known = |version| all.iter().any(|it| it.version == version);
        if let Some(newer) = applied.iter().find(|it| !known(**it)) {
            let words = format!("migration {newer} is of a newer version");
            return Err(StoreError::broken(words));
        }
        let pending = all
            .iter()
            .filter(|migration| !applied.contains(&migration.version))
            .map(|migration| format!("{:04} {}", migration.version, migration.description));
        Ok(Self { pending: pending.collect() })
    }
}

impl From<sqlx::Error> for StoreError {
    /// A constraint that fails, or a row that can't be read, is a bug; everything else (locked,
    /// full, unreadable, gone) may pass.
    fn from(error: sqlx::Error) -> Self {
        let judge = match &error {
            sqlx::Error::Database(cause) => {
                let code = cause.code().unwrap_or_default();
                match cause.try_downcast_ref::<PgDatabaseError>() {
                    Some(_) => postgres::judge(&code),
                    None => sqlite::judge(&code),
                }
            }
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::InvalidArgument(_) => Self::Broken,
            _ => Self::Unavailable,
        };
        judge(error.into())
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(cause) => cause.into(),
            other => Self::Broken(other.into()),
        }
    }
}

impl Store {
    /// Opens the database, and makes it if it is a file that isn't there.
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn open(config: &Config) -> Result<Self, StoreError> {
        match &config.database {
            Database::Sqlite(path) => Ok(Self::Sqlite(sqlite::Sqlite::open(path).await?)),
            Database::Postgres(url) => {
                Ok(Self::Postgres(postgres::Postgres::new(url, config.postgres_limits())))
            }
        }
    }

    /// The database that is there already: nothing is made, and nothing migrated.
    ///
    /// # Errors
    /// If there is none, or its tables are of another version.
    pub async fn existing(config: &Config) -> Result<Self, StoreError> {
        let store = match &config.database {
            Database::Sqlite(path) => {
                if !path.exists() {
                    let words = format!("there is no database {}", path.display());
                    return Err(StoreError::Unavailable(words.into()));
                }
                Self::Sqlite(sqlite::Sqlite::at(path))
            }
            Database::Postgres(_) => Self::open(config).await?,
        };
        match store.migrations().await?.pending.first() {
            None => Ok(store),
            Some(pending) => {
                let words = format!("migration {pending} is still to be applied");
                Err(StoreError::Unavailable(words.into()))
            }
        }
    }

    /// What there is to migrate.
    ///
    /// # Errors
    /// If it can't be read, or was migrated by a newer version.
    pub async fn migrations(&self) -> Result<Migrations, StoreError> {
        either!(self.migrations())
    }

    /// What an operator should know about how the database keeps its promises, in words.
    ///
    /// # Errors
    /// If it can't be asked.
    pub async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        either!(self.warnings())
    }

    /// Brings the tables up to this version.
    ///
    /// # Errors
    /// If a migration fails; it is then as before.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        either!(self.migrate())
    }

    /// The names and check codes of the keys that the ledger was signed with.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn chain_keys(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        either!(self.chain_keys())
    }

    /// Remembers a key that the ledger is signed with; one that is known stays as it is.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn add_chain_key(&self, key: &ChainKey) -> Result<(), StoreError> {
        either!(self.add_chain_key(key))
    }

    /// A connection to write with.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        match self {
            Self::Sqlite(sqlite) => Ok(Writer::Sqlite(sqlite.writer().await?)),
            Self::Postgres(postgres) => Ok(Writer::Postgres(postgres.writer().await?)),
            #[cfg(feature = "simulator")]
            Self::Simulated(database) => Ok(Writer::Simulated(database.writer().await?)),
        }
    }

    /// Does for the database what it doesn't do by itself, for as long as it is asked to.
    pub async fn maintain(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.maintain().await,
            // Its server does.
            Self::Postgres(_) => std::future::pending().await,
            #[cfg(feature = "simulator")]
            Self::Simulated(_) => std::future::pending().await,
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// If it gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        either!(self.ping())
    }

    /// The rows of those accounts that exist, by id, without what is due but not yet posted, and without
    /// what was spilled.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        either!(self.accounts(ids))
    }

    /// The account with all its grants, as if none had been spilled from its row.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn whole_account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        either!(self.whole_account(id))
    }

    /// Accounts by id, without what is due but not yet posted, and without what was spilled.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn list_accounts(&self, query: &AccountQuery) -> Result<Vec<Account>, StoreError> {
        either!(self.list_accounts(query))
    }

    /// Accounts on which something was due by `now`, at most `limit`.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn due(&self, now: Time, limit: usize) -> Result<Vec<AccountId>, StoreError> {
        either!(self.due(now, limit))
    }

    /// The transaction with all its entries.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn transaction(&self, name: &Name) -> Result<Option<Transaction>, StoreError> {
        either!(self.transaction(name))
    }

    /// Transactions, newest first, each with the listed account's entry only.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn transactions(
        &self,
        query: &TransactionQuery,
    ) -> Result<Vec<Transaction>, StoreError> {
        either!(self.transactions(query))
    }

    /// A part of the account's history.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn statement(&self, query: &StatementQuery) -> Result<Statement, StoreError> {
        either!(self.statement(query))
    }

    /// What all accounts hold, and our side, as of one moment. Reads the whole ledger.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        either!(self.totals())
    }

    /// What happened in a period, as of one moment. Reads the whole ledger.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn activity(
        &self,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Activity, StoreError> {
        either!(self.activity(start, end))
    }

    /// The account's closed grants after this one, by id.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn closed_grants(
        &self,
        account: &AccountId,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Grant>, StoreError> {
        either!(self.closed_grants(account, after, limit))
    }

    /// The account's ended holds after this one, by id.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn ended_holds(
        &self,
        account: &AccountId,
        state: Option<HoldState>,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<Hold>, StoreError> {
        either!(self.ended_holds(account, state, after, limit))
    }

    /// What the account used by action, most tokens first.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn usage(
        &self,
        account: &AccountId,
        start: Option<Time>,
        end: Option<Time>,
    ) -> Result<Vec<Usage>, StoreError> {
        either!(self.usage(account, start, end))
    }

    /// The account's figures as of a time; `None`: it didn't exist.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn balance_at(
        &self,
        account: &AccountId,
        at: Time,
    ) -> Result<Option<Balance>, StoreError> {
        either!(self.balance_at(account, at))
    }

    /// Where the stream of entries stands.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn position(&self) -> Result<Position, StoreError> {
        either!(self.position())
    }

    /// Begins a new epoch of the stream: cursors of the one before are invalid from now on.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn new_epoch(&self, epoch: &str) -> Result<(), StoreError> {
        either!(self.new_epoch(epoch))
    }

    /// The batches whose last entry is after this position, in order, at most `limit`.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn commits_after(
        &self,
        position: i64,
        limit: usize,
    ) -> Result<Vec<Commit>, StoreError> {
        either!(self.commits_after(position, limit))
    }

    /// The transactions of these entries, each with that entry alone, in the order asked for.
    ///
    /// # Errors
    /// If they can't be read, or one isn't there.
    pub async fn posted(&self, entries: &[EntryId]) -> Result<Vec<Transaction>, StoreError> {
        either!(self.posted(entries))
    }
}

impl Writer {
    /// Tells the simulator what is about to be decided, and at what time.
    #[cfg(feature = "simulator")]
    pub fn witness(&mut self, jobs: &[ledger::Job], now: Time) {
        if let Self::Simulated(session) = self {
            session.witness(jobs, now);
        }
    }

    /// Begins a batch.
    ///
    /// # Errors
    /// If the database doesn't.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        either!(self.begin())
    }

    /// Reads the rows of the footprint, all as of one moment or locked to the end; tips since
    /// `tips_since`.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
        either!(self.load(needs, tips_since))
    }

    /// Writes the effects; if they were loaded without locks, makes them durable too.
    ///
    /// # Errors
    /// If the database doesn't take them: nothing happened then, unless it is unavailable.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        either!(self.persist(effects))
    }

    /// Whether what was loaded is locked to the end.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        match self {
            // A file has one writer.
            Self::Sqlite(_) => true,
            Self::Postgres(it) => it.is_locked(),
            #[cfg(feature = "simulator")]
            Self::Simulated(it) => it.is_locked(),
        }
    }

    /// Lets the next loads lock, so many.
    pub fn lock_next(&mut self, loads: u32) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(it) => it.lock_next(loads),
            #[cfg(feature = "simulator")]
            Self::Simulated(it) => it.lock_next(loads),
        }
    }

    /// Makes what was persisted durable.
    ///
    /// # Errors
    /// If the database says no, or nothing: it may be durable then.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        either!(self.commit())
    }

    /// Forgets what was begun.
    ///
    /// # Errors
    /// If the connection is lost; then so is what was begun.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        either!(self.rollback())
    }
}
