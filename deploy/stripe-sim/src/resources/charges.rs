//! Charges, and what they do to our balance.

use super::{cards::Decline, disputes, payment_methods};
use crate::{fail::Answer, json::Look as _, kind::Kind, params::Params, world::World};
use serde_json::{Value, json};

/// What a charge became.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// The money is there.
    Paid,
    /// It is set aside.
    Authorized,
    /// The bank takes days.
    Pending,
    /// The bank says no.
    Declined(Decline),
}

/// Makes the charge of an intent.
pub(crate) fn make(world: &mut World, intent: &str, method: &str, outcome: Outcome) -> String {
    let (pi, pm) = (world.get(intent).clone(), world.get(method).clone());
    let (amount, id) = (pi.int("amount"), world.id_of(Kind::Charge));
    let (status, event) = match outcome {
        Outcome::Paid | Outcome::Authorized => ("succeeded", "charge.succeeded"),
        Outcome::Pending => ("pending", "charge.pending"),
        Outcome::Declined(_) => ("failed", "charge.failed"),
    };
    let is_captured = matches!(outcome, Outcome::Paid | Outcome::Pending);
    let receipt_url = format!("{}/receipts/{id}", world.public_url);
    world.add(Kind::Charge, json!({
        "id": id, "amount": amount, "amount_captured": if is_captured { amount } else { 0 },
        "amount_refunded": 0, "billing_details": pm.at("billing_details"),
        "calculated_statement_descriptor": "STRIPE-SIM", "captured": is_captured,
        "currency": pi.at("currency"), "customer": pi.at("customer"), "description": pi.at("description"),
        "disputed": false, "fraud_details": {}, "metadata": pi.at("metadata"), "outcome": outcome_of(outcome),
        "paid": matches!(outcome, Outcome::Paid | Outcome::Authorized), "payment_intent": intent,
        "payment_method": method, "payment_method_details": details(&pm, &pi),
        "receipt_email": pi.at("receipt_email"), "receipt_url": receipt_url, "refunded": false,
        "shipping": pi.at("shipping"), "status": status,
        "statement_descriptor": pi.at("statement_descriptor"),
        "statement_descriptor_suffix": pi.at("statement_descriptor_suffix"),
        "transfer_group": pi.at("transfer_group"),
    }));
    if let Outcome::Declined(decline) = outcome {
        world.set(&id, |charge| {
            charge["failure_code"] = json!(decline.code);
            charge["failure_message"] = json!(decline.message);
        });
    }
    if let Outcome::Paid = outcome {
        book_payment(world, &id);
    }
    world.set(intent, |intent| intent["latest_charge"] = json!(id));
    world.emit(event, &id);
    id
}

fn outcome_of(outcome: Outcome) -> Value {
    let (network, kind, message, reason, advice) = match outcome {
        Outcome::Declined(decline) => (
            "declined_by_network",
            "issuer_declined",
            "The bank did not return any further details with this decline.",
            json!(decline.decline_code),
            json!(decline.advice),
        ),
        _ => ("approved_by_network", "authorized", "Payment complete.", Value::Null, Value::Null),
    };
    json!({
        "advice_code": advice, "network_advice_code": null, "network_decline_code": null,
        "network_status": network, "reason": reason, "risk_level": "normal", "risk_score": 7,
        "seller_message": message, "type": kind,
    })
}

fn details(method: &Value, intent: &Value) -> Value {
    if payment_methods::is_delayed(method) {
        let debit = method.at("sepa_debit");
        return json!({ "type": "sepa_debit", "sepa_debit": {
            "bank_code": debit.at("bank_code"), "branch_code": debit.at("branch_code"),
            "country": debit.at("country"), "fingerprint": debit.at("fingerprint"),
            "last4": debit.at("last4"), "mandate": intent.at("_mandate"),
        }});
    }
    let card = method.at("card");
    let three_d_secure = intent.flag("_authenticated").then(|| json!({
        "authentication_flow": "challenge", "electronic_commerce_indicator": "05", "exemption_indicator": null,
        "result": "authenticated", "result_reason": null, "transaction_id": null, "version": "2.2.0",
    }));
    json!({ "type": "card", "card": {
        "amount_authorized": intent.at("amount"), "authorization_code": "123456", "brand": card.at("brand"),
        "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
        "country": card.at("country"), "exp_month": card.at("exp_month"), "exp_year": card.at("exp_year"),
        "extended_authorization": { "status": "disabled" }, "fingerprint": card.at("fingerprint"),
        "funding": card.at("funding"), "incremental_authorization": { "status": "unavailable" },
        "installments": null, "last4": card.at("last4"), "mandate": null,
        "multicapture": { "status": "unavailable" }, "network": card.at("brand"),
        "network_token": { "used": false }, "network_transaction_id": "104102978678771",
        "overcapture": { "maximum_amount_capturable": intent.at("amount"), "status": "unavailable" },
        "regulated_status": "unregulated", "three_d_secure": three_d_secure, "wallet": null,
    }})
}

