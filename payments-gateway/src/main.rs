//! The process: settings, logs, service, signal, drain.

use clap::{Parser as _, error::ErrorKind};
use payments_gateway::{
    config::{Config, Invocation, PublicUrl},
    serve,
    stripe::{self, check::Finding},
    telemetry,
};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// As in token-service: the system's allocator took a sixth of the time under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// EX_USAGE: nothing was tried, and trying again will not help.
const USAGE: u8 = 64;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match Config::try_parse() {
        Ok(config) => config,
        Err(answer) => {
            let code = if answer.use_stderr() { USAGE } else { 0 };
            // A reader that has gone away is no reason to fail.
            drop(answer.print());
            if answer.kind() == ErrorKind::MissingRequiredArgument {
                eprintln!("Give them by environment: STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRETS.");
            }
            return ExitCode::from(code);
        }
    };
    if let Err(problems) = config.check() {
        for problem in problems {
            eprintln!("payments-gateway: {problem}");
        }
        return ExitCode::from(USAGE);
    }
    let done = match config.invocation {
        None | Some(Invocation::Serve) => run(&config).await,
        Some(Invocation::Check) => check(&config).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("payments-gateway: {error}");
        ExitCode::FAILURE
    })
}

async fn run(config: &Config) -> Result<ExitCode, Failed> {
    telemetry::init(config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = serve::start(config).await?;
    println!("payments-gateway answers on http://{}", running.address);
    println!("operators are answered on {}", running.operator_address);
    tracing::info!(address = %running.address, livemode = running.livemode, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    let in_time = running.stop().await;
    tracing::info!(in_time, "stopped");
    Ok(if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check(config: &Config) -> Result<ExitCode, Failed> {
    let livemode = config.livemode()?;
    let stripe = stripe::Client::new(
        &config.stripe_api_base,
        &config.stripe_secret_key,
        &config.stripe_api_version,
    )?;
    let public_url = config.public_url.clone().unwrap_or_else(|| PublicUrl::of(config.listen));
    let mut code = ExitCode::SUCCESS;
    for finding in serve::findings(config, &stripe, livemode, &public_url).await {
        match finding {
            Finding::Fine(words) => println!("fine      {words}"),
            Finding::Doubtful(words) => {
                println!("doubtful  {words}");
                code = ExitCode::FAILURE;
            }
            Finding::Wrong(words) => {
                println!("wrong     {words}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
