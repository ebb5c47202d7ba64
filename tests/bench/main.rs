//! The load generator: unary calls against a service of its own, measured from outside.
//!
//! `cargo run --release -p tests --bin bench -- unary --in-flight 1,8,64,256 --accounts 100000`
//!
//! It starts the release build of token-service on a fresh database, fills the accounts, and prints
//! one row per run: calls per second, latency, CPU and memory of the service.

mod load;
mod service;

use clap::{Parser, ValueEnum};
use load::{Load, Spread};
use service::Service;
use std::{error::Error, path::PathBuf, time::Duration};

/// Measures token-service.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to call.
    #[arg(value_enum)]
    workload: Workload,

    /// Calls in flight at a time, one run each.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    in_flight: Vec<usize>,

    /// Which accounts are debited, one run each.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "random,hot")]
    spread: Vec<Spread>,

    /// How many accounts there are.
    #[arg(long, default_value = "100000")]
    accounts: u64,

    /// Seconds that each run is measured, after a tenth of that to warm up.
    #[arg(long, default_value = "10")]
    seconds: u64,

    /// Connections that the calls are spread over.
    #[arg(long, default_value = "4")]
    connections: usize,

    /// The service's executable; its release build is made if this isn't given.
    #[arg(long)]
    executable: Option<PathBuf>,

    /// Further arguments of the service, e.g. `--batch-commands-max=1000`.
    #[arg(long, value_delimiter = ' ', allow_hyphen_values = true)]
    service: Vec<String>,
}

/// What to call.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Workload {
    /// Debit of one token, one call each.
    Unary,
    /// GetBalance.
    Read,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let service = Service::start(arguments.executable, &arguments.service).await?;
    let mut load =
        Load::connect(&service.address, arguments.connections, arguments.accounts).await?;
    load.fill().await?;
    println!(
        "| workload | accounts | in flight | calls/s | p50 ms | p99 ms | max ms | failed | service CPU µs/call | service RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for spread in &arguments.spread {
        for in_flight in &arguments.in_flight {
            let warm_up = Duration::from_secs(arguments.seconds) / 10;
            load.run(arguments.workload, *spread, *in_flight, warm_up).await?;
            let before = service.cpu()?;
            let measured = Duration::from_secs(arguments.seconds);
            let result = load.run(arguments.workload, *spread, *in_flight, measured).await?;
            let cpu = service.cpu()? - before;
            println!(
                "| {:?} | {spread:?} of {} | {in_flight} | {:.0} | {:.2} | {:.2} | {:.1} | {} | {:.1} | {:.0} |",
                arguments.workload,
                arguments.accounts,
                result.per_second(),
                result.latency_ms(50.0),
                result.latency_ms(99.0),
                result.latency_ms(100.0),
                result.failed,
                cpu.as_secs_f64() * 1e6 / result.calls_f64().max(1.0),
                service.memory_mib()?,
            );
        }
    }
    service.stop().await
}
