//! From what the ledger and its store say to what callers are told: one match for each. Whoever adds
//! a rejection decides here what its callers can do about it.

use super::{fingerprint, trace};
use crate::{
    committer::Failure,
    identity::{Caller, Scope, method::Access},
    store::StoreError,
};
use ledger::{AccountId, Rejection, Time};
use proto::{
    catalog::Catalog,
    reason::{self, Error},
    v1::ErrorReason as Reason,
};
use std::time::Duration;
use tonic::Code;

/// How long the callers of a full queue should wait at least; it empties in much less.
const OVERLOADED_RETRY: Duration = Duration::from_millis(100);
/// How long to wait for another process to take over, or for the database to come back.
const AWAY_RETRY: Duration = Duration::from_secs(1);

/// What the caller of `method` is told about a command that the ledger refused at `now`.
///
/// The next step is the catalog's text `next_step_` and the reason in lower case, if it has one.
#[must_use]
pub fn refused(rejection: &Rejection, method: &str, catalog: &Catalog, now: Time) -> Error {
    let (error, next_step) = explain(rejection, method, now);
    let own_text = format!("next_step_{}", reason::name(error.reason).to_ascii_lowercase());
    let next_step = catalog.texts.get(&own_text).map_or(next_step, String::as_str);
    error.with("next_step", next_step)
}

