//! Shapes of older API versions, for endpoints and calls that ask for one.
//!
//! What is kept has today's shape. Going back, each step undoes what its release changed; the table of
//! STRIPE's changelog that these steps follow is in the release notes they name.

use crate::{json::Look as _, render::shown, resources::invoices, world::World};
use serde_json::{Value, json};

/// Invoices, lines and subscriptions got parents and payments.
const BASIL: &str = "2025-03-31";
/// A discount's coupon moved into `source`.
const CLOVER: &str = "2025-09-30";
/// `ui_mode` says `hosted_page`.
const DAHLIA: &str = "2026-03-25";

/// Is it a version's name? Newer ones than ours are taken, too: SDKs come out every month, and the months
/// between two names are compatible.
pub(crate) fn is_version(version: &str) -> bool {
    let date = version.split('.').next().unwrap_or_default();
    date.len() == 10
        && date.starts_with("20")
        && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// A value and all that is in it, as a version has it.
pub(crate) fn render(world: &World, mut value: Value, version: &str) -> Value {
    if version < DAHLIA {
        walk(world, &mut value, version);
    }
    value
}

fn walk(world: &World, value: &mut Value, version: &str) {
    match value {
        Value::Array(elements) => {
            elements.iter_mut().for_each(|element| walk(world, element, version))
        }
        Value::Object(members) => {
            let others = members.iter_mut().filter(|(name, _)| *name != "metadata");
            others.for_each(|(_, member)| walk(world, member, version));
            reshape(world, value, version);
        }
        _ => {}
    }
}

fn reshape(world: &World, value: &mut Value, version: &str) {
    match value.text("object") {
        "checkout.session" => {
            let older = match value.text("ui_mode") {
                "hosted_page" => "hosted",
                "embedded_page" => "embedded",
                "elements" => "custom",
                _ => return,
            };
            value["ui_mode"] = json!(older);
        }
        "discount" if version < CLOVER => {
            let coupon = value["source"]["coupon"].take();
            value["coupon"] =
                coupon.as_str().and_then(|id| world.find(id)).map_or(coupon.clone(), shown);
            remove(value, "source");
        }
        "promotion_code" if version < CLOVER => {
            let coupon = value["promotion"]["coupon"].take();
            value["coupon"] =
                coupon.as_str().and_then(|id| world.find(id)).map_or(coupon.clone(), shown);
            remove(value, "promotion");
        }
        "invoice" if version < BASIL => invoice_before_basil(world, value, version),
        "line_item" if version < BASIL => line_before_basil(world, value),
        "subscription" if version < BASIL => subscription_before_basil(world, value, version),
        "charge" | "payment_intent" if version < BASIL => {
            let intent = if value.text("object") == "charge" { "payment_intent" } else { "id" };
            let invoice = invoices::of_intent(world, value.text(intent));
            value["invoice"] = json!(invoice);
        }
        _ => {}
    }
}

fn invoice_before_basil(world: &World, invoice: &mut Value, version: &str) {
    let details = invoice["parent"]["subscription_details"].take();
    let payments = invoices::payments(world, invoice.text("id"));
    let intent =
        payments.first().map_or("", |payment| payment.at("payment").text("payment_intent"));
    let charge = world.get(intent).at("latest_charge").clone();
    let paid = invoice.text("status") == "paid";
    let tax: i64 = invoice.items("total_taxes").iter().map(|tax| tax.int("amount")).sum();
    let older = json!({
        "subscription": details.at("subscription"),
        "subscription_details": { "metadata": details.at("metadata") },
        "payment_intent": if intent.is_empty() { Value::Null } else { json!(intent) },
        "charge": charge,
        "paid": paid,
        "paid_out_of_band": paid && intent.is_empty() && invoice.int("amount_due") > 0,
        "tax": if tax == 0 { Value::Null } else { json!(tax) },
        "discount": first_discount(world, invoice, version),
        "quote": null,
    });
    crate::json::merge(invoice, older);
    for member in ["parent", "payments", "confirmation_secret", "total_taxes"] {
        remove(invoice, member);
    }
}

fn line_before_basil(world: &World, line: &mut Value) {
    let parent = line["parent"].take();
    let details = match parent.text("type") {
        "subscription_item_details" => parent.at("subscription_item_details"),
        _ => parent.at("invoice_item_details"),
    };
    let price = line["pricing"]["price_details"]["price"].take();
    let price = price.as_str().and_then(|id| world.find(id)).map_or(Value::Null, shown);
    let plan = if price.at("recurring").is_object() {
        crate::resources::catalog::plan(&price)
    } else {
        Value::Null
    };
    let is_subscription = parent.text("type") == "subscription_item_details";
    let older = json!({
        "subscription": details.at("subscription"),
        "subscription_item": details.at("subscription_item"),
        "invoice_item": details.at("invoice_item"),
        "proration": details.flag("proration"),
        "proration_details": details.at("proration_details"),
        "type": if is_subscription { "subscription" } else { "invoiceitem" },
        "price": price,
        "plan": plan,
        "tax_amounts": [],
        "tax_rates": [],
    });
    crate::json::merge(line, older);
    for member in ["parent", "pricing", "taxes"] {
        remove(line, member);
    }
}

fn subscription_before_basil(world: &World, subscription: &mut Value, version: &str) {
    let item = subscription.items("items").first().cloned().unwrap_or_default();
    let older = json!({
        "current_period_start": item.at("current_period_start"),
        "current_period_end": item.at("current_period_end"),
        "plan": item.at("plan"),
        "quantity": item.at("quantity"),
        "discount": first_discount(world, subscription, version),
    });
    crate::json::merge(subscription, older);
    if let Some(items) = subscription["items"]["data"].as_array_mut() {
        for item in items {
            remove(item, "current_period_start");
            remove(item, "current_period_end");
        }
    }
}

/// The one discount that there could be.
fn first_discount(world: &World, object: &Value, version: &str) -> Value {
    let first = object.items("discounts").first().and_then(Value::as_str);
    let found = first.and_then(|id| world.find(id)).map(shown);
    found.map_or(Value::Null, |discount| render(world, discount, version))
}

fn remove(value: &mut Value, member: &str) {
    if let Some(members) = value.as_object_mut() {
        members.remove(member);
    }
}
