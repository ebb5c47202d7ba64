//! Figures and times as people read them.

use proto::catalog::Currency;

/// A whole number with its thousands apart: `1,234`.
#[must_use]
pub fn number(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('−');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A change, with its sign: `+50`.
#[must_use]
pub fn change(amount: i64) -> String {
    let sign = if amount > 0 { "+" } else { "" };
    format!("{sign}{}", number(amount))
}

/// Money: `$4.99`, `¥500`, `CHF 4.99`.
#[must_use]
pub fn money(minor: i64, currency: &str) -> String {
    let digits = Currency::from_code(currency).map_or(2, Currency::minor_digits);
    let scale = 10_i64.pow(digits.min(6));
    let (whole, part) = (minor / scale, minor.unsigned_abs() % scale.unsigned_abs());
    let amount = match usize::try_from(digits) {
        Ok(0) | Err(_) => number(whole),
        Ok(width) => format!("{}.{part:0width$}", number(whole)),
    };
    let sign = match currency {
        "usd" => "$",
        "eur" => "€",
        "gbp" => "£",
        "jpy" => "¥",
        "inr" => "₹",
        other => return format!("{} {amount}", other.to_uppercase()),
    };
    format!("{sign}{amount}")
}

/// What one of so many costs, to four decimals: `$0.0998`.
#[must_use]
pub fn money_each(minor: i64, count: i64, currency: &str) -> String {
    let digits = Currency::from_code(currency).map_or(2, Currency::minor_digits);
    let unit = i128::from(10_i64.pow(digits.min(6)));
    let whole = i128::from(count.max(1)) * unit;
    let parts = (i128::from(minor) * 20_000 + whole) / (whole * 2);
    let whole = money(i64::try_from(parts / 10_000 * unit).unwrap_or(i64::MAX), currency);
    let whole = whole.split('.').next().unwrap_or_default();
    format!("{whole}.{:04}", parts % 10_000)
}

/// The day and minute of a time: `22 November 2026, 14:05 UTC`.
#[must_use]
pub fn moment(micros: i64) -> String {
    written(micros, "%-d %B %Y, %H:%M UTC")
}

/// The day of a time: `22 November 2026`.
#[must_use]
pub fn day(micros: i64) -> String {
    written(micros, "%-d %B %Y")
}

fn written(micros: i64, format: &str) -> String {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    time.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(
            [number(0), number(999), number(1_000), number(-1_234_567)],
            ["0", "999", "1,000", "−1,234,567"]
        );
        assert_eq!([change(5), change(0), change(-5)], ["+5", "0", "−5"]);
        assert_eq!(money(499, "usd"), "$4.99");
        assert_eq!(money(123_456, "chf"), "CHF 1,234.56");
        assert_eq!(money(500, "jpy"), "¥500");
        assert_eq!(money_each(499, 50, "usd"), "$0.0998");
        assert_eq!(money_each(1_000, 7, "jpy"), "¥142.8571");
        assert_eq!(moment(1_795_000_000_000_000), "18 November 2026, 11:06 UTC");
    }
}
