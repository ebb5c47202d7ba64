//! BulkCredit: each row once, whatever ends the stream, and nobody else waits for it.

use futures::stream::{self, Stream, StreamExt as _};
use proto::{
    catalog::Catalog,
    reason::{self, Error},
    v1::{self, ErrorReason, admin_service_client::AdminServiceClient},
};
use std::time::Duration;
use tests::{
    health::Health,
    postgres::{Options, Server},
    process::{Home, Process},
    world::{On, World},
};
use token_service::identity::{Caller, Scope};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

/// Rows of a stream that is interrupted.
const ROWS: i64 = 4_000;

/// Each account gets so many of them.
const ROWS_PER_ACCOUNT: i64 = 4;

/// The most rows of a stream.
const ROWS_MAX: usize = 100_000;

fn row(number: i64) -> v1::BulkCreditRequest {
    let credit = v1::CreditRequest {
        account_id: format!("account-{}", number / ROWS_PER_ACCOUNT),
        idempotency_key: format!("row-{number}"),
        amount: 1 + number,
        kind: v1::GrantKind::Promotional.into(),
        description: "a gift".to_owned(),
        ..v1::CreditRequest::default()
    };
    v1::BulkCreditRequest { credit: Some(credit) }
}

fn rows() -> impl Stream<Item = v1::BulkCreditRequest> + Send + 'static {
    stream::iter((0..ROWS).map(row))
}

async fn bulk(
    process: &Process,
    rows: impl Stream<Item = v1::BulkCreditRequest> + Send + 'static,
) -> Result<v1::BulkCreditResponse, Status> {
    let mut admin = AdminServiceClient::new(process.channel().await);
    Ok(admin.bulk_credit(rows).await?.into_inner())
}

