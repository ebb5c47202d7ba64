//! The bank's question to the holder, and what comes of the answer.

use super::{
    payment_intents::{self, How},
    setup_intents,
};
use crate::{
    fail::{Fail, doc_url},
    json::Look as _,
    kind::Kind,
    render::as_kept,
    world::World,
};
use serde_json::{Value, json};

/// Asks the holder about an intent: on the bank's page, from where the browser comes back.
pub(crate) fn ask(world: &mut World, id: &str, return_url: Option<&str>) {
    let url = format!("{}/3ds/{id}", world.public_url);
    let how = match return_url {
        Some(back) => {
            json!({ "type": "redirect_to_url", "redirect_to_url": { "url": url, "return_url": back } })
        }
        None => {
            json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url } })
        }
    };
    world.set(id, |intent| {
        intent["status"] = json!("requires_action");
        intent["next_action"] = how;
    });
}

/// The intent that waits for an answer.
pub(crate) fn find(world: &World, intent: &str) -> Option<Value> {
    world.find(intent).filter(|intent| intent.text("status") == "requires_action").cloned()
}

/// Answers; says where the browser goes next.
pub(crate) fn answer(world: &mut World, id: &str, passed: bool) -> Result<String, Fail> {
    let Some(intent) = find(world, id) else {
        return Err(Fail::no_such("question of a bank", id, "id"));
    };
    let is_payment = intent.text("object") == Kind::PaymentIntent.object();
    if passed {
        world.set(id, |intent| intent["_authenticated"] = json!(true));
        // A refusal after the question is shown by the intent: the browser goes back all the same.
        let done = match is_payment {
            true => payment_intents::confirm(world, id, How::on_session()),
            false => setup_intents::confirm(world, id, None),
        };
        if done.is_err_and(|refused| !refused.happened) {
            fail(world, id, &intent);
        }
    } else {
        fail(world, id, &intent);
    }
    Ok(next(world, id, &intent))
}

fn fail(world: &mut World, id: &str, intent: &Value) {
    let is_payment = intent.text("object") == Kind::PaymentIntent.object();
    let code = if is_payment {
        "payment_intent_authentication_failure"
    } else {
        "setup_intent_authentication_failure"
    };
    let error = json!({
        "code": code, "doc_url": doc_url(code),
        "message": "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
        "payment_method": as_kept(world, intent.text("payment_method")), "type": "invalid_request_error",
    });
    if !is_payment {
        return setup_intents::refuse(world, id, error);
    }
    world.set(id, |intent| {
        intent["status"] = json!("requires_payment_method");
        intent["payment_method"] = Value::Null;
        intent["next_action"] = Value::Null;
        intent["last_payment_error"] = error;
    });
    world.emit("payment_intent.payment_failed", id);
    payment_intents::tell(world, id);
}

/// Back to who asked for the payment: a session's success page or form, an invoice, or a return URL.
fn next(world: &World, id: &str, asked: &Value) -> String {
    let intent = world.get(id);
    let is_done = matches!(intent.text("status"), "succeeded" | "processing" | "requires_capture");
    let base = &world.public_url;
    let session = intent.opt("_session").or_else(|| {
        let invoice = world.get(intent.text("_invoice"));
        let subscription = invoice.at("parent").at("subscription_details").text("subscription");
        world.get(subscription).opt("_session")
    });
    if let Some(session) = session {
        let session = world.get(session);
        return match (is_done, session.opt("success_url")) {
            (true, Some(_)) => super::checkout::success_url(session),
            _ => format!("{base}/c/pay/{}", session.text("id")),
        };
    }
    if let Some(portal) = intent.opt("_portal") {
        return format!("{base}/p/session/{portal}");
    }
    if let Some(invoice) = intent.opt("_invoice") {
        return format!("{base}/i/{invoice}");
    }
    let kind = if intent.text("object") == Kind::PaymentIntent.object() {
        "payment_intent"
    } else {
        "setup_intent"
    };
    let back = asked.at("next_action").at("redirect_to_url").text("return_url");
    if back.is_empty() {
        return format!("{base}/3ds/{id}");
    }
    let joint = if back.contains('?') { '&' } else { '?' };
    let status = if is_done { "succeeded" } else { "failed" };
    format!(
        "{back}{joint}{kind}={id}&{kind}_client_secret={}&redirect_status={status}",
        intent.text("client_secret")
    )
}