/// The error without its next step, and the next step.
fn explain(rejection: &Rejection, method: &str, now: Time) -> (Error, &'static str) {
    let not_found = |reason, message: String| Error::new(Code::NotFound, reason, message);
    let blocked = |reason, message: String| Error::new(Code::FailedPrecondition, reason, message);
    match rejection {
        Rejection::AccountNotFound { account } => (
            not_found(Reason::AccountNotFound, format!("there is no account {account}"))
                .with("account_id", account),
            "Check the id; a first Credit makes the account.",
        ),
        Rejection::TransactionNotFound { account, name } => {
            // Only a clawback names a transaction by its key.
            let by_key = method == "SetClawback";
            let named_by = if by_key { "idempotency_key" } else { "transaction_id" };
            (transaction_not_found(account, named_by, name), CHECK_THE_NAME)
        }
        Rejection::HoldNotFound { account, hold } => (
            not_found(Reason::HoldNotFound, format!("account {account} has no hold {hold}"))
                .with("account_id", account)
                .with("hold_id", hold),
            "Use the hold_id and the account_id of the CreateHold.",
        ),
        Rejection::GrantNotFound { account, grant } => (
            not_found(Reason::GrantNotFound, format!("account {account} has no grant {grant}"))
                .with("account_id", account)
                .with("grant_id", grant),
            "Use the grant_id and the account_id of the Credit.",
        ),
        Rejection::InsufficientBalance { required, available } => (
            short(Reason::InsufficientBalance, *required, *available),
            "Buy tokens, or ask for less.",
        ),
        Rejection::TrialExhausted { required, available } => (
            short(Reason::TrialExhausted, *required, *available),
            "Buy tokens or subscribe: the trial is spent.",
        ),
        Rejection::TrialAlreadyGranted => (
            blocked(Reason::TrialAlreadyGranted, "the account has had its trial".to_owned()),
            "Credit another kind of tokens.",
        ),
        Rejection::AccountFrozen { account } => (
            blocked(Reason::AccountFrozen, format!("account {account} is frozen"))
                .with("account_id", account),
            "Ask an operator to unfreeze the account.",
        ),
        Rejection::AccountInDebt { debt } => (
            blocked(Reason::AccountInDebt, format!("the account owes {debt} tokens"))
                .with("debt", debt),
            "Buy tokens: they repay the debt first.",
        ),
        Rejection::AccountClosed { account } => (
            blocked(Reason::AccountClosed, format!("account {account} is closed"))
                .with("account_id", account),
            "Credit the account to open it again.",
        ),
        Rejection::AccountNotEmpty { posted, held, debt, scheduled } => (
            blocked(Reason::AccountNotEmpty, "the account isn't empty".to_owned())
                .with("posted", posted)
                .with("held", held)
                .with("debt", debt)
                .with("scheduled", scheduled),
            "Spend, release or reverse what is left, and settle the debt, first.",
        ),
        Rejection::HoldNotOpen { hold, state } => (
            blocked(Reason::HoldNotOpen, format!("hold {hold} is {}", state.as_str()))
                .with("hold_id", hold)
                .with("state", state.as_str()),
            "Create a new hold, or debit the account.",
        ),
        Rejection::CaptureExceedsHold { required, held } => (
            blocked(
                Reason::CaptureExceedsHold,
                format!("{required} tokens to capture, {held} held"),
            )
            .with("required", required)
            .with("held", held),
            "Capture what is held, and debit the rest.",
        ),
        Rejection::NotReversible { kind } => (
            blocked(Reason::NotReversible, format!("a {} can't be reversed", kind.as_str()))
                .with("type", kind.as_str()),
            "Reverse a debit, capture, withdrawal, credit or transfer.",
        ),
        Rejection::OutOfReach { kind } => (
            denied(format!("the caller may not reverse a {}", kind.as_str()))
                .with("scope", Scope::Admin)
                .with("type", kind.as_str()),
            "Use a credential with the scope tokens:admin, of a transfer one that isn't bound.",
        ),
        Rejection::AlreadyReversed { transaction } => (
            blocked(
                Reason::AlreadyReversed,
                format!("nothing of transaction {transaction} is left to reverse"),
            )
            .with("transaction_id", transaction),
            "Nothing needs to be done: it was reversed or clawed back before.",
        ),
        Rejection::ReversalExceedsOriginal { required, reversible } => (
            blocked(
                Reason::ReversalExceedsOriginal,
                format!("{required} tokens to reverse, {reversible} left to reverse"),
            )
            .with("required", required)
            .with("reversible", reversible),
            "Reverse no more than is left; leave the amount out to reverse all of it.",
        ),
        Rejection::NotACredit { kind } => (
            blocked(Reason::NotACredit, format!("the key names a {}, not a credit", kind.as_str()))
                .with("type", kind.as_str()),
            "Give the idempotency key of the credit.",
        ),
        Rejection::ClawbackExceedsCredit { target, amount } => (
            blocked(
                Reason::ClawbackExceedsCredit,
                format!("{target} tokens to claw back, {amount} credited"),
            )
            .with("target", target)
            .with("amount", amount),
            "Give a target of at most the credit's amount.",
        ),
        Rejection::RevisionReused { revision } => (
            blocked(
                Reason::RevisionReused,
                format!("revision {revision} was used for something else"),
            )
            .with("revision", revision),
            "Give a greater revision for new facts.",
        ),
        Rejection::NotEnabled { what } => (
            blocked(Reason::NotEnabled, format!("the catalog doesn't allow {what}")),
            "Allow it in the catalog.",
        ),
        Rejection::VersionMismatch { expected, version } => (
            Error::new(
                Code::Aborted,
                Reason::VersionMismatch,
                format!("the account is at version {version}, not {expected}"),
            )
            .with("expected_version", expected)
            .with("version", version),
            "Read the account again, and decide again.",
        ),
        Rejection::IdempotencyKeyReused { fields, transaction } => {
            let fields = fingerprint::names(method, fields).join(",");
            let message = format!("the key was used for another request (different: {fields})");
            (
                Error::new(Code::AlreadyExists, Reason::IdempotencyKeyReused, message)
                    .with("fields", fields)
                    .with("transaction_id", transaction),
                "Give a new key to a new effect; repeat the first request to see what it did.",
            )
        }
        Rejection::LimitExceeded { limit, maximum, retry } => {
            let limit = limit.as_str();
            let message = format!("limit {limit} of {maximum} is reached");
            let error = Error::new(Code::ResourceExhausted, Reason::LimitExceeded, message)
                .with("limit", limit)
                .with("maximum", maximum);
            match retry {
                Some(at) => (error.retry_after(until(*at, now)), "Wait, or raise the limit."),
                None => (error, "Ask for less, or raise the limit."),
            }
        }
    }
}

const CHECK_THE_NAME: &str = "Check the name; it belongs to the account whose command it was.";