/// Stripe's part of a payment: 2.9 % and 30.
fn fee(amount: i64) -> i64 {
    amount * 29 / 1_000 + 30
}

/// Puts a payment into our balance.
pub(crate) fn book_payment(world: &mut World, charge: &str) {
    let amount = world.get(charge).int("amount_captured");
    let id = book(world, charge, "charge", amount, fee(amount), charge);
    world.set(charge, |charge| charge["balance_transaction"] = json!(id));
}

/// Puts an amount into our balance, less a fee; a negative one takes it out.
pub(crate) fn book(
    world: &mut World,
    charge: &str,
    kind: &str,
    amount: i64,
    fee: i64,
    source: &str,
) -> String {
    let currency = world.get(charge).text("currency").to_owned();
    let now = world.now;
    let category = match kind {
        "adjustment" if amount < 0 => "dispute",
        "adjustment" => "dispute_reversal",
        kind => kind,
    };
    let fees = match fee {
        0 => json!([]),
        fee => {
            json!([{ "amount": fee, "application": null, "currency": currency, "description": "Stripe processing fees", "type": "stripe_fee" }])
        }
    };
    world.add(Kind::BalanceTransaction, json!({
        "amount": amount, "available_on": now + 2 * 86_400, "balance_type": "payments", "created": now,
        "currency": currency, "description": null, "exchange_rate": null, "fee": fee, "fee_details": fees,
        "net": amount - fee, "reporting_category": category, "source": source, "status": "pending", "type": kind,
    }))
}

/// A bank that took its time has paid.
pub(crate) fn succeed(world: &mut World, charge: &str) {
    world.set(charge, |charge| {
        charge["status"] = json!("succeeded");
        charge["paid"] = json!(true);
    });
    book_payment(world, charge);
    world.emit("charge.succeeded", charge);
}

/// A bank that took its time hasn't paid.
pub(crate) fn fail(world: &mut World, charge: &str, code: &'static str, message: &str) {
    world.set(charge, |charge| {
        charge["status"] = json!("failed");
        charge["paid"] = json!(false);
        charge["failure_code"] = json!(code);
        charge["failure_message"] = json!(message);
    });
    world.emit("charge.failed", charge);
}

/// Takes what was set aside, or a part of it; the rest is released.
pub(crate) fn capture(world: &mut World, charge: &str, amount: i64) {
    world.set(charge, |charge| {
        charge["captured"] = json!(true);
        charge["amount_captured"] = json!(amount);
        let released = charge.int("amount") - amount;
        charge["amount_refunded"] = json!(released);
    });
    book_payment(world, charge);
    world.emit("charge.captured", charge);
}

/// `POST /v1/charges/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    world.need(Kind::Charge, id, "id")?;
    world.edit(id, "charge.updated", |charge| {
        params.echo(
            charge,
            &["description", "receipt_email", "shipping", "fraud_details", "transfer_group"],
        );
        params.echo_metadata(charge);
    });
    Ok(world.get(id).clone())
}

/// What may happen after a payment, by its card.
pub(crate) fn follow_up(world: &mut World, charge: &str, then: super::cards::Aftermath) {
    use super::cards::Aftermath;
    match then {
        Aftermath::Nothing => {}
        Aftermath::Dispute(reason) => {
            disputes::open(world, charge, None, reason, disputes::Weight::Dispute);
        }
        Aftermath::Inquiry => {
            disputes::open(world, charge, None, "fraudulent", disputes::Weight::Inquiry);
        }
        Aftermath::FraudWarning => {
            disputes::warn(world, charge);
        }
        Aftermath::SlowRefund => world.set(charge, |charge| charge["_refunds"] = json!("slow")),
        Aftermath::FailedRefund => world.set(charge, |charge| charge["_refunds"] = json!("fail")),
    }
}
