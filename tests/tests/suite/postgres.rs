//! The testkit's own PostgreSQL: what the tests of the store rely on.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::{
    env, future,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tests::postgres::{self, Options, Server, Version};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::{Instant, sleep},
};

/// Says to this test that it is the one to be killed.
const OWNER: &str = "POSTGRES_TEST_OWNER";

/// How long a server may take to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tables as the ledger's are: some rows from the start, identities, and nothing may be deleted.
const TABLES: &str = "
    CREATE SCHEMA ledger;
    CREATE TABLE ledger.counters (name text PRIMARY KEY, value bigint NOT NULL);
    INSERT INTO ledger.counters VALUES ('position', 0);
    CREATE TABLE ledger.entries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount bigint NOT NULL,
        twice bigint GENERATED ALWAYS AS (amount * 2) STORED,
        counter text NOT NULL DEFAULT 'position' REFERENCES ledger.counters
    );
    CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'entries are never deleted'; END $$;
    CREATE TRIGGER refuse BEFORE DELETE ON ledger.entries FOR EACH ROW EXECUTE FUNCTION ledger.refuse();
    CREATE TRIGGER refuse_all BEFORE TRUNCATE ON ledger.entries EXECUTE FUNCTION ledger.refuse();";

async fn run(connection: &mut PgConnection, sql: &str) {
    let ran = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("a number")
}

#[tokio::test]
async fn a_database_is_empty_and_ones_own() {
    let (one, other) = tokio::join!(postgres::database(), postgres::database());
    let (mut in_one, mut in_other) = (one.connect().await, other.connect().await);
    run(&mut in_one, "CREATE TABLE t (x int); INSERT INTO t VALUES (1)").await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(number(&mut in_one, tables).await, 1);
    assert_eq!(number(&mut in_other, tables).await, 0);
    assert_ne!(one.url(), other.url());
}

#[tokio::test]
async fn a_database_used_again_is_what_it_was_when_prepared() {
    let prepare = |url: String| async move {
        run(&mut PgConnection::connect(&url).await.expect("it answers"), TABLES).await;
    };
    for rows in [1, 3, 200_000, 2] {
        let database = postgres::database_like("a_database_used_again", prepare).await;
        // Left open: whoever had it before may have been killed.
        let mut connection = database.connect().await;
        let entries = "SELECT count(*) FROM ledger.entries";
        assert_eq!(number(&mut connection, entries).await, 0);
        assert_eq!(
            number(&mut connection, "SELECT sum(value)::bigint FROM ledger.counters").await,
            0
        );
        let insert = "INSERT INTO ledger.entries (amount) SELECT 1 FROM generate_series(1, $1)";
        let inserted = sqlx::query(insert).bind(rows).execute(&mut connection).await;
        assert_eq!(inserted.expect("rows go in").rows_affected(), u64::try_from(rows).unwrap());
        assert_eq!(number(&mut connection, "SELECT max(id) FROM ledger.entries").await, rows);
        run(&mut connection, "UPDATE ledger.counters SET value = 7").await;
        let refused = sqlx::query("DELETE FROM ledger.entries").execute(&mut connection).await;
        assert!(refused.expect_err("as prepared").to_string().contains("never deleted"));
        run(&mut connection, "BEGIN; LOCK TABLE ledger.entries").await;
        drop(database);
    }
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_what_was_committed() {
    let mut server = Server::start(Options::default()).await;
    let url = server.url().to_owned();
    let mut connection = PgConnection::connect(&url).await.expect("it answers");
    run(&mut connection, "CREATE TABLE t (x int)").await;
    for round in 1..=3 {
        run(&mut connection, "INSERT INTO t VALUES (1)").await;
        run(&mut connection, "BEGIN; INSERT INTO t VALUES (2)").await;
        server.kill().await;
        assert!(sqlx::query("SELECT 1").execute(&mut connection).await.is_err(), "it is gone");
        server.restart().await;
        assert_eq!(server.url(), url);
        connection = PgConnection::connect(&url).await.expect("it answers again");
        assert_eq!(number(&mut connection, "SELECT sum(x) FROM t").await, round);
    }
    assert_eq!(server.terminate_backends().await, 1);
    assert!(sqlx::query("SELECT 1").execute(&mut connection).await.is_err(), "the session is");
    server.stop().await;
    assert!(PgConnection::connect(&url).await.is_err());
    server.restart().await;
    connection = PgConnection::connect(&url).await.expect("it answers again");
    assert_eq!(number(&mut connection, "SELECT sum(x) FROM t").await, 3);
}

#[tokio::test]
async fn postgresql_18_can_be_had_and_its_data_lie_where_they_are_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = [("work_mem", "1MB")];
    let version = Version::Eighteen;
    let options = Options { version, folder: Some(folder.path()), settings: &settings };
    let mut server = Server::start(options).await;
    let mut connection = PgConnection::connect(server.url()).await.expect("it answers");
    let version = number(&mut connection, "SELECT current_setting('server_version_num')::bigint");
    assert_eq!(version.await / 10_000, 18);
    let durable = "SELECT count(*) FROM pg_settings WHERE setting = 'on' \
                   AND name IN ('fsync', 'synchronous_commit', 'full_page_writes')";
    assert_eq!(number(&mut connection, durable).await, 3);
    connection.close().await.expect("it can be left");
    server.stop().await;
    assert!(folder.path().join("data").join("PG_VERSION").exists());
}

