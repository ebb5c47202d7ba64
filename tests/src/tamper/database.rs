//! A ledger to tamper with, and the way back to what it was.

use super::{
    Tampering,
    edit::{Dialect, Hand, Rows},
};
use crate::{
    agree, postgres,
    target::Target,
    workload::Workload,
    world::{Left, On, World},
};
use ledger::{Finding, Policy};
use proto::{
    catalog::Catalog,
    v1::{self, batch_command::Command},
};
use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};
use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use token_service::{
    audit::{Keys, Scope, Verification},
    checkpoint::Checkpoint,
    clock::Clock,
    config::{Config, Database},
    export::export,
    keys::given_keys,
    policy::policy,
    store::{Store, snapshot::Snapshot},
};

/// Tables, in an order in which they can be filled.
const NAMES: [&str; 10] = [
    "accounts",
    "transactions",
    "entries",
    "grants",
    "holds",
    "reversals",
    "clawbacks",
    "commits",
    "stream",
    "chain_keys",
];

/// Commands of the workload.
const CALLS: usize = 110;

/// Credits of an account that has more grants than its row keeps.
const CREDITS: usize = 70;

/// A ledger that somebody tampers with.
#[derive(Debug)]
pub struct Tampered {
    left: Left,
    policy: Arc<Policy>,
    keys: Keys,
    /// Of a file there are copies: whoever had the last one open may not have closed it yet.
    copies: AtomicUsize,
    rows: Rows,
    /// What they were before the last commands.
    before: Rows,
    checkpoint: Checkpoint,
}

impl Tampered {
    /// A ledger of all kinds of commands. What it held before the last of them is kept beside it, in
    /// tables `old_…`.
    ///
    /// # Panics
    /// If it can't be made.
    pub async fn make(seed: u64, on: On) -> Self {
        let workload = Workload::random(seed, CALLS);
        let mut service = World::start_apart(&workload.catalog, on).await.into_service();
        if let Err(disagreement) = agree::run(&mut service, &workload).await {
            panic!("{disagreement}");
        }
        let credits = (0..CREDITS).map(|nth| credit("eve", nth));
        batch(&mut service, credits.map(Command::Credit).collect()).await;
        let config = service.world().config().clone();
        copy(&config).await;
        let before = read(&Store::existing(&config).await.expect("it is there")).await;
        let mut later: Vec<Command> = (0..6)
            .map(|nth| Command::Credit(credit(["ann", "eve"][nth % 2], 1_000 + nth)))
            .collect();
        later.push(Command::Debit(v1::DebitRequest {
            account_id: "eve".to_owned(),
            idempotency_key: "debit".to_owned(),
            amount: 3,
            ..v1::DebitRequest::default()
        }));
        batch(&mut service, later).await;
        let left = service.into_world().leave().await;
        Self::of(left, before, &workload.catalog).await
    }

    async fn of(left: Left, before: Rows, catalog: &Catalog) -> Self {
        let keys = given_keys(&left.config).expect("it has keys");
        let store = Store::existing(&left.config).await.expect("it is there");
        let mut snapshot = Snapshot::of(&store).await.expect("it can be read");
        let signing = keys.first().expect("one signs");
        let checkpoint = Checkpoint::make(&mut snapshot, signing, Clock::System.now()).await;
        let checkpoint = checkpoint.expect("it can be signed");
        drop(snapshot);
        let it = Self {
            policy: Arc::new(policy(catalog)),
            keys: keys.into_iter().map(|key| (key.id().to_owned(), key)).collect(),
            rows: read(&store).await,
            before,
            checkpoint: Checkpoint::read(checkpoint.as_bytes()).expect("a checkpoint"),
            copies: AtomicUsize::new(0),
            left,
        };
        it.prepare().await;
        it
    }

    /// The checkpoint of it as it was.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The ledger as it stands, tampered with or not.
    ///
    /// # Panics
    /// If it can't be opened.
    pub async fn store(&self) -> Store {
        let mut config = self.left.config.clone();
        if let Database::Sqlite(path) = &mut config.database {
            *path = self.copied();
        }
        Store::existing(&config).await.expect("it is there")
    }

    fn copied(&self) -> PathBuf {
        let number = self.copies.load(Ordering::SeqCst);
        self.left.folder.path().join(format!("copy-{number}.db"))
    }

