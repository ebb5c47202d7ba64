//! Subscriptions: a period after another, each with an invoice, until somebody ends it or stops paying.
//!
//! ```text
//! incomplete ── paid ──▶ active ── payment fails ──▶ past_due ── tried in vain ──▶ canceled
//!     │ 23 hours          ▲  │                          │ paid
//!     ▼                   │  └── trial ends without a card ▶ paused     (trialing comes before active)
//! incomplete_expired      └─────────────────────────────┘
//! ```

mod change;
mod start;

pub(crate) use change::{Change, Plan, resume, update};
pub(crate) use start::{begin_from_session, create, pay_again, preview};

use super::{checkout, invoices, invoices::Draft, lines, lines::Period, payment_intents::How};
use crate::{
    calendar, fail::Answer, json::Look as _, kind::Kind, params::Params, timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// How long the first invoice may stay unpaid.
const INCOMPLETE_SECONDS: i64 = 23 * 3_600;

/// How long before its end a trial's end is announced.
const TRIAL_WARNING_SECONDS: i64 = 3 * 86_400;

/// Was an invoice paid?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paid {
    Yes,
    /// The bank takes days.
    Later,
    No,
    /// No, and nobody will try again.
    Never,
}

/// The period that a subscription is in.
fn period(subscription: &Value) -> Period {
    let item = subscription.items("items").first().cloned().unwrap_or_default();
    (item.int("current_period_start"), item.int("current_period_end"))
}

fn set_period(world: &mut World, id: &str, period: Period) {
    let is_due_already = world.get(id).int("_due") == period.1;
    world.set(id, |subscription| {
        if let Some(items) = subscription["items"]["data"].as_array_mut() {
            for item in items {
                item["current_period_start"] = json!(period.0);
                item["current_period_end"] = json!(period.1);
            }
        }
    });
    if !is_due_already {
        world.set(id, |subscription| subscription["_due"] = json!(period.1));
        world.at(period.1, Timer::EndPeriod(id.to_owned()));
    }
}

/// The period after a time, counted from the day on which the subscription is due.
fn next_period(subscription: &Value, start: i64) -> Period {
    let first = subscription.items("items").first().cloned().unwrap_or_default();
    let recurring = first.at("price").at("recurring");
    let (interval, count) = (recurring.text("interval"), recurring.int("interval_count").max(1));
    let anchor = subscription.int("billing_cycle_anchor");
    // The same day of each month, however short the one before was.
    let ends = (1..).map(|number| calendar::after(anchor, interval, count * number));
    (start, ends.into_iter().find(|end| *end > start).unwrap_or(i64::MAX))
}

/// Makes the invoice of a period: what waits, and every item.
fn bill(world: &mut World, id: &str, reason: &str, period: Period, more: Value) -> String {
    let subscription = world.get(id).clone();
    let customer = subscription.text("customer").to_owned();
    let costs = match subscription.text("status") {
        "trialing" => lines::Costs::Nothing,
        _ => lines::Costs::ItsPrice,
    };
    let mut waiting = invoices::pending(world, &customer, Some(id));
    if reason != "subscription_update" {
        waiting.extend(invoices::pending(world, &customer, None));
    }
    waiting.retain(|item| world.get(item).at("currency") == subscription.at("currency"));
    let mut all = invoices::pending_lines(world, &waiting);
    if reason != "subscription_update" {
        for item in subscription.items("items") {
            all.push(lines::of_item(world, id, item, period, costs));
        }
    }
    let discounts = invoices::discounts_of(world, id);
    // An invoice's own period is the one before: what was used, not what is bought.
    let own = if reason == "subscription_cycle" {
        (subscription.int("_before"), period.0)
    } else {
        (period.0, period.0)
    };
    let mut shown = json!({ "collection_method": subscription.at("collection_method") });
    if subscription.text("collection_method") == "send_invoice" {
        let days = subscription.at("days_until_due").as_i64().unwrap_or(30);
        shown["due_date"] = json!(world.now + days * 86_400);
    }
    crate::json::merge(&mut shown, more);
    let invoice = invoices::make(
        world,
        Draft {
            customer: &customer,
            currency: subscription.text("currency"),
            subscription: Some(id),
            reason,
            lines: all,
            period: own,
            discounts,
            more: shown,
        },
    );
    invoices::take_pending(world, &waiting, &invoice);
    world.set(id, |subscription| subscription["latest_invoice"] = json!(invoice));
    invoice
}

