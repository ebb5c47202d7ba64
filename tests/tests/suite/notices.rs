//! Events beside the changes of a balance: below a threshold, and before a grant expires.

use prost_types::Timestamp;
use proto::{
    catalog::Catalog,
    v1::{
        CaptureHoldRequest, CreateHoldRequest, CreditRequest, DebitRequest, GrantKind,
        SetClawbackRequest, TransferRequest, UpdateAccountRequest, WatchEventsRequest,
        WatchEventsResponse, watch_events_response::Event,
    },
};
use std::time::Duration;
use tests::{
    target::{Call, Reply, Target as _},
    world::{On, Wire, World},
};
use tokio::time::timeout;
use tonic::Streaming;

/// How long an event may take that is sure to come.
const PATIENCE: Duration = Duration::from_secs(30);

const DAY_SECONDS: i64 = 86_400;

const ALICE: &str = "alice";

#[tokio::test]
async fn falling_below_the_threshold_is_told_once_each_time_on_sqlite() {
    falling_below_the_threshold_is_told_once_each_time(On::Sqlite).await;
}

#[tokio::test]
async fn falling_below_the_threshold_is_told_once_each_time_on_postgres() {
    falling_below_the_threshold_is_told_once_each_time(On::Postgres).await;
}

#[tokio::test]
async fn followers_are_told_30_and_7_and_1_days_before_a_grant_expires_on_sqlite() {
    followers_are_told_before_a_grant_expires(On::Sqlite).await;
}

#[tokio::test]
async fn followers_are_told_30_and_7_and_1_days_before_a_grant_expires_on_postgres() {
    followers_are_told_before_a_grant_expires(On::Postgres).await;
}

async fn falling_below_the_threshold_is_told_once_each_time(on: On) {
    let mut wire = World::wire(&phoenix(), on).await;
    call(&mut wire, credit("200", 200)).await;
    let threshold = UpdateAccountRequest {
        account_id: ALICE.to_owned(),
        low_balance_threshold: Some(150),
        ..UpdateAccountRequest::default()
    };
    call(&mut wire, threshold).await;
    for (key, amount) in [("to-150", 50), ("to-140-told", 10), ("to-130", 10)] {
        call(&mut wire, debit(key, amount)).await;
    }
    call(&mut wire, credit("to-230", 100)).await;
    hold_and_capture(&mut wire, "to-149-told", 81).await;
    call(&mut wire, credit("to-249", 100)).await;
    let transfer = TransferRequest {
        account_id: ALICE.to_owned(),
        idempotency_key: "to-148-told".to_owned(),
        to_account_id: "bob".to_owned(),
        amount: 101,
        ..TransferRequest::default()
    };
    call(&mut wire, transfer).await;

    // Neither a clawback nor a lapse is spending.
    call(&mut wire, credit("to-158", 10)).await;
    for (revision, target) in [(1, 10), (2, 0)] {
        let clawback = SetClawbackRequest {
            account_id: ALICE.to_owned(),
            idempotency_key: format!("clawback-{target}"),
            credit_key: "to-158".to_owned(),
            target,
            revision,
            ..SetClawbackRequest::default()
        };
        call(&mut wire, clawback).await;
    }
    let lapses = CreditRequest { priority: 1, ..expiring("to-168", 1) };
    call(&mut wire, lapses).await;
    call(&mut wire, debit("to-151", 17)).await;
    wire.set_time(micros(2));
    call(&mut wire, debit("to-140-from-141", 1)).await;

    let mut stream = events(&wire).await;
    let mut told = Vec::new();
    loop {
        match next(&mut stream).await {
            Event::BelowThreshold(it) => {
                assert_eq!(it.threshold, 150);
                told.push(it.balance.expect("a balance").available);
            }
            // It is the last.
            Event::BalanceChanged(it) if it.amount == -1 => break,
            Event::BalanceChanged(_) | Event::GrantExpiring(_) => {}
        }
    }
    assert_eq!(told, [140, 149, 148]);
    drop(stream);
    wire.into_world().stop().await;
}