/// No such transaction in that account; `named_by` is the field that named it.
#[must_use]
pub fn transaction_not_found(account: &AccountId, named_by: &str, name: &str) -> Error {
    let message = format!("account {account} has no transaction {name}");
    Error::new(Code::NotFound, Reason::TransactionNotFound, message)
        .with("account_id", account)
        .with(named_by, name)
        .with("next_step", CHECK_THE_NAME)
}

/// What the caller is told when the command came to no decision.
#[must_use]
pub fn failed(failure: &Failure) -> Error {
    let unavailable = |reason, message| Error::new(Code::Unavailable, reason, message);
    match failure {
        Failure::Overloaded => {
            let message = "the queue is full, nothing was tried; repeat with the same key";
            unavailable(Reason::Overloaded, message).retry_after(OVERLOADED_RETRY)
        }
        Failure::Draining => {
            let message = "the service is stopping, nothing was tried; repeat with the same key";
            unavailable(Reason::Overloaded, message).retry_after(AWAY_RETRY)
        }
        Failure::StoreUnavailable => {
            let message =
                "the database can't be reached, the outcome is unknown; repeat with the same key";
            unavailable(Reason::StoreUnavailable, message).retry_after(AWAY_RETRY)
        }
        Failure::Internal => {
            let message = "our bug; the log has the cause under the request id";
            let error = Error::new(Code::Internal, Reason::Internal, message);
            trace::request_id().into_iter().fold(error, |error, id| error.with("request_id", id))
        }
    }
}

/// A message that was begun didn't come.
#[must_use]
pub fn too_slow() -> Error {
    let message = "the request didn't come in time, nothing was tried; send it faster";
    Error::new(Code::DeadlineExceeded, Reason::DeadlineExceeded, message)
}

/// What the caller is told when something couldn't be read. The cause goes to the log only.
#[must_use]
pub fn unread(error: &StoreError) -> Error {
    match error {
        StoreError::Unavailable(_) | StoreError::Conflict(_) => {
            tracing::warn!("a read failed: {error}");
            failed(&Failure::StoreUnavailable)
        }
        StoreError::Broken(_) => {
            tracing::error!("a read failed: {error}");
            failed(&Failure::Internal)
        }
    }
}

/// The store doesn't hold yet what the caller has seen.
#[must_use]
pub fn behind(sequence: i64) -> Error {
    let message = format!("entry {sequence} isn't here yet; ask again");
    Error::new(Code::Unavailable, Reason::StoreUnavailable, message).retry_after(AWAY_RETRY)
}

/// A stream of credits ended early, when so many rows had an outcome.
#[must_use]
pub fn bulk_ended(error: Error, rows: i64) -> Error {
    let message = match error.code {
        Code::Unavailable => {
            let again = "repeat the same stream: what is done isn't done again";
            format!("{rows} rows are done, then: {}; {again}", error.message)
        }
        _ => error.message,
    };
    Error { message, ..error }.with("rows_done", rows)
}

/// A stream of credits goes on after its last row.
#[must_use]
pub fn too_many_rows(maximum: i64) -> Error {
    let message = format!("a stream has at most {maximum} rows; these are credited");
    Error::new(Code::ResourceExhausted, Reason::LimitExceeded, message)
        .with("limit", "bulk_credit_rows")
        .with("maximum", maximum)
        .with("next_step", "Send the other rows as another stream.")
}

/// A sum that the contract's numbers can't tell.
#[must_use]
pub fn sum_too_large(sum: i128) -> Error {
    let message = format!("a sum is {sum}, more than an int64 can tell");
    Error::new(Code::ResourceExhausted, Reason::LimitExceeded, message)
        .with("limit", "int64")
        .with("maximum", i64::MAX)
        .with("next_step", "Ask for a shorter period, or list the accounts and sum them yourself.")
}

/// The cursor is from before a restore, or from another ledger.
#[must_use]
pub fn cursor_invalid(epoch: &str) -> Error {
    let message = "the cursor belongs to another epoch: start again without one, or from `start`";
    Error::new(Code::OutOfRange, Reason::CursorInvalid, message).with("epoch", epoch)
}

