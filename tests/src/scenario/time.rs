//! Times as scenarios write them, in microseconds since 1970. Years 1970 to 9999, UTC.

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// `2026-01-31`, `2026-01-31T12:00:00Z`, or `+7d` from `now`.
pub(super) fn parse(text: &str, now: i64) -> Option<i64> {
    if let Some(later) = text.strip_prefix('+') {
        return now.checked_add(parse_duration(later)?);
    }
    if let Some(earlier) = text.strip_prefix('-') {
        return now.checked_sub(parse_duration(earlier)?);
    }
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time.strip_suffix('Z')?, ':', [2, 2, 2])?;
    let in_range = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 60;
    let days = days_since_1970(year, month, day);
    let time = days * DAY + ((hours * 60 + minutes) * 60 + seconds) * SECOND;
    // A day that its month doesn't have comes back as another one.
    (in_range && date_of(days) == (year, month, day)).then_some(time)
}

/// `30s`, `15m`, `2h`, `7d`.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        's' => SECOND,
        'm' => 60 * SECOND,
        'h' => 3_600 * SECOND,
        'd' => DAY,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<i64>().ok().filter(|_| digits)?.checked_mul(unit)
}

/// As [`parse`] reads it, as short as it goes.
pub(super) fn show(time: i64) -> String {
    let (year, month, day) = date_of(time.div_euclid(DAY));
    let date = format!("{year:04}-{month:02}-{day:02}");
    let micros = time.rem_euclid(DAY);
    let (seconds, fraction) = (micros / SECOND, micros % SECOND);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (micros, fraction) {
        (0, _) => date,
        (_, 0) => format!("{date}T{hours:02}:{minutes:02}:{seconds:02}Z"),
        _ => format!("{date}T{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}Z"),
    }
}

/// As [`parse_duration`] reads it, in the largest unit that fits.
pub(super) fn show_duration(micros: i64) -> String {
    for (unit, letter) in [(DAY, 'd'), (3_600 * SECOND, 'h'), (60 * SECOND, 'm'), (SECOND, 's')] {
        if micros != 0 && micros % unit == 0 {
            return format!("{}{letter}", micros / unit);
        }
    }
    format!("{micros}us")
}

/// A time on the wire.
pub(super) fn to_wire(micros: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(SECOND) * 1_000).expect("less than a second");
    prost_types::Timestamp { seconds: micros.div_euclid(SECOND), nanos }
}

/// A time from the wire.
pub(super) fn of_wire(time: &prost_types::Timestamp) -> i64 {
    time.seconds * SECOND + i64::from(time.nanos) / 1_000
}

/// A duration on the wire.
pub(super) fn duration_to_wire(micros: i64) -> prost_types::Duration {
    let prost_types::Timestamp { seconds, nanos } = to_wire(micros);
    prost_types::Duration { seconds, nanos }
}

fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between).zip(digits).map(|(part, digits)| {
        let fits = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| fits)
    });
    let found = [parts.next()??, parts.next()??, parts.next()??];
    (text.split(between).count() == 3).then_some(found)
}

/// After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way round: `civil_from_days`.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for text in ["1970-01-01", "2024-02-29", "2026-12-31T23:59:59Z", "9999-12-31"] {
            assert_eq!(show(parse(text, 0).expect(text)), text);
        }
        for text in ["30s", "90m", "7d"] {
            assert_eq!(show_duration(parse_duration(text).expect(text)), text);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "2026", "2026-02-29", "2026-13-01", "2026-1-1", "2026-01-01T24:00:00Z", "+7", "7d"]
        {
            assert_eq!(parse(text, 0), None, "{text}");
        }
    }
}
