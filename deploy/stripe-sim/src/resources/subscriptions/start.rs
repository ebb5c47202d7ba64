//! How a subscription begins.

use super::{
    INCOMPLETE_SECONDS, TRIAL_WARNING_SECONDS, bill, is_over, next_period, period, set_period,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    resources::{
        catalog, invoices, lines,
        payment_intents::How,
        promotions::{self, Basket, Promotion},
    },
    skeleton,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// The longest trial.
const TRIAL_DAYS_MAX: i64 = 730;

/// Items of a subscription.
const ITEMS_MAX: usize = 20;

/// A subscription to begin.
#[derive(Debug)]
struct Beginning {
    customer: String,
    /// Prices, quantities, metadata.
    items: Vec<(Value, i64, Value)>,
    trial_end: Option<i64>,
    promotion: Option<Promotion>,
    more: Value,
}

/// What is done about the first invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// It is paid, or the subscription is incomplete.
    Try,
    /// It is paid, or there is no subscription.
    Insist,
    /// Somebody else sees to it.
    Leave,
}

/// `POST /v1/subscriptions`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let customer = params.need("customer")?.to_owned();
    world.need(Kind::Customer, &customer, "customer")?;
    let items = asked_items(world, params)?;
    let trial_end = trial_end(world, params)?;
    let promotion = asked_promotion(world, params, &items, Some(&customer))?;
    let method = params.full("default_payment_method").map(str::to_owned);
    if let Some(method) = &method {
        let owner =
            world.need(Kind::PaymentMethod, method, "default_payment_method")?.opt("customer");
        if owner != Some(customer.as_str()) {
            let said = "The customer does not have a payment method with the ID provided. The payment method must be attached to the customer.";
            return Err(Fail::param("default_payment_method", said).code("resource_missing"));
        }
    }
    refuse_pending(params)?;
    let first = match params.full("payment_behavior") {
        Some("default_incomplete") => First::Leave,
        Some("error_if_incomplete") => First::Insist,
        _ => First::Try,
    };
    let is_sent = params.full("collection_method") == Some("send_invoice");
    let pays_now = first != First::Leave && !is_sent && trial_end.is_none();
    let default =
        world.get(&customer).at("invoice_settings").opt("default_payment_method").is_some();
    if pays_now && costs(world, &items, promotion.as_ref()) > 0 && method.is_none() && !default {
        let said = "This customer has no attached payment source or default payment method. Please consider adding a \
                    default payment method. For more information, visit \
                    https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.";
        return Err(Fail::request(said).code("resource_missing"));
    }
    let mut more = json!({ "collection_method": "charge_automatically" });
    params.echo(
        &mut more,
        &[
            "cancel_at_period_end",
            "cancel_at",
            "collection_method",
            "days_until_due",
            "default_payment_method",
            "description",
        ],
    );
    if let Some(settings) = params.value("trial_settings") {
        more["trial_settings"] = settings.clone();
    }
    let saves = params
        .group("payment_settings")
        .and_then(|settings| settings.full("save_default_payment_method").map(str::to_owned));
    if let Some(saves) = saves {
        more["payment_settings"] = json!({ "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": saves });
        more["_saves_method"] = json!(saves == "on_subscription");
    }
    params.echo_metadata(&mut more);
    let id = begin(world, Beginning { customer, items, trial_end, promotion, more });
    if let Some(at) = params.int("cancel_at") {
        world.at(at, Timer::CancelSubscription(id.clone()));
    }
    first_invoice(world, &id, first)?;
    Ok(world.get(&id).clone())
}

/// A change that waits for its payment is more than there is here.
pub(super) fn refuse_pending(params: &Params) -> Result<(), Fail> {
    match params.full("payment_behavior") {
        Some("pending_if_incomplete") => Err(Fail::param(
            "payment_behavior",
            "stripe-sim has no pending updates: use allow_incomplete, error_if_incomplete or default_incomplete.",
        )),
        _ => Ok(()),
    }
}

