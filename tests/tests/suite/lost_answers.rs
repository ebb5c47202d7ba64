//! Batches that can't be committed as they are: one job is at fault, or the answer to COMMIT is lost.
//! Whoever has nothing to do with it notices nothing.

use proto::{
    reason::Error,
    v1::{ErrorReason, GetBalanceRequest},
};
use sqlx::{Connection as _, PgConnection};
use std::{collections::BTreeSet, time::Duration};
use tests::{
    postgres::{Options, Server},
    process::Home,
    promises::{Accounts, Client, Known, Load, credit, request},
    proxy::Proxy,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::{Code, Status};

/// Answers that get lost.
const LOST: u32 = 50;

/// How long that may take under load.
const PATIENCE: Duration = Duration::from_secs(120);

/// What keeps the committer waiting.
const SHUT: &str = "BEGIN; SELECT FROM ledger.accounts WHERE account_id = 'gate' FOR UPDATE";

/// For how long: others must have queued by then.
const SHUT_TIME: Duration = Duration::from_millis(500);

/// Jobs beside the one that can't be committed.
const NEIGHBOURS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_commit_whose_answer_is_lost_gets_the_answer_to_what_they_asked() {
    let server = Server::start(Options::default()).await;
    let mut proxy = Proxy::start(server.url()).await;
    let process = Home::at(proxy.url());
    let process = process.start(&["--committers=2"]).await;
    let client = process.client().await;
    let accounts = Accounts::fill(&client, "").await;
    let mut load = Load::start(&client, &accounts);
    // Each caller checks that it isn't told of a repetition.
    timeout(PATIENCE, proxy.lose(LOST)).await.expect("answers are lost");
    load.progress(100).await;
    let (promises, unanswered) = load.stop().await;
    assert!(unanswered.is_empty(), "everybody is answered: {unanswered:?}");
    assert!(promises.values().all(|known| !matches!(known, Known::Nothing)));
    accounts.check(&client, &promises).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cant_be_committed_fails_alone() {
    let home = Home::postgres().await;
    let process = home.start(&[]).await;
    let client = process.client().await;
    let neighbours: Vec<String> = (0..NEIGHBOURS).map(|number| format!("n{number}")).collect();
    for account in neighbours.iter().map(String::as_str).chain(["gate", "poison"]) {
        credit(&client, account, 1).await;
    }
    let mut database = PgConnection::connect(home.url()).await.expect("it answers");
    let refuse = "ALTER TABLE ledger.accounts ADD CHECK (account_id <> 'poison' OR sequence < 2)";
    run(&mut database, refuse).await;
    let before = commits(&mut database).await;

    // While the first job waits for the gate's row, the others queue.
    run(&mut database, SHUT).await;
    let mut callers = JoinSet::new();
    callers.spawn(debit(client.clone(), "gate".to_owned()));
    while !is_somebody_waiting(&mut database).await {}
    for account in neighbours.iter().map(String::as_str).chain(["poison"]) {
        callers.spawn(debit(client.clone(), account.to_owned()));
    }
    let since = Instant::now();
    while since.elapsed() < SHUT_TIME {
        let query = GetBalanceRequest { account_id: "gate".to_owned(), ..Default::default() };
        client.clone().get_balance(query).await.expect("reads go on");
    }
    run(&mut database, "COMMIT").await;

    let mut done = BTreeSet::new();
    for (account, answer) in callers.join_all().await {
        let Err(status) = answer else {
            assert!(done.insert(account));
            continue;
        };
        assert_eq!((account.as_str(), status.code()), ("poison", Code::Internal));
        assert_eq!(Error::of(&status).expect("ours").reason, ErrorReason::Internal);
        assert!(!status.message().contains("check"), "the cause stays in the log: {status}");
    }
    assert_eq!(done.len(), NEIGHBOURS + 1, "all but one");
    let commits = commits(&mut database).await - before;
    assert!(commits < i64::try_from(NEIGHBOURS / 2).expect("few"), "they shared {commits} commits");
    assert_eq!(process.terminate().await, Some(0));
}

async fn debit(mut client: Client, account: String) -> (String, Result<(), Status>) {
    let answer = client.debit(request(&account, "d")).await;
    (account, answer.map(|answer| assert!(!answer.into_inner().replayed)))
}

async fn run(database: &mut PgConnection, statements: &'static str) {
    sqlx::raw_sql(statements).execute(database).await.expect("it is done");
}

async fn is_somebody_waiting(database: &mut PgConnection) -> bool {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                   AND datname = current_database())";
    sqlx::query_scalar(waiting).fetch_one(database).await.expect("an answer")
}

async fn commits(database: &mut PgConnection) -> i64 {
    let count = "SELECT count(*) FROM ledger.commits";
    sqlx::query_scalar(count).fetch_one(database).await.expect("a number")
}
