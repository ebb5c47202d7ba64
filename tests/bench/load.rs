//! Calls in flight, and how long they took.

use crate::Workload;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use proto::v1::{
    BatchCommand, BatchMode, BatchRequest, CreditRequest, DebitRequest, GetBalanceRequest,
    GrantKind, batch_command, token_service_client::TokenServiceClient,
};
use std::{
    error::Error,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

/// Commands per filling call.
const FILL_COMMANDS: u64 = 1_000;

/// Tokens that every account begins with: more than any run can spend.
const FILL_TOKENS: i64 = 1_000_000_000;

/// Which accounts are debited.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Spread {
    /// Any of them, equally likely.
    Random,
    /// Always the same one.
    Hot,
}

pub struct Load {
    clients: Vec<TokenServiceClient<Channel>>,
    accounts: u64,
}

/// What one run saw.
pub struct Run {
    latency_micros: Histogram<u64>,
    pub failed: u64,
    took: Duration,
}

impl Run {
    #[expect(clippy::as_conversions, reason = "a figure to print")]
    pub fn calls_f64(&self) -> f64 {
        self.latency_micros.len() as f64
    }

    pub fn per_second(&self) -> f64 {
        self.calls_f64() / self.took.as_secs_f64()
    }

    #[expect(clippy::as_conversions, reason = "a figure to print")]
    pub fn latency_ms(&self, percentile: f64) -> f64 {
        self.latency_micros.value_at_percentile(percentile) as f64 / 1000.0
    }
}

impl Load {
    pub async fn connect(
        address: &str,
        connections: usize,
        accounts: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let mut clients = Vec::with_capacity(connections);
        for _ in 0..connections {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
            clients.push(TokenServiceClient::new(endpoint.tcp_nodelay(true).connect().await?));
        }
        Ok(Self { clients, accounts })
    }

    /// Credits every account once.
    pub async fn fill(&mut self) -> Result<(), Box<dyn Error>> {
        let client = self.clients.first_mut().ok_or("no connections")?;
        for first in (0..self.accounts).step_by(usize::try_from(FILL_COMMANDS)?) {
            let credits = first..(first + FILL_COMMANDS).min(self.accounts);
            let commands = credits.map(|number| BatchCommand {
                command: Some(batch_command::Command::Credit(CreditRequest {
                    account_id: account(number),
                    idempotency_key: "fill".to_owned(),
                    amount: FILL_TOKENS,
                    kind: GrantKind::Purchased.into(),
                    ..CreditRequest::default()
                })),
            });
            let request = BatchRequest {
                commands: commands.collect(),
                mode: BatchMode::Independent.into(),
                dry_run: false,
            };
            client.batch(request).await?;
        }
        Ok(())
    }

    /// Keeps `in_flight` calls going for so long.
    pub async fn run(
        &self,
        workload: Workload,
        spread: Spread,
        in_flight: usize,
        lasts: Duration,
    ) -> Result<Run, Box<dyn Error>> {
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..in_flight {
            let client = self.clients[number % self.clients.len()].clone();
            callers.spawn(caller(client, workload, spread, self.accounts, begun + lasts));
        }
        let mut latency_micros = histogram()?;
        let mut failed = 0;
        while let Some(caller) = callers.join_next().await {
            let (histogram, failures) = caller?;
            latency_micros.add(histogram)?;
            failed += failures;
        }
        Ok(Run { latency_micros, failed, took: begun.elapsed() })
    }
}

async fn caller(
    mut client: TokenServiceClient<Channel>,
    workload: Workload,
    spread: Spread,
    accounts: u64,
    until: Instant,
) -> (Histogram<u64>, u64) {
    let mut latency_micros = histogram().expect("the bounds are in order");
    let mut failed = 0;
    while Instant::now() < until {
        let account_id = match spread {
            Spread::Random => account(fastrand::u64(0..accounts)),
            Spread::Hot => account(0),
        };
        let begun = Instant::now();
        let answered = match workload {
            Workload::Unary => {
                let idempotency_key = key();
                let request =
                    DebitRequest { account_id, idempotency_key, amount: 1, ..Default::default() };
                client.debit(request).await.map(drop)
            }
            Workload::Read => {
                let request = GetBalanceRequest { account_id, ..Default::default() };
                client.get_balance(request).await.map(drop)
            }
        };
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        latency_micros.saturating_record(micros);
        failed += u64::from(answered.is_err());
    }
    (latency_micros, failed)
}

#[expect(clippy::disallowed_methods, reason = "callers name their effects by the time of day")]
fn key() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn account(number: u64) -> String {
    format!("user-{number:07}")
}

fn histogram() -> Result<Histogram<u64>, hdrhistogram::CreationError> {
    Histogram::new_with_bounds(1, 60_000_000, 3)
}
