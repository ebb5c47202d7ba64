//! The simulator as a program.

use clap::Parser;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};
use stripe_sim::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Stripe on your machine: API, pages and webhooks, simulated. No money moves.
#[derive(Debug, Parser)]
#[command(name = "stripe-sim", version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "STRIPE_SIM_LISTEN", default_value = "127.0.0.1:12111")]
    listen: SocketAddr,
    /// How browsers reach it: the start of every page's URL [default: the address]
    #[arg(long, env = "STRIPE_SIM_PUBLIC_URL")]
    public_url: Option<String>,
    /// The same seed and the same calls give the same ids [default: random]
    #[arg(long, env = "STRIPE_SIM_SEED")]
    seed: Option<u64>,
    /// A file that is read at the start, if it exists, and written at the end
    #[arg(long, env = "STRIPE_SIM_SNAPSHOT")]
    snapshot: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stripe-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> std::io::Result<()> {
    let Arguments { listen, public_url, seed, snapshot } = arguments;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = stripe_sim::start(Settings { listen, public_url, seed, snapshot }).await?;
    let url = running.url();
    println!(
        "stripe-sim listens on {url} (seed {})\n\n  curl {url}/v1/customers -u sk_test_any: -d email=ada@example.com\n  \
         curl {url}/_sim/clock -d '{{\"advance\": 86400}}'\n",
        running.seed
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.stop().await
}
