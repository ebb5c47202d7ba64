//! What holds for a database, whoever asks: the ledger is never rewritten, both databases have the same
//! tables, and a service needs no more rights than it uses.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::collections::BTreeMap;
use tests::{
    postgres,
    process::{Home, run},
    promises::{credit, request},
};
use tokio::task::JoinSet;

/// Services that start at once.
const REPLICAS: usize = 8;

/// A column's name, whether it may be empty, and what it holds.
type Column = (String, bool, Holds);

/// What a column holds, whatever a database calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Text,
    Integer,
    /// An id's 16 bytes among them: PostgreSQL has a type for those.
    Bytes,
}

impl Holds {
    fn of(database_type: &str) -> Self {
        match database_type.to_ascii_lowercase().as_str() {
            "text" => Self::Text,
            "integer" | "bigint" => Self::Integer,
            "blob" | "bytea" | "uuid" => Self::Bytes,
            other => panic!("neither database should have a {other}"),
        }
    }
}

/// What no row may undergo.
async fn with_a_few_rows(home: &Home) {
    let process = home.start(&[]).await;
    let client = process.client().await;
    credit(&client, "alice", 10).await;
    let mut debit = request("alice", "d");
    debit.amount = 3;
    client.clone().debit(debit).await.expect("debited");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn what_was_posted_can_be_neither_updated_nor_deleted_nor_replaced_on_sqlite() {
    let home = Home::sqlite();
    with_a_few_rows(&home).await;
    let mut connection = SqliteConnection::connect(home.url()).await.expect("the file opens");
    for attempt in [
        "UPDATE transactions SET amount = amount + 1",
        "DELETE FROM transactions",
        "UPDATE entries SET balance_after = 1000",
        "DELETE FROM entries WHERE sequence = 2",
        "REPLACE INTO entries SELECT * FROM entries WHERE sequence = 2",
        "REPLACE INTO entries (rowid, account_id, sequence, transaction_id, create_time, amount, \
         held_delta, balance_after, held_after, counter_account, split_amount, changes, chain_key, \
         chain) SELECT rowid, 'mallory', sequence, transaction_id, create_time, amount, held_delta, \
         balance_after, held_after, counter_account, split_amount, changes, chain_key, chain \
         FROM entries",
        "REPLACE INTO transactions SELECT * FROM transactions",
        "UPDATE commits SET position = position + 1",
        "DELETE FROM commits",
        "REPLACE INTO commits SELECT * FROM commits",
    ] {
        let refused = sqlx::query(attempt).execute(&mut connection).await;
        let words = refused.expect_err("it is refused").to_string();
        assert!(words.contains("are never"), "{attempt}: {words}");
    }
    let sum = sqlx::query_scalar("SELECT sum(amount) FROM entries");
    let sum: i64 = sum.fetch_one(&mut connection).await.expect("a sum");
    assert_eq!(sum, 7);
}

#[tokio::test]
async fn what_was_posted_can_be_neither_updated_nor_deleted_nor_truncated_on_postgres() {
    let home = Home::postgres().await;
    with_a_few_rows(&home).await;
    let mut connection = PgConnection::connect(home.url()).await.expect("it answers");
    for (table, column) in
        [("transactions", "amount"), ("entries", "amount"), ("commits", "position")]
    {
        for attempt in [
            format!("UPDATE ledger.{table} SET {column} = {column} + 1"),
            format!("UPDATE ledger.{table} SET {column} = 0 WHERE false"),
            format!("DELETE FROM ledger.{table}"),
            format!("TRUNCATE ledger.{table}"),
            format!("TRUNCATE ledger.{table} CASCADE"),
            format!(
                "MERGE INTO ledger.{table} AS o USING ledger.{table} AS n ON o.{column} = n.{column} \
                 WHEN MATCHED THEN DELETE"
            ),
        ] {
            let refused = sqlx::raw_sql(AssertSqlSafe(attempt.clone())).execute(&mut connection);
            let words = refused.await.expect_err("it is refused").to_string();
            assert!(words.contains("are never"), "{attempt}: {words}");
        }
    }
    let sum = sqlx::query_scalar("SELECT sum(amount)::bigint FROM ledger.entries");
    let sum: i64 = sum.fetch_one(&mut connection).await.expect("a sum");
    assert_eq!(sum, 7);
}

#[tokio::test]
async fn both_databases_have_the_same_tables_with_the_same_columns() {
    let (sqlite, postgres) = (Home::sqlite(), Home::postgres().await);
    for home in [&sqlite, &postgres] {
        let arguments = ["migrate", "--database", home.url()];
        assert_eq!(run(home.folder(), &arguments, &[]).status.code(), Some(0));
    }
    let columns = "SELECT t.name, c.name, c.\"notnull\" = 0, c.type \
                   FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
                   WHERE t.type = 'table' AND t.name NOT LIKE '%migrations' ORDER BY t.name, c.cid";
    let mut connection = SqliteConnection::connect(sqlite.url()).await.expect("the file opens");
    let on_sqlite = sqlx::query_as(columns).fetch_all(&mut connection).await.expect("columns");
    let columns = "SELECT table_name::text, column_name::text, is_nullable = 'YES', data_type::text \
                   FROM information_schema.columns \
                   WHERE table_schema = 'ledger' AND table_name <> 'migrations' \
                   ORDER BY table_name, ordinal_position";
    let mut connection = PgConnection::connect(postgres.url()).await.expect("it answers");
    let on_postgres = sqlx::query_as(columns).fetch_all(&mut connection).await.expect("columns");
    let (on_sqlite, on_postgres) = (tables(on_sqlite), tables(on_postgres));
    assert_eq!(on_sqlite, on_postgres);
    assert!(on_sqlite.len() > 8, "{:?}", on_sqlite.keys());
}

/// From table, column, whether it may be empty, type.
fn tables(rows: Vec<(String, String, bool, String)>) -> BTreeMap<String, Vec<Column>> {
    let mut tables = BTreeMap::<String, Vec<Column>>::new();
    for (table, column, nullable, kind) in rows {
        tables.entry(table).or_default().push((column, nullable, Holds::of(&kind)));
    }
    tables
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_at_once_on_an_empty_database_all_come_up() {
    let home = std::sync::Arc::new(Home::postgres().await);
    let mut starting = JoinSet::new();
    for _ in 0..REPLICAS {
        let home = std::sync::Arc::clone(&home);
        starting.spawn(async move { home.start(&[]).await });
    }
    let replicas = starting.join_all().await;
    for (number, replica) in replicas.iter().enumerate() {
        credit(&replica.client().await, &format!("a{number}"), 1).await;
    }
    for replica in replicas {
        assert_eq!(replica.terminate().await, Some(0));
    }
}

#[tokio::test]
async fn migrate_check_only_looks_on_postgres_too() {
    let home = Home::postgres().await;
    let database = format!("--database={}", home.url());
    let migrate = |arguments: &[&str]| {
        let arguments = [&["migrate", &database], arguments].concat();
        run(home.folder(), &arguments, &[]).status.code()
    };
    assert_eq!(migrate(&["--check"]), Some(1), "there is something to migrate");
    let mut connection = PgConnection::connect(home.url()).await.expect("it answers");
    let there = sqlx::query_scalar("SELECT to_regnamespace('ledger') IS NOT NULL");
    let there: bool = there.fetch_one(&mut connection).await.expect("an answer");
    assert!(!there, "and it is only looked at");
    assert_eq!(migrate(&[]), Some(0));
    assert_eq!(migrate(&["--check"]), Some(0), "nothing is left to migrate");
}

/// The rights that a service needs on a database that somebody else migrates.
const RIGHTS: &str = "
    GRANT USAGE ON SCHEMA ledger TO {role};
    GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO {role};
    GRANT INSERT ON ledger.accounts, ledger.transactions, ledger.entries, ledger.grants, ledger.holds,
        ledger.reversals, ledger.clawbacks, ledger.commits, ledger.chain_keys TO {role};
    GRANT UPDATE ON ledger.accounts, ledger.stream, ledger.grants, ledger.holds, ledger.reversals,
        ledger.clawbacks TO {role};
    GRANT DELETE ON ledger.grants TO {role}";

#[tokio::test]
async fn a_service_that_may_not_make_tables_serves_a_database_that_was_migrated() {
    let owner = Home::postgres().await;
    let migrate = ["migrate", "--database", owner.url()];
    assert_eq!(run(owner.folder(), &migrate, &[]).status.code(), Some(0));
    let role = format!("role_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(owner.url()).await.expect("it answers");
    let rights = RIGHTS.replace("{role}", &role);
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'hush'; {rights}");
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut connection).await.expect("a role");

    let (_, place) = owner.url().split_once('@').expect("somebody at a host");
    let home = Home::at(&format!("postgres://{role}:hush@{place}"));
    let process = home.start(&[]).await;
    let client = process.client().await;
    credit(&client, "alice", 10).await;
    client.clone().debit(request("alice", "d")).await.expect("debited");
    assert_eq!(process.terminate().await, Some(0));

    // Roles belong to the server, not to the database that goes with this test.
    let unmake = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(unmake)).execute(&mut connection).await.expect("it goes");
}

/// What a restore of a backup does to a type that connections know: the same again, but another.
const MAKE_ANEW: &str = "
    DO $$ DECLARE it record; BEGIN
        FOR it IN SELECT c.relname AS name, string_agg(quote_ident(a.attname) || ' '
                      || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                  WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'c'
                  GROUP BY c.relname LOOP
            EXECUTE format('DROP TYPE ledger.%I', it.name);
            EXECUTE format('CREATE TYPE ledger.%I AS (%s)', it.name, it.columns);
        END LOOP;
    END $$";

#[tokio::test]
async fn a_service_goes_on_after_its_types_were_restored_from_a_backup() {
    let home = Home::postgres().await;
    let process = home.start(&[]).await;
    let client = process.client().await;
    credit(&client, "alice", 10).await;
    let mut connection = PgConnection::connect(home.url()).await.expect("it answers");
    for key in ["one", "two"] {
        sqlx::raw_sql(MAKE_ANEW).execute(&mut connection).await.expect("types");
        let debited = client.clone().debit(request("alice", key)).await.expect("debited");
        assert!(!debited.into_inner().replayed);
    }
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn the_password_of_a_database_is_never_told() {
    let secret = "canary-canary-canary";
    let database = postgres::database().await;
    let (_, place) = database.url().split_once('@').expect("somebody at a host");
    let wrong = format!("postgres://postgres:{secret}@{place}");
    // A port that nobody listens on.
    let unreachable = format!("postgres://postgres:{secret}@127.0.0.1:1/ledger");
    let unknown = format!("postgres://postgres:{secret}@nowhere.invalid/ledger");
    let folder = tempfile::tempdir().expect("a folder");
    for url in [&wrong, &unreachable, &unknown] {
        for (arguments, expected) in [
            (&["config"][..], 0),
            (&["migrate"], 1),
            (&["migrate", "--check"], 1),
            (&["--listen=127.0.0.1:0"], 1),
        ] {
            for database in [format!("--database={url}"), format!("--database={url}?nonsense=1")] {
                let arguments = [arguments, &[&database, "--log=trace"]].concat();
                let output = run(folder.path(), &arguments, &[]);
                let words = [output.stdout, output.stderr].concat();
                let words = String::from_utf8_lossy(&words);
                assert!(!words.contains(secret), "{arguments:?} tells it: {words}");
                let code = output.status.code();
                assert!(
                    code == Some(expected) || database.contains("nonsense"),
                    "{code:?}: {words}"
                );
            }
        }
    }
}
