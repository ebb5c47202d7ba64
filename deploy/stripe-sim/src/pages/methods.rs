//! How to pay: a saved method, a card or a bank account, chosen with radio buttons whose fields unfold by
//! style alone. The same choice serves checkout, an invoice and the portal.

use maud::{Markup, html};
use serde_json::Value;

use super::fields::{Field, Kind, field};
use super::form::Shown;
use crate::json::Look as _;

/// What a buyer may choose from.
pub(super) struct Offer {
    /// Saved methods, as the API shows them.
    pub(super) saved: Vec<Value>,
    /// Whether a card may be typed.
    pub(super) card: bool,
    /// Whether an IBAN may be typed: Stripe takes SEPA Direct Debit in euros only.
    pub(super) sepa: bool,
}

impl Offer {
    /// What is saved already and what may be typed, of the types that are allowed: all, if none is named.
    pub(super) fn of(allowed: &[Value], currency: &str, mut saved: Vec<Value>) -> Self {
        let allows = |kind: &str| {
            let is_named = allowed.is_empty() || allowed.iter().any(|one| one == kind);
            is_named && (kind != "sepa_debit" || currency == "eur")
        };
        saved.retain(|method| allows(method.text("type")));
        Self { saved, card: allows("card"), sepa: allows("sepa_debit") }
    }

    /// Whether there is only one thing to fill in.
    fn is_one(&self) -> bool {
        self.saved.is_empty() && self.card != self.sepa
    }

    /// What is chosen unless the buyer chooses.
    fn first(&self) -> &str {
        let typed = if self.card { "card" } else { "sepa_debit" };
        self.saved.first().map_or(typed, |method| method.text("id"))
    }
}

const NUMBER: Field = Field {
    name: "number",
    label: "Card number",
    kind: Kind::Digits,
    autocomplete: "cc-number",
    example: "1234 1234 1234 1234",
};

const EXPIRY: Field = Field {
    name: "expiry",
    label: "Expiry date",
    kind: Kind::Digits,
    autocomplete: "cc-exp",
    example: "MM / YY",
};

const CVC: Field = Field {
    name: "cvc",
    label: "Security code",
    kind: Kind::Digits,
    autocomplete: "cc-csc",
    example: "CVC",
};

const NAME: Field = Field {
    name: "name",
    label: "Name on card",
    kind: Kind::Text,
    autocomplete: "cc-name",
    example: "",
};

const IBAN: Field = Field {
    name: "iban",
    label: "IBAN",
    kind: Kind::Text,
    autocomplete: "off",
    example: "AT00 0000 0000 0000 0000",
};

const HOLDER: Field = Field {
    name: "holder",
    label: "Name of account holder",
    kind: Kind::Text,
    autocomplete: "name",
    example: "",
};

/// The choice. With one way to pay there is nothing to choose, only fields.
pub(super) fn choice(offer: &Offer, merchant: &str, shown: &Shown) -> Markup {
    let chosen = match shown.form.get("method") {
        "" => offer.first(),
        chosen => chosen,
    };
    let card = if offer.saved.is_empty() { "Card" } else { "New card" };
    html! {
        fieldset {
            legend { "Payment method" }
            @if offer.is_one() {
                input type="hidden" name="method" value=(offer.first());
                div.method.only {
                    div.panel {
                        @if offer.card { (card_fields(shown)) } @else { (sepa_fields(merchant, shown)) }
                    }
                }
            } @else {
                @for method in &offer.saved {
                    (option(method.text("id"), chosen, &label(method), None))
                }
                @if offer.card { (option("card", chosen, card, Some(card_fields(shown)))) }
                @if offer.sepa {
                    (option("sepa_debit", chosen, "SEPA Direct Debit", Some(sepa_fields(merchant, shown))))
                }
            }
        }
    }
}

fn option(value: &str, chosen: &str, label: &str, fields: Option<Markup>) -> Markup {
    html! {
        div.method {
            input type="radio" name="method" id={ "method-" (value) } value=(value) checked[value == chosen];
            label for={ "method-" (value) } { (label) }
            @if let Some(fields) = fields {
                div.panel { (fields) }
            }
        }
    }
}

fn card_fields(shown: &Shown) -> Markup {
    html! {
        (field(shown, &NUMBER))
        div.pair { (field(shown, &EXPIRY)) (field(shown, &CVC)) }
        (field(shown, &NAME))
    }
}

fn sepa_fields(merchant: &str, shown: &Shown) -> Markup {
    html! {
        (field(shown, &IBAN))
        (field(shown, &HOLDER))
        p.small {
            "You allow " (merchant) " to debit this account, and your bank to carry that out. A debit takes "
            "a day to succeed or fail: the simulator's clock decides when that day has passed."
        }
    }
}

/// A method in a line: `Visa •••• 4242, expires 12/2034`.
pub(super) fn label(method: &Value) -> String {
    match method.text("type") {
        "sepa_debit" => format!("SEPA Direct Debit •••• {}", method.at("sepa_debit").text("last4")),
        _ => {
            let card = &method["card"];
            let (month, year) = (card.int("exp_month"), card.int("exp_year"));
            format!("{} •••• {}, expires {month:02}/{year}", brand(card), card.text("last4"))
        }
    }
}

/// A brand as it writes itself.
pub(super) fn brand(card: &Value) -> &str {
    match card.text("brand") {
        "visa" => "Visa",
        "mastercard" => "Mastercard",
        "amex" => "American Express",
        "" | "unknown" => "Card",
        other => other,
    }
}
