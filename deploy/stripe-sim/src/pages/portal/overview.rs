//! The portal's first page: plans, ways to pay, and what was billed. Each change has a button or a page.

use maud::{Markup, html};
use serde_json::Value;

use super::Done;
use crate::json::Look as _;
use crate::pages::fields::alert;
use crate::pages::form::Shown;
use crate::pages::methods::label;
use crate::pages::money::{money, price};
use crate::pages::read::{day, id, link, merchant};
use crate::pages::status;

/// Everything about a customer's billing.
pub(super) fn overview(portal: &Value, done: Option<Done>, failure: &Shown) -> Markup {
    let features = &portal["configuration"]["features"];
    frame(
        portal,
        &html! {
            h1 { "Your billing" }
            (alert(failure))
            @if let Some(done) = done {
                p.notice role="status" { (done.sentence()) }
            }
            section aria-labelledby="plans" {
                h2 #plans { "Plan" }
                @let running = portal.items("subscriptions").iter().filter(|plan| is_running(plan));
                @for plan in running.clone() { (subscription(portal, plan)) }
                @if running.count() == 0 { p.small { "You have no plan at the moment." } }
            }
            section aria-labelledby="methods" {
                h2 #methods { "Payment methods" }
                ul.rows { @for method in portal.items("payment_methods") { (payment_method(portal, method)) } }
                @if features.at("payment_method_update").flag("enabled") {
                    p { a.button.plain href={ (home(portal)) "/methods" } { "Add a card" } }
                }
            }
            section aria-labelledby="details" {
                h2 #details { "Billing details" }
                p { (portal.at("customer").text("name")) }
                p { (portal.at("customer").text("email")) }
            }
            @if features.at("invoice_history").flag("enabled") { (history(portal)) }
        },
    )
}

/// The merchant's name and the way back, beside one of the portal's pages.
pub(super) fn frame(portal: &Value, content: &Markup) -> Markup {
    html! {
        div.portal {
            header.aside {
                p.name { (merchant(&portal["configuration"])) }
                p.small { "Plans, payment methods and invoices" }
                @if let Some(url) = link(portal.at("session"), "return_url") {
                    a.back href=(url) { span aria-hidden="true" { "←" } " Return to merchant" }
                }
            }
            main { (content) }
        }
    }
}

/// Where the portal's pages are.
pub(super) fn home(portal: &Value) -> String {
    format!("/p/session/{}", portal.at("session").text("id"))
}

/// What a subscription is called: its first product's name.
pub(super) fn plan_name(subscription: &Value) -> &str {
    item(subscription).at("price").at("product").text("name")
}

/// What a subscription is for. Of several items the first stands for all.
pub(super) fn item(subscription: &Value) -> &Value {
    subscription.items("items").first().unwrap_or(&Value::Null)
}

/// When a subscription's paid time ends.
pub(super) fn period_end(subscription: &Value) -> String {
    day(item(subscription).int("current_period_end"))
}

fn is_running(subscription: &Value) -> bool {
    !matches!(subscription.text("status"), "canceled" | "incomplete_expired")
}

fn subscription(portal: &Value, subscription: &Value) -> Markup {
    let features = &portal["configuration"]["features"];
    let path = |verb: &str| format!("{}/{verb}/{}", home(portal), subscription.text("id"));
    let count = item(subscription).int("quantity");
    let ends = subscription.flag("cancel_at_period_end");
    html! {
        div.plan {
            div {
                p.name {
                    (plan_name(subscription)) " "
                    @if ends { (status("ending")) } @else { (status(subscription.text("status"))) }
                }
                p.price {
                    (price(item(subscription).at("price")))
                    @if count > 1 { " × " (count) }
                }
                p.small {
                    @if ends { "Ends on " (period_end(subscription)) ". You won’t be charged again." }
                    @else if subscription.text("status") == "trialing" {
                        "Free until " (day(subscription.int("trial_end"))) ", then renews."
                    }
                    @else { "Renews on " (period_end(subscription)) "." }
                }
            }
            div.actions {
                @if ends {
                    form method="post" action=(path("keep")) { button.pay type="submit" { "Keep plan" } }
                } @else {
                    @if features.at("subscription_update").flag("enabled") {
                        a.button href=(path("plan")) { "Change plan" }
                    }
                    @if features.at("subscription_cancel").flag("enabled") {
                        a.button.plain href=(path("cancel")) { "Cancel plan" }
                    }
                }
            }
        }
    }
}

fn payment_method(portal: &Value, method: &Value) -> Markup {
    let path = format!("{}/methods/{}", home(portal), method.text("id"));
    let label = label(method);
    let default = id(portal.at("customer").at("invoice_settings"), "default_payment_method")
        == method.text("id");
    html! {
        li {
            span { (label) @if default { " " span.tag { "Default" } } }
            @if portal.at("configuration").at("features").at("payment_method_update").flag("enabled") {
                span.actions {
                    @if !default {
                        form method="post" action={ (path) "/default" } {
                            button.link type="submit" aria-label={ "Make default: " (label) } { "Make default" }
                        }
                    }
                    form method="post" action={ (path) "/remove" } {
                        button.link type="submit" aria-label={ "Remove: " (label) } { "Remove" }
                    }
                }
            }
        }
    }
}

fn history(portal: &Value) -> Markup {
    let invoices = portal.items("invoices");
    html! {
        section aria-labelledby="invoices" {
            h2 #invoices { "Invoices" }
            @if invoices.is_empty() {
                p.small { "Nothing has been billed yet." }
            } @else {
                table {
                    caption.hidden { "Invoices, newest first" }
                    thead { tr {
                        th scope="col" { "Date" } th scope="col" { "Status" } th.figure scope="col" { "Amount" }
                    } }
                    tbody {
                        @for invoice in invoices {
                            tr {
                                td {
                                    a href={ "/i/" (invoice.text("id")) } { (day(invoice.int("created"))) }
                                }
                                td { (status(invoice.text("status"))) }
                                td.figure { (money(invoice.int("total"), invoice.text("currency"))) }
                            }
                        }
                    }
                }
            }
        }
    }
}
