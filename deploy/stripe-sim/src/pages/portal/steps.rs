//! The portal's changes that need a second look: cancelling, another plan, another card.

use maud::{Markup, html};
use serde_json::Value;

use super::flow::back;
use super::overview::{frame, home, item, period_end, plan_name};
use crate::json::Look as _;
use crate::pages::cards::{Accounts, test_cards};
use crate::pages::fields::alert;
use crate::pages::form::Shown;
use crate::pages::methods::{Offer, choice};
use crate::pages::money::price;
use crate::pages::read::{id, merchant};

/// Asks before a plan is cancelled, and says when it would end.
pub(super) fn cancel(portal: &Value, subscription: &Value, shown: &Shown) -> Markup {
    let mode = portal.at("configuration").at("features").at("subscription_cancel").text("mode");
    frame(
        portal,
        &html! {
            h1 { "Cancel " (plan_name(subscription)) "?" }
            (alert(shown))
            @if mode == "immediately" {
                p { "Your plan ends at once." }
            } @else {
                p {
                    "Your plan stays until " strong { (period_end(subscription)) } " and then ends. "
                    "You can change your mind until that day."
                }
            }
            form.stack method="post" action={ (home(portal)) "/cancel/" (subscription.text("id")) } {
                button.danger type="submit" { "Cancel plan" }
                a.button.plain href=(back(portal)) { "Go back" }
            }
        },
    )
}

/// The plans that a subscription may change to: what is sold in its currency.
pub(super) fn plans(portal: &Value, subscription: &Value, shown: &Shown) -> Markup {
    let current = id(item(subscription), "price");
    let currency = item(subscription).at("price").text("currency");
    let sold = portal.items("prices").iter().filter(|price| price.text("currency") == currency);
    let others = sold.clone().filter(|price| price.text("id") != current).count();
    frame(
        portal,
        &html! {
            h1 { "Change plan" }
            (alert(shown))
            @if others == 0 {
                p { "There is no other plan to change to." }
                p { a.button.plain href=(back(portal)) { "Go back" } }
            } @else {
                form.stack method="post" action={ (home(portal)) "/plan/" (subscription.text("id")) } {
                    fieldset {
                        legend.hidden { "Plan" }
                        @for price in sold { (plan(price, current)) }
                    }
                    p.small {
                        "The change takes effect at once. What is left of the time you paid for counts towards it."
                    }
                    button.pay type="submit" { "Change plan" }
                    a.button.plain href=(back(portal)) { "Go back" }
                }
            }
        },
    )
}

fn plan(sold: &Value, current: &str) -> Markup {
    let price_id = sold.text("id");
    html! {
        div.method {
            input type="radio" name="price" id={ "plan-" (price_id) } value=(price_id) required
                checked[price_id == current];
            label for={ "plan-" (price_id) } {
                span {
                    (sold.at("product").text("name"))
                    @if price_id == current { " " span.tag { "Current plan" } }
                    span.row.small { (price(sold)) }
                }
            }
        }
    }
}

/// A form for another card.
pub(super) fn add_card(portal: &Value, shown: &Shown) -> Markup {
    let offer = Offer { saved: Vec::new(), card: true, sepa: false };
    frame(
        portal,
        &html! {
            h1 { "Add a card" }
            (alert(shown))
            form.stack method="post" action={ (home(portal)) "/methods" } novalidate {
                (choice(&offer, merchant(&portal["configuration"]), shown))
                button.pay type="submit" { "Save card" }
                a.button.plain href=(back(portal)) { "Go back" }
                (test_cards(Accounts::Hidden))
            }
        },
    )
}