/// A period is over: the next one begins, unless that was the last.
pub(crate) fn end_period(world: &mut World, id: &str) -> bool {
    let subscription = world.get(id).clone();
    let (start, end) = period(&subscription);
    let is_over = end <= world.now
        && matches!(subscription.text("status"), "trialing" | "active" | "past_due" | "unpaid");
    if !is_over {
        return false;
    }
    if subscription.flag("cancel_at_period_end") {
        end_with(world, id, "cancellation_requested");
        return true;
    }
    if subscription.text("status") == "trialing" && !trial_may_end(world, &subscription) {
        return true;
    }
    renew(world, id, start, end);
    true
}

/// A trial that nobody can be charged for ends as its settings say.
fn trial_may_end(world: &mut World, subscription: &Value) -> bool {
    let id = subscription.text("id");
    let customer = world.get(subscription.text("customer"));
    let has_method = subscription.opt("default_payment_method").is_some()
        || customer.at("invoice_settings").opt("default_payment_method").is_some();
    match subscription.at("trial_settings").at("end_behavior").text("missing_payment_method") {
        "pause" if !has_method => {
            world.edit(id, "customer.subscription.updated", |subscription| {
                subscription["status"] = json!("paused")
            });
            world.emit("customer.subscription.paused", id);
            false
        }
        "cancel" if !has_method => {
            end_with(world, id, "payment_failed");
            false
        }
        _ => true,
    }
}

fn renew(world: &mut World, id: &str, start: i64, end: i64) {
    let before = world.get(id).clone();
    let next = next_period(&before, end);
    let paused = before.at("pause_collection").text("behavior").to_owned();
    let is_unpaid = before.text("status") == "unpaid";
    world.set(id, |subscription| {
        subscription["_before"] = json!(start);
        if subscription.text("status") == "trialing" {
            subscription["status"] = json!("active");
        }
    });
    set_period(world, id, next);
    let automatic = !is_unpaid && paused != "keep_as_draft";
    let due = world.now + invoices::DRAFT_SECONDS;
    let more = json!({ "auto_advance": automatic, "automatically_finalizes_at": automatic.then_some(due) });
    let invoice = bill(world, id, "subscription_cycle", next, more);
    let previous = crate::json::difference(&before, world.get(id));
    let shown = crate::render::as_kept(world, id);
    world.emit_object("customer.subscription.updated", shown, Some(Value::Object(previous)));
    match paused.as_str() {
        "void" => {
            invoices::close(world, &invoice, "void", "voided_at", "invoice.voided");
        }
        "mark_uncollectible" => {
            invoices::finalize(world, &invoice);
            if world.get(&invoice).text("status") == "open" {
                invoices::close(
                    world,
                    &invoice,
                    "uncollectible",
                    "marked_uncollectible_at",
                    "invoice.marked_uncollectible",
                );
            }
        }
        _ if automatic => world.at(due, Timer::FinalizeInvoice(invoice)),
        _ => {}
    }
}

