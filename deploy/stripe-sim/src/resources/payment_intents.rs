//! Payment intents: one wish to be paid, through as many attempts as it takes.
//!
//! Whoever waits for an intent (a checkout session, an invoice) is named in a member of ours, and is told
//! when the intent has come to an end.

mod attempt;

pub(crate) use attempt::{How, OnChallenge, confirm, settle};

use super::{
    cards::Session,
    charges, checkout, invoices,
    payment_methods::{self, resolve},
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    world::World,
};
use attempt::succeed;
use serde_json::{Value, json};

/// Members that are shown as they were given.
const ECHOED: [&str; 9] = [
    "description",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
    "payment_method_options",
    "capture_method",
];

/// A wish to be paid.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) customer: Option<&'a str>,
    pub(crate) types: Value,
    /// Anything else that the intent shows from the start.
    pub(crate) more: Value,
}

/// Makes an intent.
pub(crate) fn make(world: &mut World, wish: Wish<'_>) -> String {
    let id = world.id_of(Kind::PaymentIntent);
    let secret = world.id(&format!("{id}_secret_"), 25);
    let mut intent = json!({
        "id": id, "amount": wish.amount, "amount_capturable": 0, "amount_details": { "tip": {} },
        "amount_received": 0, "capture_method": "automatic", "client_secret": secret,
        "confirmation_method": "automatic", "currency": wish.currency, "customer": wish.customer,
        "metadata": {}, "payment_method_options": {}, "payment_method_types": wish.types,
        "status": "requires_payment_method",
    });
    crate::json::merge(&mut intent, wish.more);
    world.create(Kind::PaymentIntent, "payment_intent.created", intent)
}

/// `POST /v1/payment_intents`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let currency = money::currency(params.need("currency")?, "currency")?;
    let amount = params.int("amount").ok_or_else(|| Fail::missing("amount"))?;
    money::check_amount(amount, &currency, "amount")?;
    let customer = params.full("customer");
    if let Some(customer) = customer {
        world.need(Kind::Customer, customer, "customer")?;
    }
    let is_confirmed = params.flag("confirm") == Some(true);
    if !is_confirmed {
        for name in ["off_session", "error_on_requires_action", "mandate_data", "return_url"] {
            if params.has(name) {
                let said = format!(
                    "The parameter `{name}` can only be used when `confirm` is set to `true`."
                );
                return Err(Fail::param(name, said));
            }
        }
    }
    let types = types_of(params, &currency)?;
    let method = named_method(world, params)?;
    check_ownership(world, method.as_deref(), customer)?;
    let mut more = json!({ "automatic_payment_methods": automatic(params) });
    params.echo(&mut more, &ECHOED);
    params.echo_metadata(&mut more);
    params.echo(&mut more, &["confirmation_method"]);
    let wish = Wish { amount, currency: &currency, customer, types, more };
    let id = make(world, wish);
    if let Some(method) = method {
        world.set(&id, |intent| {
            intent["payment_method"] = json!(method);
            intent["status"] = json!("requires_confirmation");
        });
    }
    if is_confirmed {
        confirm_as_asked(world, &id, params)?;
    }
    Ok(world.get(&id).clone())
}

fn automatic(params: &Params) -> Value {
    match (params.group("automatic_payment_methods"), params.has("payment_method_types")) {
        (Some(given), _) => json!({
            "enabled": given.flag("enabled").unwrap_or(true),
            "allow_redirects": given.full("allow_redirects").unwrap_or("always"),
        }),
        (None, true) => Value::Null,
        (None, false) => json!({ "enabled": true, "allow_redirects": "always" }),
    }
}

/// What may be paid with: what was asked for, or whatever this account has for the currency.
fn types_of(params: &Params, currency: &str) -> Result<Value, Fail> {
    let asked = params.texts("payment_method_types");
    check_types(&asked, currency)?;
    Ok(if asked.is_empty() { usual_types(currency) } else { json!(asked) })
}

