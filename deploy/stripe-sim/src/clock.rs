//! The one place that reads the time of day, and the clock that people move.

use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's time in Unix seconds: what receivers compare a signature's time with.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn machine_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The simulated clock: the machine's, moved on, or standing still.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    ahead: i64,
    frozen_at: Option<i64>,
}

impl Clock {
    /// Unix seconds.
    pub(crate) fn now(self) -> i64 {
        self.frozen_at.unwrap_or_else(|| machine_seconds().saturating_add(self.ahead))
    }

    /// Does it stand still?
    pub(crate) fn is_frozen(self) -> bool {
        self.frozen_at.is_some()
    }

    /// From now on it is that late.
    pub(crate) fn set(&mut self, to: i64) {
        self.ahead = to.saturating_sub(machine_seconds());
        self.frozen_at = self.frozen_at.map(|_| to);
    }

    /// Stops it, or lets it go on from where it stands.
    pub(crate) fn freeze(&mut self, frozen: Frozen) {
        let now = self.now();
        self.ahead = now.saturating_sub(machine_seconds());
        self.frozen_at = match frozen {
            Frozen::Yes => Some(now),
            Frozen::No => None,
        };
    }
}

/// Does the clock stand still?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frozen {
    Yes,
    No,
}

impl From<bool> for Frozen {
    fn from(frozen: bool) -> Self {
        if frozen { Self::Yes } else { Self::No }
    }
}
