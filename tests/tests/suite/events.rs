//! WatchEvents and WatchBalance: whoever follows sees everything in order, on whichever replica, and
//! holds up nobody.

use proto::{
    reason::Error,
    v1::{
        BatchCommand, BatchMode, BatchRequest, ErrorReason, GetBalanceRequest, TransferRequest,
        WatchBalanceRequest, WatchEventsRequest, batch_command::Command,
    },
};
use sqlx::{Connection as _, PgConnection};
use std::time::Duration;
use tests::{
    follower::{Follower, watch},
    process::{Home, run},
    promises::{Client, credit, request},
};
use tokio::{task::JoinSet, time::timeout};
use tonic::Code;

/// Calls of 100 commands that callers make.
const CALLS: usize = 1_000;

/// Commands of one call.
const COMMANDS: usize = 100;

/// One command in so many is a transfer, which has two entries.
const TRANSFER_ONE_IN: usize = 10;

/// Callers at a time, each with its accounts.
const CALLERS: usize = 20;

/// Accounts of each caller.
const ACCOUNTS: usize = 6;

/// Tokens of each account.
const FILLED: i64 = 1_000_000;

/// A follower goes on elsewhere after so many events at most.
const EVENTS_MAX: usize = 8_000;

/// How long a follower waits for what is sure to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Within which a follower elsewhere has the newest balance.
const NEWEST_WITHIN: Duration = Duration::from_secs(1);

/// Memory that a follower who doesn't read may cost.
const SLOW_READER_KIB_MAX: u64 = 32 * 1024;