/// Is everything there that was asked for, in this currency?
pub(crate) fn check_types(asked: &[&str], currency: &str) -> Result<(), Fail> {
    for kind in asked {
        match *kind {
            "card" | "link" => {}
            "sepa_debit" if currency == "eur" => {}
            "sepa_debit" => {
                let said = format!(
                    "The payment method `sepa_debit` cannot be used with the currency `{currency}`. It can be \
                     used with `eur`."
                );
                return Err(Fail::param("payment_method_types", said));
            }
            other => {
                let said = format!(
                    "The payment method type provided: {other} is invalid. This simulator has card, link and \
                     sepa_debit."
                );
                return Err(Fail::param("payment_method_types", said)
                    .code("payment_intent_invalid_parameter"));
            }
        }
    }
    Ok(())
}

/// What an account without any settings offers.
pub(crate) fn usual_types(currency: &str) -> Value {
    if currency == "eur" { json!(["card", "sepa_debit"]) } else { json!(["card"]) }
}

/// The method that a call names or describes.
fn named_method(world: &mut World, params: &Params) -> Result<Option<String>, Fail> {
    if let Some(data) = params.group("payment_method_data") {
        let made = payment_methods::create(world, &data)?;
        return Ok(Some(made.text("id").to_owned()));
    }
    params.full("payment_method").map(|id| resolve(world, id, "payment_method")).transpose()
}

pub(crate) fn check_ownership(
    world: &World,
    method: Option<&str>,
    customer: Option<&str>,
) -> Result<(), Fail> {
    let Some(method) = method else { return Ok(()) };
    let owner = world.get(method).opt("customer");
    match (owner, customer) {
        (Some(owner), Some(customer)) if owner != customer => Err(Fail::param(
            "payment_method",
            format!(
                "The customer does not have a payment method with the ID {method}. The payment method must be \
             attached to the customer."
            ),
        )),
        (Some(_), None) => Err(Fail::param(
            "payment_method",
            format!(
                "The PaymentMethod {method} belongs to a Customer. Please include the Customer in the `customer` \
             parameter on the PaymentIntent."
            ),
        )),
        _ => Ok(()),
    }
}

/// `POST /v1/payment_intents/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::PaymentIntent, id, "id")?.clone();
    let status = intent.text("status");
    let touches_money =
        ["amount", "currency", "customer", "payment_method"].iter().any(|name| params.has(name));
    let is_owned = intent.opt("_session").is_some() || intent.opt("_invoice").is_some();
    if is_owned && ["amount", "currency", "customer"].iter().any(|name| params.has(name)) {
        let said = "A Checkout Session or an Invoice made this PaymentIntent: what it asks for can't be changed here.";
        return Err(Fail::request(said).code("payment_intent_unexpected_state"));
    }
    if let Some(customer) = params.full("customer") {
        world.need(Kind::Customer, customer, "customer")?;
    }
    if touches_money
        && matches!(status, "succeeded" | "canceled" | "processing" | "requires_capture")
    {
        return Err(unexpected(&intent, "update"));
    }
    let currency = match params.full("currency") {
        Some(currency) => money::currency(currency, "currency")?,
        None => intent.text("currency").to_owned(),
    };
    if let Some(amount) = params.int("amount") {
        money::check_amount(amount, &currency, "amount")?;
    }
    let customer = params
        .full("customer")
        .map(str::to_owned)
        .or_else(|| intent.opt("customer").map(str::to_owned));
    let method = named_method(world, params)?;
    check_ownership(world, method.as_deref(), customer.as_deref())?;
    world.set(id, |intent| {
        params.echo(intent, &["amount"]);
        params.echo(intent, &ECHOED);
        params.echo_metadata(intent);
        intent["currency"] = json!(currency);
        intent["customer"] = json!(customer);
        if let Some(method) = method {
            intent["payment_method"] = json!(method);
            intent["status"] = json!("requires_confirmation");
        }
    });
    Ok(world.get(id).clone())
}

fn unexpected(intent: &Value, verb: &str) -> Fail {
    let said = format!(
        "You cannot {verb} this PaymentIntent because it has a status of {}.",
        intent.text("status")
    );
    Fail::request(said)
        .code("payment_intent_unexpected_state")
        .with("payment_intent", &crate::render::shown(intent))
}

