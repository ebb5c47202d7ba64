//! What is bought: the left half of checkout, and the first thing that a phone shows.

use maud::{Markup, html};
use serde_json::Value;

use super::order::Order;
use crate::json::Look as _;
use crate::pages::form::Shown;
use crate::pages::money::{money, price, rhythm};
use crate::pages::read::{link, merchant};

/// The order in words and figures, with what a buyer may change about it.
pub(super) fn summary(order: &Order, shown: &Shown) -> Markup {
    let session = &order.session;
    html! {
        section.summary aria-label="Order" {
            div.inner {
                div.merchant {
                    @if let Some(url) = link(session, "cancel_url") {
                        a.back href=(url) { span aria-hidden="true" { "←" } " Back to " (merchant(session)) }
                    } @else {
                        span { (merchant(session)) }
                    }
                }
                (headline(order))
                @if !order.lines.is_empty() {
                    ul.lines { @for line in &order.lines { (line_item(session, line, shown)) } }
                    (totals(order, shown))
                }
            }
        }
    }
}

fn headline(order: &Order) -> Markup {
    let session = &order.session;
    let total = money(session.int("amount_total"), session.text("currency"));
    let first = order.lines.first().map(|line| line.text("description")).unwrap_or("a plan");
    html! {
        @match (session.text("mode"), order.recurring()) {
            ("setup", _) => {
                h1.lead { "Save your payment details" }
                p { "Nothing is charged now. " (merchant(session)) " may charge what you agree to later." }
            }
            ("subscription", Some(recurring)) => {
                @if order.trial_days > 0 {
                    h1 { "Try " (first) }
                    p.amount { (days(order.trial_days)) " free" }
                    p { "Then " (price(recurring)) }
                } @else {
                    h1 { "Subscribe to " (first) }
                    p.amount { (total) @if let Some(rhythm) = rhythm(recurring) { span.rhythm { (rhythm) } } }
                }
            }
            _ => {
                h1 { "Pay " (merchant(session)) }
                p.amount { (total) }
            }
        }
    }
}

fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

fn line_item(session: &Value, line: &Value, shown: &Shown) -> Markup {
    let (currency, count) = (line.text("currency"), line.int("quantity"));
    let described = line.at("price").at("product").text("description");
    html! {
        li {
            div.what {
                p.name { (line.text("description")) }
                @if !described.is_empty() { p.small { (described) } }
                @if line.at("_adjustable").flag("enabled") {
                    (quantity(session, line, shown))
                } @else if count > 1 {
                    p.small { "Quantity " (count) }
                }
            }
            div.cost {
                p { (money(line.int("amount_subtotal"), currency)) }
                @if count > 1 {
                    p.small { (price(&line["price"])) " each" }
                } @else if let Some(rhythm) = rhythm(&line["price"]) {
                    p.small { (rhythm) }
                }
            }
        }
    }
}

/// A form of its own: Enter in it brings the total up to date instead of paying an amount not yet seen.
fn quantity(session: &Value, line: &Value, shown: &Shown) -> Markup {
    let field = format!("quantity-{}", line.text("id"));
    let limit = |name| line.at("_adjustable").at(name).as_i64();
    let posted_here = !shown.form.get(line.text("id")).is_empty();
    let problem = shown.problem("quantity").filter(|_| posted_here);
    html! {
        form.inline method="post" action={ "/c/pay/" (session.text("id")) "/quantity" } {
            label for=(field) { "Quantity" }
            input id=(field) name=(line.text("id")) type="number" inputmode="numeric" required
                min=(limit("minimum").unwrap_or(0))
                max=(limit("maximum").unwrap_or(99)) value=(line.int("quantity"))
                aria-invalid=[problem.map(|_| "true")]
                aria-describedby=[problem.map(|_| "quantity-problem")];
            button.plain type="submit" { "Update" }
            @if let Some(problem) = problem {
                p.problem id="quantity-problem" role="alert" { (problem) }
            }
        }
    }
}

fn totals(order: &Order, shown: &Shown) -> Markup {
    let session = &order.session;
    let currency = session.text("currency");
    let promotions = session.flag("allow_promotion_codes");
    let trial = session.int("amount_total") - order.due();
    let tax = session.at("total_details").int("amount_tax");
    let off = session.at("total_details").int("amount_discount");
    html! {
        dl.totals {
            div { dt { "Subtotal" } dd { (money(session.int("amount_subtotal"), currency)) } }
            @for discount in &order.discounts {
                div {
                    dt {
                        @match named(discount) {
                            Some(name) => span.tag { (name) },
                            None => span { "Discount" },
                        }
                        span.small { (reduction(&discount["coupon"])) }
                        @if promotions { (removal(session)) }
                    }
                    dd { (money(-off, currency)) }
                }
            }
            @if trial != 0 {
                div { dt { (days(order.trial_days)) " free" } dd { (money(-trial, currency)) } }
            }
            @if tax > 0 { div { dt { "Tax" } dd { (money(tax, currency)) } } }
        }
        @if promotions && order.discounts.is_empty() { (promotion(session, shown)) }
        dl.totals.due {
            div {
                dt { @if order.recurring().is_some() { "Total due today" } @else { "Total due" } }
                dd { (money(order.due(), currency)) }
            }
        }
    }
}

/// The code that a buyer typed, or the name of what the merchant granted.
fn named(discount: &Value) -> Option<&str> {
    let (promotion, coupon) = (discount.at("promotion_code"), discount.at("coupon"));
    promotion.opt("code").or(coupon.opt("name"))
}

/// `20% off`, `$5.00 off`.
fn reduction(coupon: &Value) -> String {
    match coupon["percent_off"].as_f64() {
        Some(percent) => format!("{percent}% off"),
        None => format!("{} off", money(coupon.int("amount_off"), coupon.text("currency"))),
    }
}

fn promotion(session: &Value, shown: &Shown) -> Markup {
    let problem = shown.problem("code");
    html! {
        details.promotion open[problem.is_some()] {
            summary { "Add promotion code" }
            form.inline method="post" action={ "/c/pay/" (session.text("id")) "/promotion" } novalidate {
                label for="code" { "Promotion code" }
                input id="code" name="code" type="text" autocomplete="off" autocapitalize="characters"
                    maxlength="200" value=(shown.form.get("code")) autofocus[problem.is_some()]
                    aria-invalid=[problem.map(|_| "true")]
                    aria-describedby=[problem.map(|_| "code-problem")];
                button.plain type="submit" { "Apply" }
                @if let Some(problem) = problem {
                    p.problem id="code-problem" role="alert" { (problem) }
                }
            }
        }
    }
}

fn removal(session: &Value) -> Markup {
    html! {
        form.inline method="post" action={ "/c/pay/" (session.text("id")) "/promotion" } {
            button.link type="submit" name="remove" value="yes" aria-label="Remove promotion code" {
                "Remove"
            }
        }
    }
}
