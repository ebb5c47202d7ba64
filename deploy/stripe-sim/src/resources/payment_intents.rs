//! Payment intents: one wish to be paid, through as many attempts as it takes.
//!
//! Whoever waits for an intent (a checkout session, an invoice) is named in a member of ours, and is told
//! when the intent has come to an end.

use super::{
    cards::{self, Asked, Decline, Purpose, Session, Verdict},
    charges::{self, Outcome},
    checkout, invoices,
    payment_methods::{self, attach_to, resolve},
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    render::as_kept,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// How long a bank takes that takes its time.
pub(crate) const SETTLEMENT_SECONDS: i64 = 86_400;

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

fn check_ownership(
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
    let may = ["requires_payment_method", "requires_confirmation", "requires_action"];
    if !may.contains(&intent.text("status")) {
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

/// What becomes of a payment whose holder has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnChallenge {
    Wait,
    Fail,
}

/// How an intent is confirmed.
#[derive(Clone, Debug)]
pub(crate) struct How {
    pub(crate) session: Session,
    pub(crate) on_challenge: OnChallenge,
    pub(crate) return_url: Option<String>,
}

impl How {
    /// With the holder there.
    pub(crate) fn on_session() -> Self {
        Self { session: Session::On, on_challenge: OnChallenge::Wait, return_url: None }
    }

    /// Without: who has to be asked may be asked later.
    pub(crate) fn off_session() -> Self {
        Self { session: Session::Off, on_challenge: OnChallenge::Wait, return_url: None }
    }
}

/// Asks the bank.
///
/// # Errors
/// The bank says no: the intent shows it too, and waits for another method.
pub(crate) fn confirm(world: &mut World, id: &str, how: How) -> Result<(), Fail> {
    let intent = world.get(id).clone();
    let Some(method) = intent.opt("payment_method").map(str::to_owned) else {
        let said = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either \
                    update the PaymentIntent with a payment method and then confirm it again, or confirm it \
                    again directly with a payment method.";
        return Err(Fail::request(said)
            .code("payment_intent_unexpected_state")
            .with("payment_intent", &as_kept(world, id)));
    };
    let pm = world.get(&method).clone();
    if !intent.items("payment_method_types").iter().any(|kind| kind == pm.at("type")) {
        let said = format!(
            "The PaymentMethod provided ({}) is not allowed for this PaymentIntent. Please attach a \
             PaymentMethod of one of the following types: {}.",
            pm.text("type"),
            intent
                .items("payment_method_types")
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        );
        return Err(Fail::param("payment_method", said));
    }
    if pm.flag("_used_once") && pm.at("customer").is_null() {
        let said = "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, \
                    shared with a connected account without Customer attachment, or was detached from a Customer. It \
                    may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer \
                    first.";
        return Err(Fail::param("payment_method", said));
    }
    world.set(id, |intent| {
        intent["next_action"] = Value::Null;
        intent["last_payment_error"] = Value::Null;
    });
    if payment_methods::is_delayed(&pm) {
        return start_settlement(world, id, &method);
    }
    let asked = Asked {
        session: how.session,
        is_set_up: pm.flag("_set_up"),
        is_authenticated: intent.flag("_authenticated"),
        purpose: Purpose::Charge,
    };
    let Some(verdict) = cards::judge(pm.text("_number"), asked) else {
        return Err(Fail::trouble(500, "This card isn't in the simulator's list."));
    };
    match verdict {
        Verdict::Pay(then) => {
            let charge = pay(world, id, &method)?;
            charges::follow_up(world, &charge, then);
            Ok(())
        }
        Verdict::Decline(why) => Err(decline(world, id, &method, why)),
        Verdict::Authenticate if how.on_challenge == OnChallenge::Fail => {
            Err(decline(world, id, &method, cards::not_authenticated()))
        }
        Verdict::Authenticate => {
            ask_holder(world, id, how.return_url);
            Ok(())
        }
    }
}

fn ask_holder(world: &mut World, id: &str, return_url: Option<String>) {
    let url = format!("{}/3ds/{id}", world.public_url);
    world.set(id, |intent| {
        intent["status"] = json!("requires_action");
        intent["next_action"] = match &return_url {
            Some(back) => json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url, "return_url": back } }),
            None => json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url } }),
        };
    });
    world.emit("payment_intent.requires_action", id);
    tell(world, id);
}

