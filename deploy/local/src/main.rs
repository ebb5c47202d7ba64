//! `cargo run`: both services, the Stripe simulator and a user to try them with, in one process.

mod ports;
mod start;
mod welcome;

use clap::Parser;
use ports::Ports;
use std::{path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// As in the services themselves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Everything on your machine: token-service, payments-gateway, Stripe simulated, and a user to try them with.
#[derive(Clone, Debug, Parser)]
#[command(name = "local", version)]
pub struct Settings {
    /// Where everything is kept: two SQLite files, their keys, and what the simulator knows.
    #[arg(long, env = "LOCAL_DATA_DIR", default_value = "data", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// What is sold: phoenix, landscape, domains, vantage, or the path of your own TOML file.
    #[arg(long, env = "LOCAL_CATALOG", default_value = "phoenix", value_name = "NAME|FILE")]
    catalog: String,

    /// The ports of pages and API, token-service, operators and Stripe; 0 for free ones.
    #[arg(long, env = "LOCAL_PORTS", default_value = "8080,50051,50052,12111")]
    #[arg(value_name = "PAGES,TOKENS,OPERATORS,STRIPE")]
    ports: Ports,

    /// A PostgreSQL database for both services instead of the files, postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, env = "LOCAL_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,

    /// What is logged: a level, or `target=level` pairs such as `info,sqlx=warn`.
    #[arg(long, env = "LOCAL_LOG", default_value = "warn")]
    log: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("local: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<bool, start::Failed> {
    let filter = EnvFilter::try_new(&settings.log)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = start::everything(&settings).await?;
    print!("{}", welcome::text(&settings, &running));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(running.stop().await)
}
