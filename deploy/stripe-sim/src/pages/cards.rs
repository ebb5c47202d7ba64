//! The numbers that the simulator knows, beside the form that wants one. Each fills the form in when it is
//! pressed, without a script: the form is posted, and comes back with the number in it.

use maud::{Markup, html};

use super::form::Form;

/// The name of the buttons that fill a form in.
const FILL: &str = "fill";

/// Cards and what happens with them, most wanted first. The README lists them all.
const CARDS: [(&str, &str); 12] = [
    ("4242 4242 4242 4242", "Pays"),
    ("4000 0000 0000 0002", "Declined"),
    ("4000 0000 0000 9995", "Declined: insufficient funds"),
    ("4000 0000 0000 0069", "Declined: expired"),
    ("4000 0000 0000 0127", "Declined: wrong security code"),
    ("4000 0000 0000 0341", "Can be saved, declined when charged"),
    ("4000 0025 0000 3155", "3-D Secure, unless set up before"),
    ("4000 0027 6000 3184", "3-D Secure, always"),
    ("4000 0084 0000 1629", "3-D Secure, then declined"),
    ("4000 0000 0000 0259", "Pays, then is disputed"),
    ("4000 0000 0000 5423", "Pays, then a fraud warning"),
    ("4000 0000 0000 7726", "Pays; refunds take a while"),
];

/// Accounts and what happens with them.
const ACCOUNTS: [(&str, &str); 2] = [
    ("AT61 1904 3002 3457 3201", "Succeeds after a day"),
    ("IT60 X054 2811 1010 0000 0123 456", "Fails after a day"),
];

/// Whether IBANs are of use here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accounts {
    /// The form takes them.
    Shown,
    /// The form doesn't.
    Hidden,
}

/// The list, folded. It belongs inside the form that it fills in, after the button that submits it: what
/// comes first is pressed by Enter.
pub(super) fn test_cards(accounts: Accounts) -> Markup {
    html! {
        details.tests {
            summary { "Test cards" }
            p.small { "Any future date and any security code will do. Press one to fill the form in." }
            ul {
                @for (number, effect) in CARDS { (entry(number, effect)) }
                @if accounts == Accounts::Shown {
                    @for (number, effect) in ACCOUNTS { (entry(number, effect)) }
                }
            }
        }
    }
}

fn entry(number: &str, effect: &str) -> Markup {
    html! {
        li {
            button type="submit" name=(FILL) value=(number) {
                span.number { (number) }
                span.effect { (effect) }
            }
        }
    }
}

/// Whether one of the numbers was pressed, instead of the button that submits the form.
pub(super) fn is_pressed(form: &Form) -> bool {
    !form.get(FILL).is_empty()
}

/// The form with the pressed number filled in.
pub(super) fn fill(form: Form) -> Form {
    let pressed = form.get(FILL).to_owned();
    if pressed.starts_with(|first: char| first.is_ascii_digit()) {
        form.with("method", "card")
            .with("number", &pressed)
            .with("expiry", "12 / 34")
            .with("cvc", "123")
    } else {
        form.with("method", "sepa_debit").with("iban", &pressed).with("holder", "Ada Lovelace")
    }
}