/// The caller has none of the scopes that it needs.
#[must_use]
pub fn scope_missing(caller: &Caller, access: Access) -> Error {
    let scopes = match access {
        Access::Anyone => String::new(),
        Access::OneOf(scopes) => {
            scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" or ")
        }
        Access::Unbound => Scope::Admin.to_string(),
    };
    let bound = if access == Access::Unbound { ", not bound to some accounts" } else { "" };
    denied(format!("{} lacks the scope {scopes}{bound}", caller.name()))
        .with("scope", scopes)
        .with("next_step", format!("Use a credential with that scope{bound}."))
}

/// The caller is bound to other accounts than `field` names.
#[must_use]
pub fn account_denied(caller: &Caller, field: &str, what: &str) -> Error {
    denied(format!("{} may not name {what}", caller.name()))
        .with("field", field)
        .with("next_step", "Use a credential that isn't bound to other accounts.")
}

/// The caller isn't trusted to say for whom it acts.
#[must_use]
pub fn on_behalf_of_denied(caller: &Caller, field: &str) -> Error {
    denied(format!("{} may not act on behalf of others", caller.name()))
        .with("field", field)
        .with("next_step", "Leave on_behalf_of out, or use a credential that is trusted with it.")
}

fn denied(message: String) -> Error {
    Error::new(Code::PermissionDenied, Reason::ScopeMissing, message)
}

/// The call has no credential, or one that proves nothing. Why not is for its owner: it never says
/// anything about the credential itself.
#[must_use]
pub fn unauthenticated(why: &str) -> Error {
    Error::new(Code::Unauthenticated, Reason::CredentialInvalid, why)
        .with("next_step", "Send `authorization: Bearer` with a token that this service accepts.")
}

/// The keys that tokens are signed with couldn't be read yet.
#[must_use]
pub fn keys_away() -> Error {
    let message = "the keys that tokens are signed with can't be read, nothing was tried; repeat";
    Error::new(Code::Unavailable, Reason::Overloaded, message).retry_after(AWAY_RETRY)
}

fn short(reason: Reason, required: i64, available: i64) -> Error {
    let message = format!("{required} tokens required, {available} available");
    Error::new(Code::FailedPrecondition, reason, message)
        .with("required", required)
        .with("available", available)
        .with("shortfall", required.saturating_sub(available))
}

fn until(at: Time, now: Time) -> Duration {
    Duration::from_micros(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{Limit, TransactionId};
    use tonic::Status;

    fn told(rejection: &Rejection, catalog: &str) -> Error {
        let catalog = Catalog::load(catalog).expect("shipped");
        refused(rejection, "Debit", &catalog, Time(0))
    }

    #[test]
    fn what_is_short_is_counted_and_the_catalog_says_what_to_do() {
        let rejection = Rejection::InsufficientBalance { required: 60, available: 50 };
        let error = told(&rejection, "landscape");
        let figures = ["required", "available", "shortfall", "next_step"];
        let figures = figures.map(|name| error.metadata[name].as_str());
        assert_eq!(figures, ["60", "50", "10", "Buy tokens, or turn on auto-reload."]);
        assert_eq!(error.code, Code::FailedPrecondition);
    }

    #[test]
    fn a_limit_that_time_lifts_says_when() {
        let limited =
            |retry| Rejection::LimitExceeded { limit: Limit::SpendPerDay, maximum: 10, retry };
        let error = told(&limited(Some(Time(1_500_000))), "phoenix");
        assert_eq!(error.retry, Some(Duration::from_millis(1_500)));
        assert_eq!(told(&limited(Some(Time(-1))), "phoenix").retry, Some(Duration::ZERO));
        assert_eq!(told(&limited(None), "phoenix").retry, None);
    }

    #[test]
    fn a_reused_key_names_the_fields_that_differ() {
        let transaction = TransactionId::from_bytes([0; 16]);
        let rejection = Rejection::IdempotencyKeyReused { fields: vec![3, 254], transaction };
        let error = told(&rejection, "phoenix");
        assert_eq!(
            (error.code, &*error.metadata["fields"]),
            (Code::AlreadyExists, "amount,method")
        );
    }

    #[test]
    fn the_cause_of_our_bug_stays_here() {
        let error = unread(&StoreError::broken("row 7 of a secret table"));
        let status = Status::from(error);
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("secret table"));
    }
}