async fn hold_and_capture(wire: &mut Wire, key: &str, amount: i64) {
    let hold = CreateHoldRequest {
        account_id: ALICE.to_owned(),
        idempotency_key: key.to_owned(),
        amount,
        ..CreateHoldRequest::default()
    };
    let Reply::CreateHold(held) = call(wire, hold).await else { panic!("another answer") };
    let capture = CaptureHoldRequest {
        account_id: ALICE.to_owned(),
        idempotency_key: format!("{key}-captured"),
        hold_id: held.hold.expect("a hold").hold_id,
        amount: Some(amount),
        ..CaptureHoldRequest::default()
    };
    call(wire, capture).await;
}

async fn followers_are_told_before_a_grant_expires(on: On) {
    let world = World::start_sweeping(&phoenix(), on, Duration::from_millis(10)).await;
    let mut wire = world.into_wire().await;
    for days in [40, 30, 8, 1] {
        call(&mut wire, expiring(&format!("{days}"), days)).await;
    }
    call(&mut wire, CreditRequest { priority: -1, ..expiring("spent", 20) }).await;
    call(&mut wire, debit("spends-it", 10)).await;

    // When, on which grant, and how many days it has left.
    let expected =
        [(1, 8, 7), (7, 8, 1), (10, 40, 30), (23, 30, 7), (29, 30, 1), (33, 40, 7), (39, 40, 1)];
    let mut stream = events(&wire).await;
    for (day, of, left) in expected {
        wire.set_time(micros(day));
        assert_eq!(notice(&mut stream).await, (of * DAY_SECONDS, left), "on day {day}");
    }
    // Of days that passed unseen nobody is told.
    let late = CreditRequest { account_id: "late".to_owned(), ..expiring("100", 100) };
    call(&mut wire, late).await;
    wire.set_time(micros(99));
    assert_eq!(notice(&mut stream).await, (100 * DAY_SECONDS, 1));
    drop(stream);

    // Each of them once.
    let mut stream = events(&wire).await;
    let expected = expected.map(|(_, of, left)| (of * DAY_SECONDS, left));
    for expected in expected.into_iter().chain([(100 * DAY_SECONDS, 1)]) {
        assert_eq!(notice(&mut stream).await, expected);
    }
    drop(stream);
    wire.into_world().stop().await;
}

/// When the grant of the next notice expires, in seconds, and the days that it has left.
async fn notice(stream: &mut Streaming<WatchEventsResponse>) -> (i64, i32) {
    loop {
        if let Event::GrantExpiring(told) = next(stream).await {
            let expire = told.grant.expect("a grant").expire_time.expect("it expires");
            return (expire.seconds, told.days_left);
        }
    }
}

async fn events(wire: &Wire) -> Streaming<WatchEventsResponse> {
    let request = WatchEventsRequest { cursor: "start".to_owned(), account_id: String::new() };
    wire.client().clone().watch_events(request).await.expect("a stream").into_inner()
}

async fn next(stream: &mut Streaming<WatchEventsResponse>) -> Event {
    let answer = timeout(PATIENCE, stream.message()).await.expect("in time");
    answer.expect("an event").expect("it goes on").event.expect("it says what")
}

fn credit(key: &str, amount: i64) -> CreditRequest {
    CreditRequest {
        account_id: ALICE.to_owned(),
        idempotency_key: key.to_owned(),
        amount,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    }
}

/// 10 tokens that expire after so many days from 1970 on.
fn expiring(key: &str, days: i64) -> CreditRequest {
    let expire_time = Some(Timestamp { seconds: days * DAY_SECONDS, nanos: 0 });
    CreditRequest { expire_time, ..credit(key, 10) }
}

fn debit(key: &str, amount: i64) -> DebitRequest {
    DebitRequest {
        account_id: ALICE.to_owned(),
        idempotency_key: key.to_owned(),
        amount,
        ..DebitRequest::default()
    }
}

async fn call(wire: &mut Wire, call: impl Into<Call>) -> Reply {
    wire.call(call.into()).await.expect("accepted")
}

fn micros(days: i64) -> i64 {
    days * DAY_SECONDS * 1_000_000
}

fn phoenix() -> Catalog {
    Catalog::load("phoenix").expect("shipped")
}
