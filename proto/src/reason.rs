//! Why a call failed: an [`Error`] in the program, `google.rpc.ErrorInfo` and its companions on the
//! wire. Both services and every client read and write them here, so that neither side guesses.

use crate::v1::{ErrorReason, Refusal};
use std::{collections::BTreeMap, fmt, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// The domain of every reason of this contract.
pub const DOMAIN: &str = "token.v1";

/// Field violations that one error names at most: details travel in a header, and clients in other
/// languages take 8 KiB of headers.
const VIOLATIONS_MAX: usize = 16;

/// What every reason's name in the contract begins with, and its name on the wire doesn't.
const PREFIX: &str = "ERROR_REASON_";

/// A field that isn't as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, e.g. `commands[3].amount`.
    pub field: String,
    /// What to do about it.
    pub description: String,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure.
    pub code: Code,
    /// Which one.
    pub reason: ErrorReason,
    /// For people: short, ASCII.
    pub message: String,
    /// The figures behind it, named in the contract beside each reason.
    pub metadata: BTreeMap<String, String>,
    /// Fields that aren't as they must be.
    pub violations: Vec<Violation>,
    /// Asking again may help after this long.
    pub retry: Option<Duration>,
}

impl Error {
    /// An error without figures.
    pub fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry: None,
        }
    }

    /// INVALID_FIELD, naming every field at once.
    ///
    /// # Panics
    /// Without a violation.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let first = violations.first().expect("what is invalid has a field that is");
        let others = match violations.len() - 1 {
            0 => String::new(),
            1 => " (and 1 more field)".to_owned(),
            more => format!(" (and {more} more fields)"),
        };
        let message = format!("{}: {}{others}", first.field, first.description);
        let error = Self::new(Code::InvalidArgument, ErrorReason::InvalidField, message);
        Self { violations, ..error }
    }

    /// With one more figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.metadata.insert(name.to_owned(), value.to_string());
        self
    }

    /// With the time after which asking again may help.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self { retry: Some(delay), ..self }
    }

    /// The error in a status; `None` if another domain made it, or a newer version of this one.
    pub fn of(status: &Status) -> Option<Self> {
        let details = status.check_error_details().ok()?;
        let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
        let bad = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let violations = bad
            .iter()
            .map(|it| Violation { field: it.field.clone(), description: it.description.clone() });
        Some(Self {
            code: status.code(),
            reason: ErrorReason::from_str_name(&format!("{PREFIX}{}", info.reason))?,
            message: status.message().to_owned(),
            metadata: info.metadata.clone().into_iter().collect(),
            violations: violations.collect(),
            retry: details.retry_info().and_then(|retry| retry.retry_delay),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", name(self.reason), self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let metadata = error.metadata.into_iter().collect::<std::collections::HashMap<_, _>>();
        let mut details = ErrorDetails::with_error_info(name(error.reason), DOMAIN, metadata);
        if !error.violations.is_empty() {
            let named = error.violations.into_iter().take(VIOLATIONS_MAX);
            let named = named.map(|it| FieldViolation::new(it.field, it.description));
            details.set_bad_request(named.collect::<Vec<_>>());
        }
        if error.retry.is_some() {
            details.set_retry_info(error.retry);
        }
        Self::with_error_details(error.code, error.message, details)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            code: error.code.into(),
            reason: error.reason.into(),
            message: error.message,
            metadata: error.metadata,
        }
    }
}

/// The reason's name on the wire, e.g. `INSUFFICIENT_BALANCE`.
pub fn name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches(PREFIX)
}

/// Why a status was sent, with its figures; see [`Error::of`] for all of it.
pub fn refusal(status: &Status) -> Option<(ErrorReason, BTreeMap<String, String>)> {
    Error::of(status).map(|error| (error.reason, error.metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(count: usize) -> Vec<Violation> {
        let violation = |row| Violation {
            field: format!("commands[{row}].idempotency_key"),
            description: "give 1 to 255 visible ASCII characters".to_owned(),
        };
        (0..count).map(violation).collect()
    }

    #[test]
    fn an_error_survives_the_wire() {
        let error = Error {
            violations: violations(2),
            ..Error::new(Code::Unavailable, ErrorReason::Overloaded, "busy")
        };
        let error = error.with("limit", 5).retry_after(Duration::from_millis(1500));
        let response: http::Response<()> = Status::from(error.clone()).into_http();
        let received = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(Error::of(&received), Some(error));
    }

    #[test]
    fn a_thousand_violations_fit_into_headers() {
        let status = Status::from(Error::invalid(violations(1000)));
        assert!(status.message().ends_with("(and 999 more fields)"));
        assert!(status.details().len() < 4096, "{} bytes", status.details().len());
    }

    #[test]
    fn a_status_of_somebody_else_has_no_reason() {
        assert_eq!(refusal(&Status::unavailable("a proxy")), None);
        let details = ErrorDetails::with_error_info("OVERLOADED", "elsewhere", []);
        assert_eq!(refusal(&Status::with_error_details(Code::Unavailable, "", details)), None);
    }
}
