//! Databases that are used again: what is in a prepared one is remembered inside it (in a schema
//! `testkit`), and put back before the next test gets it. Making one anew costs tens of milliseconds
//! and its tables as much again; this costs a few.

use super::{Database, connect};
use sqlx::{Connection as _, PgConnection};
use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use tokio::time::{Instant, sleep};

/// `remember()` and `put_back()`.
const FUNCTIONS: &str = include_str!("reset.sql");

/// How long the sessions of whoever had it before may take to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names of databases that nobody uses, by kind.
static IDLE: Mutex<BTreeMap<&str, Vec<String>>> = Mutex::new(BTreeMap::new());

/// One that nobody uses, if there is any.
pub(super) fn take(kind: &str) -> Option<String> {
    IDLE.lock().expect("nobody panics with it").get_mut(kind)?.pop()
}

/// Nobody uses it any more.
pub(super) fn give_back(kind: &'static str, name: &str) {
    let mut idle = IDLE.lock().expect("nobody panics with it");
    idle.entry(kind).or_default().push(name.to_owned());
}

/// Takes note of all rows in a database.
///
/// # Panics
/// If they can't be copied.
pub async fn remember_rows(connection: &mut PgConnection) {
    let remembered = sqlx::raw_sql(FUNCTIONS).execute(connection).await;
    remembered.expect("what is in it can be copied");
}

/// Makes the rows what they were when they were [remembered](remember_rows).
///
/// # Panics
/// If they can't be put back.
pub async fn put_rows_back(connection: &mut PgConnection) {
    let put_back = sqlx::raw_sql("SELECT testkit.put_back()").execute(connection).await;
    put_back.expect("a database is put back to what it was");
}

/// Takes note of all that is in it.
pub(super) async fn remember(database: &Database) {
    let mut connection = database.connect().await;
    remember_rows(&mut connection).await;
    connection.close().await.expect("it can be left");
}

/// Ends all sessions in it and makes it what it was.
pub(super) async fn put_back(database: &Database) {
    let mut connection = connect(database.url()).await;
    let since = Instant::now();
    while others(&mut connection).await > 0 {
        assert!(since.elapsed() < PATIENCE, "a session in {} doesn't end", database.name);
        sleep(Duration::from_millis(1)).await;
    }
    put_rows_back(&mut connection).await;
    connection.close().await.expect("it can be left");
}

/// Tells other sessions to end; how many there were.
async fn others(connection: &mut PgConnection) -> i64 {
    let told = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND backend_type = 'client backend' \
         AND pid <> pg_backend_pid()",
    );
    told.fetch_one(connection).await.expect("sessions can be ended")
}
