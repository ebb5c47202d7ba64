//! Points in time, as the shell tells them.

use crate::{account::CapPeriod, tokens::Exact};
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// This much later, in microseconds; the end of time if that is sooner.
    #[must_use]
    pub fn after_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This many days earlier.
    #[must_use]
    pub fn days_before(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days.saturating_mul(DAY)))
    }

    /// The start of the UTC day or month that this time lies in.
    pub(crate) fn start_of(self, period: CapPeriod) -> Self {
        let day = self.0.div_euclid(DAY);
        let first = match period {
            CapPeriod::Day => day,
            CapPeriod::Month => day.minus(i64::from(day_of_month(day))).plus(1),
        };
        Self(first.saturating_mul(DAY))
    }

    /// The start of the next UTC day or month.
    pub(crate) fn end_of(self, period: CapPeriod) -> Self {
        let start = self.start_of(period);
        match period {
            CapPeriod::Day => start.after_micros(DAY),
            CapPeriod::Month => start.after_micros(DAY.saturating_mul(31)).start_of(period),
        }
    }
}

/// The day of the month, from 1, of a day counted from 1970-01-01 (proleptic Gregorian calendar;
/// after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn day_of_month(days: i64) -> u8 {
    let day_of_era = days.plus(719_468).rem_euclid(146_097);
    let leaps = (day_of_era / 1_460).minus(day_of_era / 36_524).plus(day_of_era / 146_096);
    let year_of_era = day_of_era.minus(leaps) / 365;
    let before = year_of_era.saturating_mul(365).plus(year_of_era / 4).minus(year_of_era / 100);
    let day_of_year = day_of_era.minus(before);
    let month = day_of_year.saturating_mul(5).plus(2) / 153;
    let day = day_of_year.minus(month.saturating_mul(153).plus(2) / 5).plus(1);
    u8::try_from(day).expect("a day of the month is 1 to 31")
}
