//! How a subscription changes: another plan, more of it, a pause, an end, or going on after all.

use super::{
    TRIAL_WARNING_SECONDS, bill, end_period, is_over, next_period, period, set_period, start,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    resources::{catalog, invoices, lines, payment_intents::How},
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// What somebody does in the portal.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// End it when the period is over, or not after all.
    CancelAtPeriodEnd(bool),
    /// Another plan.
    Plan(Plan),
}

/// The price of a plan, and what becomes of the difference: "create_prorations", "always_invoice" or "none".
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) price: String,
    pub(crate) proration_behavior: String,
}

impl Change {
    /// As the API would be asked.
    pub(crate) fn params(self, subscription: &Value) -> Params {
        let fields = match self {
            Self::CancelAtPeriodEnd(cancel) => json!({ "cancel_at_period_end": cancel }),
            Self::Plan(plan) => {
                let item = subscription.items("items").first().cloned().unwrap_or_default();
                json!({ "items": [{ "id": item.at("id"), "price": plan.price }], "proration_behavior": plan.proration_behavior })
            }
        };
        Params::from(fields.as_object().cloned().unwrap_or_default())
    }
}

/// `POST /v1/subscriptions/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    let before = world.need(Kind::Subscription, id, "id")?.clone();
    if is_over(&before) {
        let said = format!(
            "A canceled subscription can only update its cancellation_details and metadata: {id} is {}.",
            before.text("status")
        );
        if params.all().keys().any(|name| name != "metadata" && name != "cancellation_details") {
            return Err(Fail::request(said));
        }
    }
    if let Some(method) = params.full("default_payment_method") {
        let owner =
            world.need(Kind::PaymentMethod, method, "default_payment_method")?.opt("customer");
        if owner != before.opt("customer") {
            let said = "The customer does not have a payment method with the ID provided. The payment method must be attached to the customer.";
            return Err(Fail::param("default_payment_method", said).code("resource_missing"));
        }
    }
    start::refuse_pending(params)?;
    let invoiced_now = apply(world, id, params)?;
    settings(world, id, params);
    let previous = crate::json::difference(&before, world.get(id));
    if !previous.is_empty() {
        let shown = crate::render::as_kept(world, id);
        world.emit_object("customer.subscription.updated", shown, Some(Value::Object(previous)));
    }
    if params.full("trial_end") == Some("now") && before.text("status") == "trialing" {
        let (start, _) = period(&before);
        let now = world.now;
        world.set(id, |subscription| {
            subscription["trial_end"] = json!(now);
            subscription["billing_cycle_anchor"] = json!(now);
        });
        set_period(world, id, (start, now));
        end_period(world, id);
        let latest = world.get(id).text("latest_invoice").to_owned();
        invoices::advance(world, &latest);
    }
    if let InvoicedNow::Yes(period) = invoiced_now {
        invoice_now(world, id, period, params)?;
    }
    Ok(world.get(id).clone())
}

/// Is something due at once?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvoicedNow {
    /// For this period, if another one began.
    Yes(Option<lines::Period>),
    No,
}

fn invoice_now(
    world: &mut World,
    id: &str,
    period: Option<lines::Period>,
    params: &Params,
) -> Result<(), Fail> {
    let reason = "subscription_update";
    let now = world.now;
    if let Some(period) = period {
        // A new period, which is paid in full.
        let subscription = world.get(id).clone();
        for item in subscription.items("items") {
            let (price, quantity) = (item.at("price"), item.int("quantity"));
            let name = world.get(price.text("product")).text("name").to_owned();
            let amount = catalog::amount_of(price, quantity);
            let pending = lines::add_pending(
                world,
                &lines::Pending {
                    customer: subscription.text("customer"),
                    subscription: Some((id, item.text("id"))),
                    price,
                    amount,
                    quantity,
                    description: format!("{quantity} × {name}"),
                    period,
                },
            );
            world.set(&pending, |pending| pending["proration"] = json!(false));
        }
    }
    let invoice = bill(world, id, reason, (now, now), json!({}));
    invoices::finalize(world, &invoice);
    if world.get(&invoice).text("status") != "open" {
        return Ok(());
    }
    let insists = params.full("payment_behavior") == Some("error_if_incomplete");
    let how = if insists { How::off_session() } else { How::on_session() };
    let done = invoices::charge(world, &invoice, None, how);
    match params.full("payment_behavior") {
        Some("error_if_incomplete") => done.map_err(|fail| Fail { happened: false, ..fail }),
        // How it went, the subscription says.
        _ => Ok(()),
    }
}