    /// What doesn't fit.
    ///
    /// # Panics
    /// If it can't be verified.
    pub async fn verify(&self, scope: Scope) -> Vec<Finding> {
        let (keys, policy) = (self.keys.clone(), Arc::clone(&self.policy));
        let begun = Verification::start(&self.store().await, keys, policy, scope).await;
        let mut verification = begun.expect("the database can be read");
        let mut found = Vec::new();
        while let Some(report) = verification.next().await.expect("it goes on") {
            found.extend(report.findings);
        }
        found
    }

    /// The whole ledger as text, for other programs.
    ///
    /// # Panics
    /// If it can't be read.
    pub async fn exported(&self) -> Vec<u8> {
        let store = self.store().await;
        let mut snapshot = Snapshot::of(&store).await.expect("the database can be read");
        let mut text = Vec::new();
        export(&mut snapshot, &mut text).await.expect("it can be written");
        text
    }

    /// The key file, which other programs need.
    #[must_use]
    pub fn key_file(&self) -> &PathBuf {
        &self.left.config.chain_key_file
    }

    /// Tamperings by chance, always the same of one seed.
    pub fn tamperings(&self, seed: u64) -> impl Iterator<Item = Tampering> {
        let rng = fastrand::Rng::with_seed(seed);
        let dialect = match self.left.config.database {
            Database::Sqlite(_) => Dialect::Sqlite,
            Database::Postgres(_) => Dialect::Postgres,
        };
        let mut hand = Hand { rng, rows: &self.rows, dialect };
        std::iter::from_fn(move || Some(hand.tamper())).flatten()
    }

    /// The whole ledger set back to what it was before the last commands.
    #[must_use]
    pub fn set_back(&self) -> Tampering {
        let back = |table: &&str| {
            [
                format!("DELETE FROM {{}}{table}"),
                format!("INSERT INTO {{}}{table} SELECT * FROM {{}}old_{table}"),
            ]
        };
        let statements = NAMES.iter().flat_map(back).collect();
        Tampering { what: "all of it set back".to_owned(), statements }
    }

    /// One account set back, and everything else made to fit.
    #[must_use]
    pub fn account_set_back(&self, account: &str) -> Tampering {
        let mut statements = Vec::new();
        let own = format!("account_id = '{account}'");
        for table in &NAMES[..7] {
            statements.push(format!("DELETE FROM {{}}{table} WHERE {own}"));
            statements
                .push(format!("INSERT INTO {{}}{table} SELECT * FROM {{}}old_{table} WHERE {own}"));
        }
        let before = self.before["entries"].iter().filter(|row| row["account_id"] == account);
        let newest = before.filter_map(|row| row["sequence"].as_i64()).max().unwrap_or(0);
        let kept = |(owner, number): &(String, i64)| owner != account || *number <= newest;
        let mut position = 0;
        statements.push("DELETE FROM {}commits".to_owned());
        for row in &self.rows["commits"] {
            let text = row["entries"].as_str().expect("text");
            let entries: Vec<(String, i64)> = serde_json::from_str(text).expect("entries");
            let left: Vec<_> = entries.into_iter().filter(kept).collect();
            position += i64::try_from(left.len()).expect("few");
            if !left.is_empty() {
                let text = serde_json::to_string(&left).expect("text");
                let text = super::edit::quoted(&text);
                statements.push(format!("INSERT INTO {{}}commits VALUES ({position}, {text})"));
            }
        }
        statements.push(format!("UPDATE {{}}stream SET position = {position}"));
        Tampering { what: format!("{account} set back"), statements }
    }

    /// Does it; `false` if the database doesn't let anybody (two rows of one name).
    ///
    /// # Panics
    /// If the database can't be opened.
    pub async fn tamper(&self, tampering: &Tampering) -> bool {
        let mut done = true;
        match &self.left.config.database {
            Database::Sqlite(_) => {
                let mut connection = open(&self.copied()).await;
                for statement in &tampering.statements {
                    let sql = AssertSqlSafe(statement.replace("{}", ""));
                    done = done && sqlx::raw_sql(sql).execute(&mut connection).await.is_ok();
                }
                connection.close().await.expect("it can be left");
            }
            Database::Postgres(_) => {
                let mut connection = self.connect().await;
                for statement in &tampering.statements {
                    let sql = AssertSqlSafe(statement.replace("{}", "ledger."));
                    done = done && sqlx::raw_sql(sql).execute(&mut connection).await.is_ok();
                }
                connection.close().await.expect("it can be left");
            }
        }
        done
    }

