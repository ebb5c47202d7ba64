//! The ledger in one SQLite file: WAL, `synchronous=FULL`, one writer, several readers.

mod many;
mod read;
mod write;

pub use write::SqliteWriter;

use super::{Migrations, StoreError};
use ledger::ChainKey;
use sqlx::{
    Connection as _, SqlitePool,
    migrate::{Migrate as _, Migrator},
    sqlite::{
        SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous,
    },
};
use std::{path::Path, time::Duration};

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a reader waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that read. One file has one writer, and reading is not its bottleneck.
const READERS_MAX: u32 = 4;

/// Page cache of the writer; SQLite reads a minus as "KiB instead of pages".
const WRITER_CACHE_KIB: &str = "-65536";

/// Page cache of each reader.
const READER_CACHE_KIB: &str = "-8192";

/// The WAL's length at which it is folded into the file: 40 MiB. Random accounts dirty a page each,
/// and pages that are written again before then are folded in once.
const CHECKPOINT_PAGES: &str = "10000";

/// Primary result codes that no second try helps: ERROR, CORRUPT, TOOBIG, CONSTRAINT, MISMATCH,
/// MISUSE, RANGE, NOTADB.
const BUGS: [u32; 8] = [1, 11, 18, 19, 20, 21, 25, 26];

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The file, and the connections that read it.
#[derive(Clone, Debug)]
pub struct Sqlite {
    options: SqliteConnectOptions,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|cause| StoreError::Unavailable(cause.into()))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", WRITER_CACHE_KIB)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        // Opening once in writing makes the file and its WAL, which a reader can't.
        SqliteConnection::connect_with(&options).await?.close().await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(
                options.clone().read_only(true).pragma("cache_size", READER_CACHE_KIB),
            );
        Ok(Self { options, readers })
    }

    /// See [`super::Store::migrations`].
    ///
    /// # Errors
    /// If they can't be read, or a newer version's are there.
    pub async fn migrations(&self) -> Result<Migrations, StoreError> {
        let table = MIGRATIONS.table_name.clone();
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = ?")
            .bind(table.clone())
            .fetch_one(&self.readers)
            .await?;
        let applied = match there {
            0 => Vec::new(),
            _ => self.readers.acquire().await?.list_applied_migrations(&table).await?,
        };
        Migrations::between(&MIGRATIONS, &applied)
    }

    /// See [`super::Store::migrate`].
    ///
    /// # Errors
    /// If a migration fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        MIGRATIONS.run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// See [`super::Store::chain_keys`].
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn chain_keys(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let select = sqlx::query_as("SELECT key_id, check_code FROM chain_keys");
        Ok(select.fetch_all(&self.readers).await?)
    }

    /// See [`super::Store::add_chain_key`].
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn add_chain_key(&self, key: &ChainKey) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        sqlx::query("INSERT INTO chain_keys VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(key.id().to_owned())
            .bind(key.check_code().to_vec())
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }

    /// See [`super::Store::warnings`]: this one keeps its promises by itself.
    ///
    /// # Errors
    /// Never.
    #[expect(clippy::unused_async, reason = "the other database has to be asked")]
    pub async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The one connection that writes.
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn writer(&self) -> Result<SqliteWriter, StoreError> {
        Ok(SqliteWriter::new(self.connect().await?))
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        Ok(SqliteConnection::connect_with(&self.options).await?)
    }
}

/// What an error of SQLite means, by its result code.
pub(super) fn judge(code: &str) -> fn(Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    // The low byte of an extended code is the primary one.
    let is_bug = code.parse::<u32>().is_ok_and(|code| BUGS.contains(&(code & 0xff)));
    if is_bug { StoreError::Broken } else { StoreError::Unavailable }
}
