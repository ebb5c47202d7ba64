//! token-service under load: a process of its own, with a fresh database of its own.

use crate::{
    calls::Bearer,
    fill,
    load::Load,
    postgres::Postgres,
    process::{self, Process},
};
use clap::ValueEnum;
use std::{error::Error, path::PathBuf};
use tempfile::TempDir;

/// What a service keeps its ledger in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Store {
    Sqlite,
    Postgres,
}

/// How services and the connections to them are made.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// The PostgreSQL server to measure on, in which databases `token_bench_…` are made and dropped;
    /// without it a durable one is started from what is installed here.
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,

    /// How many accounts there are.
    #[arg(long, default_value = "100000", value_parser = clap::value_parser!(u64).range(2..))]
    pub accounts: u64,

    /// Connections that the calls are spread over.
    #[arg(long, default_value = "4")]
    pub connections: usize,

    /// The service's executable; its release build is made if this isn't given.
    #[arg(long)]
    executable: Option<PathBuf>,

    /// Further arguments of the service, e.g. `--batch-commands-max=1000`.
    #[arg(long, value_delimiter = ' ', allow_hyphen_values = true)]
    service: Vec<String>,

    /// Who the load is, where the service identifies callers.
    #[arg(skip)]
    bearer: Bearer,

    /// Where all tables are written as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// A service, the connections to it, and its files.
#[derive(Debug)]
pub struct Service {
    pub process: Process,
    pub load: Load,
    /// Where its ledger is.
    pub database: String,
    /// The file of its chain's keys.
    pub keys: String,
    _folder: TempDir,
}

impl Settings {
    /// Makes the executable once, so that later services start at once.
    pub fn build(&mut self) -> Result<(), Box<dyn Error>> {
        self.executable = Some(process::service_executable(self.executable.take())?);
        Ok(())
    }

    /// The same, of a service with these further arguments, for a caller with this token.
    pub fn guarded(&self, arguments: &[String], token: &str) -> Result<Self, Box<dyn Error>> {
        let bearer = Bearer(Some(format!("Bearer {token}").parse()?));
        let service = self.service.iter().chain(arguments).cloned().collect();
        Ok(Self { bearer, service, ..self.clone() })
    }

    /// The executable.
    pub fn executable(&self) -> Result<PathBuf, Box<dyn Error>> {
        process::service_executable(self.executable.clone())
    }

    /// The PostgreSQL server, if this store needs one.
    pub async fn server(&self, store: Store) -> Result<Option<Postgres>, Box<dyn Error>> {
        match store {
            Store::Sqlite => Ok(None),
            Store::Postgres => Ok(Some(Postgres::find(self.postgres.clone()).await?)),
        }
    }
}

impl Service {
    /// Starts a service on a fresh database: in this server under this name, or else SQLite's.
    pub async fn start(
        settings: &Settings,
        postgres: Option<&Postgres>,
        name: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let database = match postgres {
            Some(postgres) => postgres.fresh(name).await?,
            None => format!("sqlite:{}", folder.path().join("ledger.db").display()),
        };
        let keys = folder.path().join("keys").display().to_string();
        let arguments = ["--listen", "127.0.0.1:0", "--log", "warn", "--database", &database];
        let arguments = arguments.into_iter().chain(["--chain-key-file", &keys]);
        let arguments = arguments.map(str::to_owned).chain(settings.service.clone());
        let arguments: Vec<String> = arguments.collect();
        let executable = process::service_executable(settings.executable.clone())?;
        let process = Process::start(&executable, &arguments).await?;
        let load =
            Load::connect_as(&settings.bearer, &process.address, settings.connections).await?;
        Ok(Self { process, load, database, keys, _folder: folder })
    }

    /// [`Service::start`], with tokens in all accounts.
    pub async fn start_filled(
        settings: &Settings,
        postgres: Option<&Postgres>,
        name: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let service = Self::start(settings, postgres, name).await?;
        fill::credits(&service.load, (0..settings.accounts).map(crate::accounts::name)).await?;
        Ok(service)
    }
}