fn asked_promotion(
    world: &World,
    params: &Params,
    items: &[(Value, i64, Value)],
    customer: Option<&str>,
) -> Result<Option<Promotion>, Fail> {
    let currency = items.first().map_or("", |(price, ..)| price.text("currency"));
    let basket = Basket { currency, subtotal: costs(world, items, None), customer };
    promotions::asked(world, params, basket)
}

/// What a period comes to.
fn costs(world: &World, items: &[(Value, i64, Value)], promotion: Option<&Promotion>) -> i64 {
    let amount = |(price, quantity, _): &(Value, i64, Value)| {
        (price.text("product").to_owned(), catalog::amount_of(price, *quantity))
    };
    let amounts: Vec<_> = items.iter().map(amount).collect();
    let coupon = promotion.map_or(&Value::Null, |promotion| world.get(&promotion.coupon));
    let off: i64 = promotions::shares(coupon, &amounts).iter().sum();
    amounts.iter().map(|(_, amount)| amount).sum::<i64>() - off
}

fn trial_end(world: &World, params: &Params) -> Result<Option<i64>, Fail> {
    let days = params.int("trial_period_days").filter(|days| *days != 0);
    if days.is_some_and(|days| !(0..=TRIAL_DAYS_MAX).contains(&days)) {
        let said = format!("A trial lasts {TRIAL_DAYS_MAX} days at most.");
        return Err(Fail::param("trial_period_days", said));
    }
    match params.int("trial_end") {
        Some(at) if at <= world.now || at > world.now + 5 * 366 * 86_400 => Err(Fail::param(
            "trial_end",
            "The trial_end must be in the future, and within five years.",
        )),
        Some(at) => Ok(Some(at)),
        None => Ok(days.map(|days| world.now + days * 86_400)),
    }
}

/// What a price that was asked for is, and how many.
pub(super) fn asked_price(
    world: &mut World,
    item: &Params,
    param: &str,
) -> Result<Option<Value>, Fail> {
    let price = match (item.full("price").or_else(|| item.full("plan")), item.group("price_data")) {
        (Some(price), _) => {
            world.need(Kind::Price, price, &format!("{param}[price]"))?.text("id").to_owned()
        }
        (None, Some(data)) => catalog::inline_price(world, &data)?,
        (None, None) => return Ok(None),
    };
    let price = world.get(&price).clone();
    if !price.at("recurring").is_object() {
        let said = "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.";
        return Err(Fail::param(format!("{param}[price]"), said));
    }
    Ok(Some(price))
}

fn asked_items(world: &mut World, params: &Params) -> Result<Vec<(Value, i64, Value)>, Fail> {
    let asked = params.groups("items");
    if asked.is_empty() {
        return Err(Fail::missing("items"));
    }
    if asked.len() > ITEMS_MAX {
        return Err(Fail::param("items", format!("A subscription has at most {ITEMS_MAX} items.")));
    }
    let mut items: Vec<(Value, i64, Value)> = Vec::new();
    for (at, item) in asked.iter().enumerate() {
        let param = format!("items[{at}]");
        let price = asked_price(world, item, &param)?
            .ok_or_else(|| Fail::missing(&format!("{param}[price]")))?;
        let interval = |price: &Value| {
            (
                price.at("recurring").text("interval").to_owned(),
                price.at("recurring").int("interval_count"),
                price.text("currency").to_owned(),
            )
        };
        if items.first().is_some_and(|(first, ..)| interval(first) != interval(&price)) {
            return Err(Fail::param(
                &param,
                "All prices on a subscription must have the same `recurring.interval`, `recurring.interval_count` and currency.",
            ));
        }
        let metadata = item.value("metadata").cloned().unwrap_or_else(|| json!({}));
        items.push((price, catalog::quantity(item, &format!("{param}[quantity]"))?, metadata));
    }
    Ok(items)
}

/// An item as a subscription shows it.
pub(super) fn item(
    world: &mut World,
    subscription: &str,
    price: &Value,
    quantity: i64,
    metadata: &Value,
) -> Value {
    let (id, now) = (world.id("si_", 14), world.now);
    skeleton::nested(
        "subscription_item",
        json!({
            "id": id, "created": now, "current_period_start": now, "current_period_end": now, "discounts": [],
            "metadata": metadata, "plan": catalog::plan(price), "price": price, "quantity": quantity,
            "subscription": subscription, "tax_rates": [],
        }),
    )
}

