//! What strangers can do to the service: nothing that others notice.

use std::time::Duration;
use tests::{
    http2::{ENHANCE_YOUR_CALM, Frame, Raw, WINDOW_MAX, frame},
    process::{Home, Process},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Connections that never send a byte.
const SILENT: usize = 500;

/// Connections that stop in the middle of a call's headers.
const HALF_OPEN: usize = 200;

/// When all of them are gone.
const GONE: Duration = Duration::from_secs(10);

/// Streams that are opened and given up, or made to be given up.
const RESETS: u32 = 20_000;

/// Streams that are opened at once.
const STREAMS: u32 = 5_000;

/// How many of them are let in.
const STREAMS_MAX: u32 = 100;

/// What all of it may cost.
const MEMORY_KIB_MAX: u64 = 32 * 1024;

/// A service that strangers besiege, and what it had cost before.
struct Besieged {
    process: Process,
    memory_kib: u64,
    _home: Home,
}

impl Besieged {
    async fn start(arguments: &[&str]) -> Self {
        let home = Home::sqlite();
        let process = home.start(arguments).await;
        let memory_kib = process.memory_peak_kib();
        Self { process, memory_kib, _home: home }
    }

    async fn greet(&self) -> Raw {
        Raw::greet(&self.process.address).await
    }

    /// Others are answered.
    async fn answers(&self) {
        let mut health = HealthClient::new(self.process.channel().await);
        let answer = health.check(HealthCheckRequest::default()).await.expect("an answer");
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }

    /// It answers still, and has paid little.
    async fn end(self) {
        self.answers().await;
        let grown = self.process.memory_peak_kib().saturating_sub(self.memory_kib);
        assert!(grown < MEMORY_KIB_MAX, "{grown} KiB more");
        assert_eq!(self.process.terminate().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_in_the_middle_is_sent_away() {
    let besieged = Besieged::start(&[]).await;
    let since = Instant::now();
    let mut strangers = Vec::new();
    for _ in 0..SILENT {
        strangers.push(Raw::connect(&besieged.process.address).await);
    }
    for _ in 0..HALF_OPEN {
        let mut raw = besieged.greet().await;
        let headers = frame::headers(1, "/token.v1.TokenService/Debit");
        // Without the flag of the last frame.
        raw.send(&Frame { flags: 0, ..headers }).await;
        strangers.push(raw);
    }
    // A message of 100 bytes, one of them a second.
    let mut slow = besieged.greet().await;
    slow.send(&frame::headers(1, "/token.v1.TokenService/Debit")).await;
    slow.send(&frame::data(1, &[0, 0, 0, 0, 100])).await;
    let mut ended = JoinSet::new();
    ended.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
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
    besieged.answers().await;
    for mut stranger in strangers {
        let rest = GONE.saturating_sub(since.elapsed());
        timeout(rest, stranger.closed()).await.expect("gone in time");
    }
    let rest = GONE.saturating_sub(since.elapsed());
    timeout(rest, ended.join_all()).await.expect("ended in time");
    besieged.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_resets_stream_after_stream_is_sent_away() {
    let besieged = Besieged::start(&[]).await;
    let reset: fn(u32) -> Frame = |stream| frame::reset(stream);
    // A window that is too large is an error of its stream, which the service then resets.
    let make_reset: fn(u32) -> Frame = |stream| frame::window_update(stream, WINDOW_MAX);
    for then in [reset, make_reset] {
        let mut raw = besieged.greet().await;
        let opened = (0..RESETS).map(|number| 2 * number + 1);
        for stream in opened {
            let headers = frame::headers(stream, "/token.v1.TokenService/Debit");
            if raw.try_send(&[headers, then(stream)]).await.is_err() {
                break;
            }
        }
        assert_eq!(raw.goaway().await, Some(ENHANCE_YOUR_CALM), "told to go away");
        besieged.answers().await;
    }
    besieged.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_refused() {
    let besieged = Besieged::start(&[&format!("--concurrent-streams-max={STREAMS_MAX}")]).await;
    let mut raw = besieged.greet().await;
    let opened = (0..STREAMS).map(|number| 2 * number + 1);
    for stream in opened {
        let headers = frame::headers(stream, "/token.v1.TokenService/Debit");
        if raw.try_send(&[headers]).await.is_err() {
            break;
        }
    }
    let refused = raw.refused().await;
    // From the first one too many; or, before the last, the connection as a whole.
    assert_eq!(refused.first(), Some(&(2 * STREAMS_MAX + 1)));
    assert!(refused.len() >= 900, "{} are refused", refused.len());
    besieged.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limits_are_closed_and_the_others_go_on() {
    let home = Home::sqlite();
    for setting in ["--connections-max=3", "--connections-per-address-max=3"] {
        let process = home.start(&[setting]).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(Raw::greet(&process.address).await);
        }
        for raw in &mut held {
            assert!(raw.next().await.is_some(), "it is greeted");
        }
        assert_eq!(Raw::greet(&process.address).await.next().await, None, "one too many");
        drop(held.pop());
        // Its place is free again, soon.
        while Raw::greet(&process.address).await.next().await.is_none() {}
        drop(held);
        assert_eq!(process.terminate().await, Some(0));
    }
}
