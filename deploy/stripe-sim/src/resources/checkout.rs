//! Checkout sessions: a page where somebody pays once, subscribes, or saves a card.
//!
//! In mode `payment` the money is asked for by a payment intent that the first attempt makes; in mode
//! `subscription` by the first invoice of a subscription; in mode `setup` nothing is asked for. Whichever it
//! is tells the session how it went: at once, after the bank's question, or days later.

mod order;
mod pay;

pub(crate) use order::{apply_promotion, change_quantities, create, lines, list_lines};
pub(crate) use pay::{Next, Paying, confirm_page, pay};

use super::{
    payment_intents,
    promotions::{self, Promotion},
    setup_intents,
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

/// `POST /v1/checkout/sessions/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    need_open(world, id, "updated")?;
    world.set(id, |session| params.echo_metadata(session));
    Ok(world.get(id).clone())
}

fn need_open(world: &World, id: &str, verb: &str) -> Result<Value, Fail> {
    let session = world.need(Kind::CheckoutSession, id, "id")?;
    match session.text("status") {
        "open" => Ok(session.clone()),
        status => {
            let said = format!(
                "Only Checkout Sessions with a status in [\"open\"] can be {verb}. This Checkout Session has a status of {status}."
            );
            Err(Fail::request(said))
        }
    }
}

/// `POST /v1/checkout/sessions/:id/expire`
pub(crate) fn expire(world: &mut World, id: &str) -> Answer {
    need_open(world, id, "expired")?;
    lapse(world, id);
    Ok(world.get(id).clone())
}

/// A session that nobody paid ends.
pub(crate) fn lapse(world: &mut World, id: &str) -> bool {
    let session = world.get(id).clone();
    if session.text("status") != "open" {
        return false;
    }
    world.set(id, |session| {
        session["status"] = json!("expired");
        session["url"] = Value::Null;
    });
    if let Some(intent) = session.opt("_intent") {
        payment_intents::cancel(world, intent, Some("abandoned"));
    }
    if let Some(intent) = session.opt("setup_intent") {
        setup_intents::abandon(world, intent);
    }
    world.emit("checkout.session.expired", id);
    true
}

/// Where a buyer lands.
pub(crate) fn success_url(session: &Value) -> String {
    session.text("success_url").replace("{CHECKOUT_SESSION_ID}", session.text("id"))
}

/// How the intent of a session stands: the session follows.
pub(crate) fn intent_moved(world: &mut World, id: &str, intent: &Value) {
    let session = world.get(id).clone();
    let is_open = session.text("status") == "open";
    match intent.text("status") {
        "succeeded" if is_open => complete(world, id, "paid"),
        "processing" | "requires_capture" if is_open => complete(world, id, "unpaid"),
        "succeeded" if session.text("payment_status") == "unpaid" => {
            world.set(id, |session| session["payment_status"] = json!("paid"));
            if intent.text("capture_method") != "manual" {
                world.emit("checkout.session.async_payment_succeeded", id);
            }
        }
        "requires_payment_method" if !is_open => {
            world.emit("checkout.session.async_payment_failed", id);
        }
        _ => {}
    }
}

/// A card was saved.
pub(crate) fn setup_done(world: &mut World, id: &str) {
    if world.get(id).text("status") == "open" {
        complete(world, id, "no_payment_required");
    }
}

/// The first invoice of a session's subscription stands like this.
pub(crate) fn subscription_moved(
    world: &mut World,
    id: &str,
    subscription: &str,
    payment_status: &str,
) {
    let invoice = world.get(subscription).at("latest_invoice").clone();
    world.set(id, |session| {
        session["subscription"] = json!(subscription);
        session["invoice"] = invoice;
    });
    match (world.get(id).text("status"), payment_status) {
        ("open", status) => complete(world, id, status),
        ("complete", "paid") if world.get(id).text("payment_status") == "unpaid" => {
            world.set(id, |session| session["payment_status"] = json!("paid"));
            world.emit("checkout.session.async_payment_succeeded", id);
        }
        ("complete", "failed") if !world.get(id).flag("_failed") => {
            world.set(id, |session| session["_failed"] = json!(true));
            world.emit("checkout.session.async_payment_failed", id);
        }
        _ => {}
    }
}

fn complete(world: &mut World, id: &str, payment_status: &str) {
    let promotion = world.get(id).at("_promotion").clone();
    if let (Some(coupon), true) = (promotion.opt("coupon"), world.get(id).text("mode") == "payment")
    {
        let code = promotion.opt("code").map(str::to_owned);
        promotions::redeem(world, &Promotion { coupon: coupon.to_owned(), code });
    }
    world.set(id, |session| {
        session["status"] = json!("complete");
        session["payment_status"] = json!(payment_status);
        session["url"] = Value::Null;
    });
    world.emit("checkout.session.completed", id);
}

/// `GET /v1/checkout/sessions`
pub(crate) fn list(world: &World, params: &Params) -> Answer {
    let email = params
        .group("customer_details")
        .and_then(|details| details.full("email").map(str::to_owned));
    world.list(
        Kind::CheckoutSession,
        &params.without("customer_details"),
        "/v1/checkout/sessions",
        |session| {
            email
                .as_deref()
                .is_none_or(|email| session.at("customer_details").text("email") == email)
        },
    )
}
