//! What is told when something can't be done: RFC 9457, with a code that programs can go by.

use crate::{ledger::LedgerError, purchases::Begin, store::StoreError};
use axum::{
    body::Body,
    extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::{fmt::Display, time::Duration};

/// How long to wait before asking again, where nobody knows better.
const AGAIN: Duration = Duration::from_secs(2);

/// What is wrong, as programs read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request makes no sense.
    InvalidRequest,
    /// Nobody, or nobody we know.
    Unauthenticated,
    /// A form from somewhere else.
    Csrf,
    /// No such thing, or somebody else's.
    NotFound,
    /// Another method.
    MethodNotAllowed,
    /// The key stands for another request.
    IdempotencyKeyReused,
    /// Too long.
    BodyTooLarge,
    /// Not JSON.
    UnsupportedMediaType,
    /// Too many purchases.
    PurchaseLimit,
    /// Our bug.
    Internal,
    /// Stripe is away, or refuses.
    StripeUnavailable,
    /// We are, or token-service is.
    Unavailable,
    /// What was sent took too long to come.
    RequestTimeout,
    /// It took too long.
    Timeout,
}

impl Code {
    /// As the body has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthenticated => "unauthenticated",
            Self::Csrf => "csrf",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::PurchaseLimit => "purchase_limit",
            Self::Internal => "internal",
            Self::StripeUnavailable => "stripe_unavailable",
            Self::Unavailable => "unavailable",
            Self::RequestTimeout => "request_timeout",
            Self::Timeout => "timeout",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Csrf => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::IdempotencyKeyReused => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PurchaseLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StripeUnavailable => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// In few words, the same each time.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request makes no sense",
            Self::Unauthenticated => "Who are you?",
            Self::Csrf => "This came from somewhere else",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "Not like this",
            Self::IdempotencyKeyReused => "The key was used for another request",
            Self::BodyTooLarge => "The body is too long",
            Self::UnsupportedMediaType => "The body isn't JSON",
            Self::PurchaseLimit => "Too many purchases",
            Self::Internal => "Something went wrong here",
            Self::StripeUnavailable => "The payment service doesn't answer",
            Self::Unavailable => "Not right now",
            Self::RequestTimeout => "It didn't come in time",
            Self::Timeout => "It took too long",
        }
    }
}

/// A problem.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What is wrong.
    pub code: Code,
    /// What is wrong this time, and what to do.
    pub detail: String,
    more: Map<String, Value>,
    retry_after: Option<Duration>,
}

/// A problem as it is described; see RFC 9457.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Described {
    /// `about:blank`: the code says what it is.
    pub r#type: String,
    /// In few words, the same each time.
    pub title: String,
    /// The answer's status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// What is wrong, for programs: `invalid_request`, `not_found`, `purchase_limit`, …
    pub code: String,
}

impl Problem {
    /// A problem in words.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), more: Map::new(), retry_after: None }
    }

    /// With something that belongs to its code.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Asking again may help after so long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A field that makes no sense.
    #[must_use]
    pub fn field(field: &str, message: impl Display) -> Self {
        let message = message.to_string();
        Self::new(Code::InvalidRequest, format!("{field}: {message}"))
            .with("errors", json!([{ "field": field, "message": message }]))
    }

    /// There is no such thing, or it is somebody else's: which of them isn't told.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("you have no such {what}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut body = json!({
            "type": "about:blank",
            "title": self.code.title(),
            "status": status.as_u16(),
            "detail": self.detail,
            "code": self.code.as_str(),
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(self.more.clone());
        }
        let mut answer = Response::new(Body::from(body.to_string()));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == Code::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the page that may have to be made of it.
        answer.extensions_mut().insert(self);
        answer
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a request needs the database");
        Self::new(Code::Unavailable, "the gateway's database can't be asked; try again")
            .retry_after(AGAIN)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Away(_) => {
                tracing::warn!(%error, "a request needs the ledger");
                Self::new(Code::Unavailable, "token-service can't be asked; try again")
                    .retry_after(AGAIN)
            }
            LedgerError::Refused(_) | LedgerError::KeyReused(_) | LedgerError::NoAccount => {
                tracing::error!(%error, "the ledger refuses a request");
                Self::new(Code::Internal, "the ledger refused it; the log knows more")
            }
        }
    }
}

impl From<Begin> for Problem {
    fn from(error: Begin) -> Self {
        let words = error.to_string();
        match error {
            Begin::NoSuchOffer { field, message } => Self::field(field, message),
            Begin::KeyReused => Self::new(Code::IdempotencyKeyReused, words),
            Begin::Limit { limit, window, retry_after } => {
                let detail = format!("{limit} purchases in {} s are the limit", window.as_secs());
                Self::new(Code::PurchaseLimit, detail)
                    .with("limit", limit)
                    .with("window_seconds", window.as_secs())
                    .retry_after(retry_after)
            }
            Begin::Refused { message } => {
                tracing::error!(message, "Stripe refuses a purchase");
                let detail =
                    "the payment service refused to begin this purchase; nothing was charged";
                Self::new(Code::StripeUnavailable, detail)
            }
            Begin::Forbidden(why) => {
                tracing::error!(why, "Stripe doesn't let us begin a purchase");
                let detail = "the payment service doesn't let this shop sell; nothing was charged";
                Self::new(Code::StripeUnavailable, detail)
            }
            Begin::Away(why) => {
                tracing::warn!(why, "a purchase waits for Stripe");
                let detail = "the payment service doesn't answer; nothing was charged, and asking again goes on \
                     with the same purchase";
                Self::new(Code::StripeUnavailable, detail).retry_after(AGAIN)
            }
            Begin::Store(error) => error.into(),
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
            _ => Code::InvalidRequest,
        };
        let words = rejection.body_text();
        match code {
            Code::InvalidRequest => Self::field("body", words),
            code => Self::new(code, words),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::field("query", rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::field("path", rejection.body_text())
    }
}

impl From<FormRejection> for Problem {
    fn from(rejection: FormRejection) -> Self {
        Self::field("form", rejection.body_text())
    }
}
