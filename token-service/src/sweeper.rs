//! The sweeper: posts what is due on accounts that nobody asks for.
//!
//! Accounts that are used post their own lapses. For the quiet ones the sweeper looks into the index
//! of due times and submits a command that does nothing but let time pass. It may run in every
//! replica: what one has swept the others find done.

use crate::{clock::Clock, committer::Committer, store::Store};
use futures::future::join_all;
use ledger::{AccountId, Act, Command, Fingerprint, Job, Mode, Note};
use std::time::Duration;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

/// Accounts swept at once.
const SWEEP_ACCOUNTS_MAX: usize = 256;

/// Sweeps every `interval` until it is told to stop.
pub async fn run(
    store: Store,
    committer: Committer,
    clock: Clock,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        while sweep(&store, &committer, &clock).await && !stop.is_cancelled() {}
    }
}

/// Sweeps some accounts; whether there may be more.
async fn sweep(store: &Store, committer: &Committer, clock: &Clock) -> bool {
    let due = match store.due(clock.now(), SWEEP_ACCOUNTS_MAX).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the sweeper can't read what is due");
            return false;
        }
    };
    if due.is_empty() {
        return false;
    }
    // A job each, so that one account that can't be swept doesn't keep the others from it.
    let accounts = due.len();
    let jobs = due.into_iter().map(|account| committer.submit(job(account)));
    let failed = join_all(jobs).await.into_iter().filter(Result::is_err).count();
    if failed > 0 {
        tracing::warn!(failed, accounts, "the sweeper couldn't post what is due");
    }
    failed == 0 && accounts == SWEEP_ACCOUNTS_MAX
}

/// What posts what is due on an account.
pub(crate) fn job(account: AccountId) -> Job {
    let command = Command {
        account,
        key: None,
        act: Act::Sweep,
        note: Note::default(),
        fingerprint: Fingerprint::default(),
    };
    Job { commands: vec![command], mode: Mode::Independent }
}