/// Waits until a row is credited.
async fn credited(process: &Process, number: i64) {
    let mut client = process.client().await;
    let credit = row(number).credit.expect("it has one");
    let name = v1::get_transaction_request::Name::IdempotencyKey(credit.idempotency_key);
    let request = v1::GetTransactionRequest { account_id: credit.account_id, name: Some(name) };
    while client.get_transaction(request.clone()).await.is_err() {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Every row is credited once, in its account's order.
async fn each_row_is_there_once(process: &Process) {
    let mut client = process.client().await;
    for account in 0..ROWS / ROWS_PER_ACCOUNT {
        let account_id = format!("account-{account}");
        let request = v1::ListTransactionsRequest { account_id, ..Default::default() };
        let found = client.list_transactions(request).await.expect("it is there").into_inner();
        let found = found.transactions.into_iter().rev();
        let found: Vec<(String, i64)> = found.map(|it| (it.idempotency_key, it.amount)).collect();
        let numbers = account * ROWS_PER_ACCOUNT..(account + 1) * ROWS_PER_ACCOUNT;
        let expected: Vec<(String, i64)> =
            numbers.map(|number| (format!("row-{number}"), 1 + number)).collect();
        assert_eq!(found, expected);
    }
}

/// Sends all rows again: each is credited now or was before, and then a third time: all of them were.
async fn resumes(process: &Process) {
    let answer = bulk(process, rows()).await.expect("all rows");
    assert_eq!((answer.credited + answer.replayed, answer.failed), (ROWS, 0), "{answer:?}");
    assert!(answer.replayed > 0 && answer.credited > 0, "in the middle: {answer:?}");
    each_row_is_there_once(process).await;
    let again = bulk(process, rows()).await.expect("all rows");
    let expected = v1::BulkCreditResponse { replayed: ROWS, ..Default::default() };
    assert_eq!(again, expected);
    each_row_is_there_once(process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_a_kill_has_interrupted_goes_on_on_sqlite() {
    a_stream_that_a_kill_has_interrupted_goes_on(&Home::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_a_kill_has_interrupted_goes_on_on_postgres() {
    a_stream_that_a_kill_has_interrupted_goes_on(&Home::postgres().await).await;
}

async fn a_stream_that_a_kill_has_interrupted_goes_on(home: &Home) {
    let process = home.start(&[]).await;
    // A client that never comes to its end: whatever the service's pace, it is killed in the middle.
    let endless = rows().take(usize::try_from(ROWS / 2).expect("a few")).chain(stream::pending());
    let channel = process.channel().await;
    let mut calls = JoinSet::new();
    calls.spawn(async move { AdminServiceClient::new(channel).bulk_credit(endless).await });
    credited(&process, fastrand::i64(300..ROWS / 2)).await;
    process.kill().await;
    let broken = calls.join_next().await.expect("a call").expect("no panic");
    broken.expect_err("nobody answers");
    let process = home.start(&[]).await;
    resumes(&process).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_in_the_middle_loses_and_doubles_nothing() {
    let home = Home::sqlite();
    let process = home.start(&[]).await;
    for gone_after in [1, 700, 1_500] {
        let endless = rows().take(usize::try_from(gone_after).expect("a few"));
        let channel = process.channel().await;
        let mut calls = JoinSet::new();
        calls.spawn(async move {
            let endless = endless.chain(stream::pending());
            AdminServiceClient::new(channel).bulk_credit(endless).await
        });
        credited(&process, gone_after - 1).await;
        calls.shutdown().await;
    }
    resumes(&process).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_ends_the_stream_and_says_how_far_it_came() {
    let mut server = Server::start(Options::default()).await;
    let home = Home::at(server.url());
    let process = home.start(&[]).await;
    let mut health = Health::of(&process).await;
    health.becomes(Serving).await;
    let (send, receive) = mpsc::channel(64);
    let channel = process.channel().await;
    let mut calls = JoinSet::new();
    calls.spawn(async move {
        AdminServiceClient::new(channel).bulk_credit(ReceiverStream::new(receive)).await
    });
    for number in 0..1_000 {
        send.send(row(number)).await.expect("it listens");
    }
    credited(&process, 900).await;
    server.kill().await;
    let mut number = 1_000;
    // Rows go on coming, until it stops to listen.
    while number < ROWS && send.send(row(number)).await.is_ok() {
        number += 1;
    }
    drop(send);
    let status = calls.join_next().await.expect("a call").expect("no panic");
    let error = Error::of(&status.expect_err("the database is away")).expect("a reason");
    assert_eq!((error.code, error.reason), (Code::Unavailable, ErrorReason::StoreUnavailable));
    let done: i64 = error.metadata["rows_done"].parse().expect("a number");
    assert!((901..ROWS).contains(&done), "{done} rows");
    assert!(error.message.contains("repeat the same stream"), "{}", error.message);
    assert!(error.retry.is_some());
    health.becomes(NotServing).await;
    server.restart().await;
    health.becomes(Serving).await;
    resumes(&process).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_stops_ends_the_stream_and_says_how_far_it_came() {
    let home = Home::sqlite();
    let process = home.start(&[]).await;
    let endless = rows().take(10).chain(stream::pending());
    let channel = process.channel().await;
    let mut calls = JoinSet::new();
    calls.spawn(async move { AdminServiceClient::new(channel).bulk_credit(endless).await });
    credited(&process, 9).await;
    assert_eq!(process.terminate().await, Some(0), "it waits for nobody who never comes to an end");
    let status = calls.join_next().await.expect("a call").expect("no panic");
    let error = Error::of(&status.expect_err("it stops")).expect("a reason");
    assert_eq!((error.code, error.reason), (Code::Unavailable, ErrorReason::Overloaded));
    assert_eq!(error.metadata["rows_done"], "10");
    let process = home.start(&[]).await;
    resumes(&process).await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn rows_fail_alone_on_sqlite() {
    rows_fail_alone(On::Sqlite).await;
}

#[tokio::test]
async fn rows_fail_alone_on_postgres() {
    rows_fail_alone(On::Postgres).await;
}

async fn rows_fail_alone(on: On) {
    let wire = World::wire(&Catalog::load("phoenix").expect("shipped"), on).await;
    let good = |number| row(number).credit.expect("it has one");
    let trial = |number| v1::CreditRequest {
        account_id: "tried".to_owned(),
        kind: v1::GrantKind::Trial.into(),
        ..good(number)
    };
    let credits = vec![
        Some(good(0)),
        None,
        Some(v1::CreditRequest { amount: 0, ..good(2) }),
        Some(v1::CreditRequest { account_id: "nul\0".to_owned(), ..good(3) }),
        Some(v1::CreditRequest { account_id: "long".repeat(100), amount: -1, ..good(4) }),
        Some(trial(5)),
        Some(trial(6)),
        Some(good(0)),
        Some(v1::CreditRequest { amount: 77, ..good(0) }),
        Some(v1::CreditRequest { kind: v1::GrantKind::Earned.into(), ..good(9) }),
        Some(good(10)),
    ];
    let rows = stream::iter(credits.into_iter().map(|credit| v1::BulkCreditRequest { credit }));
    let answer = wire.admin().bulk_credit(rows).await.expect("an answer").into_inner();
    let figures = (answer.credited, answer.replayed, answer.failed, answer.amount);
    assert_eq!(figures, (3, 1, 7, 1 + 6 + 11), "{answer:?}");
    let failures = answer.failures.iter().map(|it| {
        let refusal = it.refusal.as_ref().expect("it says why");
        (it.row, it.account_id.len(), refusal.reason())
    });
    let malformed = ErrorReason::InvalidField;
    let expected = [
        (1, 0, malformed),
        (2, 9, malformed),
        (3, 4, malformed),
        (4, 255, malformed),
        (6, 5, ErrorReason::TrialAlreadyGranted),
        (8, 9, ErrorReason::IdempotencyKeyReused),
        (9, 9, malformed),
    ];
    assert_eq!(failures.collect::<Vec<_>>(), expected);
    assert_eq!(answer.failures[5].idempotency_key, "row-0");
    wire.into_world().stop().await;
}

#[tokio::test]
async fn a_stream_has_so_many_rows_and_tells_so_many_failures() {
    let wire = World::wire(&Catalog::load("phoenix").expect("shipped"), On::Sqlite).await;
    // Rows that are refused at once, but for the first.
    let bad = || stream::repeat(v1::BulkCreditRequest { credit: None });
    let rows = stream::iter([row(0)]).chain(bad().take(1_200));
    let answer = wire.admin().bulk_credit(rows).await.expect("an answer").into_inner();
    assert_eq!((answer.credited, answer.failed), (1, 1_200));
    let told = answer.failures.iter().map(|failure| failure.row);
    assert!(told.eq(1..=1_000), "the first ones");

    let as_many = stream::iter([row(0), row(1)]).chain(bad().take(ROWS_MAX - 2));
    let answer = wire.admin().bulk_credit(as_many).await.expect("an answer").into_inner();
    assert_eq!((answer.credited, answer.replayed, answer.failed), (1, 1, 99_998));
    let too_many = stream::iter([row(0), row(2)]).chain(bad().take(ROWS_MAX - 1));
    let status = wire.admin().bulk_credit(too_many).await.expect_err("one too many");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let (reason, figures) = reason::refusal(&status).expect("a reason");
    assert_eq!(reason, ErrorReason::LimitExceeded);
    assert_eq!((&*figures["limit"], &*figures["maximum"]), ("bulk_credit_rows", "100000"));
    let answer = wire.admin().bulk_credit(stream::iter([row(2)])).await.expect("an answer");
    assert_eq!(answer.into_inner().replayed, 1, "what was credited before stays");
    wire.into_world().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_find_room_beside_bulk_work() {
    let home = Home::sqlite();
    let process = home.start(&["--queue-capacity-commands=1000"]).await;
    let mut calls = JoinSet::new();
    for stream in 0..8 {
        let rows = (0..1_000).map(move |number| {
            let mut row = row(number);
            if let Some(credit) = &mut row.credit {
                credit.account_id = format!("stream-{stream}");
            }
            row
        });
        let channel = process.channel().await;
        calls.spawn(async move {
            AdminServiceClient::new(channel).bulk_credit(stream::iter(rows)).await
        });
    }
    let client = process.client().await;
    let (mut others, mut number) = (JoinSet::new(), 0);
    while !calls.is_empty() {
        // Half of the queue at once.
        for _ in 0..400 {
            let mut client = client.clone();
            let credit = v1::CreditRequest {
                account_id: format!("other-{}", number % 7),
                ..row(number).credit.expect("it has one")
            };
            number += 1;
            others.spawn(async move { client.credit(credit).await });
        }
        while let Some(credited) = others.join_next().await {
            credited.expect("no panic").expect("there is room");
        }
        while let Some(answer) = calls.try_join_next() {
            let answer = answer.expect("no panic").expect("an answer").into_inner();
            assert_eq!((answer.credited, answer.failed), (1_000, 0));
        }
    }
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test]
async fn a_row_that_its_caller_may_not_name_ends_the_stream() {
    let world = World::start(&Catalog::load("phoenix").expect("shipped"), On::Sqlite).await;
    let caller = Caller::new("shop").with_scopes([Scope::Admin]).with_prefix("account-0");
    let theirs = |number| Ok(row(number));
    let others = || Ok(row(7 * ROWS_PER_ACCOUNT));
    let mut for_others = row(2);
    if let Some(credit) = &mut for_others.credit {
        credit.on_behalf_of = "somebody".to_owned();
    }
    for denied in [others(), Ok(for_others)] {
        let rows = stream::iter([theirs(0), theirs(1), denied, theirs(3)]);
        let status = world.api().bulk_credit(&caller, rows).await.expect_err("it isn't theirs");
        let error = Error::of(&status).expect("a reason");
        assert_eq!((error.code, error.reason), (Code::PermissionDenied, ErrorReason::ScopeMissing));
        let figures = (&*error.metadata["row"], &*error.metadata["rows_done"]);
        assert_eq!(figures, ("2", "2"));
    }
    let rows = stream::iter([theirs(0), theirs(1), theirs(3)]);
    let answer = world.api().bulk_credit(&caller, rows).await.expect("these are");
    assert_eq!((answer.credited, answer.replayed), (1, 2));
    world.stop().await;
}
