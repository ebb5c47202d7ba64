//! The `grpc-timeout` header: how long a caller is going to wait. Up to eight digits and a unit.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The most that fits into eight digits of milliseconds: more than a day.
const MS_MAX: u128 = 99_999_999;

/// How long the caller is going to wait, if it says so in a way that is understood.
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// Says how long the caller is going to wait, to the millisecond.
pub(crate) fn write(headers: &mut HeaderMap, patience: Duration) {
    let value = format!("{}m", patience.as_millis().clamp(1, MS_MAX));
    headers.insert(HEADER, HeaderValue::try_from(value).expect("digits and a letter"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_the_protocol_has_it() {
        for (header, expected) in [
            ("10S", Some(Duration::from_secs(10))),
            ("250m", Some(Duration::from_millis(250))),
            ("1H", Some(Duration::from_secs(3_600))),
            ("100000000S", None),
            ("S", None),
            ("10", None),
            ("10X", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_static(header))]);
            assert_eq!(read(&headers), expected, "{header}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut headers = HeaderMap::new();
        write(&mut headers, Duration::from_micros(2_500_900));
        assert_eq!(read(&headers), Some(Duration::from_millis(2_500)));
    }
}
