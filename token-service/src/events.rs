//! The feed: tells those who follow something that it may have changed, whichever process did it.
//!
//! What this process commits is told at once. What others commit is found by looking at the stream of
//! commits every [`POLL_INTERVAL`], but only while anybody follows anything: no database has to send
//! notices, and it works behind a pooler. Followers are told that there is something, never what;
//! they read it themselves, so that a slow one is no burden to anybody.

use crate::{committer::Watches, store::Store};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the stream is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Commits looked at in one go.
const COMMITS_MAX: usize = 256;

/// Looks at the stream while anybody follows anything, until it is told to stop.
pub async fn run(store: Store, watches: Watches, stop: CancellationToken) {
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Where it has looked up to; not kept while nobody follows anything.
    let mut seen: Option<i64> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = watches.followed() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if !watches.is_followed() {
            seen = None;
            continue;
        }
        match look(&store, &watches, seen).await {
            Ok(position) => seen = Some(position),
            // The health check says it loudly enough, and nothing is missed: it goes on from here.
            Err(error) => tracing::debug!(%error, "the stream of commits can't be read"),
        }
    }
}

/// Tells what was committed after `seen`; up to where it has looked.
async fn look(
    store: &Store,
    watches: &Watches,
    seen: Option<i64>,
) -> Result<i64, crate::store::StoreError> {
    let Some(seen) = seen else {
        // What was committed since the followers have looked themselves isn't known.
        let position = store.position().await?.position;
        watches.tell_all();
        return Ok(position);
    };
    let commits = store.commits_after(seen, COMMITS_MAX).await?;
    let accounts = commits.iter().flat_map(|commit| &commit.entries).map(|(account, _)| account);
    watches.tell(accounts);
    Ok(commits.last().map_or(seen, |commit| commit.position))
}
