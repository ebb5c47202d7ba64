//! One attempt to be paid: the bank is asked, and the intent says how it went.

use super::{tell, unexpected};
use crate::resources::{
    cards::{self, Asked, Decline, Purpose, Session, Verdict},
    challenge,
    charges::{self, Outcome},
    payment_methods::{self, attach_to},
};
use crate::{
    fail::{Fail, doc_url},
    json::Look as _,
    kind::Kind,
    render::as_kept,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// How long a bank takes that takes its time.
pub(crate) const SETTLEMENT_SECONDS: i64 = 86_400;

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
    let may = ["requires_payment_method", "requires_confirmation", "requires_action"];
    if !may.contains(&intent.text("status")) {
        return Err(unexpected(&intent, "confirm"));
    }
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
            ask_holder(world, id, how.return_url.as_deref());
            Ok(())
        }
    }
}

fn ask_holder(world: &mut World, id: &str, return_url: Option<&str>) {
    challenge::ask(world, id, return_url);
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

pub(super) fn succeed(world: &mut World, id: &str) {
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
        "doc_url": doc_url(why.code),
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
    why.fail()
        .with("payment_intent", &as_kept(world, id))
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
