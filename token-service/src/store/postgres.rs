//! The ledger on PostgreSQL 15 and newer, in a schema of its own: several writers in several
//! processes, kept apart by the numbers of the accounts' entries and the locks of their rows.

mod columns;
mod read;
mod statement;
mod totals;
mod write;

pub use write::PostgresWriter;

use super::{
    AccountQuery, Commit, Migrations, Position, Statement, StatementQuery, StoreError,
    TransactionQuery, Usage,
};
use crate::config::{PostgresLimits, PostgresUrl};
use columns::PgQuery;
use ledger::{
    Account, AccountId, Balance, ChainKey, EntryId, Grant, Hold, HoldState, Name, Time,
    Transaction, TransactionId,
};
use read::Reader;
use sqlx::{
    AssertSqlSafe, Connection as _, PgPool, Row as _,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgConnection, PgPoolOptions, Postgres as Dialect},
};
use std::{borrow::Cow, fmt, sync::LazyLock, time::Duration};
use tokio::time::{error::Elapsed, timeout};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a reader waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of every connection. A batch that waits for a lock, or whose process has stopped, gives
/// way; statements are few and fixed, and each of them finds its rows by index, however little the
/// planner knows about tables that were empty a minute ago.
const SETTINGS: [(&str, &str); 9] = [
    // Batches take their numbers from one row: a stricter level fails whoever has to wait for it.
    ("default_transaction_isolation", "read committed"),
    ("lock_timeout", "500ms"),
    ("statement_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

/// What is different for whoever reads everything, page by page: each page is found by index in the
/// order of its keys, and whoever takes the pages may be slow.
const SNAPSHOT_SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "10min"),
    ("idle_in_transaction_session_timeout", "2min"),
    ("enable_bitmapscan", "off"),
    ("enable_sort", "off"),
];

/// What opens a database transaction.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The same where connections are lent for one transaction each.
static BEGIN_POOLED: LazyLock<String> = LazyLock::new(|| {
    let settings = SETTINGS.map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
    format!("{BEGIN}; {}", settings.join("; "))
});

/// Connections that look accounts up, and for a sign of life: none of the others, however long they
/// read, keeps these waiting.
const LOOKUPS_MAX: u32 = 3;

/// How long a read may take: longer than the database lets it, unless that has gone without a word.
const READ_TIMEOUT: Duration = Duration::from_secs(12);

static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("ledger.migrations"),
    create_schemas: Cow::Borrowed(&[Cow::Borrowed("ledger")]),
    // A lock of the session would be lost behind a pooler: `migrate` takes one of its own.
    locking: false,
    ..sqlx::migrate!("migrations/postgres")
};

/// One migration at a time, and as long as it takes. The lock's number is anything that nobody else
/// locks; it goes with the transaction, so that it holds behind a pooler too.
const MIGRATION_SETTINGS: &str = "SET LOCAL lock_timeout = '10min'; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SELECT pg_advisory_xact_lock(7526768)";

/// The database, and the connections that read it.
#[derive(Clone)]
pub struct Postgres {
    options: PgConnectOptions,
    lookups: PgPool,
    readers: PgPool,
    prepared: bool,
}

impl fmt::Debug for Postgres {
    /// The options hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("host", &self.options.get_host()).finish_non_exhaustive()
    }
}

/// A connection that is lent for one read.
struct Lent {
    connection: PoolConnection<Dialect>,
    prepared: bool,
}

impl Lent {
    fn reader(&mut self) -> Reader<'_> {
        Reader::new(&mut self.connection, self.prepared)
    }

    /// A connection that failed or is late isn't lent again. A read that is given up before this may
    /// leave a transaction open: the next reader finds it, and closes the connection.
    async fn give_back<T>(
        mut self,
        found: Result<Result<T, StoreError>, Elapsed>,
    ) -> Result<T, StoreError> {
        let found = found.unwrap_or_else(|late| Err(StoreError::Unavailable(late.into())));
        match &found {
            Ok(_) if self.prepared => {}
            Ok(_) => {
                sqlx::raw_sql("COMMIT").execute(&mut *self.connection).await?;
            }
            Err(_) => self.connection.close_on_drop(),
        }
        found
    }
}

