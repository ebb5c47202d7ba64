//! Verifying the ledger: every account is refolded from its entries, and every row held against what
//! comes out, as of one moment, while the service goes on writing.
//!
//! Two tasks work side by side: one reads the snapshot page by page, the other folds, in a thread of its
//! own (it never waits for anything but pages, and would keep calls waiting). What is found goes through
//! a short queue to whoever asked; if they go away, both tasks end, and the snapshot with them.

pub mod command;
mod commits;
mod cursor;
mod walk;

use crate::{
    checkpoint::Checkpoint,
    store::{Store, StoreError, snapshot::Snapshot},
};
use cursor::Reading;
use ledger::{AccountId, ChainKey, Finding, FindingCode, Policy};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use walk::{Stopped, Walk};

/// How often whoever waits is told how far it is.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Findings of one report.
pub const FINDINGS_MAX: usize = 100;

/// How long a finding waits to be taken. Whoever takes none for so long keeps the database from tidying
/// up behind its snapshot, and is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keys by name.
pub type Keys = BTreeMap<String, ChainKey>;

/// What to verify.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only this account.
    pub account: Option<AccountId>,
    /// The ledger is to be the one that this checkpoint is about.
    pub checkpoint: Option<Checkpoint>,
    /// The key that the checkpoint is to be signed with; `None`: the one made from its chain key.
    pub public_key: Option<[u8; 32]>,
}

/// Why a verification ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody took what was found.
    #[error("nobody took what was found for {} seconds", PATIENCE.as_secs())]
    NobodyListens,
    /// Our bug.
    #[error("the verification broke off: {0}")]
    Bug(String),
}

/// How far a verification is.
#[derive(Debug, Default)]
struct Progress {
    accounts: AtomicI64,
    entries: AtomicI64,
}

/// What whoever asked is told.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Accounts verified so far.
    pub accounts: i64,
    /// Entries verified so far.
    pub entries: i64,
    /// What was found since the last report: at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Whether this is the last one.
    pub done: bool,
}

/// A verification at work. It goes on while somebody waits for its reports, and ends with this.
#[derive(Debug)]
pub struct Verification {
    findings: mpsc::Receiver<Finding>,
    progress: Arc<Progress>,
    tasks: JoinSet<Result<(), AuditError>>,
    report_at: Instant,
    done: bool,
}

/// Where findings go.
struct Teller {
    findings: mpsc::Sender<Finding>,
    progress: Arc<Progress>,
    runtime: Handle,
}

impl Teller {
    /// Tells what was found. Never from within a runtime's own thread.
    fn tell(&self, finding: Finding) -> Result<(), Stopped> {
        let taken = tokio::time::timeout(PATIENCE, self.findings.send(finding));
        match self.runtime.block_on(taken) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stopped::Gone),
            Err(_) => Err(Stopped::NobodyListens),
        }
    }
}

impl Verification {
    /// Begins one, of the ledger as it is now.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn start(
        store: &Store,
        keys: Keys,
        policy: Arc<Policy>,
        scope: Scope,
    ) -> Result<Self, StoreError> {
        let (reading, read) = Reading::of(Snapshot::of(store).await?);
        let (sender, findings) = mpsc::channel(FINDINGS_MAX);
        let progress = Arc::new(Progress::default());
        let runtime = Handle::current();
        let tell = Teller { findings: sender, progress: Arc::clone(&progress), runtime };
        let mut tasks = JoinSet::new();
        tasks.spawn(async { Ok(read.await?) });
        tasks.spawn_blocking(move || match Walk::new(reading, tell, keys, policy, scope).run() {
            Err(Stopped::NobodyListens) => Err(AuditError::NobodyListens),
            // Whoever reads tells why there is nothing to read any more.
            Ok(()) | Err(Stopped::Gone) => Ok(()),
        });
        let report_at = Instant::now() + REPORT_INTERVAL;
        Ok(Self { findings, progress, tasks, report_at, done: false })
    }

    /// The next report, within a second; `None` after the last one.
    ///
    /// # Errors
    /// If the verification can't go on.
    pub async fn next(&mut self) -> Result<Option<Report>, AuditError> {
        if self.done {
            return Ok(None);
        }
        let mut findings = Vec::new();
        tokio::select! {
            taken = self.findings.recv_many(&mut findings, FINDINGS_MAX) => self.done = taken == 0,
            () = sleep_until(self.report_at) => {}
        }
        while self.done
            && let Some(ended) = self.tasks.join_next().await
        {
            match ended.map_err(|why| AuditError::Bug(why.to_string()))? {
                // Not even the key of a row: nobody writes such rows but whoever edits them.
                Err(AuditError::Store(StoreError::Broken(why))) => {
                    let words = format!("a row that can't be read ends the verification: {why}");
                    findings.push(Finding::new(FindingCode::RowUnreadable, words));
                }
                ended => ended?,
            }
        }
        self.report_at = Instant::now() + REPORT_INTERVAL;
        Ok(Some(Report {
            accounts: self.progress.accounts.load(Ordering::Relaxed),
            entries: self.progress.entries.load(Ordering::Relaxed),
            findings,
            done: self.done,
        }))
    }
}