/// `POST /v1/payment_intents/:id/confirm`
pub(crate) fn confirm_call(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::PaymentIntent, id, "id")?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled" | "processing" | "requires_capture")
    {
        return Err(unexpected(&intent, "confirm"));
    }
    if let Some(method) = named_method(world, params)? {
        check_ownership(world, Some(&method), intent.opt("customer"))?;
        world.set(id, |intent| intent["payment_method"] = json!(method));
    }
    world.set(id, |intent| {
        params.echo(intent, &["setup_future_usage", "receipt_email", "shipping"])
    });
    confirm_as_asked(world, id, params)?;
    Ok(world.get(id).clone())
}

fn confirm_as_asked(world: &mut World, id: &str, params: &Params) -> Result<(), Fail> {
    let is_off = params.flag("off_session") == Some(true)
        || matches!(params.text("off_session"), Some("one_off" | "recurring"));
    let how = How {
        session: if is_off { Session::Off } else { Session::On },
        on_challenge: if is_off || params.flag("error_on_requires_action") == Some(true) {
            OnChallenge::Fail
        } else {
            OnChallenge::Wait
        },
        return_url: params.full("return_url").map(str::to_owned),
    };
    confirm(world, id, how)
}

/// `POST /v1/payment_intents/:id/capture`
pub(crate) fn capture(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::PaymentIntent, id, "id")?.clone();
    if intent.text("status") != "requires_capture" {
        return Err(unexpected(&intent, "capture"));
    }
    let capturable = intent.int("amount_capturable");
    let amount = params.int("amount_to_capture").unwrap_or(capturable);
    if amount < 1 || amount > capturable {
        let said = format!(
            "The payment could not be captured because the requested capture amount is greater than the \
             authorized amount ({capturable}), or less than 1."
        );
        return Err(Fail::param("amount_to_capture", said).code("amount_too_large"));
    }
    charges::capture(world, intent.text("latest_charge"), amount);
    world.set(id, |intent| intent["amount_received"] = json!(amount));
    succeed(world, id);
    Ok(world.get(id).clone())
}

/// `POST /v1/payment_intents/:id/cancel`
pub(crate) fn cancel_call(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::PaymentIntent, id, "id")?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled" | "processing") {
        return Err(unexpected(&intent, "cancel"));
    }
    let is_waited_for =
        |id: Option<&str>| id.is_some_and(|id| world.get(id).text("status") == "open");
    if is_waited_for(intent.opt("_session")) || is_waited_for(intent.opt("_invoice")) {
        let said = "You cannot cancel this PaymentIntent because a Checkout Session or an Invoice made it: expire the \
                    session, or void the invoice, instead.";
        return Err(Fail::request(said).code("payment_intent_unexpected_state"));
    }
    cancel(world, id, params.full("cancellation_reason"));
    Ok(world.get(id).clone())
}

/// Gives up an intent; what was set aside is released.
pub(crate) fn cancel(world: &mut World, id: &str, reason: Option<&str>) {
    let intent = world.get(id).clone();
    if matches!(intent.text("status"), "succeeded" | "canceled" | "processing") {
        return;
    }
    if intent.text("status") == "requires_capture" {
        let charge = intent.text("latest_charge").to_owned();
        world.set(&charge, |charge| {
            charge["refunded"] = json!(true);
            charge["amount_refunded"] = charge.at("amount").clone();
        });
        world.emit("charge.refunded", &charge);
    }
    let now = world.now;
    world.set(id, |intent| {
        intent["status"] = json!("canceled");
        intent["canceled_at"] = json!(now);
        intent["cancellation_reason"] = json!(reason);
        intent["amount_capturable"] = json!(0);
        intent["next_action"] = Value::Null;
    });
    world.emit("payment_intent.canceled", id);
    tell(world, id);
}

/// Tells whoever waits for this intent how it stands.
pub(crate) fn tell(world: &mut World, id: &str) {
    let intent = world.get(id).clone();
    if let Some(invoice) = intent.opt("_invoice") {
        invoices::intent_moved(world, invoice, &intent);
    }
    if let Some(session) = intent.opt("_session") {
        checkout::intent_moved(world, session, &intent);
    }
}