/// What a subscription's status becomes by how its newest invoice went.
enum After {
    Stays,
    Becomes(&'static str),
    Ends,
}

fn after(subscription: &Value, invoice: &Value, paid: Paid) -> After {
    let is_first = invoice.text("billing_reason") == "subscription_create";
    match (subscription.text("status"), paid) {
        ("incomplete" | "past_due" | "unpaid", Paid::Yes) => After::Becomes("active"),
        // A bank that takes days is trusted meanwhile.
        ("incomplete", Paid::Later) => After::Becomes("active"),
        ("paused", Paid::Yes) if subscription.opt("_resuming") == invoice.opt("id") => {
            After::Becomes("active")
        }
        ("active", Paid::No) => After::Becomes("past_due"),
        ("active", Paid::Never) if is_first => After::Becomes("past_due"),
        ("active" | "past_due", Paid::Never) => After::Ends,
        _ => After::Stays,
    }
}

/// How an invoice of a subscription went.
pub(crate) fn invoice_moved(world: &mut World, invoice: &Value, paid: Paid) {
    let id = invoice.at("parent").at("subscription_details").text("subscription").to_owned();
    let subscription = world.get(&id).clone();
    let is_latest = subscription.text("latest_invoice") == invoice.text("id");
    let is_first = invoice.text("billing_reason") == "subscription_create";
    let status = match after(&subscription, invoice, paid) {
        After::Ends if is_latest => return end_with(world, &id, "payment_failed"),
        After::Becomes(status) if is_latest => status.to_owned(),
        _ => subscription.text("status").to_owned(),
    };
    let method = invoice
        .opt("_intent")
        .and_then(|intent| world.get(intent).opt("payment_method"))
        .map(str::to_owned);
    world.edit(&id, "customer.subscription.updated", |subscription| {
        subscription["status"] = json!(status);
        if paid == Paid::Yes
            && subscription.flag("_saves_method")
            && subscription.at("default_payment_method").is_null()
        {
            subscription["default_payment_method"] = json!(method);
        }
    });
    if subscription.text("status") == "paused" && status == "active" {
        world.emit("customer.subscription.resumed", &id);
    }
    if let (Some(session), true) = (subscription.opt("_session"), is_first) {
        let payment = match paid {
            Paid::Yes if subscription.text("status") == "trialing" => "no_payment_required",
            Paid::Yes if invoice.int("total") == 0 => "no_payment_required",
            Paid::Yes => "paid",
            Paid::Later => "unpaid",
            Paid::No | Paid::Never => "failed",
        };
        let was_declined_on_page =
            payment == "failed" && world.get(session).text("status") == "open";
        if !was_declined_on_page {
            checkout::subscription_moved(world, session, &id, payment);
        }
    }
}

/// Announces that a trial ends.
pub(crate) fn warn_of_trial_end(world: &mut World, id: &str) -> bool {
    let is_due = world.get(id).text("status") == "trialing";
    if is_due {
        world.emit("customer.subscription.trial_will_end", id);
    }
    is_due
}

/// Nobody paid the first invoice.
pub(crate) fn expire_incomplete(world: &mut World, id: &str) -> bool {
    if world.get(id).text("status") != "incomplete" {
        return false;
    }
    let (invoice, now) = (world.get(id).text("latest_invoice").to_owned(), world.now);
    if world.get(&invoice).text("status") == "open" {
        invoices::close(world, &invoice, "void", "voided_at", "invoice.voided");
    }
    world.edit(id, "customer.subscription.updated", |subscription| {
        subscription["status"] = json!("incomplete_expired");
        subscription["ended_at"] = json!(now);
    });
    true
}

/// The date that was set has come.
pub(crate) fn cancel_when_due(world: &mut World, id: &str) -> bool {
    let subscription = world.get(id);
    let is_due = subscription.at("cancel_at").as_i64().is_some_and(|at| at <= world.now);
    if is_over(subscription) || !is_due || subscription.flag("cancel_at_period_end") {
        return false;
    }
    end_with(world, id, "cancellation_requested");
    true
}

/// The date until which nothing is collected has come.
pub(crate) fn resume_collection(world: &mut World, id: &str) -> bool {
    let resumes = world.get(id).at("pause_collection").at("resumes_at").as_i64();
    let is_due = resumes.is_some_and(|at| at <= world.now);
    if is_due {
        world.edit(id, "customer.subscription.updated", |subscription| {
            subscription["pause_collection"] = Value::Null
        });
    }
    is_due
}

/// Can nothing happen to it any more?
fn is_over(subscription: &Value) -> bool {
    matches!(subscription.text("status"), "canceled" | "incomplete_expired")
}

/// Ends one, if it hasn't ended.
pub(crate) fn end(world: &mut World, id: &str, reason: &str) {
    if !is_over(world.get(id)) {
        end_with(world, id, reason);
    }
}

fn end_with(world: &mut World, id: &str, reason: &str) {
    let now = world.now;
    world.set(id, |subscription| {
        subscription["status"] = json!("canceled");
        subscription["ended_at"] = json!(now);
        if subscription.at("canceled_at").is_null() {
            subscription["canceled_at"] = json!(now);
        }
        subscription["cancellation_details"]["reason"] = json!(reason);
    });
    // What isn't paid by now won't be asked for by itself any more.
    let customer = world.get(id).text("customer").to_owned();
    for invoice in world.ids_where(Kind::Invoice, "customer", &customer) {
        let found = world.get(&invoice);
        let is_its = found.at("parent").at("subscription_details").text("subscription") == id;
        if is_its && matches!(found.text("status"), "draft" | "open") {
            world.set(&invoice, |invoice| {
                invoice["auto_advance"] = json!(false);
                invoice["next_payment_attempt"] = Value::Null;
            });
        }
    }
    world.emit("customer.subscription.deleted", id);
}

/// `DELETE /v1/subscriptions/:id`
pub(crate) fn cancel(world: &mut World, id: &str, params: &Params) -> Answer {
    let subscription = world.need(Kind::Subscription, id, "id")?.clone();
    if is_over(&subscription) {
        return Err(crate::fail::Fail::no_such("subscription", id, "id"));
    }
    if params.flag("prorate") == Some(true) {
        for item in subscription.items("items") {
            lines::prorate(
                world,
                &subscription,
                item.text("id"),
                Some((item.at("price"), item.int("quantity"))),
                None,
                period(&subscription),
            );
        }
    }
    if let Some(details) = params.value("cancellation_details").cloned() {
        world.set(id, |subscription| {
            crate::json::merge(&mut subscription["cancellation_details"], details)
        });
    }
    end_with(world, id, "cancellation_requested");
    if params.flag("invoice_now") == Some(true) {
        let now = world.now;
        let invoice = bill(world, id, "subscription_update", (now, now), json!({}));
        invoices::finalize(world, &invoice);
        if world.get(&invoice).text("status") == "open" {
            drop(invoices::charge(world, &invoice, None, How::off_session()));
        }
    }
    Ok(world.get(id).clone())
}

/// `GET /v1/subscriptions`
pub(crate) fn list(world: &World, params: &Params) -> Answer {
    let status = params.full("status").unwrap_or("not_canceled").to_owned();
    let price = params.full("price").map(str::to_owned);
    world.list(Kind::Subscription, &params.without("status"), "/v1/subscriptions", |subscription| {
        let has = subscription.text("status");
        let wanted = match status.as_str() {
            "all" => true,
            "not_canceled" => has != "canceled",
            "ended" => is_over(subscription),
            status => has == status,
        };
        wanted
            && price.as_ref().is_none_or(|price| {
                subscription.items("items").iter().any(|item| item.at("price").text("id") == price)
            })
    })
}

/// `GET /v1/subscription_items`
pub(crate) fn items(world: &World, params: &Params) -> Answer {
    let subscription =
        world.need(Kind::Subscription, params.need("subscription")?, "subscription")?;
    crate::world::page(
        subscription.items("items").iter(),
        |_| true,
        params,
        "/v1/subscription_items",
        Kind::Subscription,
    )
}

/// `GET /v1/subscription_items/:id`
pub(crate) fn item(world: &World, id: &str) -> Answer {
    let found = world.all(Kind::Subscription).flat_map(|subscription| subscription.items("items"));
    let found = found.into_iter().find(|item| item.text("id") == id);
    found.cloned().ok_or_else(|| crate::fail::Fail::no_such("subscription_item", id, "id"))
}
