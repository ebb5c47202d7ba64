//! The gateway's own database: one SQLite file, or the schema `gateway` of a PostgreSQL database.
//!
//! Every statement is written once, in the words that both understand. Where they differ (the schema's name,
//! locks on rows) the text is changed for SQLite, in [`Store::sql`] and nowhere else.
//!
//! Whoever opens a transaction runs in a task that is never cancelled: requests do, see [`crate::http`].

pub mod alerts;
pub mod calls;
pub mod customers;
pub mod inbox;
pub mod marks;
pub mod purchases;
pub mod reconciliations;
pub mod sessions;

use crate::config::Database;
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Executor as _, SqlSafeStr as _, SqlStr,
    Transaction,
    any::{AnyArguments, AnyPoolOptions, AnyRow},
    error::ErrorKind,
    migrate::Migrator,
    query::{Query, QueryAs},
};
use std::{borrow::Cow, sync::Once, time::Duration};

/// How long somebody waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections to PostgreSQL, and readers of a file.
const CONNECTIONS_MAX: u32 = 16;

/// What a connection to a file begins with. FULL: what was acknowledged survives a loss of power.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
    PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY";

/// What a connection to PostgreSQL begins with. Tables that were empty when their statistics were made are read by
/// their indexes all the same.
const POSTGRES_SETTINGS: &str = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET enable_seqscan = off";

/// One migration at a time, however many replicas start at once. The number is anything that nobody else
/// locks.
const MIGRATION_LOCK: &str = "SET LOCAL lock_timeout = '10min'; SET LOCAL statement_timeout = 0; \
    SELECT pg_advisory_xact_lock(7526769); CREATE SCHEMA IF NOT EXISTS gateway";

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

static POSTGRES_MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("gateway.migrations"),
    // A lock of the session would be lost behind a pooler: `migrate` takes one of its own.
    locking: false,
    ..sqlx::migrate!("migrations/postgres")
};

/// Why something couldn't be read or written. Whether it was written isn't known then: ask again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database isn't there, or says no.
    #[error("the gateway's database: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or a newer version's are there.
    #[error("the gateway's database can't be brought up to this version: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row says what no row should.
    #[error("the gateway's database holds what it shouldn't: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether asking again won't help: the database understood, and says no to what is asked, whenever that is.
    /// (PostgreSQL's classes 22, 23 and 42: data, constraints, the statement itself.)
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                let class = error.code().unwrap_or_default().into_owned();
                !matches!(error.kind(), ErrorKind::Other)
                    || ["22", "23", "42"]
                        .iter()
                        .any(|known| class.len() == 5 && class.starts_with(known))
            }
            Self::Database(_) | Self::Migration(_) => false,
            Self::Corrupt(_) => true,
        }
    }
}

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    /// A file has one writer; the others wait here instead of in the file.
    writers: AnyPool,
    readers: AnyPool,
}

/// A statement with its values.
type Statement = Query<'static, Any, AnyArguments>;

/// A transaction.
pub type Tx = Transaction<'static, Any>;

impl Store {
    /// Opens the database and brings its tables up to this version.
    ///
    /// # Errors
    /// It can't be reached, or is a newer version's.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let (dialect, settings, writers_max) = match database {
            Database::Sqlite(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(sqlx::Error::from)?;
                }
                (Dialect::Sqlite, SQLITE_SETTINGS, 1)
            }
            Database::Postgres(_) => (Dialect::Postgres, POSTGRES_SETTINGS, CONNECTIONS_MAX),
        };
        let url = database.url();
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        connection.execute(settings).await?;
                        Ok(())
                    })
                })
        };
        let writers = pool(writers_max).connect(&url).await?;
        let readers = match dialect {
            Dialect::Sqlite => pool(CONNECTIONS_MAX).connect(&url).await?,
            Dialect::Postgres => writers.clone(),
        };
        let store = Self { dialect, writers, readers };
        store.migrate().await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let migrations = match self.dialect {
            Dialect::Sqlite => &SQLITE_MIGRATIONS,
            Dialect::Postgres => {
                tx.execute(MIGRATION_LOCK).await?;
                &POSTGRES_MIGRATIONS
            }
        };
        migrations.run_direct(None, &mut *tx, false).await?;
        Ok(tx.commit().await?)
    }

    /// Is it there?
    ///
    /// # Errors
    /// It isn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.readers.execute("SELECT 1").await?;
        Ok(())
    }

    /// Waits for whoever is at it, and closes it.
    pub async fn close(&self) {
        self.writers.close().await;
        self.readers.close().await;
    }

    /// Opens a transaction that writes.
    ///
    /// # Errors
    /// There is no connection to be had.
    #[expect(clippy::disallowed_methods, reason = "callers are never cancelled, see the top")]
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let begin = match self.dialect {
            // Whoever reads first and writes then would find that somebody has written meanwhile.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        };
        Ok(self.writers.begin_with(begin).await?)
    }

    /// A statement in this database's words.
    fn sql(&self, text: &str) -> SqlStr {
        let text = match self.dialect {
            Dialect::Postgres => text.to_owned(),
            // One writer at a time: there is nobody to lock rows against.
            Dialect::Sqlite => text
                .replace("gateway.", "")
                .replace(" FOR UPDATE SKIP LOCKED", "")
                .replace(" FOR UPDATE", ""),
        };
        AssertSqlSafe(text).into_sql_str()
    }

    fn query(&self, text: &str) -> Statement {
        sqlx::query(self.sql(text))
    }

    fn query_as<T>(&self, text: &str) -> QueryAs<'static, Any, T, AnyArguments>
    where
        T: for<'row> sqlx::FromRow<'row, AnyRow>,
    {
        sqlx::query_as(self.sql(text))
    }
}

/// Runs a statement within a transaction; how many rows it changed.
pub(crate) async fn rows_changed(
    query: Statement,
    connection: &mut AnyConnection,
) -> Result<u64, StoreError> {
    Ok(query.execute(connection).await?.rows_affected())
}

/// A new name for something, in the order of time.
#[must_use]
pub fn new_id(now: i64) -> String {
    let seconds = u64::try_from(now.div_euclid(1_000_000)).unwrap_or_default();
    let nanos = u32::try_from(now.rem_euclid(1_000_000)).unwrap_or_default().saturating_mul(1_000);
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
    uuid::Uuid::new_v7(time).simple().to_string()
}