    /// Makes it what it was.
    ///
    /// # Panics
    /// If it can't be.
    pub async fn undo(&self) {
        match &self.left.config.database {
            Database::Sqlite(path) => {
                drop(fs::remove_file(self.copied()));
                self.copies.fetch_add(1, Ordering::SeqCst);
                fs::copy(path, self.copied()).expect("a copy");
            }
            Database::Postgres(_) => {
                postgres::put_rows_back(&mut self.connect().await).await;
            }
        }
    }

    /// Lets everything be changed, and remembers what it was.
    async fn prepare(&self) {
        match &self.left.config.database {
            Database::Sqlite(path) => {
                let mut connection = open(path).await;
                let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
                let triggers: Vec<String> =
                    sqlx::query_scalar(triggers).fetch_all(&mut connection).await.expect("names");
                for trigger in triggers {
                    let drop = AssertSqlSafe(format!("DROP TRIGGER {trigger}"));
                    sqlx::raw_sql(drop).execute(&mut connection).await.expect("dropped");
                }
                let truncate = sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
                truncate.execute(&mut connection).await.expect("all is in the file");
                connection.close().await.expect("it can be left");
                fs::copy(path, self.copied()).expect("a copy");
            }
            Database::Postgres(_) => {
                let mut connection = self.connect().await;
                let free = sqlx::raw_sql(FREE).execute(&mut connection).await;
                free.expect("nothing refuses any more");
                postgres::remember_rows(&mut connection).await;
                connection.close().await.expect("it can be left");
            }
        }
    }

    async fn connect(&self) -> PgConnection {
        self.left.database.as_ref().expect("a server's database").connect().await
    }
}

/// No trigger and no check says no.
const FREE: &str = "DO $$
DECLARE it record;
BEGIN
    FOR it IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
              WHERE contype = 'c' AND connamespace = 'ledger'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', it.t, it.conname);
    END LOOP;
    FOR it IN SELECT tgrelid::regclass AS t, tgname FROM pg_trigger WHERE NOT tgisinternal LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.t);
    END LOOP;
END $$";

async fn open(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off)
        .pragma("ignore_check_constraints", "on");
    SqliteConnection::connect_with(&options).await.expect("it can be opened")
}

/// Every table once more, beside itself.
async fn copy(config: &Config) {
    for table in NAMES {
        match &config.database {
            Database::Sqlite(path) => {
                let copy = format!("CREATE TABLE old_{table} AS SELECT * FROM {table}");
                let mut connection = open(path).await;
                let copied = sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut connection).await;
                copied.expect("a table");
                connection.close().await.expect("it can be left");
            }
            Database::Postgres(url) => {
                let copy = format!("CREATE TABLE ledger.old_{table} AS TABLE ledger.{table}");
                let connected = PgConnection::connect_with(&url.options()).await;
                let mut connection = connected.expect("it answers");
                let copied = sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut connection).await;
                copied.expect("a table");
                connection.close().await.expect("it can be left");
            }
        }
    }
}

/// All rows, as they are exported.
async fn read(store: &Store) -> Rows {
    let mut snapshot = Snapshot::of(store).await.expect("the database can be read");
    let mut text = Vec::new();
    export(&mut snapshot, &mut text).await.expect("it can be written");
    let mut rows = Rows::new();
    for line in String::from_utf8(text).expect("text").lines() {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        match (line["table"].as_str().map(str::to_owned), line["row"].take()) {
            (Some(table), Value::Object(row)) => rows.entry(table).or_default().push(row),
            (_, _) => {
                let stream = [("stream_id", 1.into()), ("position", line["position"].take())];
                let stream = stream.map(|(name, value)| (name.to_owned(), value));
                rows.entry("stream".to_owned()).or_default().push(stream.into_iter().collect());
            }
        }
    }
    rows
}

fn credit(account_id: &str, nth: usize) -> v1::CreditRequest {
    let nth = i64::try_from(nth).expect("few");
    v1::CreditRequest {
        account_id: account_id.to_owned(),
        idempotency_key: format!("credit/{nth}"),
        amount: nth % 7 + 1,
        kind: v1::GrantKind::Purchased.into(),
        priority: i32::try_from(nth % 2 * -nth).expect("a small number"),
        ..v1::CreditRequest::default()
    }
}

async fn batch(target: &mut impl Target, commands: Vec<Command>) {
    let commands = commands.into_iter().map(|it| v1::BatchCommand { command: Some(it) }).collect();
    let mode = v1::BatchMode::Atomic.into();
    let request = v1::BatchRequest { commands, mode, dry_run: false };
    target.call(request.into()).await.expect("all of them are accepted");
}
