//! What time it is. Only here is the clock read; everything else is told.

use std::time::{SystemTime, UNIX_EPOCH};

/// A second, in the unit of [`now`].
pub const SECOND: i64 = 1_000_000;

/// An hour.
pub const HOUR: i64 = 3_600 * SECOND;

/// Microseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Seconds since 1970, as Stripe tells time.
#[must_use]
pub fn seconds(micros: i64) -> i64 {
    micros.div_euclid(SECOND)
}

/// RFC 3339, as people's programs tell it.
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map(|time| time.to_string()).unwrap_or_default()
}
