//! Callers go away, the service is killed: what was acknowledged is there, what was refused is not,
//! and what nobody knows is there once or not at all.

use std::time::Duration;
use tests::{
    process::Home,
    promises::{Accounts, Known, Load, Promises},
};
use tokio::task::JoinSet;

/// A few: a connection on which too many give up at once is closed, and then all of them have.
const CALLERS_PER_CONNECTION: u32 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_cancelled_at_random_moments_lose_and_double_nothing_on_sqlite() {
    cancelled_calls_lose_and_double_nothing(Home::sqlite()).await;
}

/// What a plain pool loses in the same case is in `plain_pool.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_cancelled_at_random_moments_lose_and_double_nothing_on_postgres() {
    cancelled_calls_lose_and_double_nothing(Home::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_and_double_nothing_on_sqlite() {
    kills_under_load_lose_and_double_nothing(Home::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_and_double_nothing_on_postgres() {
    kills_under_load_lose_and_double_nothing(Home::postgres().await).await;
}

async fn cancelled_calls_lose_and_double_nothing(home: Home) {
    let process = home.start(&[]).await;
    let mut client = process.client().await;
    let accounts = Accounts::fill(&client, "").await;
    let mut callers = JoinSet::new();
    for caller in 0..50 {
        // A connection on which too many give up at once is closed on all of them.
        if caller % CALLERS_PER_CONNECTION == 0 {
            client = process.client().await;
        }
        let (client, accounts) = (client.clone(), accounts.clone());
        callers.spawn(async move {
            let mut promises = Promises::new();
            for number in 0..200 {
                // From before it is sent until long after the answer, on any machine.
                let patience = Duration::from_micros(1 << fastrand::u32(7..21));
                let key = format!("{caller}-{number}");
                // If it is closed all the same, that is no answer either.
                drop(accounts.debit(&client, key, patience, &mut promises).await);
            }
            promises
        });
    }
    let promises: Promises = callers.join_all().await.into_iter().flatten().collect();
    assert_eq!(promises.len(), 10_000);
    let nothing = promises.values().filter(|it| matches!(it, Known::Nothing)).count();
    assert!((500..9_500).contains(&nothing), "moments are random: {nothing} cancelled");
    accounts.settle(&client).await;
    accounts.check(&client, &promises).await;
    assert_eq!(process.terminate().await, Some(0));
}

async fn kills_under_load_lose_and_double_nothing(home: Home) {
    let mut told = Vec::new();
    for round in 0..20 {
        let process = home.start(&[]).await;
        let client = process.client().await;
        let accounts = Accounts::fill(&client, &format!("-{round}")).await;
        let mut load = Load::start(&client, &accounts);
        load.progress(fastrand::u64(1..300)).await;
        process.kill().await;
        told.push((accounts, load.stop().await.0));
    }
    let process = home.start(&[]).await;
    let client = process.client().await;
    for (accounts, promises) in told {
        accounts.check(&client, &promises).await;
    }
    assert_eq!(process.terminate().await, Some(0));
}
