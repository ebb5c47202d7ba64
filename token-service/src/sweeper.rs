//! The sweeper: posts what is due on accounts that nobody asks for.
//!
//! Accounts that are used post their own lapses. For the quiet ones the sweeper looks into the index
//! of due times and submits a command that does nothing but let time pass. It may run in every
//! replica: what one has swept the others find done.

use crate::{clock::Clock, committer::Committer, store::Store};
use ledger::{Act, AccountId, Command, Fingerprint, Job, Mode, Note};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Accounts swept by one job.
const SWEEP_ACCOUNTS_MAX: usize = 256;

/// Sweeps every `interval` until it is told to stop.
pub async fn run(
    store: Store,
    committer: Committer,
    clock: Clock,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
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
    let accounts = due.len();
    let commands = due.into_iter().map(command).collect();
    match committer.submit(Job { commands, mode: Mode::Independent }).await {
        Ok(_) => accounts == SWEEP_ACCOUNTS_MAX,
        Err(failure) => {
            tracing::warn!(%failure, accounts, "the sweeper couldn't post what is due");
            false
        }
    }
}

fn command(account: AccountId) -> Command {
    Command {
        account,
        key: None,
        act: Act::Sweep,
        note: Note::default(),
        fingerprint: Fingerprint::default(),
    }
}
