//! Repetitions: README rule 26.

use super::book::Past;
use super::{Expected, Refused};
use crate::target::{Call, Reply};
use proto::v1::ErrorReason;

/// The account and the key that name a command.
pub(crate) fn name(call: &Call) -> (String, String) {
    macro_rules! names {
        ($($command:ident)*) => {
            match call {
                $(Call::$command(r) => (r.account_id.clone(), r.idempotency_key.clone()),)*
                other => panic!("{other:?} has no idempotency key"),
            }
        };
    }
    names!(Credit Debit Reverse Transfer CreateHold CaptureHold ReleaseHold SetClawback
        SetEntitlement Authorize)
}

/// The answer to a key that was used before.
pub(crate) fn repeat(first: &Past, call: &Call) -> Expected {
    let reused = Refused::new(ErrorReason::IdempotencyKeyReused);
    let reused = reused.with("transaction_id", &first.label);
    let Some((before, reply)) = &first.first else { return Err(reused) };
    let Some(mut fields) = differing(before, call) else { return Err(reused) };
    if !fields.is_empty() {
        fields.sort_unstable();
        return Err(reused.with("fields", fields.join(",")));
    }
    let mut reply = reply.clone();
    macro_rules! replayed {
        ($($command:ident)*) => {
            match &mut reply {
                $(Reply::$command(r) => r.replayed = true,)*
                other => panic!("{other:?} is no answer to a command"),
            }
        };
    }
    replayed!(Credit Debit Reverse Transfer CreateHold CaptureHold ReleaseHold SetClawback
        SetEntitlement Authorize);
    Ok(reply)
}

/// The names of the fields that differ; none at all if the methods do.
fn differing(a: &Call, b: &Call) -> Option<Vec<&'static str>> {
    let mut fields = Vec::new();
    macro_rules! compare {
        ($($command:ident { $($field:ident)* })*) => {
            match (a, b) {
                $((Call::$command(a), Call::$command(b)) => {
                    $(if a.$field != b.$field { fields.push(stringify!($field)); })*
                    if a.description != b.description { fields.push("description"); }
                    if a.reference != b.reference { fields.push("reference"); }
                    if a.metadata != b.metadata { fields.push("metadata"); }
                    if a.on_behalf_of != b.on_behalf_of { fields.push("on_behalf_of"); }
                })*
                _ => return None,
            }
        };
    }
    compare! {
        Credit { amount kind priority effective_time expire_time actions cost supersede }
        Debit { amount action quantity mode purpose }
        Reverse { transaction_id amount }
        Transfer { amount to_account_id }
        CreateHold { amount action quantity duration }
        CaptureHold { hold_id amount }
        ReleaseHold { hold_id }
        SetClawback { credit_key target revision }
        SetEntitlement { source source_version benefit period_start_time expire_time }
        Authorize { amount action quantity mode hold_duration }
    }
    Some(fields)
}
