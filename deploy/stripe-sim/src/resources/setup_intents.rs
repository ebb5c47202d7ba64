//! Setup intents: a payment method is made ready to be charged when its holder isn't there.

use super::{
    cards::{self, Asked, Purpose, Session, Verdict},
    challenge, checkout,
    payment_methods::{self, attach_to, resolve},
};
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    render::as_kept,
    world::World,
};
use serde_json::{Value, json};

/// Makes one.
pub(crate) fn make(world: &mut World, more: Value) -> String {
    let id = world.id_of(Kind::SetupIntent);
    let secret = world.id(&format!("{id}_secret_"), 25);
    let mut intent = json!({
        "id": id, "client_secret": secret, "metadata": {}, "payment_method_options": {},
        "payment_method_types": ["card"], "status": "requires_payment_method", "usage": "off_session",
    });
    crate::json::merge(&mut intent, more);
    world.create(Kind::SetupIntent, "setup_intent.created", intent)
}

/// `POST /v1/setup_intents`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    if let Some(customer) = params.full("customer") {
        world.need(Kind::Customer, customer, "customer")?;
    }
    let method = match params.full("payment_method") {
        Some(method) => Some(resolve(world, method, "payment_method")?),
        None => None,
    };
    let mut more = json!({});
    params.echo(
        &mut more,
        &["customer", "description", "usage", "payment_method_types", "payment_method_options"],
    );
    params.echo_metadata(&mut more);
    let id = make(world, more);
    if let Some(method) = method {
        world.set(&id, |intent| {
            intent["payment_method"] = json!(method);
            intent["status"] = json!("requires_confirmation");
        });
    }
    if params.flag("confirm") == Some(true) {
        confirm(world, &id, params.full("return_url"))?;
    }
    Ok(world.get(&id).clone())
}

/// `POST /v1/setup_intents/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::SetupIntent, id, "id")?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        return Err(unexpected(&intent, "update"));
    }
    let method = params
        .full("payment_method")
        .map(|method| resolve(world, method, "payment_method"))
        .transpose()?;
    world.set(id, |intent| {
        params.echo(intent, &["customer", "description", "payment_method_types"]);
        params.echo_metadata(intent);
        if let Some(method) = method {
            intent["payment_method"] = json!(method);
            intent["status"] = json!("requires_confirmation");
        }
    });
    Ok(world.get(id).clone())
}

/// `POST /v1/setup_intents/:id/confirm`
pub(crate) fn confirm_call(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::SetupIntent, id, "id")?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        return Err(unexpected(&intent, "confirm"));
    }
    let method = match params.group("payment_method_data") {
        Some(data) => Some(payment_methods::create(world, &data)?.text("id").to_owned()),
        None => params
            .full("payment_method")
            .map(|method| resolve(world, method, "payment_method"))
            .transpose()?,
    };
    if let Some(method) = method {
        world.set(id, |intent| intent["payment_method"] = json!(method));
    }
    confirm(world, id, params.full("return_url"))?;
    Ok(world.get(id).clone())
}

fn unexpected(intent: &Value, verb: &str) -> Fail {
    let said = format!(
        "You cannot {verb} this SetupIntent because it has a status of {}.",
        intent.text("status")
    );
    Fail::request(said)
        .code("setup_intent_unexpected_state")
        .with("setup_intent", &crate::render::shown(intent))
}

/// What a bank says to a card that is to be saved.
pub(crate) fn check_card(world: &World, method: &str) -> Result<(), Fail> {
    let asked = Asked {
        session: Session::On,
        is_set_up: true,
        is_authenticated: true,
        purpose: Purpose::Save,
    };
    match world.get(method).opt("_number").and_then(|number| cards::judge(number, asked)) {
        Some(Verdict::Decline(why)) => Err(why.fail()),
        _ => Ok(()),
    }
}

/// Asks the bank.
///
/// # Errors
/// The bank says no: the intent shows it too, and waits for another method.
pub(crate) fn confirm(world: &mut World, id: &str, return_url: Option<&str>) -> Result<(), Fail> {
    let intent = world.get(id).clone();
    let Some(method) = intent.opt("payment_method").map(str::to_owned) else {
        let said = "You cannot confirm this SetupIntent because it's missing a payment method.";
        return Err(Fail::request(said).code("setup_intent_unexpected_state"));
    };
    let number = world.get(&method).text("_number").to_owned();
    let is_authenticated = intent.flag("_authenticated");
    let asked =
        Asked { session: Session::On, is_set_up: false, is_authenticated, purpose: Purpose::Save };
    // A bank account has no number, and nobody to ask.
    let verdict = cards::judge(&number, asked);
    match verdict.unwrap_or(Verdict::Pay(cards::Aftermath::Nothing)) {
        Verdict::Pay(_) => {
            if let Some(customer) = intent.opt("customer") {
                attach_to(world, &method, customer)?;
            }
            let is_off_session = intent.text("usage") == "off_session";
            world.set(&method, |method| method["_set_up"] = json!(is_off_session));
            world.set(id, |intent| {
                intent["status"] = json!("succeeded");
                intent["next_action"] = Value::Null;
                intent["last_setup_error"] = Value::Null;
            });
            world.emit("setup_intent.succeeded", id);
            tell(world, id);
            Ok(())
        }
        Verdict::Authenticate => {
            challenge::ask(world, id, return_url);
            world.emit("setup_intent.requires_action", id);
            Ok(())
        }
        Verdict::Decline(why) => {
            refuse(
                world,
                id,
                json!({
                    "code": why.code, "decline_code": why.decline_code, "message": why.message,
                    "payment_method": as_kept(world, &method), "type": "card_error",
                }),
            );
            Err(why.fail().with("setup_intent", &as_kept(world, id)))
        }
    }
}

/// Shows what went wrong, and waits for another method.
pub(crate) fn refuse(world: &mut World, id: &str, error: Value) {
    world.set(id, |intent| {
        intent["status"] = json!("requires_payment_method");
        intent["payment_method"] = Value::Null;
        intent["next_action"] = Value::Null;
        intent["last_setup_error"] = error;
    });
    world.emit("setup_intent.setup_failed", id);
}

/// Nobody waits for it any more.
pub(crate) fn abandon(world: &mut World, id: &str) {
    if world.get(id).text("status") != "succeeded" {
        world.set(id, |intent| {
            intent["status"] = json!("canceled");
            intent["cancellation_reason"] = json!("abandoned");
            intent["next_action"] = Value::Null;
        });
        world.emit("setup_intent.canceled", id);
    }
}

/// `POST /v1/setup_intents/:id/cancel`
pub(crate) fn cancel(world: &mut World, id: &str, params: &Params) -> Answer {
    let intent = world.need(Kind::SetupIntent, id, "id")?.clone();
    if matches!(intent.text("status"), "succeeded" | "canceled") {
        return Err(unexpected(&intent, "cancel"));
    }
    world.set(id, |intent| {
        intent["status"] = json!("canceled");
        intent["next_action"] = Value::Null;
        params.echo(intent, &["cancellation_reason"]);
    });
    world.emit("setup_intent.canceled", id);
    Ok(world.get(id).clone())
}

fn tell(world: &mut World, id: &str) {
    let intent = world.get(id).clone();
    if let Some(session) = intent.opt("_session") {
        checkout::setup_done(world, session);
    }
    if let (Some(customer), true) = (intent.opt("customer"), intent.flag("_default")) {
        super::customers::set_default(world, customer, intent.text("payment_method"));
    }
}
