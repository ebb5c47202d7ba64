//! What strangers try: each attack on a service, and what became of it. The suite says what must; the
//! bench measures what others notice of it.

use crate::http2::{Frame, Raw, WINDOW_MAX, frame};
use std::{collections::BTreeSet, time::Duration};
use tokio::{task::JoinSet, time::interval};

/// Connections that never send a byte.
const SILENT: usize = 500;

/// Connections that stop in the middle of a call's headers.
const HALF_OPEN: usize = 200;

/// Streams that are opened and given up, or made to be given up.
const RESETS: u32 = 20_000;

/// Streams that are opened at once.
const STREAMS: u32 = 5_000;

/// A method that reads its request.
const METHOD: &str = "/token.v1.TokenService/Debit";

/// Connects in silence, stops in the middle of headers, and sends a body of 100 bytes, one of them a
/// second; returns when all of these are ended.
pub async fn stand_still(address: &str) {
    let mut strangers = Vec::new();
    for _ in 0..SILENT {
        strangers.push(Raw::connect(address).await);
    }
    for _ in 0..HALF_OPEN {
        let mut raw = Raw::greet(address).await;
        // Without the flag of the last frame.
        raw.send(&Frame { flags: 0, ..frame::headers(1, METHOD) }).await;
        strangers.push(raw);
    }
    let mut slow = Raw::greet(address).await;
    slow.send(&frame::headers(1, METHOD)).await;
    slow.send(&frame::data(1, &[0, 0, 0, 0, 100])).await;
    let mut ended = JoinSet::new();
    ended.spawn(async move {
        let mut ticks = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                _ = ticks.tick() => slow.send(&frame::data(1, b"x")).await,
                answer = slow.next() => match answer {
                    Some(answer) if answer.ends(1) => return,
                    Some(_) => {}
                    None => return,
                },
            }
        }
    });
    for mut stranger in strangers {
        stranger.closed().await;
    }
    ended.join_all().await;
}

/// Opens 20,000 streams and gives each up at once; the error code with which it is sent away.
pub async fn reset(address: &str) -> Option<u32> {
    each_stream(address, frame::reset).await
}

/// Opens 20,000 streams and makes the service give each up; the error code with which it is sent away.
pub async fn make_reset(address: &str) -> Option<u32> {
    // A window that is too large is an error of its stream, which the service then resets.
    each_stream(address, |stream| frame::window_update(stream, WINDOW_MAX)).await
}

async fn each_stream(address: &str, then: fn(u32) -> Frame) -> Option<u32> {
    let mut raw = Raw::greet(address).await;
    for stream in numbers(RESETS) {
        if raw.try_send(&[frame::headers(stream, METHOD), then(stream)]).await.is_err() {
            break;
        }
    }
    raw.goaway().await
}

/// Opens 5,000 streams at once; those that are refused.
pub async fn open_many(address: &str) -> BTreeSet<u32> {
    let mut raw = Raw::greet(address).await;
    for stream in numbers(STREAMS) {
        if raw.try_send(&[frame::headers(stream, METHOD)]).await.is_err() {
            break;
        }
    }
    raw.refused().await
}

/// The first numbers of streams that clients open.
fn numbers(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}
