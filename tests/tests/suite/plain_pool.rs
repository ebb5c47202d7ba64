//! Why `.clippy.toml` bans `Pool::begin`: a plain pool loses acknowledged writes when callers give up
//! while it begins a transaction. Service and pool are held against each other in `crash.rs`, where
//! 10,000 callers of the service give up.

use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};
use tests::postgres;
use tokio::time::timeout;

/// A future may be given up whenever it waits; `begin` waits for a few answers at most.
const WAITS_MAX: u32 = 6;

/// How often each of these moments is tried until something is lost.
const ROUNDS_MAX: u32 = 200;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_plain_pool_loses_acknowledged_rows_when_begin_is_cancelled() {
    let database = postgres::database().await;
    let mut connection = database.connect().await;
    let create = sqlx::raw_sql("CREATE TABLE public.acknowledged (number bigint)");
    create.execute(&mut connection).await.expect("a table");
    let (mut acknowledged, mut found) = (0_i64, 0_i64);
    for round in 1..=ROUNDS_MAX {
        let options = PgPoolOptions::new().max_connections(1);
        let pool = options.connect(database.url()).await.expect("it answers");
        for waits in 1..=WAITS_MAX {
            give_up_beginning(&pool, waits).await;
            // The next user of the connection begins nothing, and is told that it is done.
            let insert =
                sqlx::query("INSERT INTO public.acknowledged VALUES ($1)").bind(acknowledged);
            let inserted = timeout(PATIENCE, insert.execute(&pool)).await.expect("in time");
            assert_eq!(inserted.expect("acknowledged").rows_affected(), 1);
            acknowledged += 1;
        }
        timeout(PATIENCE, pool.close()).await.expect("in time");
        let count = sqlx::query_scalar("SELECT count(*) FROM public.acknowledged");
        found = count.fetch_one(&mut connection).await.expect("a number");
        if found < acknowledged {
            println!(
                "round {round}: {} of {acknowledged} acknowledged rows are lost",
                acknowledged - found
            );
            return;
        }
    }
    panic!(
        "all of {acknowledged} acknowledged rows are there ({found}): if this version of sqlx has \
         mended it, the bans in .clippy.toml can go, and this test with them"
    );
}

/// Begins a transaction, and gives up when it waits for the so-manieth time.
#[expect(clippy::disallowed_methods, reason = "shows what happens then")]
async fn give_up_beginning(pool: &PgPool, waits: u32) {
    let mut begin = pin!(pool.begin());
    let mut left = waits;
    let gave_up = poll_fn(|context| match begin.as_mut().poll(context) {
        Poll::Ready(begun) => Poll::Ready(begun.map(drop)),
        Poll::Pending => {
            left -= 1;
            if left == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
        }
    });
    timeout(PATIENCE, gave_up).await.expect("in time").expect("PostgreSQL doesn't mind");
}
