//! Whether the database takes what is committed: reading can go well while nothing can be written.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a failure counts when nobody has tried again since.
const REMEMBERED: Duration = Duration::from_secs(5);

/// The last failure to commit, until something is committed again.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    since: Arc<Mutex<Option<Instant>>>,
}

impl Trouble {
    /// Whether the newest batch failed, a moment ago.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.last().is_some_and(|failed| failed.elapsed() < REMEMBERED)
    }

    pub(super) fn tell(&self, failed: bool) {
        let now = failed.then(Instant::now);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    fn last(&self) -> Option<Instant> {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
