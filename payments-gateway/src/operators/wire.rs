//! Where rows stop: what operators are told of purchases, calls, events, alerts, customers and reports.

use super::words::value;
use crate::{
    clock::SECOND,
    store::{StoreError, alerts, calls, customers, inbox, purchases, reconciliations},
};
use prost_types::Timestamp;
use proto::payments::v1::{
    Alert, AlertKind, AlertState, Customer, Difference, InboxEvent, InboxState, Money, Purchase,
    PurchaseKind, PurchaseState, Reconciliation, StripeCall, StripeCallOutcome,
};
use serde::Deserialize;

/// A moment, in microseconds since 1970.
fn time(micros: i64) -> Option<Timestamp> {
    let nanos = micros.rem_euclid(SECOND).saturating_mul(1_000);
    let nanos = i32::try_from(nanos).unwrap_or_default();
    Some(Timestamp { seconds: micros.div_euclid(SECOND), nanos })
}

/// A purchase.
pub fn purchase(of: purchases::Purchase) -> Purchase {
    let (kind, state) = (of.kind().as_str(), of.state_name());
    let (kind, state) = (value::<PurchaseKind>(kind), value::<PurchaseState>(state));
    let money = |amount_minor| Money { amount_minor, currency: of.currency.clone() };
    Purchase {
        kind,
        state,
        price: Some(money(of.price_minor)),
        paid: of.paid_minor.map(money),
        returned: Some(money(of.returned_minor)),
        purchase_id: of.id,
        account_id: of.account_id,
        note: of.note.unwrap_or_default(),
        package_id: of.package_id.unwrap_or_default(),
        name: of.name,
        tokens: of.tokens,
        clawback_target: of.clawback_target,
        clawback_revision: of.clawback_revision,
        clawback_confirmed_revision: of.clawback_confirmed,
        transaction_id: of.transaction_id.unwrap_or_default(),
        livemode: of.livemode == 1,
        may_be_free: of.may_be_free == 1,
        catalog_version: of.catalog_version,
        attempt: of.attempt,
        stripe_price_id: of.stripe_price.unwrap_or_default(),
        session_id: of.session_id.unwrap_or_default(),
        payment_intent_id: of.payment_intent.unwrap_or_default(),
        charge_id: of.charge.unwrap_or_default(),
        checkout_url: of.checkout_url.unwrap_or_default(),
        receipt_url: of.receipt_url.unwrap_or_default(),
        create_time: time(of.created_at),
        update_time: time(of.updated_at),
        session_expire_time: of.session_expires_at.and_then(time),
        paid_time: of.paid_at.and_then(time),
        credit_time: of.credited_at.and_then(time),
    }
}

/// A call to Stripe.
pub fn call(of: calls::Call) -> StripeCall {
    let status = of.status.and_then(|status| i32::try_from(status).ok());
    StripeCall {
        outcome: value::<StripeCallOutcome>(&of.outcome),
        key: of.key,
        path: of.path,
        body: of.body,
        http_status: status.unwrap_or_default(),
        request_id: of.request_id.unwrap_or_default(),
        error: of.error.unwrap_or_default(),
        create_time: time(of.created_at),
        answer_time: of.answered_at.and_then(time),
    }
}

/// An event.
pub fn event(of: inbox::Entry) -> InboxEvent {
    InboxEvent {
        state: value::<InboxState>(&of.state),
        inbox_event_id: of.id,
        endpoint: of.endpoint,
        event_id: of.event_id,
        r#type: of.kind,
        reason: of.reason.unwrap_or_default(),
        purchase_id: of.purchase_id.unwrap_or_default(),
        failures: of.failures,
        receive_time: time(of.received_at),
        due_time: time(of.due_at),
        end_time: of.ended_at.and_then(time),
    }
}

/// An alert.
pub fn alert(of: alerts::Alert) -> Alert {
    Alert {
        kind: value::<AlertKind>(&of.kind),
        state: value::<AlertState>(&of.state),
        alert_id: of.id,
        subject: of.subject,
        count: of.count,
        detail: of.detail,
        note: of.note.unwrap_or_default(),
        first_time: time(of.first_at),
        last_time: time(of.last_at),
    }
}

/// A customer.
pub fn customer(of: customers::Customer) -> Customer {
    Customer {
        account_id: of.account_id,
        email: of.email.unwrap_or_default(),
        name: of.name.unwrap_or_default(),
        stripe_customer_id: of.stripe_customer.unwrap_or_default(),
        create_time: time(of.created_at),
    }
}

/// A difference as the table has it.
#[derive(Deserialize)]
struct Kept {
    what: String,
    subject: String,
    detail: String,
}

/// A report.
///
/// # Errors
/// Its differences can't be read.
pub fn reconciliation(of: reconciliations::Reconciliation) -> Result<Reconciliation, StoreError> {
    let kept: Vec<Kept> = serde_json::from_str(&of.differences)
        .map_err(|error| StoreError::Corrupt(format!("reconciliation {}: {error}", of.id)))?;
    let difference = |Kept { what, subject, detail }| Difference { what, subject, detail };
    Ok(Reconciliation {
        reconciliation_id: of.id,
        start_time: time(of.started_at),
        end_time: of.ended_at.and_then(time),
        events_seen: of.events_seen,
        events_missing: of.events_missing,
        purchases_looked_at: of.purchases_looked_at,
        differences: kept.into_iter().map(difference).collect(),
        error: of.error.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_the_microsecond_before_1970_too() {
        let at = |micros| time(micros).map(|it| (it.seconds, it.nanos));
        assert_eq!(at(1_500_000), Some((1, 500_000_000)));
        assert_eq!(at(-1), Some((-1, 999_999_000)));
    }

    #[test]
    fn a_report_lists_what_the_reconciler_wrote_or_says_that_it_cannot() {
        let report = |differences: &str| {
            reconciliation(reconciliations::Reconciliation {
                id: "r".to_owned(),
                started_at: 0,
                ended_at: None,
                events_seen: 0,
                events_missing: 0,
                purchases_looked_at: 0,
                differences: differences.to_owned(),
                error: None,
            })
        };
        let told = report(r#"[{"what":"event_missing","subject":"evt_1","detail":"d"}]"#).unwrap();
        assert_eq!(told.differences[0].subject, "evt_1");
        assert!(report("{").is_err());
    }
}
