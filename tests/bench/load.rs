//! Calls in flight, and how long they took.

use crate::{
    accounts::{Accounts, Spread},
    calls::{Bearer, Client, Workload},
    report::float,
};
use hdrhistogram::Histogram;
use proto::v1::token_service_client::TokenServiceClient;
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

/// The longest latency that is told apart.
const LATENCY_MICROS_MAX: u64 = 60_000_000;

/// Latencies are kept to so many digits: three would be a table too large for the CPU's caches, of
/// which every caller has one.
const LATENCY_DIGITS: u8 = 2;

/// Connections to a server, over which the calls are spread.
#[derive(Debug)]
pub struct Load {
    clients: Vec<Client>,
}

/// What to do for how long.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub workload: Workload,
    pub spread: Spread,
    pub accounts: u64,
    pub in_flight: usize,
    pub lasts: Duration,
}

/// What one run saw.
#[derive(Debug)]
pub struct Run {
    latency_micros: Histogram<u32>,
    /// Operations: a batch is as many as it has items.
    operations: u64,
    pub failed: u64,
    /// What the first failure said.
    pub failure: Option<String>,
    pub took: Duration,
}

impl Run {
    pub fn empty() -> Self {
        let latency_micros = Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, LATENCY_DIGITS);
        let latency_micros = latency_micros.expect("the bounds are in order");
        Self { latency_micros, operations: 0, failed: 0, failure: None, took: Duration::ZERO }
    }

    /// Notes a call of so many operations.
    pub fn call(&mut self, took: Duration, operations: u64, answered: Result<u64, tonic::Status>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latency_micros.saturating_record(micros);
        self.operations += operations;
        match answered {
            Ok(refused) => self.failed += refused,
            Err(status) => {
                self.failed += operations;
                self.failure.get_or_insert_with(|| status.to_string());
            }
        }
    }

    pub fn add(&mut self, other: Self) -> Result<(), Box<dyn Error>> {
        self.latency_micros.add(other.latency_micros)?;
        self.operations += other.operations;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
        Ok(())
    }

    pub fn operations(&self) -> f64 {
        float(self.operations)
    }

    pub fn per_second(&self) -> f64 {
        self.operations() / self.took.as_secs_f64()
    }

    pub fn latency_ms(&self, percentile: f64) -> f64 {
        float(self.latency_micros.value_at_percentile(percentile)) / 1000.0
    }
}

impl Load {
    pub async fn connect(address: &str, connections: usize) -> Result<Self, Box<dyn Error>> {
        Self::connect_as(&Bearer::default(), address, connections).await
    }

    /// The same, as a caller with this token.
    pub async fn connect_as(
        bearer: &Bearer,
        address: &str,
        connections: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut clients = Vec::with_capacity(connections);
        for _ in 0..connections {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
            let channel = endpoint.tcp_nodelay(true).connect().await?;
            // Batches of 1,000 are answered with more than the 4 MiB that tonic takes by default.
            let client = TokenServiceClient::with_interceptor(channel, bearer.clone());
            clients.push(client.max_decoding_message_size(usize::MAX));
        }
        Ok(Self { clients })
    }

    /// One of the connections, the same for the same number.
    pub fn client(&self, number: usize) -> Client {
        self.clients[number % self.clients.len()].clone()
    }

    /// Keeps calls going.
    pub async fn run(&self, task: Task) -> Result<Run, Box<dyn Error>> {
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..task.in_flight {
            callers.spawn(caller(self.client(number), task, begun + task.lasts));
        }
        let mut run = Run::empty();
        while let Some(caller) = callers.join_next().await {
            run.add(caller?)?;
        }
        run.took = begun.elapsed();
        Ok(run)
    }
}

async fn caller(mut client: Client, task: Task, until: Instant) -> Run {
    let accounts = Accounts::new(task.accounts, task.spread);
    let mut run = Run::empty();
    while Instant::now() < until {
        let request = task.workload.request(&accounts);
        let begun = Instant::now();
        let answered = request.send(&mut client).await;
        run.call(begun.elapsed(), task.workload.operations(), answered);
    }
    run
}
