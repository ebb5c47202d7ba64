//! How it is paid: the right half of checkout, one form that posts to the page it is on.

use maud::{Markup, html};
use serde_json::Value;

use super::order::Order;
use crate::json::Look as _;
use crate::pages::cards::{Accounts, test_cards};
use crate::pages::fields::{Field, Kind, alert, field};
use crate::pages::form::Shown;
use crate::pages::layout::{Mark, mark};
use crate::pages::methods::choice;
use crate::pages::money::{money, price};
use crate::pages::read::{link, merchant};

const EMAIL: Field = Field {
    name: "email",
    label: "Email",
    kind: Kind::Email,
    autocomplete: "email",
    example: "you@example.com",
};

/// The form. It is checked by the server alone, so that each problem is told in one way.
pub(super) fn entry(order: &Order, shown: &Shown) -> Markup {
    let session = &order.session;
    let accounts = if order.offer.sepa { Accounts::Shown } else { Accounts::Hidden };
    html! {
        main.entry {
            div.inner {
                (alert(shown))
                form method="post" action={ "/c/pay/" (session.text("id")) } novalidate {
                    @match order.email.as_deref() {
                        Some(email) => {
                            div.field {
                                label for="email" { "Email" }
                                input id="email" type="email" value=(email) readonly;
                            }
                        }
                        None => (field(shown, &EMAIL)),
                    }
                    @if order.is_free() {
                        p.small { "Nothing is due, so no payment details are needed." }
                    } @else {
                        (choice(&order.offer, merchant(session), shown))
                    }
                    button.pay type="submit" { (call(order)) }
                    (consent(order))
                    @if !order.is_free() { (test_cards(accounts)) }
                }
            }
        }
    }
}

/// What the button does, in its own words.
fn call(order: &Order) -> String {
    let session = &order.session;
    let verb = match session.text("submit_type") {
        "book" => "Book for",
        "donate" => "Donate",
        _ => "Pay",
    };
    match session.text("mode") {
        "setup" => "Save card".to_owned(),
        "subscription" if order.trial_days > 0 => "Start trial".to_owned(),
        "subscription" => "Subscribe".to_owned(),
        _ if order.is_free() => "Complete order".to_owned(),
        _ => format!("{verb} {}", money(session.int("amount_total"), session.text("currency"))),
    }
}

fn consent(order: &Order) -> Markup {
    let merchant = merchant(&order.session);
    let charged = order.recurring().map(price).unwrap_or_default();
    html! {
        @match order.session.text("mode") {
            "subscription" => p.small.consent {
                "By subscribing, you allow " (merchant) " to charge you " (charged) " until you cancel."
            },
            "setup" => p.small.consent {
                "By saving your details, you allow " (merchant) " to charge you for future payments."
            },
            _ => {}
        }
    }
}

/// The page of a session that can't be paid any more.
pub(super) fn over(session: &Value) -> Markup {
    let paid = match (session.text("mode"), session.text("payment_status")) {
        ("setup", _) => "Your payment details are saved",
        (_, "unpaid") => "Your payment is on its way",
        _ => "You’ve already paid",
    };
    html! {
        @if session.text("status") == "complete" {
            (mark(Mark::Done))
            h1 { (paid) }
            p { "There is nothing left to do here." }
            @if let Some(url) = super::success_url(session) {
                a.button href=(url) { "Return to " (merchant(session)) }
            }
        } @else {
            (mark(Mark::Expired))
            h1 { "This checkout has expired" }
            p { "Nothing was charged. Start again from the shop." }
            @if let Some(url) = link(session, "cancel_url") {
                a.button href=(url) { "Return to " (merchant(session)) }
            }
        }
    }
}
