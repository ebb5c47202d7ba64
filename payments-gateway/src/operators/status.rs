//! What operators are told when something can't be done: a status with `google.rpc.ErrorInfo`, see
//! `payments/v1/error.proto`. Causes that are none of theirs go to the log only.

use super::caller::SCOPE;
use crate::{intake::NotKept, store::StoreError, stripe::CallError};
use proto::payments::v1::ErrorReason as Reason;
use std::{collections::HashMap, fmt::Display, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The domain of every reason here.
const DOMAIN: &str = "payments.v1";

/// What a reason's name in the contract begins with, and its name on the wire doesn't.
const PREFIX: &str = "ERROR_REASON_";

/// How long to wait for somebody who is away.
const AWAY_RETRY: Duration = Duration::from_secs(1);

/// Field violations that one error names at most: details travel in a header.
const VIOLATIONS_MAX: usize = 16;

fn details(reason: Reason, metadata: &[(&str, &dyn Display)]) -> ErrorDetails {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
    ErrorDetails::with_error_info(reason.as_str_name().trim_start_matches(PREFIX), DOMAIN, metadata)
}

/// A status with its reason and the figures behind it.
pub fn new(
    code: Code,
    reason: Reason,
    message: impl Into<String>,
    metadata: &[(&str, &dyn Display)],
) -> Status {
    Status::with_error_details(code, message, details(reason, metadata))
}

/// UNAVAILABLE: asking again may help.
pub fn unavailable(reason: Reason, message: impl Into<String>) -> Status {
    let mut details = details(reason, &[]);
    details.set_retry_info(Some(AWAY_RETRY));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// INVALID_FIELD, naming every field at once; there is at least one.
pub fn invalid(violations: Vec<FieldViolation>) -> Status {
    let words = |it: &FieldViolation| format!("{}: {}", it.field, it.description);
    let first = violations.first().map(words).unwrap_or_default();
    let others = match violations.len().saturating_sub(1) {
        0 => String::new(),
        1 => " (and 1 more field)".to_owned(),
        more => format!(" (and {more} more fields)"),
    };
    let mut details = details(Reason::InvalidField, &[]);
    let named: Vec<FieldViolation> = violations.into_iter().take(VIOLATIONS_MAX).collect();
    details.set_bad_request(named);
    Status::with_error_details(Code::InvalidArgument, format!("{first}{others}"), details)
}

/// There is no such purchase.
pub fn no_purchase(id: &str) -> Status {
    let message = format!("there is no purchase {id}");
    new(Code::NotFound, Reason::PurchaseNotFound, message, &[("purchase_id", &id)])
}

/// A purchase's payment can't be credited.
pub fn not_creditable(id: &str, why: &str) -> Status {
    let message = format!("purchase {id} can't be credited: {why}");
    new(Code::FailedPrecondition, Reason::NotCreditable, message, &[("purchase_id", &id)])
}

/// What the database said.
pub fn store(error: &StoreError) -> Status {
    tracing::error!(%error, "an operator's call failed");
    match error {
        StoreError::Database(_) | StoreError::Migration(_) => unavailable(
            Reason::StoreUnavailable,
            "the database can't be reached, the outcome is unknown; look, then ask again",
        ),
        StoreError::Corrupt(_) => internal(),
    }
}

/// A note didn't get into the inbox.
pub fn not_kept(error: NotKept) -> Status {
    match error {
        NotKept::Full => unavailable(Reason::Overloaded, "the inbox is full; ask again"),
        NotKept::Failed => unavailable(
            Reason::StoreUnavailable,
            "the database didn't take it, or nobody knows; asking again does no harm",
        ),
    }
}

/// What Stripe said about a purchase's payment.
pub fn stripe(id: &str, error: &CallError) -> Status {
    match error {
        CallError::Refused { .. } => not_creditable(id, &error.to_string()),
        CallError::Broken { .. } | CallError::Away(_) | CallError::Forbidden(_) => {
            unavailable(Reason::StripeUnavailable, format!("{error}; nothing was changed"))
        }
    }
}

/// Our bug.
pub fn internal() -> Status {
    new(Code::Internal, Reason::Internal, "our bug; the log has the cause", &[])
}

/// A call that nobody has let in: our bug, and not to be answered.
pub fn past_the_door() -> Status {
    tracing::error!("a call came past the door");
    unauthenticated("the call has no credential")
}

/// No credential, or a bad one.
pub fn unauthenticated(why: &str) -> Status {
    new(Code::Unauthenticated, Reason::CredentialInvalid, why, &[])
}

/// The keys of tokens can't be read.
pub fn keys_away() -> Status {
    unavailable(Reason::Overloaded, "the keys of tokens can't be read now; ask again")
}

/// The credential isn't an operator's.
pub fn scope_missing(name: &str) -> Status {
    let message = format!("{name} lacks the scope {SCOPE}");
    new(Code::PermissionDenied, Reason::ScopeMissing, message, &[("scope", &SCOPE)])
}

/// It took too long.
pub fn too_late() -> Status {
    let message = "it takes too long, and goes on; look, then ask again";
    new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_its_domain_and_its_figures_are_on_the_wire() {
        let status = no_purchase("p1");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((status.code(), &*info.reason), (Code::NotFound, "PURCHASE_NOT_FOUND"));
        assert_eq!((&*info.domain, &*info.metadata["purchase_id"]), ("payments.v1", "p1"));
    }

    #[test]
    fn every_field_is_named_and_a_thousand_of_them_fit_into_headers() {
        let violation = |row| FieldViolation::new(format!("ids[{row}]"), "give visible characters");
        let status = invalid((0..1_000).map(violation).collect());
        let message = "ids[0]: give visible characters (and 999 more fields)";
        assert_eq!(status.message(), message);
        assert_eq!(status.get_error_details().bad_request().unwrap().field_violations.len(), 16);
        assert!(status.details().len() < 4_096);
    }
}