impl Postgres {
    /// Says where the database is; connections are made when they are needed.
    #[must_use]
    pub fn new(url: &PostgresUrl, limits: PostgresLimits) -> Self {
        let PostgresLimits { readers_max, prepared } = limits;
        let mut options = url.options().application_name("token-service");
        if prepared {
            options = options.options(SETTINGS);
        } else {
            // A pooler refuses these, or keeps them for whoever comes next.
            options = options.extra_float_digits(None).statement_cache_capacity(0);
        }
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .test_before_acquire(false)
                .before_acquire(|connection, _| Box::pin(is_clean(connection)))
                .connect_lazy_with(options.clone())
        };
        let (lookups, readers) = (pool(LOOKUPS_MAX), pool(readers_max));
        Self { options, lookups, readers, prepared }
    }

    /// A connection to write with.
    ///
    /// # Errors
    /// If there is none to be had.
    pub async fn writer(&self) -> Result<PostgresWriter, StoreError> {
        let begin = if self.prepared { BEGIN } else { BEGIN_POOLED.as_str() };
        Ok(PostgresWriter::new(self.connect().await?, begin, self.prepared))
    }

    /// See [`super::Store::migrations`].
    ///
    /// # Errors
    /// If they can't be read, or a newer version's are there.
    pub async fn migrations(&self) -> Result<Migrations, StoreError> {
        let mut connection = self.connect().await?;
        let there = "SELECT to_regclass('ledger.migrations') IS NOT NULL";
        let there: bool = sqlx::raw_sql(there).fetch_one(&mut connection).await?.try_get(0)?;
        let mut applied = Vec::new();
        if there {
            let select = sqlx::raw_sql("SELECT version FROM ledger.migrations");
            for row in select.fetch_all(&mut connection).await? {
                applied.push(row.try_get(0)?);
            }
        }
        connection.close().await?;
        Migrations::between(&MIGRATIONS, &applied)
    }

    /// See [`super::Store::migrate`]. Replicas that start at once wait for each other, and those
    /// that come later find nothing to do.
    ///
    /// # Errors
    /// If a migration fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "not from the pool: closed if it is cancelled"
        )]
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(MIGRATION_SETTINGS).execute(&mut *transaction).await?;
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        // The migrator has prepared statements: a pooler would lend them to others.
        sqlx::raw_sql("DEALLOCATE ALL").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(connection.close().await?)
    }

    /// See [`super::Store::chain_keys`].
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn chain_keys(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut lent = self.lend(&self.lookups).await?;
        let found = timeout(READ_TIMEOUT, lent.reader().chain_keys()).await;
        lent.give_back(found).await
    }

    /// See [`super::Store::add_chain_key`].
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn add_chain_key(&self, key: &ChainKey) -> Result<(), StoreError> {
        let insert = "INSERT INTO ledger.chain_keys VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(key.id()).bind(key.check_code().as_slice());
        self.write_once(insert).await
    }

    /// See [`super::Store::new_epoch`].
    ///
    /// # Errors
    /// If it can't be written.
    pub async fn new_epoch(&self, epoch: &str) -> Result<(), StoreError> {
        self.write_once(sqlx::query("UPDATE ledger.stream SET epoch = $1").bind(epoch)).await
    }

    /// One statement in a transaction of its own, which is all that a pooler keeps together.
    async fn write_once(&self, query: PgQuery) -> Result<(), StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        query.persistent(false).execute(&mut connection).await?;
        sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// See [`super::Store::warnings`].
    ///
    /// # Errors
    /// If the database can't be asked.
    pub async fn warnings(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connect().await?;
        let mut warnings = Vec::new();
        for (setting, asked) in [
            ("fsync", "SHOW fsync"),
            ("synchronous_commit", "SHOW synchronous_commit"),
            ("full_page_writes", "SHOW full_page_writes"),
        ] {
            let row = sqlx::raw_sql(asked).fetch_one(&mut connection).await?;
            if row.try_get::<String, _>(0)? == "off" {
                warnings.push(format!(
                    "PostgreSQL's {setting} is off: what was acknowledged is lost in a crash"
                ));
            }
        }
        connection.close().await?;
        Ok(warnings)
    }

    /// See [`super::snapshot::Snapshot::of`].
    ///
    /// # Errors
    /// If it can't be opened.
    pub async fn snapshot(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect().await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let settings = SETTINGS.iter().chain(&SNAPSHOT_SETTINGS).skip(1);
        let settings = settings.map(|(name, value)| format!("SET LOCAL {name} = '{value}'"));
        let begin = settings.fold(begin.to_owned(), |begin, set| format!("{begin}; {set}"));
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut connection).await?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options)).await;
        Ok(connected.map_err(|late| StoreError::Unavailable(late.into()))??)
    }

    async fn lend(&self, pool: &PgPool) -> Result<Lent, StoreError> {
        let mut connection = pool.acquire().await?;
        if !self.prepared {
            sqlx::raw_sql(BEGIN_POOLED.as_str()).execute(&mut *connection).await?;
        }
        Ok(Lent { connection, prepared: self.prepared })
    }
}