fn begin(world: &mut World, beginning: Beginning) -> String {
    let Beginning { customer, items, trial_end, promotion, more } = beginning;
    let (id, now) = (world.id_of(Kind::Subscription), world.now);
    let currency =
        items.first().map(|(price, ..)| price.text("currency").to_owned()).unwrap_or_default();
    let items: Vec<_> = items
        .iter()
        .map(|(price, quantity, metadata)| item(world, &id, price, *quantity, metadata))
        .collect();
    let url = format!("/v1/subscription_items?subscription={id}");
    let end_behavior = json!({ "end_behavior": { "missing_payment_method": "create_invoice" } });
    let mut subscription = json!({
        "id": id, "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": trial_end.unwrap_or(now), "billing_mode": { "type": "flexible", "flexible": { "proration_discounts": "included" }, "updated_at": now },
        "billing_schedules": [], "cancel_at_period_end": false,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically", "currency": currency, "customer": customer,
        "default_tax_rates": [], "discounts": [], "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "items": { "object": "list", "data": items, "has_more": false, "total_count": items.len(), "url": url },
        "metadata": {}, "payment_settings": { "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off" },
        "start_date": now, "status": if trial_end.is_some() { "trialing" } else { "incomplete" },
        "trial_end": trial_end, "trial_start": trial_end.map(|_| now), "trial_settings": end_behavior,
    });
    crate::json::merge(&mut subscription, more);
    let is_sent = subscription.text("collection_method") == "send_invoice";
    if is_sent && trial_end.is_none() {
        subscription["status"] = json!("active");
    }
    world.add(Kind::Subscription, subscription);
    let period = match trial_end {
        Some(end) => (now, end),
        None => next_period(world.get(&id), now),
    };
    set_period(world, &id, period);
    if world.get(&id).flag("cancel_at_period_end") {
        world.set(&id, |subscription| subscription["cancel_at"] = json!(period.1));
    }
    if let Some(promotion) = promotion {
        let discount =
            promotions::discount(world, &promotion, &customer, json!({ "subscription": id }));
        world.set(&id, |subscription| subscription["discounts"] = json!([discount]));
    }
    world.emit("customer.subscription.created", &id);
    if let Some(end) = trial_end {
        let warning = (end - TRIAL_WARNING_SECONDS).max(now);
        world.at(warning, Timer::WarnOfTrialEnd(id.clone()));
    }
    id
}

/// Bills the first period, and asks for the money.
fn first_invoice(world: &mut World, id: &str, first: First) -> Result<(), Fail> {
    let subscription = world.get(id).clone();
    let invoice = bill(world, id, "subscription_create", period(&subscription), json!({}));
    invoices::finalize(world, &invoice);
    let is_sent = subscription.text("collection_method") == "send_invoice";
    if world.get(&invoice).text("status") == "paid" || is_sent {
        return Ok(());
    }
    let due = world.now + INCOMPLETE_SECONDS;
    world.at(due, Timer::ExpireIncomplete(id.to_owned()));
    match first {
        First::Leave => Ok(()),
        First::Try => {
            // How it went, the subscription says.
            drop(invoices::charge(world, &invoice, None, How::on_session()));
            Ok(())
        }
        First::Insist => {
            let done = invoices::charge(world, &invoice, None, How::off_session());
            // Then none of it was.
            done.map_err(|fail| Fail { happened: false, ..fail })
        }
    }
}

