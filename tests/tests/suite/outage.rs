//! PostgreSQL goes away under load, and comes back: nobody is told anything wrong meanwhile, and the
//! service finds its way back by itself.

use proto::{reason::Error, v1::ErrorReason};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tests::{
    disk::Disk,
    health::Health,
    postgres::{Options, Server},
    process::{Home, Process},
    promises::{Accounts, Load},
};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

/// Calls between two outages, and after the last one.
const CALLS: u64 = 100;

/// Room for a new server, and for some ten thousand transactions.
const DISK_MIB: u32 = 256;

/// Its log doesn't take all of that.
const LITTLE_LOG: [(&str, &str); 2] = [("max_wal_size", "48MB"), ("min_wal_size", "32MB")];

/// How PostgreSQL is made to say that its disk is full where none can be filled.
const PRETEND: &str = "
    CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END $$;
    CREATE TRIGGER a_full_disk BEFORE INSERT ON ledger.entries EXECUTE FUNCTION public.full();
    ALTER TABLE ledger.entries DISABLE TRIGGER a_full_disk";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_kills_of_postgresql_under_load_lose_and_double_nothing() {
    let mut server = Server::start(Options::default()).await;
    let process = Home::at(server.url());
    let process = process.start(&[]).await;
    outlives(&process, 10, async |health| {
        server.kill().await;
        health.becomes(NotServing).await;
        server.restart().await;
        health.becomes(Serving).await;
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_all_sessions_ended_under_load_lose_and_double_nothing() {
    let server = Server::start(Options::default()).await;
    let home = Home::at(server.url());
    let process = home.start(&["--committers=3"]).await;
    outlives(&process, 10, async |_| {
        assert!(server.terminate_backends().await >= 3, "committers have a session each");
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_times_a_full_disk_under_load_lose_and_double_nothing() {
    let disk = Disk::mount(DISK_MIB);
    let folder = disk.as_ref().map(Disk::path);
    let options = Options { folder, settings: &LITTLE_LOG, ..Options::default() };
    let mut server = Server::start(options).await;
    let home = Home::at(server.url());
    let process = home.start(&[]).await;
    if disk.is_none() {
        eprintln!("no disk can be mounted here: PostgreSQL is made to say that its disk is full");
        run(&server, PRETEND).await;
    }
    outlives(&process, 5, async |health| {
        match &disk {
            Some(disk) => disk.fill(),
            None => run(&server, "ALTER TABLE ledger.entries ENABLE TRIGGER a_full_disk").await,
        }
        health.becomes(NotServing).await;
        match &disk {
            Some(disk) => disk.empty(),
            None => run(&server, "ALTER TABLE ledger.entries DISABLE TRIGGER a_full_disk").await,
        }
        server.recover().await;
        health.becomes(Serving).await;
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
    server.stop().await;
}

/// Strikes so many times, each time in the middle of things, and holds what callers were told against
/// the ledger. The service isn't restarted.
async fn outlives(process: &Process, times: u32, mut strike: impl AsyncFnMut(&mut Health)) {
    let client = process.client().await;
    let mut health = Health::of(process).await;
    health.becomes(Serving).await;
    let mut told = Vec::new();
    let mut unanswered = Vec::new();
    for time in 1..=times {
        let accounts = Accounts::fill(&client, &format!("-{time}")).await;
        let mut load = Load::start(&client, &accounts);
        load.progress(CALLS).await;
        strike(&mut health).await;
        load.progress(CALLS).await;
        let (promises, statuses) = load.stop().await;
        accounts.check(&client, &promises).await;
        unanswered.extend(statuses);
        told.push((accounts, promises));
    }
    unanswered.iter().for_each(says_that_nobody_knows);
    for (accounts, promises) in told {
        accounts.check(&client, &promises).await;
    }
}

/// What callers are told while the database is away, and nothing else.
fn says_that_nobody_knows(status: &Status) {
    let error = Error::of(status).unwrap_or_else(|| panic!("not from us: {status:?}"));
    match error.code {
        Code::Unavailable => {
            assert_eq!(error.reason, ErrorReason::StoreUnavailable, "{status:?}");
            assert!(error.retry.is_some(), "{status:?}");
        }
        Code::DeadlineExceeded => {}
        _ => panic!("{status:?}"),
    }
}

async fn run(server: &Server, statements: &str) {
    let mut connection = PgConnection::connect(server.url()).await.expect("it answers");
    let done = sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await;
    done.expect("it is done");
    connection.close().await.expect("it can be left");
}