/// Batches take their time before they are numbered, and again before what they did is visible.
const DELAYS: &str = "
    CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_sleep(random() * 0.02);
        RETURN NULL;
    END $$;
    CREATE TRIGGER before_the_number BEFORE INSERT ON ledger.entries
        EXECUTE FUNCTION public.dawdle();
    CREATE CONSTRAINT TRIGGER within_the_commit AFTER INSERT ON ledger.commits
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.dawdle()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_of_two_replicas_misses_none_of_100_000_transactions() {
    let home = Home::postgres().await;
    let replicas = [home.start(&["--committers=3"]).await, home.start(&["--committers=3"]).await];
    let clients = [replicas[0].client().await, replicas[1].client().await];
    let mut database = PgConnection::connect(home.url()).await.expect("it answers");
    sqlx::raw_sql(DELAYS).execute(&mut database).await.expect("commits take their time");
    for account in 0..CALLERS * ACCOUNTS {
        credit(&clients[0], &name(account), FILLED).await;
    }
    let mut callers = JoinSet::new();
    for (caller, client) in (0..CALLERS).zip(clients.iter().cycle()) {
        callers.spawn(post(client.clone(), caller, CALLS / CALLERS));
    }
    let entries = CALLERS * ACCOUNTS + CALLS * (COMMANDS + COMMANDS / TRANSFER_ONE_IN);
    let entries = i64::try_from(entries).expect("few");
    let mut follower = Follower::new("");
    for client in clients.iter().cycle() {
        if follower.entries() >= entries {
            break;
        }
        follower.follow(client, fastrand::usize(1..EVENTS_MAX), entries).await;
    }
    callers.join_all().await;
    assert_eq!(follower.newest().count(), CALLERS * ACCOUNTS);
    for (account, sequence) in follower.newest() {
        assert_eq!(sequence, newest(&clients[0], account).await, "{account}");
    }

    let (account, entries) = (name(7), newest(&clients[1], &name(7)).await);
    let mut of_one = Follower::new(&account);
    of_one.follow(&clients[1], usize::MAX, entries).await;
    assert_eq!(of_one.newest().collect::<Vec<_>>(), [(account.as_str(), entries)]);
    for replica in replicas {
        assert_eq!(replica.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_watches_a_balance_has_the_newest_within_a_second_of_a_commit_elsewhere() {
    let home = Home::postgres().await;
    let replicas = [home.start(&[]).await, home.start(&[]).await];
    let clients = [replicas[0].client().await, replicas[1].client().await];
    credit(&clients[1], "alice", FILLED).await;
    let asked = WatchBalanceRequest { account_id: "alice".to_owned() };
    let mut seen = clients[0].clone().watch_balance(asked).await.expect("a stream").into_inner();
    let mut newest = async |sequence: i64| {
        while let Some(state) = seen.message().await.expect("it goes on") {
            let balance = state.balance.expect("a balance");
            if balance.sequence == sequence {
                return balance.posted;
            }
        }
        panic!("the stream ends");
    };
    let mut sequence = 1;
    for burst in 0..20 {
        for number in 0..10 {
            let debit = request("alice", &format!("{burst}-{number}"));
            clients[1].clone().debit(debit).await.expect("debited");
            sequence += 1;
        }
        let posted = timeout(NEWEST_WITHIN, newest(sequence)).await.expect("within a second");
        assert_eq!(posted, FILLED - sequence + 1);
    }
}

#[tokio::test]
async fn a_cursor_of_another_stream_is_refused_on_sqlite() {
    cursors_of_other_streams_are_refused(&Home::sqlite()).await;
}

#[tokio::test]
async fn a_cursor_of_another_stream_is_refused_on_postgres() {
    cursors_of_other_streams_are_refused(&Home::postgres().await).await;
}

async fn cursors_of_other_streams_are_refused(home: &Home) {
    let process = home.start(&[]).await;
    let client = process.client().await;
    credit(&client, "alice", 3).await;
    let cursor = first_cursor(&client, "start").await;
    let (epoch, position) = cursor.split_once('.').expect("an epoch and a position");
    assert_eq!(position, "1");
    let beyond = format!("{epoch}.2");
    refused(&client, &beyond, Code::OutOfRange, ErrorReason::CursorInvalid).await;
    for nonsense in ["nonsense", ".", "1", &format!("{epoch}.-1"), &format!("{epoch}.1.1")] {
        refused(&client, nonsense, Code::InvalidArgument, ErrorReason::InvalidField).await;
    }
    drop(watch(&client, &at(&cursor)).await.expect("it is of this stream"));
    let restored = run(home.folder(), &["new-epoch", "--database", home.url()], &[]);
    assert_eq!(restored.status.code(), Some(0));
    refused(&client, &cursor, Code::OutOfRange, ErrorReason::CursorInvalid).await;
    let now = first_cursor(&client, "").await;
    assert!(now.ends_with(".1") && now != cursor, "{now}");
    drop(watch(&client, &at(&now)).await.expect("it is of this stream"));
}

async fn refused(client: &Client, cursor: &str, code: Code, reason: ErrorReason) {
    let Err(status) = watch(client, &at(cursor)).await else { panic!("{cursor} is taken") };
    let error = Error::of(&status).expect("ours");
    assert_eq!((error.code, error.reason), (code, reason), "{cursor}");
}

/// The cursor of the first answer to whoever comes with this one.
async fn first_cursor(client: &Client, cursor: &str) -> String {
    let mut stream = watch(client, &at(cursor)).await.expect("a stream");
    let first = timeout(PATIENCE, stream.message()).await.expect("in time");
    first.expect("an answer").expect("it goes on").cursor
}

fn at(cursor: &str) -> WatchEventsRequest {
    WatchEventsRequest { cursor: cursor.to_owned(), account_id: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_who_doesnt_read_costs_no_memory() {
    let home = Home::postgres().await;
    let process = home.start(&[]).await;
    let client = process.client().await;
    for account in 0..CALLERS * ACCOUNTS {
        credit(&client, &name(account), FILLED).await;
    }
    let busy = async |calls| {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(post(client.clone(), caller, calls));
        }
        callers.join_all().await;
    };
    // What the same work costs when nobody follows.
    busy(10).await;
    let before = process.memory_peak_kib();
    let slow = process.client().await;
    let mut stream = watch(&slow, &at("")).await.expect("a stream");
    let all = watch(&slow, &at("start")).await.expect("a stream");
    busy(10).await;
    let grown = process.memory_peak_kib().saturating_sub(before);
    assert!(grown < SLOW_READER_KIB_MAX, "{grown} KiB");
    // It finds everything when it reads at last.
    let first = stream.message().await.expect("an answer").expect("it goes on");
    assert!(first.event.is_none(), "this is where it began");
    drop((stream, all));
    let mut follower = Follower::new("");
    let entries = CALLERS * (ACCOUNTS + 20 * (COMMANDS + COMMANDS / TRANSFER_ONE_IN));
    let entries = i64::try_from(entries).expect("few");
    follower.follow(&slow, usize::MAX, entries).await;
    assert_eq!(follower.entries(), entries);
}

/// Debits of the caller's accounts, and transfers to the next caller's.
async fn post(mut client: Client, caller: usize, calls: usize) {
    let salt = fastrand::u64(..);
    for call in 0..calls {
        let command = |number: usize| {
            let own = name(caller * ACCOUNTS + (call + number) % ACCOUNTS);
            let key = format!("{salt}-{caller}-{call}-{number}");
            let command = if number.is_multiple_of(TRANSFER_ONE_IN) {
                let next = (caller + 1) % CALLERS;
                Command::Transfer(TransferRequest {
                    account_id: own,
                    idempotency_key: key,
                    amount: 1,
                    to_account_id: name(next * ACCOUNTS),
                    ..TransferRequest::default()
                })
            } else {
                Command::Debit(request(&own, &key))
            };
            BatchCommand { command: Some(command) }
        };
        let request = BatchRequest {
            commands: (0..COMMANDS).map(command).collect(),
            mode: BatchMode::Independent.into(),
            dry_run: false,
        };
        let results = client.batch(request).await.expect("a batch").into_inner().results;
        assert!(results.iter().all(|result| result.refusal.is_none()), "{results:?}");
    }
}

fn name(account: usize) -> String {
    format!("a{account}")
}

async fn newest(client: &Client, account: &str) -> i64 {
    let query = GetBalanceRequest { account_id: account.to_owned(), ..Default::default() };
    let answer = client.clone().get_balance(query).await.expect("a balance").into_inner();
    answer.balance.expect("a balance").sequence
}