/// Run by itself as another process, it is the owner.
#[tokio::test]
async fn nothing_is_left_behind_when_the_owner_of_a_server_was_killed() {
    if env::var_os(OWNER).is_some() {
        let server = Server::start(Options::default()).await;
        let mut connection = PgConnection::connect(server.url()).await.expect("it answers");
        let here = sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await;
        let here: String = here.expect("a folder");
        println!("\nowner of {here}");
        future::pending::<()>().await;
    }
    let this = env::current_exe().expect("this test has a path");
    let name = "postgres::nothing_is_left_behind_when_the_owner_of_a_server_was_killed";
    let mut owner = tokio::process::Command::new(this)
        .args(["--exact", name, "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test starts");
    let mut lines = BufReader::new(owner.stdout.take().expect("its output is piped")).lines();
    let data = loop {
        let line = lines.next_line().await.expect("it can be read").expect("it owns a server");
        if let Some(data) = line.strip_prefix("owner of ") {
            break PathBuf::from(data);
        }
    };
    let processes = processes(&data);
    assert!(processes.len() > 3, "a postmaster and what it started: {processes:?}");

    owner.kill().await.expect("it can be killed");

    let since = Instant::now();
    while processes.iter().any(|pid| is_alive(pid)) || data.parent().is_some_and(Path::exists) {
        assert!(since.elapsed() < PATIENCE, "{processes:?} or {} is left", data.display());
        sleep(Duration::from_millis(10)).await;
    }
}

/// The postmaster, its children, and the shell that looks after them.
fn processes(data: &Path) -> Vec<String> {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).expect("a postmaster");
    let postmaster = file.lines().next().expect("its id").to_owned();
    let all = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid="]).output();
    let all = String::from_utf8(all.expect("ps runs").stdout).expect("numbers");
    let pairs = all.lines().filter_map(|line| line.trim().split_once(char::is_whitespace));
    let pairs: Vec<(&str, &str)> = pairs.map(|(pid, parent)| (pid, parent.trim())).collect();
    let related = pairs.iter().filter(|(pid, parent)| *pid == postmaster || *parent == postmaster);
    related.flat_map(|(pid, parent)| [(*pid).to_owned(), (*parent).to_owned()]).collect()
}

fn is_alive(pid: &str) -> bool {
    let asked = Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status();
    asked.expect("kill runs").success()
}
