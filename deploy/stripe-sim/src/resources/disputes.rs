//! Disputes: the holder's bank takes the money back, or asks about it first; and Radar's warnings.

use super::charges;
use crate::{
    fail::{Answer, Fail},
    json::Look as _,
    kind::Kind,
    params::Params,
    world::World,
};
use serde_json::{Value, json};

/// What a dispute costs, won or lost.
const DISPUTE_FEE: i64 = 1_500;

/// How long evidence may be sent.
const EVIDENCE_SECONDS: i64 = 7 * 86_400;

/// Is the money gone?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Dispute,
    Inquiry,
}

/// Opens one.
pub(crate) fn open(
    world: &mut World,
    charge: &str,
    amount: Option<i64>,
    reason: &str,
    weight: Weight,
) -> String {
    let found = world.get(charge).clone();
    let amount = amount.unwrap_or_else(|| found.int("amount_captured"));
    let due = world.now + EVIDENCE_SECONDS;
    let (status, case) = match weight {
        Weight::Dispute => ("needs_response", "chargeback"),
        Weight::Inquiry => ("warning_needs_response", "inquiry"),
    };
    let id = world.add(Kind::Dispute, json!({
        "amount": amount, "balance_transactions": [], "charge": charge, "currency": found.at("currency"),
        "enhanced_eligibility_types": [], "evidence": no_evidence(),
        "evidence_details": { "due_by": due, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false, "submission_count": 0 },
        "is_charge_refundable": weight == Weight::Inquiry, "metadata": {},
        "payment_intent": found.at("payment_intent"), "reason": reason, "status": status,
        "payment_method_details": { "type": "card", "card": { "brand": "visa", "case_type": case, "network": "visa", "network_reason_code": "83" } },
    }));
    world.set(charge, |charge| {
        charge["disputed"] = json!(true);
        charge["_dispute"] = json!(if weight == Weight::Inquiry { "warning" } else { "dispute" });
    });
    world.emit("charge.dispute.created", &id);
    if weight == Weight::Dispute {
        withdraw(world, &id);
    }
    id
}

fn no_evidence() -> Value {
    let texts = [
        "access_activity_log",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
        "uncategorized_file",
        "uncategorized_text",
    ];
    let mut evidence: Value = texts.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    evidence["enhanced_evidence"] = json!({});
    evidence
}

fn withdraw(world: &mut World, id: &str) {
    move_funds(world, id, -1, DISPUTE_FEE);
    world.emit("charge.dispute.funds_withdrawn", id);
}

fn move_funds(world: &mut World, id: &str, sign: i64, fee: i64) {
    let dispute = world.get(id).clone();
    let booked = charges::book(
        world,
        dispute.text("charge"),
        "adjustment",
        sign * dispute.int("amount"),
        fee,
        id,
    );
    let booked = world.get(&booked).clone();
    world.set(id, |dispute| {
        if let Some(list) = dispute["balance_transactions"].as_array_mut() {
            list.push(booked);
        }
    });
}

/// `POST /v1/disputes/:id`
pub(crate) fn update(world: &mut World, id: &str, params: &Params) -> Answer {
    let dispute = world.need(Kind::Dispute, id, "id")?.clone();
    if is_over(dispute.text("status")) && params.has("evidence") {
        return Err(Fail::request(format!(
            "This dispute is closed: its status is {}.",
            dispute.text("status")
        )));
    }
    let submitted = params.has("evidence") && params.flag("submit") != Some(false);
    world.edit(id, "charge.dispute.updated", |dispute| {
        if let Some(evidence) = params.value("evidence").cloned() {
            crate::json::merge(&mut dispute["evidence"], evidence);
            dispute["evidence_details"]["has_evidence"] = json!(true);
        }
        if submitted {
            dispute["evidence_details"]["submission_count"] = json!(1);
        }
        params.echo_metadata(dispute);
    });
    if submitted {
        let text = world.get(id).at("evidence").text("uncategorized_text").to_owned();
        let is_warning = dispute.text("status").starts_with("warning");
        move_on(
            world,
            id,
            match text.as_str() {
                "winning_evidence" if is_warning => "warning_closed",
                "winning_evidence" => "won",
                "losing_evidence" => "lost",
                _ if is_warning => "warning_under_review",
                _ => "under_review",
            },
        )?;
    }
    Ok(world.get(id).clone())
}

/// `POST /v1/disputes/:id/close`: we give in.
pub(crate) fn close(world: &mut World, id: &str) -> Answer {
    let status = world.need(Kind::Dispute, id, "id")?.text("status").to_owned();
    if is_over(&status) {
        return Err(Fail::request(format!(
            "This dispute is already closed: its status is {status}."
        )));
    }
    move_on(world, id, if status.starts_with("warning") { "warning_closed" } else { "lost" })?;
    Ok(world.get(id).clone())
}

fn is_over(status: &str) -> bool {
    matches!(status, "won" | "lost" | "warning_closed" | "prevented")
}

/// Moves a dispute to a status, with the money that goes with it.
pub(crate) fn move_on(world: &mut World, id: &str, to: &str) -> Result<(), Fail> {
    let from = world.need(Kind::Dispute, id, "id")?.text("status").to_owned();
    let is_inquiry = from.starts_with("warning");
    let may = match to {
        "needs_response" => is_inquiry,
        "under_review" | "won" | "lost" => !is_inquiry,
        "warning_under_review" | "warning_closed" | "prevented" => is_inquiry,
        _ => false,
    };
    if is_over(&from) || !may {
        return Err(Fail::param("status", format!("A dispute can't go from {from} to {to}.")));
    }
    let becomes_real = is_inquiry && to == "needs_response";
    world.set(id, |dispute| {
        dispute["status"] = json!(to);
        dispute["is_charge_refundable"] = json!(to == "warning_closed");
    });
    let charge = world.get(id).text("charge").to_owned();
    match to {
        "won" => {
            world.set(&charge, |charge| charge["_dispute"] = json!("over"));
            move_funds(world, id, 1, 0);
            world.emit("charge.dispute.funds_reinstated", id);
        }
        "needs_response" if becomes_real => {
            world.set(&charge, |charge| charge["_dispute"] = json!("dispute"));
            world.emit("charge.dispute.updated", id);
            withdraw(world, id);
        }
        _ => {}
    }
    if is_over(to) {
        world.emit("charge.dispute.closed", id);
    } else if !becomes_real {
        world.emit("charge.dispute.updated", id);
    }
    Ok(())
}

/// Radar warns of a charge.
pub(crate) fn warn(world: &mut World, charge: &str) -> String {
    let intent = world.get(charge).at("payment_intent").clone();
    world.create(
        Kind::EarlyFraudWarning,
        "radar.early_fraud_warning.created",
        json!({
            "actionable": true, "charge": charge, "fraud_type": "misc", "payment_intent": intent,
        }),
    )
}