/// Whether nobody has left a transaction open on this connection: sqlx 0.9.0 can, and what is
/// written on it next would vanish with it.
async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(connection).await?;
    row.try_get(0)
}

/// What the service's readers answer; each of these is documented at [`crate::store::Store`].
macro_rules! reads {
    ($pool:ident: $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Postgres {
            $(pub(crate) async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                let mut lent = self.lend(&self.$pool).await?;
                let found = timeout(READ_TIMEOUT, lent.reader().$name($($argument),*)).await;
                lent.give_back(found).await
            })*
        }
    };
}

reads! {
    lookups:
    ping() -> ();
    accounts(ids: &[AccountId]) -> Vec<Account>;
    position() -> Position;
}

reads! {
    readers:
    whole_account(id: &AccountId) -> Option<Account>;
    list_accounts(query: &AccountQuery) -> Vec<Account>;
    statement(query: &StatementQuery) -> Statement;
    due(now: Time, limit: usize) -> Vec<AccountId>;
    transaction(name: &Name) -> Option<Transaction>;
    transactions(query: &TransactionQuery) -> Vec<Transaction>;
    closed_grants(account: &AccountId, after: Option<TransactionId>, limit: usize) -> Vec<Grant>;
    ended_holds(account: &AccountId, state: Option<HoldState>, after: Option<TransactionId>, limit: usize) -> Vec<Hold>;
    usage(account: &AccountId, start: Option<Time>, end: Option<Time>) -> Vec<Usage>;
    balance_at(account: &AccountId, at: Time) -> Option<Balance>;
    commits_after(position: i64, limit: usize) -> Vec<Commit>;
    posted(entries: &[EntryId]) -> Vec<Transaction>;
}

/// What an error of PostgreSQL means, by its SQLSTATE.
pub(super) fn judge(code: &str) -> fn(Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    match code {
        // Another batch was first: with a new account, a key, a lock; or it has taken too long.
        "23505" | "25P03" | "55P03" | "57014" => StoreError::Conflict,
        // Serialization failures and deadlocks.
        _ if code.starts_with("40") => StoreError::Conflict,
        // Switched to read only: the primary is elsewhere now.
        "25006" => StoreError::Unavailable,
        // The schema isn't what this connection knows: it is being restored, or changed by a later
        // version. A new connection sees what is there.
        "0A000" | "26000" | "42P01" | "42704" | "XX000" => StoreError::Unavailable,
        // Connections, credentials, no such database, resources, operators, the system.
        _ if ["08", "28", "3D", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StoreError::Unavailable
        }
        _ => StoreError::Broken,
    }
}