/// Begins what a checkout session sells.
pub(crate) fn begin_from_session(
    world: &mut World,
    session: &Value,
    customer: &str,
    method: &str,
) -> Result<(), Fail> {
    let data = session.at("_data").at("subscription_data").clone();
    let days = data.at("trial_period_days").as_i64().filter(|days| *days > 0);
    let trial_end = data.at("trial_end").as_i64().or_else(|| Some(world.now + days? * 86_400));
    let lines = session.items("_lines");
    let (recurring, once): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.at("price").at("recurring").is_object());
    let items = recurring
        .iter()
        .map(|line| (line.at("price").clone(), line.int("quantity"), json!({})))
        .collect();
    let promotion = session.at("_promotion");
    let promotion = promotion.opt("coupon").map(|coupon| Promotion {
        coupon: coupon.to_owned(),
        code: promotion.opt("code").map(str::to_owned),
    });
    for line in once {
        let price = line.at("price");
        let name = world.get(price.text("product")).text("name").to_owned();
        let (quantity, period) = (line.int("quantity"), (world.now, world.now));
        let amount = catalog::amount_of(price, quantity);
        lines::add_pending(
            world,
            &lines::Pending {
                customer,
                subscription: None,
                price,
                amount,
                quantity,
                description: name,
                period,
            },
        );
    }
    let metadata = data.at("metadata").clone();
    let more = json!({
        "_session": session.at("id"), "default_payment_method": method, "description": data.at("description"),
        "metadata": if metadata.is_object() { metadata } else { json!({}) },
        "payment_settings": { "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off" },
    });
    let id = begin(
        world,
        Beginning { customer: customer.to_owned(), items, trial_end, promotion, more },
    );
    let session = session.text("id").to_owned();
    world.set(&session, |session| session["_subscription"] = json!(id));
    let subscription = world.get(&id).clone();
    let invoice = bill(world, &id, "subscription_create", period(&subscription), json!({}));
    world.set(&session, |session| session["subscription"] = json!(id));
    invoices::finalize(world, &invoice);
    let due = world.now + INCOMPLETE_SECONDS;
    world.at(due, Timer::ExpireIncomplete(id.clone()));
    pay_first(world, &session, &id, method)
}

/// Pays the first invoice with another method, after one that was declined.
pub(crate) fn pay_again(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    if is_over(world.get(id)) {
        return Err(Fail::request("This subscription has ended: begin a new session."));
    }
    world.set(id, |subscription| subscription["default_payment_method"] = json!(method));
    let session = world.get(id).text("_session").to_owned();
    pay_first(world, &session, id, method)
}

fn pay_first(world: &mut World, session: &str, id: &str, method: &str) -> Result<(), Fail> {
    let invoice = world.get(id).text("latest_invoice").to_owned();
    if world.get(&invoice).text("status") != "open" {
        return Ok(());
    }
    let intent = world.get(&invoice).text("_intent").to_owned();
    world.set(session, |session| session["_intent"] = json!(intent));
    invoices::charge(world, &invoice, Some(method), How::on_session())
}

/// `POST /v1/invoices/create_preview`: what a subscription's next invoice, or a change, would come to.
pub(crate) fn preview(world: &mut World, params: &Params) -> Answer {
    // Everything is done, and undone.
    let details = params.group("subscription_details").unwrap_or_default();
    let invoice = match params.full("subscription") {
        Some(id) => {
            world.need(Kind::Subscription, id, "subscription")?;
            super::change::apply(world, id, &details)?;
            // A trial is over by then.
            world.set(id, |subscription| subscription["status"] = json!("active"));
            let subscription = world.get(id).clone();
            let now_due = details.full("proration_behavior") == Some("always_invoice");
            let next = next_period(&subscription, period(&subscription).1);
            let reason = if now_due { "subscription_update" } else { "subscription_cycle" };
            bill(world, id, reason, if now_due { period(&subscription) } else { next }, json!({}))
        }
        None => {
            let items = asked_items(world, &details)?;
            let customer = match params.full("customer") {
                Some(customer) => {
                    world.need(Kind::Customer, customer, "customer")?.text("id").to_owned()
                }
                None => super::super::customers::make(world, json!({})),
            };
            let promotion = asked_promotion(world, params, &items, Some(&customer))?;
            let id = begin(
                world,
                Beginning { customer, items, trial_end: None, promotion, more: json!({}) },
            );
            let subscription = world.get(&id).clone();
            bill(world, &id, "subscription_create", period(&subscription), json!({}))
        }
    };
    let mut shown = crate::render::as_kept(world, &invoice);
    world.roll_back();
    let id = world.id("upcoming_in_1", 23);
    shown["id"] = json!(id);
    shown["billing_reason"] = json!("upcoming");
    Ok(shown)
}
