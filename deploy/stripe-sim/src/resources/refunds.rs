//! Refunds: money back, at once, later, or not after all.

use super::charges;
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    money,
    params::Params,
    timers::Timer,
    world::World,
};
use serde_json::{Value, json};

/// How long a bank takes that takes its time.
const REFUND_SECONDS: i64 = 86_400;

/// `POST /v1/refunds`
pub(crate) fn create(world: &mut World, params: &Params) -> Answer {
    let charge = match (params.full("charge"), params.full("payment_intent")) {
        (Some(charge), _) => world.need(Kind::Charge, charge, "charge")?.clone(),
        (None, Some(intent)) => {
            let intent = world.need(Kind::PaymentIntent, intent, "payment_intent")?;
            let charge =
                world.find(intent.text("latest_charge")).filter(|charge| charge.flag("paid"));
            charge.cloned().ok_or_else(|| {
                let said = format!(
                    "This PaymentIntent ({}) does not have a successful charge to refund.",
                    intent.text("id")
                );
                Fail::request(said)
            })?
        }
        (None, None) => {
            return Err(Fail::request(
                "One of the following params should be provided for this request: payment_intent or charge.",
            ));
        }
    };
    let left = charge.int("amount") - charge.int("amount_refunded");
    check(&charge, left, params.int("amount"))?;
    let amount = params.int("amount").unwrap_or(left);
    let (id, charge_id) = (world.id_of(Kind::Refund), charge.text("id").to_owned());
    let is_card = charge.at("payment_method_details").text("type") == "card";
    let is_slow = !is_card || charge.text("_refunds") == "slow";
    let destination = match is_card {
        true => {
            json!({ "type": "card", "card": { "reference": "1234567890123456", "reference_status": "available", "reference_type": "acquirer_reference_number", "type": "refund" } })
        }
        false => json!({ "type": "sepa_debit", "sepa_debit": {} }),
    };
    let mut refund = json!({
        "id": id, "amount": amount, "charge": charge_id, "currency": charge.at("currency"),
        "destination_details": destination, "metadata": {}, "payment_intent": charge.at("payment_intent"),
        "reason": null, "status": if is_slow { "pending" } else { "succeeded" },
    });
    params.echo(&mut refund, &["reason"]);
    params.echo_metadata(&mut refund);
    world.add(Kind::Refund, refund);
    let booked = charges::book(world, &charge_id, "refund", -amount, 0, &id);
    world.set(&id, |refund| refund["balance_transaction"] = json!(booked));
    world.edit(&charge_id, "charge.refunded", |charge| {
        charge["amount_refunded"] = json!(charge.int("amount_refunded") + amount);
        charge["refunded"] = json!(charge.int("amount_refunded") == charge.int("amount"));
    });
    world.emit("refund.created", &id);
    if is_slow || charge.text("_refunds") == "fail" {
        let due = world.now + REFUND_SECONDS;
        world.at(due, Timer::SettleRefund(id.clone()));
    } else {
        world.emit("refund.updated", &id);
        world.emit("charge.refund.updated", &id);
    }
    Ok(world.get(&id).clone())
}

fn check(charge: &Value, left: i64, amount: Option<i64>) -> Result<(), Fail> {
    let (id, currency) = (charge.text("id"), charge.text("currency"));
    if !charge.flag("paid") || !charge.flag("captured") {
        return Err(Fail::request(format!(
            "Charge {id} cannot be refunded: it is not paid and captured."
        )));
    }
    if charge.text("_dispute") == "dispute" {
        let said = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(Fail::param("charge", said).code("charge_disputed"));
    }
    if left == 0 {
        return Err(Fail::request(format!("Charge {id} has already been refunded."))
            .code("charge_already_refunded"));
    }
    match amount {
        Some(amount) if amount < 1 => {
            Err(Fail::param("amount", "This value must be greater than or equal to 1.")
                .code("parameter_invalid_integer"))
        }
        Some(amount) if amount > left => {
            let (amount, left) = (money::say(amount, currency), money::say(left, currency));
            let said = format!(
                "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            );
            Err(Fail::param("amount", said))
        }
        _ => Ok(()),
    }
}

/// A bank says whether it took the money back: as its card has it, unless told.
pub(crate) fn settle(world: &mut World, id: &str, told: Option<&str>) -> bool {
    let refund = world.get(id).clone();
    let charge = world.get(refund.text("charge")).clone();
    let status =
        told.unwrap_or(if charge.text("_refunds") == "fail" { "failed" } else { "succeeded" });
    match (refund.text("status"), status) {
        ("pending", "succeeded") => {
            world.set(id, |refund| refund["status"] = json!("succeeded"));
            world.emit("refund.updated", id);
            world.emit("charge.refund.updated", id);
            true
        }
        ("pending" | "succeeded" | "requires_action", "failed" | "canceled") => {
            give_back(world, &refund, status);
            true
        }
        _ => false,
    }
}

/// The money didn't arrive: it is ours again.
fn give_back(world: &mut World, refund: &Value, status: &str) {
    let (id, charge, amount) = (refund.text("id"), refund.text("charge"), refund.int("amount"));
    let booked = charges::book(world, charge, "refund_failure", amount, 0, id);
    world.set(id, |refund| {
        refund["status"] = json!(status);
        if status == "failed" {
            refund["failure_reason"] = json!("expired_or_canceled_card");
        }
        refund["failure_balance_transaction"] = json!(booked);
    });
    world.set(charge, |charge| {
        charge["amount_refunded"] = json!(charge.int("amount_refunded") - amount);
        charge["refunded"] = json!(false);
    });
    world.emit("charge.refund.updated", id);
    world.emit(if status == "failed" { "refund.failed" } else { "refund.updated" }, id);
}

/// `POST /v1/refunds/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Refund, id, "id")?;
    world.edit(id, "refund.updated", |refund| params.echo_metadata(refund));
    world.emit("charge.refund.updated", id);
    Ok(world.get(id).clone())
}

/// `POST /v1/refunds/:id/cancel`
pub(crate) fn cancel(world: &mut World, id: &str) -> Answer {
    let status = world.need(Kind::Refund, id, "id")?.text("status").to_owned();
    if status != "requires_action" && status != "pending" {
        return Err(Fail::request(format!(
            "You cannot cancel this refund because it has a status of {status}."
        )));
    }
    settle(world, id, Some("canceled"));
    Ok(world.get(id).clone())
}
