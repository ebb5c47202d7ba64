//! The process: settings, logs, service, signal, drain.

use std::process::ExitCode;
use token_service::{
    audit::command::{self, CommandError, NOT_DONE},
    clock::Clock,
    config::{Config, Database, Invocation, TokenArgs},
    identity::{self, Caller},
    serve,
    store::Store,
    telemetry, welcome,
};
use tokio::signal::unix::{SignalKind, signal};

/// A sixth of the service's time under load went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Open files beside those of connections: the database's, the listener's, the log's.
const FILES_MIN: u64 = 256;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let (config, invocation) = match Config::load() {
        Ok(loaded) => loaded,
        Err(error) => return error.report(),
    };
    let done = match invocation {
        Invocation::Serve => run(&config).await,
        Invocation::Migrate { check } => migrate(&config, check).await,
        Invocation::NewEpoch => new_epoch(&config).await,
        Invocation::Token(wanted) => token(&config, &wanted),
        Invocation::Verify(asked) => return audited(command::verify(&config, &asked).await),
        Invocation::Checkpoint { public_key: true, .. } => {
            return audited(command::public_keys(&config));
        }
        Invocation::Checkpoint { out, .. } => {
            return audited(command::checkpoint(&config, out.as_deref()).await);
        }
        Invocation::Export { out } => {
            return audited(command::write_export(&config, out.as_deref()).await);
        }
        Invocation::Config => {
            print!("{}", config.to_toml());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("token-service: {error}");
        ExitCode::FAILURE
    })
}

/// An audit that couldn't be done isn't one that found something.
fn audited(done: Result<ExitCode, CommandError>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("token-service: {error}");
        ExitCode::from(NOT_DONE)
    })
}

async fn run(config: &Config) -> Result<ExitCode, Failed> {
    let exporters = telemetry::init(config)?;
    open_files(config);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = serve::start(config, Clock::System).await?;
    print!("{}", welcome::text(&running));
    tracing::info!(address = %running.address, economy = running.economy, "serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    let in_time = running.stop().await;
    tracing::info!(in_time, "stopped");
    exporters.stop();
    Ok(if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Each connection is an open file, of which processes begin with few: takes as many as are allowed.
fn open_files(config: &Config) {
    let wanted =
        u64::try_from(config.connections_max).unwrap_or(u64::MAX).saturating_add(FILES_MIN);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(open) if open >= wanted => {}
        open => tracing::warn!(?open, wanted, "too few open files are allowed for connections_max"),
    }
}

async fn migrate(config: &Config, check: bool) -> Result<ExitCode, Failed> {
    if check
        && let Database::Sqlite(file) = &config.database
        && !file.exists()
    {
        println!("pending: there is no database yet");
        return Ok(ExitCode::FAILURE);
    }
    let store = Store::open(config).await?;
    let pending = store.migrations().await?.pending;
    for migration in &pending {
        println!("{} {migration}", if check { "pending" } else { "applying" });
    }
    if pending.is_empty() {
        println!("nothing to migrate");
    } else if check {
        return Ok(ExitCode::FAILURE);
    }
    store.migrate().await?;
    Ok(ExitCode::SUCCESS)
}

fn token(config: &Config, wanted: &TokenArgs) -> Result<ExitCode, Failed> {
    let secret = config.jwt_secrets.as_ref().and_then(|secrets| secrets.iter().next());
    let secret = secret.ok_or(
        "there is nothing to sign with: set TOKEN_SERVICE_JWT_SECRETS=dev:SECRET, of 32 or more \
         characters, here and for the service",
    )?;
    let caller = Caller::new(&wanted.name)
        .with_scopes(wanted.scopes.iter().copied())
        .with_on_behalf_of(wanted.on_behalf_of);
    let caller = match &wanted.account_prefix {
        None => caller,
        Some(prefix) => caller.with_prefix(prefix),
    };
    let time = (Clock::System.now(), wanted.lifetime);
    println!("{}", identity::mint(&caller, secret, &config.expected_tokens(), time));
    Ok(ExitCode::SUCCESS)
}

async fn new_epoch(config: &Config) -> Result<ExitCode, Failed> {
    let store = Store::open(config).await?;
    store.new_epoch(&uuid::Uuid::new_v4().simple().to_string()).await?;
    println!("epoch {}", store.position().await?.epoch);
    Ok(ExitCode::SUCCESS)
}
