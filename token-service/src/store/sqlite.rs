//! The ledger in one SQLite file: WAL, `synchronous=FULL`, one writer, several readers.

mod many;
mod read;
mod statement;
mod totals;
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
use tokio::time::{MissedTickBehavior, interval};

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a reader waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that read. One file has one writer, and reading is not its bottleneck.
const READERS_MAX: u32 = 4;

/// Page cache of the writer; SQLite reads a minus as "KiB instead of pages". The kernel has the rest of
/// the file, and a commit that splits a page walks through all of the cache.
const WRITER_CACHE_KIB: &str = "-16384";

/// Page cache of each reader.
const READER_CACHE_KIB: &str = "-8192";

/// Page cache of whoever reads all of it, in the order of one table while the others lie about.
const SNAPSHOT_CACHE_KIB: &str = "-16384";

/// Bytes of a page of a new file. A debit of a random account dirties two pages, and each of them
/// goes through the log whole.
const PAGE_BYTES: u32 = 2048;

/// How long that waits for others: it comes again soon, and whoever waits for it writes nothing.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_millis(20);

/// How often the write-ahead log is copied into the file (a checkpoint).
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);

/// The log's length, in pages, at which it is begun anew: 128 MiB. The writer waits meanwhile, for the
/// little that isn't copied yet.
const LOG_PAGES_MAX: i64 = 65_536;

/// Prepared statements that a connection keeps: ten sizes of some twenty.
const STATEMENTS_MAX: usize = 256;

/// Rows that a connection's thread hands over before it waits for them to be taken.
const ROWS_BUFFERED_MAX: usize = 1_024;

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
        let sqlite = Self::at(path);
        // Opening once in writing makes the file and its WAL, which a reader can't.
        let options = sqlite.options.clone().create_if_missing(true);
        SqliteConnection::connect_with(&options).await?.close().await?;
        Ok(sqlite)
    }

    /// The file that is there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .page_size(PAGE_BYTES)
            .statement_cache_capacity(STATEMENTS_MAX)
            .row_buffer_size(ROWS_BUFFERED_MAX)
            .pragma("cache_size", WRITER_CACHE_KIB)
            // What a statement has changed, in case it fails half way: as a file it cost as much as
            // the log.
            .pragma("temp_store", "MEMORY")
            // Never in the middle of a commit: see `maintain`.
            .pragma("wal_autocheckpoint", "0");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(
                options.clone().read_only(true).pragma("cache_size", READER_CACHE_KIB),
            );
        Self { options, readers }
    }

    /// See [`super::snapshot::Snapshot::of`].
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn snapshot(&self) -> Result<SqliteConnection, StoreError> {
        let options = self.options.clone().read_only(true).pragma("cache_size", SNAPSHOT_CACHE_KIB);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query("BEGIN").execute(&mut connection).await?;
        // The moment is that of the first read.
        sqlx::query("SELECT position FROM stream").fetch_optional(&mut connection).await?;
        Ok(connection)
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
        let applied: Vec<i64> = applied.iter().map(|it| it.version).collect();
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

    /// See [`super::Store::new_epoch`].
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn new_epoch(&self, epoch: &str) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        let update = sqlx::query("UPDATE stream SET epoch = ?").bind(epoch.to_owned());
        update.execute(&mut connection).await?;
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

    /// See [`super::Store::maintain`]: copies the log into the file beside the writer, which would
    /// otherwise do it in the middle of a commit.
    pub async fn maintain(&self) {
        let mut ticks = interval(CHECKPOINT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        loop {
            ticks.tick().await;
            if let Err(error) = self.checkpoint(&mut connection).await {
                tracing::debug!(%error, "there can be no checkpoint now");
                connection = None;
            }
        }
    }

    async fn checkpoint(
        &self,
        connection: &mut Option<SqliteConnection>,
    ) -> Result<(), StoreError> {
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let options = self.options.clone().busy_timeout(CHECKPOINT_TIMEOUT);
                connection.insert(SqliteConnection::connect_with(&options).await?)
            }
        };
        let (_, pages, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut *connection).await?;
        if pages > LOG_PAGES_MAX {
            sqlx::query("PRAGMA wal_checkpoint(RESTART)").execute(connection).await?;
        }
        Ok(())
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
