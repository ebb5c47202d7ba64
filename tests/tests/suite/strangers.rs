//! What strangers can do to the service: nothing that others notice.

use std::time::Duration;
use tests::{
    http2::{ENHANCE_YOUR_CALM, Raw},
    process::{Home, Process},
    siege,
};
use tokio::time::timeout;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// When those who stop in the middle are gone.
const GONE: Duration = Duration::from_secs(10);

/// How many streams are let in at once.
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
    let attack = timeout(GONE, siege::stand_still(&besieged.process.address));
    let (attack, ()) = tokio::join!(attack, besieged.answers());
    attack.expect("gone in time");
    besieged.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_resets_stream_after_stream_is_sent_away() {
    let besieged = Besieged::start(&[]).await;
    let address = &besieged.process.address;
    assert_eq!(siege::reset(address).await, Some(ENHANCE_YOUR_CALM), "told to go away");
    besieged.answers().await;
    assert_eq!(siege::make_reset(address).await, Some(ENHANCE_YOUR_CALM), "told to go away");
    besieged.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_beyond_the_limit_are_refused() {
    let besieged = Besieged::start(&[&format!("--concurrent-streams-max={STREAMS_MAX}")]).await;
    let refused = siege::open_many(&besieged.process.address).await;
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
