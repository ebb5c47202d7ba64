//! An invoice as its customer sees it, with a way to pay it while it is open.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::cards::{self, Accounts, test_cards};
use super::fields::alert;
use super::form::{Form, Shown};
use super::methods::{Offer, choice};
use super::money::money;
use super::read::{day, id, merchant};
use super::{challenge, checkout, layout, saved_methods, status, typed};
use crate::json::Look as _;
use crate::resources::invoices;
use crate::server::Shared;
use crate::world::World;

/// An invoice and what its customer may pay it with.
struct Bill {
    invoice: Value,
    offer: Offer,
}

impl Bill {
    fn find(world: &mut World, invoice: &str) -> Option<Self> {
        let invoice =
            world.find(invoice).filter(|found| found.text("object") == "invoice")?.clone();
        // A draft isn't the customer's to see.
        if invoice.text("status") == "draft" {
            return None;
        }
        let saved = saved_methods(world, id(&invoice, "customer"));
        let allowed = invoice.at("payment_settings").items("payment_method_types");
        let offer = Offer::of(allowed, invoice.text("currency"), saved);
        Some(Self { invoice, offer })
    }
}

/// Shows an invoice.
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(invoice): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let found =
        shared.with(|world| Some((Bill::find(world, &invoice)?, challenge::failure(world, query))));
    match found {
        Some((bill, shown)) => page(StatusCode::OK, &bill, &shown),
        None => layout::missing(),
    }
}

/// Pays an invoice.
pub(super) async fn pay(
    State(shared): State<Shared>,
    Path(invoice): Path<String>,
    body: Bytes,
) -> Response {
    let Some(bill) = shared.with(|world| Bill::find(world, &invoice)) else {
        return layout::missing();
    };
    let form = Form::parse(&body);
    if cards::is_pressed(&form) {
        return page(StatusCode::OK, &bill, &Shown::filled(cards::fill(form)));
    }
    let method = match typed::method(&form) {
        Ok(method) => method,
        Err(problems) => {
            return page(StatusCode::BAD_REQUEST, &bill, &Shown::again(form, problems));
        }
    };
    match shared.attempt(|world| invoices::pay_hosted(world, &invoice, method)) {
        Ok(next) => checkout::follow(&next),
        Err(fail) => page(StatusCode::PAYMENT_REQUIRED, &bill, &Shown::refused(form, &fail)),
    }
}

fn page(code: StatusCode, bill: &Bill, shown: &Shown) -> Response {
    let invoice = &bill.invoice;
    let currency = invoice.text("currency");
    let due = money(invoice.int("amount_remaining"), currency);
    let body = html! {
        main.paper {
            header {
                p.eyebrow { (merchant(invoice)) }
                h1 { "Invoice " (invoice.text("number")) }
                p { (status(invoice.text("status"))) }
            }
            (facts(invoice))
            (lines(invoice))
            (totals(invoice))
            @if invoice.text("status") == "open" {
                section.payment aria-labelledby="pay-heading" {
                    h2 #pay-heading { "Pay this invoice" }
                    (alert(shown))
                    form method="post" action={ "/i/" (invoice.text("id")) } novalidate {
                        (choice(&bill.offer, merchant(invoice), shown))
                        button.pay type="submit" { "Pay " (due) }
                        (test_cards(if bill.offer.sepa { Accounts::Shown } else { Accounts::Hidden }))
                    }
                }
            }
        }
    };
    layout::answer(code, "Invoice", &body)
}

fn facts(invoice: &Value) -> Markup {
    let billed = [invoice.text("customer_name"), invoice.text("customer_email")];
    let paid = invoice.at("status_transitions").int("paid_at");
    let due = invoice.int("due_date");
    html! {
        dl.facts {
            div { dt { "Billed to" } dd { @for line in billed { @if !line.is_empty() { span.row { (line) } } } } }
            div { dt { "Issued" } dd { (day(invoice.int("created"))) } }
            @if paid > 0 { div { dt { "Paid" } dd { (day(paid)) } } }
            @else if due > 0 { div { dt { "Due" } dd { (day(due)) } } }
        }
    }
}

fn lines(invoice: &Value) -> Markup {
    let currency = invoice.text("currency");
    html! {
        table {
            caption.hidden { "What is billed" }
            thead { tr { th scope="col" { "Description" } th.figure scope="col" { "Amount" } } }
            tbody {
                @for line in invoice.items("lines") {
                    tr {
                        td {
                            (line.text("description"))
                            span.row.small {
                                (day(line.at("period").int("start"))) " – " (day(line.at("period").int("end")))
                            }
                        }
                        td.figure { (money(line.int("amount"), currency)) }
                    }
                }
            }
        }
    }
}

fn totals(invoice: &Value) -> Markup {
    let currency = invoice.text("currency");
    let sum = |name: &str| invoice.items(name).iter().map(|part| part.int("amount")).sum::<i64>();
    let (off, tax, paid) =
        (sum("total_discount_amounts"), sum("total_taxes"), invoice.int("amount_paid"));
    let row = |name: &str, amount| html! { div { dt { (name) } dd { (money(amount, currency)) } } };
    html! {
        dl.totals {
            (row("Subtotal", invoice.int("subtotal")))
            @if off > 0 { (row("Discount", -off)) }
            @if tax > 0 { (row("Tax", tax)) }
            (row("Total", invoice.int("total")))
            @if paid > 0 { (row("Paid", -paid)) }
        }
        dl.totals.due { (row("Amount due", invoice.int("amount_remaining"))) }
    }
}
