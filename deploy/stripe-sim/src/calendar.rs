//! Months and years from a day: a subscription that begins on the 31st renews on the last of shorter months,
//! and on the 31st again after them.

use jiff::{Span, Timestamp, civil::DateTime, tz::Offset};

/// Day and time (UTC) of Unix seconds.
pub(crate) fn date(seconds: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap_or_default())
}

/// So many intervals after a time: day, week, month or year.
pub(crate) fn after(anchor: i64, interval: &str, count: i64) -> i64 {
    let span = match interval {
        "day" => Span::new().try_days(count),
        "week" => Span::new().try_weeks(count),
        "year" => Span::new().try_years(count),
        _ => Span::new().try_months(count),
    };
    let later = span.and_then(|span| date(anchor).checked_add(span));
    let later = later.and_then(|later| Offset::UTC.to_timestamp(later));
    later.map_or(i64::MAX, Timestamp::as_second)
}

/// A day in words, as Stripe's descriptions have it.
pub(crate) fn say(seconds: i64) -> String {
    date(seconds).strftime("%-d %b %Y").to_string()
}
