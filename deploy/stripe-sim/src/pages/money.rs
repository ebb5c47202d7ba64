//! Amounts in the currency's own digits and sign, and what a price asks how often: what a buyer reads.

use serde_json::Value;

use crate::json::Look as _;
use crate::money::digits;

/// Signs that no other currency is written with; the others are told by their code.
const SIGNS: [(&str, &str); 16] = [
    ("aud", "A$"),
    ("brl", "R$"),
    ("cad", "CA$"),
    ("cny", "CN¥"),
    ("eur", "€"),
    ("gbp", "£"),
    ("hkd", "HK$"),
    ("ils", "₪"),
    ("inr", "₹"),
    ("jpy", "¥"),
    ("krw", "₩"),
    ("mxn", "MX$"),
    ("nzd", "NZ$"),
    ("twd", "NT$"),
    ("usd", "$"),
    ("vnd", "₫"),
];

/// An amount in the currency's smallest unit, as it is written: `$1,234.50`, `¥500`, `KWD 1.250`.
pub(super) fn money(amount: i64, currency: &str) -> String {
    let digits = digits(currency);
    let minus = if amount < 0 { "−" } else { "" };
    let sign = match SIGNS.iter().find(|(code, _)| *code == currency) {
        Some((_, sign)) => (*sign).to_owned(),
        None => format!("{} ", currency.to_uppercase()),
    };
    let unit = 10_u64.pow(digits);
    let amount = amount.unsigned_abs();
    let (units, rest) = (grouped(amount / unit), amount % unit);
    match digits {
        0 => format!("{minus}{sign}{units}"),
        3 => format!("{minus}{sign}{units}.{rest:03}"),
        _ => format!("{minus}{sign}{units}.{rest:02}"),
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A price with its rhythm: `$20.00 per month`, `€5.00`. Prices with fractions of the smallest unit have no
/// whole `unit_amount`; they are told as Stripe holds them.
pub(super) fn price(price: &Value) -> String {
    let currency = price.text("currency");
    let amount = match price["unit_amount"].as_i64() {
        Some(amount) => money(amount, currency),
        None => format!(
            "{} minor units of {}",
            price.text("unit_amount_decimal"),
            currency.to_uppercase()
        ),
    };
    match rhythm(price) {
        Some(rhythm) => format!("{amount} {rhythm}"),
        None => amount,
    }
}

/// How often a price recurs: `per month`, `every 3 months`; none if it doesn't.
pub(super) fn rhythm(price: &Value) -> Option<String> {
    let interval = price.at("recurring").opt("interval")?;
    match price.at("recurring").int("interval_count") {
        0 | 1 => Some(format!("per {interval}")),
        count => Some(format!("every {count} {interval}s")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{money, price};

    #[test]
    fn an_amount_has_the_digits_of_its_currency() {
        assert_eq!(money(123_450, "usd"), "$1,234.50");
        assert_eq!(money(-500, "eur"), "−€5.00");
        assert_eq!(money(1_000_000, "jpy"), "¥1,000,000");
        assert_eq!(money(1_250, "kwd"), "KWD 1.250");
        assert_eq!(money(500, "ugx"), "UGX 5.00");
        assert_eq!(money(i64::MIN, "usd"), "−$92,233,720,368,547,758.08");
    }

    #[test]
    fn a_price_says_how_often_it_recurs() {
        let monthly = json!({"unit_amount": 2000, "currency": "usd", "recurring": {"interval": "month", "interval_count": 1}});
        let quarterly = json!({"unit_amount": 500, "currency": "eur", "recurring": {"interval": "month", "interval_count": 3}});
        let once = json!({"unit_amount": 300, "currency": "jpy", "recurring": null});
        assert_eq!(price(&monthly), "$20.00 per month");
        assert_eq!(price(&quarterly), "€5.00 every 3 months");
        assert_eq!(price(&once), "¥300");
    }
}
