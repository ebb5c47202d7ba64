//! The store: where the ledger's rows are kept. The same contract for every database.
//!
//! Writing is the committer's alone. A [`Writer`] takes one batch through four steps: *begin* opens
//! the database transaction; *load* locks the footprint's accounts, in their order, and reads its
//! rows; *persist* writes the effects, one statement per table whatever the batch's size; *commit*
//! makes them durable. A writer that fails anywhere is thrown away with its connection, and the
//! batch is begun again with a new one: what had been committed is then found by its keys.
//!
//! The rules are never here. A store knows rows, not tokens.

pub mod rows;
pub mod sqlite;

use crate::config::Database;
use ledger::{
    Account, AccountId, Balance, ChainKey, Effects, Footprint, Grant, Hold, HoldState, Name, State,
    Time, Transaction, TransactionId, TransactionType,
};
use std::collections::BTreeMap;

/// Why the store couldn't do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, is full or was busy: the same again may succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It answered what it never should: our bug, or somebody edited its rows.
    #[error("the database doesn't hold what it should: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
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
}

/// The writing side of a store.
#[derive(Debug)]
pub enum Writer {
    /// Of the one file.
    Sqlite(sqlite::SqliteWriter),
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

impl Store {
    /// Opens the database, and makes it if it is a file that isn't there.
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        match database {
            Database::Sqlite(path) => Ok(Self::Sqlite(sqlite::Sqlite::open(path).await?)),
        }
    }

    /// What there is to migrate.
    ///
    /// # Errors
    /// If it can't be read, or was migrated by a newer version.
    pub async fn migrations(&self) -> Result<Migrations, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.migrations().await,
        }
    }

    /// Brings the tables up to this version.
    ///
    /// # Errors
    /// If a migration fails; it is then as before.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.migrate().await,
        }
    }

    /// The names and check codes of the keys that the ledger was signed with.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn chain_keys(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.chain_keys().await,
        }
    }

    /// Remembers a key that the ledger is signed with; one that is known stays as it is.
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn add_chain_key(&self, key: &ChainKey) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.add_chain_key(key).await,
        }
    }

    /// A connection to write with.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn writer(&self) -> Result<Writer, StoreError> {
        match self {
            Self::Sqlite(sqlite) => Ok(Writer::Sqlite(sqlite.writer().await?)),
        }
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// If it gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.ping().await,
        }
    }

    /// The account's row, without what is due but not yet posted, and without what was spilled.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.accounts(std::slice::from_ref(id)).await?.pop())
    }

    /// The rows of those accounts that exist, by id.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.accounts(ids).await,
        }
    }

    /// The account with all its grants, as if none had been spilled from its row.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn whole_account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.whole_account(id).await,
        }
    }

    /// Accounts on which something was due by `now`, at most `limit`.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn due(&self, now: Time, limit: usize) -> Result<Vec<AccountId>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.due(now, limit).await,
        }
    }

    /// The transaction with all its entries.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn transaction(&self, name: &Name) -> Result<Option<Transaction>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.transaction(name).await,
        }
    }

    /// Transactions, newest first, each with the listed account's entry only.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn transactions(
        &self,
        query: &TransactionQuery,
    ) -> Result<Vec<Transaction>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.transactions(query).await,
        }
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
        match self {
            Self::Sqlite(sqlite) => sqlite.closed_grants(account, after, limit).await,
        }
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
        match self {
            Self::Sqlite(sqlite) => sqlite.ended_holds(account, state, after, limit).await,
        }
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
        match self {
            Self::Sqlite(sqlite) => sqlite.usage(account, start, end).await,
        }
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
        match self {
            Self::Sqlite(sqlite) => sqlite.balance_at(account, at).await,
        }
    }
}

impl Writer {
    /// Opens a database transaction.
    ///
    /// # Errors
    /// If the database doesn't.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.begin().await,
        }
    }

    /// Locks and reads the rows of the footprint; tips since `tips_since`.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn load(&mut self, needs: &Footprint, tips_since: Time) -> Result<State, StoreError> {
        match self {
            Self::Sqlite(writer) => writer.load(needs, tips_since).await,
        }
    }

    /// Writes the effects.
    ///
    /// # Errors
    /// If the database doesn't take them.
    pub async fn persist(&mut self, effects: &Effects) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.persist(effects).await,
        }
    }

    /// Makes what was persisted durable.
    ///
    /// # Errors
    /// If the database says no, or nothing: it may be durable then.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.commit().await,
        }
    }

    /// Forgets what was begun.
    ///
    /// # Errors
    /// If the connection is lost; then so is what was begun.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(writer) => writer.rollback().await,
        }
    }
}
