//! The one place that reads the time of day, so that tests can set it.

use ledger::Time;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine.
    #[default]
    System,
    /// Whoever holds the other end: microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The time now, to the microsecond.
    #[must_use]
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time(system_micros()),
            Self::Manual(micros) => Time(micros.load(Ordering::SeqCst)),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn system_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