fn pay(world: &mut World, id: &str, method: &str) -> Result<String, Fail> {
    save_method(world, id, method)?;
    world.set(method, |method| method["_used_once"] = json!(true));
    let is_manual = world.get(id).text("capture_method") == "manual";
    let outcome = if is_manual { Outcome::Authorized } else { Outcome::Paid };
    let charge = charges::make(world, id, method, outcome);
    if is_manual {
        world.set(id, |intent| {
            intent["status"] = json!("requires_capture");
            intent["amount_capturable"] = intent.at("amount").clone();
        });
        world.emit("payment_intent.amount_capturable_updated", id);
        tell(world, id);
    } else {
        succeed(world, id);
    }
    Ok(charge)
}

/// A method that is to be used again is kept with the customer.
fn save_method(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    let intent = world.get(id).clone();
    if let (Some(usage), Some(customer)) =
        (intent.opt("setup_future_usage"), intent.opt("customer"))
    {
        attach_to(world, method, customer)?;
        let is_set_up = usage == "off_session";
        world.set(method, |method| method["_set_up"] = json!(is_set_up || method.flag("_set_up")));
    }
    Ok(())
}

fn succeed(world: &mut World, id: &str) {
    world.set(id, |intent| {
        intent["status"] = json!("succeeded");
        intent["amount_capturable"] = json!(0);
        if intent.int("amount_received") == 0 {
            intent["amount_received"] = intent.at("amount").clone();
        }
    });
    world.emit("payment_intent.succeeded", id);
    tell(world, id);
}

/// The bank says no.
fn decline(world: &mut World, id: &str, method: &str, why: Decline) -> Fail {
    let charge = charges::make(world, id, method, Outcome::Declined(why));
    let error = json!({
        "advice_code": why.advice, "charge": charge, "code": why.code, "decline_code": why.decline_code,
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", why.code.replace('_', "-")),
        "message": why.message, "payment_method": as_kept(world, method), "type": "card_error",
    });
    world.set(id, |intent| {
        intent["status"] = json!("requires_payment_method");
        intent["payment_method"] = Value::Null;
        intent["last_payment_error"] = error;
        intent["_authenticated"] = json!(false);
    });
    world.emit("payment_intent.payment_failed", id);
    tell(world, id);
    let mut fail = Fail::card(why.code, why.message);
    fail.decline_code = Some(why.decline_code);
    fail.with("payment_intent", &as_kept(world, id))
        .with("charge", &json!(charge))
        .with("advice_code", &json!(why.advice))
        .with("payment_method", &as_kept(world, method))
}

/// The bank takes days.
fn start_settlement(world: &mut World, id: &str, method: &str) -> Result<(), Fail> {
    save_method(world, id, method)?;
    let now = world.now;
    let mandate = world.add(Kind::Mandate, json!({
        "customer_acceptance": { "accepted_at": now, "type": "online", "online": { "ip_address": "127.0.0.1", "user_agent": "stripe-sim" } },
        "payment_method": method, "status": "active", "type": "multi_use", "multi_use": {},
        "payment_method_details": { "type": "sepa_debit", "sepa_debit": { "reference": id, "url": "https://hooks.stripe.com/adapter/sepa_debit/file" } },
    }));
    world.set(id, |intent| {
        intent["_mandate"] = json!(mandate);
        intent["status"] = json!("processing");
    });
    charges::make(world, id, method, Outcome::Pending);
    world.emit("payment_intent.processing", id);
    world.at(now + SETTLEMENT_SECONDS, Timer::SettlePayment(id.to_owned()));
    tell(world, id);
    Ok(())
}

/// A bank that took its time says what became of it.
pub(crate) fn settle(world: &mut World, id: &str) -> bool {
    let intent = world.get(id).clone();
    if intent.text("status") != "processing" {
        return false;
    }
    let (charge, method) = (intent.text("latest_charge"), intent.text("payment_method"));
    if payment_methods::will_settle(world.get(method)) {
        charges::succeed(world, charge);
        succeed(world, id);
        return true;
    }
    let message = "The payment could not be completed: the bank account has insufficient funds.";
    charges::fail(world, charge, "insufficient_funds", message);
    let error = json!({
        "charge": charge, "code": "payment_intent_payment_attempt_failed", "decline_code": "insufficient_funds",
        "message": message, "payment_method": as_kept(world, method), "type": "card_error",
    });
    world.set(id, |intent| {
        intent["status"] = json!("requires_payment_method");
        intent["payment_method"] = Value::Null;
        intent["last_payment_error"] = error;
    });
    world.emit("payment_intent.payment_failed", id);
    tell(world, id);
    true
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