fn settings(world: &mut World, id: &str, params: &Params) {
    let (now, end) = (world.now, period(world.get(id)).1);
    world.set(id, |subscription| {
        params.echo(
            subscription,
            &["default_payment_method", "description", "collection_method", "days_until_due"],
        );
        params.echo_metadata(subscription);
        if let Some(details) = params.value("cancellation_details").cloned() {
            crate::json::merge(&mut subscription["cancellation_details"], details);
        }
        if let Some(settings) = params.value("trial_settings").cloned() {
            crate::json::merge(&mut subscription["trial_settings"], settings);
        }
        if let Some(settings) = params.value("payment_settings").cloned() {
            crate::json::merge(&mut subscription["payment_settings"], settings);
        }
        if let Some(cancel) = params.flag("cancel_at_period_end") {
            set_cancel(subscription, cancel.then_some(end), now);
            subscription["cancel_at_period_end"] = json!(cancel);
        } else if params.has("cancel_at") {
            set_cancel(subscription, params.int("cancel_at"), now);
            subscription["cancel_at_period_end"] = json!(false);
        }
        if let Some(pause) = params.value("pause_collection") {
            subscription["pause_collection"] = match pause.opt("behavior") {
                Some(behavior) => {
                    json!({ "behavior": behavior, "resumes_at": pause.at("resumes_at") })
                }
                None => Value::Null,
            };
        }
    });
    if let Some(at) = params.int("cancel_at") {
        world.at(at, Timer::CancelSubscription(id.to_owned()));
    }
    if let Some(at) = params.group("pause_collection").and_then(|pause| pause.int("resumes_at")) {
        world.at(at, Timer::ResumeCollection(id.to_owned()));
    }
    if let Some(end) = params.int("trial_end").filter(|end| *end > now) {
        world.set(id, |subscription| {
            subscription["status"] = json!("trialing");
            subscription["trial_end"] = json!(end);
            subscription["billing_cycle_anchor"] = json!(end);
        });
        set_period(world, id, (now, end));
        world.at((end - TRIAL_WARNING_SECONDS).max(now), Timer::WarnOfTrialEnd(id.to_owned()));
    }
}

fn set_cancel(subscription: &mut Value, at: Option<i64>, now: i64) {
    subscription["cancel_at"] = json!(at);
    subscription["canceled_at"] = json!(at.map(|_| now));
    subscription["cancellation_details"]["reason"] = json!(at.map(|_| "cancellation_requested"));
}

