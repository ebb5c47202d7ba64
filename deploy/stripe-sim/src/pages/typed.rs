//! The method that a form names, read leniently: blanks in a number, an expiry with or without its slash.
//! Whether a card is any good is for the core to say; here is only whether there is one.

use super::form::{Form, Problem};
use crate::resources::payment_methods::Method;

/// The method, or which of the fields need another look.
pub(super) fn method(form: &Form) -> Result<Method, Vec<Problem>> {
    match form.get("method") {
        "card" => read_card(form),
        "sepa_debit" => read_sepa(form),
        "" => Err(vec![Problem::general("Choose how you want to pay.")]),
        saved => Ok(Method::Saved(saved.to_owned())),
    }
}

fn read_card(form: &Form) -> Result<Method, Vec<Problem>> {
    let digits = |name| form.get(name).replace([' ', '-'], "");
    let (number, expiry, cvc) = (digits("number"), expiry(form.get("expiry")), digits("cvc"));

    let mut problems = Vec::new();
    if number.is_empty() {
        problems.push(Problem::of("number", "Enter your card number."));
    }
    if expiry.is_none() {
        problems.push(Problem::of("expiry", "Enter month and year, like 12/34."));
    }
    if cvc.is_empty() {
        problems.push(Problem::of("cvc", "Enter the code on your card."));
    }

    match expiry.filter(|_| problems.is_empty()) {
        Some((exp_month, exp_year)) => {
            Ok(Method::Card { number, exp_month, exp_year, cvc, name: form.optional("name") })
        }
        None => Err(problems),
    }
}

/// A month and a year from `12/34`, `12 / 2034`, `1234` (a phone's keypad of digits has no slash) or `1/34`.
fn expiry(typed: &str) -> Option<(i64, i64)> {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let (month, year) = match typed.split_once(['/', '-', ' ', '.']) {
        Some((month, _)) => digits.split_at_checked(month.trim().len())?,
        None => digits.split_at_checked(2)?,
    };
    let (month, year_number) = (month.parse().ok()?, year.parse::<i64>().ok()?);
    match year.len() {
        2 => Some((month, 2000 + year_number)),
        4 => Some((month, year_number)),
        _ => None,
    }
}

fn read_sepa(form: &Form) -> Result<Method, Vec<Problem>> {
    let iban = form.get("iban").replace(' ', "").to_uppercase();
    let name = form.get("holder").to_owned();

    let mut problems = Vec::new();
    if iban.is_empty() {
        problems.push(Problem::of("iban", "Enter your IBAN."));
    }
    if name.is_empty() {
        problems.push(Problem::of("holder", "Enter the name of the account's holder."));
    }

    if problems.is_empty() { Ok(Method::Sepa { iban, name }) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::expiry;

    #[test]
    fn an_expiry_is_read_however_it_is_typed() {
        for typed in ["12/34", "12 / 34", "1234", "12/2034", "122034", "12-34"] {
            assert_eq!(expiry(typed), Some((12, 2034)), "{typed}");
        }
        assert_eq!(expiry("1/34"), Some((1, 2034)));
        for typed in ["", "12", "12/3", "/34", "x", "12/34567", "é/34"] {
            assert_eq!(expiry(typed), None, "{typed}");
        }
    }
}
