//! `token-service verify`, `checkpoint` and `export`: an audit by whoever holds the database and the
//! keys, without a running service. Nothing is made or migrated, and nothing is changed.

use super::{AuditError, Keys, Report, Scope, Verification};
use crate::{
    checkpoint::{Checkpoint, public_key_of},
    clock::Clock,
    config::{Config, Verify},
    export::{ExportError, export},
    keys::{KeyError, given_keys},
    policy::policy,
    store::{
        Store, StoreError,
        rows::unhex,
        snapshot::{Snapshot, hex},
    },
};
use ledger::AccountId;
use proto::catalog::{Catalog, LoadError};
use std::{
    fs::{self, File},
    io::{self, BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

/// What `verify` ends with when something doesn't fit.
const FINDINGS: u8 = 1;

/// What an audit ends with that couldn't be done.
pub const NOT_DONE: u8 = 2;

/// Why an audit couldn't be done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The catalog can't be read, or has mistakes.
    #[error(transparent)]
    Catalog(#[from] LoadError),
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The verification broke off.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The export broke off.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A file can't be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// What was given makes no sense.
    #[error("{0}")]
    Nonsense(String),
}

/// Verifies the ledger; tells what was found line by line.
///
/// # Errors
/// If it can't be done.
pub async fn verify(config: &Config, asked: &Verify) -> Result<ExitCode, CommandError> {
    let policy = Arc::new(policy(&Catalog::load(&config.catalog.to_string())?));
    let keys: Keys =
        given_keys(config)?.into_iter().map(|key| (key.id().to_owned(), key)).collect();
    let scope = scope(asked)?;
    let store = Store::existing(config).await?;
    let mut verification = Verification::start(&store, keys, policy, scope).await?;
    let shows = io::stderr().is_terminal();
    let mut findings = 0_usize;
    let mut last = Report::default();
    while let Some(report) = verification.next().await? {
        findings += report.findings.len();
        report.findings.iter().for_each(|finding| println!("{finding}"));
        if shows {
            eprint!("\r{} accounts, {} entries", report.accounts, report.entries);
        }
        last = report;
    }
    if shows {
        eprintln!();
    }
    println!(
        "{} accounts and {} entries verified, {findings} findings",
        last.accounts, last.entries
    );
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) })
}

fn scope(asked: &Verify) -> Result<Scope, CommandError> {
    if asked.account.is_some() && asked.checkpoint.is_some() {
        let words = "a checkpoint is about the whole ledger: leave --account out";
        return Err(CommandError::Nonsense(words.to_owned()));
    }
    let read = |path: &PathBuf| {
        let text =
            fs::read(path).map_err(|cause| CommandError::File { path: path.clone(), cause })?;
        let wrong = |why| CommandError::Nonsense(format!("{}: {why}", path.display()));
        Checkpoint::read(&text).map_err(wrong)
    };
    let key = |text: &String| {
        let wrong = || CommandError::Nonsense("give --public-key 64 hexadecimal digits".to_owned());
        unhex(text).and_then(|key| key.try_into().ok()).ok_or_else(wrong)
    };
    Ok(Scope {
        account: asked.account.as_deref().map(AccountId::new),
        checkpoint: asked.checkpoint.as_ref().map(read).transpose()?,
        public_key: asked.public_key.as_ref().map(key).transpose()?,
    })
}

/// Prints a checkpoint, or writes it to a file.
///
/// # Errors
/// If it can't be done.
pub async fn checkpoint(config: &Config, to: Option<&Path>) -> Result<ExitCode, CommandError> {
    let keys = given_keys(config)?;
    let store = Store::existing(config).await?;
    let mut snapshot = Snapshot::of(&store).await?;
    let Some(key) = keys.first() else { return Err(KeyError::None.into()) };
    let text = Checkpoint::make(&mut snapshot, key, Clock::System.now()).await? + "\n";
    match to {
        None => print!("{text}"),
        Some(path) => {
            let failed = |cause| CommandError::File { path: path.to_owned(), cause };
            fs::write(path, text).map_err(failed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the public keys of checkpoints, one per chain key: the name and the key.
///
/// # Errors
/// If there are no keys.
pub fn public_keys(config: &Config) -> Result<ExitCode, CommandError> {
    for key in given_keys(config)? {
        println!("{} {}", key.id(), hex(&public_key_of(&key)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the whole ledger to the output, or to a file.
///
/// # Errors
/// If it can't be done.
pub async fn write_export(config: &Config, to: Option<&Path>) -> Result<ExitCode, CommandError> {
    let store = Store::existing(config).await?;
    let mut snapshot = Snapshot::of(&store).await?;
    match to {
        None => export(&mut snapshot, &mut BufWriter::new(io::stdout().lock())).await?,
        Some(path) => {
            let failed = |cause| CommandError::File { path: path.to_owned(), cause };
            let file = File::create(path).map_err(failed)?;
            export(&mut snapshot, &mut BufWriter::new(file)).await?;
        }
    }
    io::stdout().flush().map_err(ExportError::Write)?;
    Ok(ExitCode::SUCCESS)
}