/// Changes items; the difference waits for the next invoice.
pub(super) fn apply(world: &mut World, id: &str, params: &Params) -> Result<InvoicedNow, Fail> {
    let asked = params.groups("items");
    let is_anchored_now = params.full("billing_cycle_anchor") == Some("now");
    if asked.is_empty() && !is_anchored_now {
        return Ok(InvoicedNow::No);
    }
    let before = world.get(id).clone();
    let behavior = params.full("proration_behavior").unwrap_or("create_prorations").to_owned();
    let prorates = behavior != "none" && matches!(before.text("status"), "active" | "past_due");
    let old_period = period(&before);
    let mut items = before.items("items").to_vec();
    for (at, change) in asked.iter().enumerate() {
        change_item(world, id, &mut items, change, &format!("items[{at}]"))?;
    }
    if items.is_empty() {
        return Err(Fail::param("items", "A subscription must have at least one active item."));
    }
    let interval =
        |items: &[Value]| items.first().map(|item| item.at("price").at("recurring").clone());
    let recurring = |item: &Value| {
        (
            item.at("price").at("recurring").text("interval").to_owned(),
            item.at("price").at("recurring").int("interval_count"),
        )
    };
    if items.iter().any(|item| Some(recurring(item)) != items.first().map(recurring)) {
        return Err(Fail::param(
            "items",
            "All prices on a subscription must have the same `recurring.interval` and `recurring.interval_count`.",
        ));
    }
    let is_running = before.text("status") != "trialing";
    let resets =
        is_running && (is_anchored_now || interval(&items) != interval(before.items("items")));
    if prorates {
        for item in before
            .items("items")
            .iter()
            .chain(items.iter().filter(|item| !has(before.items("items"), item)))
        {
            let old = before.items("items").iter().find(|old| old.text("id") == item.text("id"));
            let new = items.iter().find(|new| new.text("id") == item.text("id"));
            let side = |item: &Value| (item.at("price").clone(), item.int("quantity"));
            let (old, new) = (old.map(side), new.map(side));
            if old == new && !resets {
                continue;
            }
            // A new period is paid in full, so that only the old one's rest is worth something.
            let new_side =
                new.as_ref().filter(|_| !resets).map(|(price, quantity)| (price, *quantity));
            let old_side = old.as_ref().map(|(price, quantity)| (price, *quantity));
            lines::prorate(world, &before, item.text("id"), old_side, new_side, old_period);
        }
    }
    let now = world.now;
    world.set(id, |subscription| {
        subscription["items"]["total_count"] = json!(items.len());
        subscription["items"]["data"] = Value::Array(items);
    });
    if resets {
        world.set(id, |subscription| subscription["billing_cycle_anchor"] = json!(now));
        let next = next_period(world.get(id), now);
        set_period(world, id, next);
        return Ok(InvoicedNow::Yes(Some(next)));
    }
    set_period(world, id, old_period);
    Ok(if behavior == "always_invoice" && prorates {
        InvoicedNow::Yes(None)
    } else {
        InvoicedNow::No
    })
}

fn has(items: &[Value], item: &Value) -> bool {
    items.iter().any(|other| other.text("id") == item.text("id"))
}

fn change_item(
    world: &mut World,
    id: &str,
    items: &mut Vec<Value>,
    change: &Params,
    param: &str,
) -> Result<(), Fail> {
    let price = start::asked_price(world, change, param)?;
    let metadata = change.value("metadata").cloned();
    let Some(item_id) = change.full("id") else {
        let price = price.ok_or_else(|| Fail::missing(&format!("{param}[price]")))?;
        let made = start::item(
            world,
            id,
            &price,
            catalog::quantity(change, &format!("{param}[quantity]"))?,
            &metadata.unwrap_or_else(|| json!({})),
        );
        items.push(made);
        return Ok(());
    };
    let Some(at) = items.iter().position(|item| item.text("id") == item_id) else {
        return Err(Fail::no_such("subscription_item", item_id, &format!("{param}[id]")));
    };
    if change.flag("deleted") == Some(true) {
        items.remove(at);
        return Ok(());
    }
    let Some(item) = items.get_mut(at) else { return Ok(()) };
    if let Some(price) = price {
        item["plan"] = catalog::plan(&price);
        item["price"] = price;
    }
    if change.has("quantity") {
        item["quantity"] = json!(catalog::quantity(change, &format!("{param}[quantity]"))?);
    }
    if let Some(metadata) = metadata {
        crate::json::merge(&mut item["metadata"], metadata);
    }
    Ok(())
}

/// `POST /v1/subscriptions/:id/resume`
pub(crate) fn resume(world: &mut World, id: &str, params: &Params) -> Answer {
    let subscription = world.need(Kind::Subscription, id, "id")?.clone();
    if subscription.text("status") != "paused" {
        return Err(Fail::request(format!(
            "You can only resume a paused subscription: {id} is {}.",
            subscription.text("status")
        )));
    }
    let now = world.now;
    if params.full("billing_cycle_anchor") != Some("unchanged") {
        world.set(id, |subscription| subscription["billing_cycle_anchor"] = json!(now));
    }
    let next = next_period(world.get(id), now);
    set_period(world, id, next);
    let invoice = bill(world, id, "subscription_cycle", next, json!({}));
    world.set(id, |subscription| subscription["_resuming"] = json!(invoice));
    invoices::finalize(world, &invoice);
    if world.get(&invoice).text("status") == "open" {
        // How it went, the subscription says.
        drop(invoices::charge(world, &invoice, None, How::on_session()));
    }
    Ok(world.get(id).clone())
}
