//! Waiting for what has to come about, with a deadline and what was seen last.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long anything may take: milliseconds, unless a gateway died, whose work others take up after a
/// minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// How soon is looked again: at first, and in the end.
const LOOK: Duration = Duration::from_millis(10);
const LOOK_MAX: Duration = Duration::from_millis(200);

/// Looks until there is something to be seen.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
    until_within(PATIENCE, what, look).await
}

/// The same, for what takes longer.
pub async fn until_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + patience;
    let mut pause = LOOK;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited for {what}; last seen: {seen}")
            }
            Err(_) => sleep(pause).await,
        }
        pause = (pause * 2).min(LOOK_MAX);
    }
}
