//! A receipt: what was paid, with what, and what was given back.

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::layout;
use super::methods::brand;
use super::money::money;
use super::read::{day, merchant};
use crate::json::Look as _;
use crate::server::Shared;

/// Shows the receipt of a charge. One that failed has none.
pub(super) async fn show(State(shared): State<Shared>, Path(charge): Path<String>) -> Response {
    let is_receipt = |found: &&Value| found.text("object") == "charge" && found.flag("paid");
    match shared.with(|world| world.find(&charge).filter(is_receipt).cloned()) {
        Some(charge) => layout::answer(StatusCode::OK, "Receipt", &receipt(&charge)),
        None => layout::missing(),
    }
}

fn receipt(charge: &Value) -> Markup {
    let currency = charge.text("currency");
    let (amount, refunded) = (charge.int("amount"), charge.int("amount_refunded"));
    let row = |name: &str, value: &str| html! { div { dt { (name) } dd { (value) } } };
    layout::card(&html! {
        p.eyebrow { "Receipt from " (merchant(charge)) }
        h1 { (money(amount, currency)) }
        dl.facts {
            (row("Paid on", &day(charge.int("created"))))
            (row("Paid with", &paid_with(&charge["payment_method_details"])))
            @if !charge.text("description").is_empty() { (row("For", charge.text("description"))) }
            (row("Reference", charge.text("id")))
        }
        @if refunded > 0 {
            dl.totals {
                (row("Paid", &money(amount, currency)))
                (row("Refunded", &money(-refunded, currency)))
            }
            dl.totals.due { (row("You paid", &money(amount - refunded, currency))) }
        }
    })
}

fn paid_with(details: &Value) -> String {
    match details.text("type") {
        "sepa_debit" => {
            format!("SEPA Direct Debit •••• {}", details.at("sepa_debit").text("last4"))
        }
        _ => format!("{} •••• {}", brand(&details["card"]), details.at("card").text("last4")),
    }
}
