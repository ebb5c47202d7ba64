//! What Stripe answers when it doesn't do as asked.

use serde_json::{Map, Value, json};

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    Api,
    Card,
    Idempotency,
    Request,
}

/// An error, as its body and status tell it.
#[derive(Clone, Debug)]
pub(crate) struct Fail {
    pub(crate) status: u16,
    pub(crate) blame: Blame,
    pub(crate) code: Option<&'static str>,
    pub(crate) decline_code: Option<&'static str>,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// Objects that come with it, such as `payment_intent`.
    pub(crate) with: Map<String, Value>,
    /// Did something happen all the same, as with a declined payment? Else everything is undone.
    pub(crate) happened: bool,
}

impl Fail {
    fn new(status: u16, blame: Blame, message: String) -> Self {
        let with = Map::new();
        Self {
            status,
            blame,
            code: None,
            decline_code: None,
            message,
            param: None,
            with,
            happened: false,
        }
    }

    /// A request that makes no sense.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Self::new(400, Blame::Request, message.into())
    }

    /// A parameter that makes no sense.
    pub(crate) fn param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::request(message) }
    }

    /// A parameter that has to be there.
    pub(crate) fn missing(param: &str) -> Self {
        Self::param(param, format!("Missing required param: {param}.")).code("parameter_missing")
    }

    /// There is no such object.
    pub(crate) fn no_such(noun: &str, id: &str, param: &str) -> Self {
        let mut fail =
            Self::param(param, format!("No such {noun}: '{id}'")).code("resource_missing");
        fail.status = if param == "id" { 404 } else { 400 };
        fail
    }

    /// No key, or none that may.
    pub(crate) fn key(message: impl Into<String>) -> Self {
        Self::new(401, Blame::Request, message.into())
    }

    /// Stripe's own trouble.
    pub(crate) fn trouble(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, Blame::Api, message.into())
    }

    /// A key used twice.
    pub(crate) fn idempotency(status: u16, message: impl Into<String>) -> Self {
        Self::new(status, Blame::Idempotency, message.into())
    }

    /// The bank says no.
    pub(crate) fn card(code: &'static str, message: impl Into<String>) -> Self {
        Self { code: Some(code), happened: true, ..Self::new(402, Blame::Card, message.into()) }
    }

    /// With a code that programs can tell.
    pub(crate) fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// With an object that shows where things stand.
    pub(crate) fn with(mut self, name: &str, object: &Value) -> Self {
        self.with.insert(name.to_owned(), object.clone());
        self
    }

    /// The error as the body tells it, but for `doc_url` and its like.
    pub(crate) fn to_json(&self) -> Value {
        let kind = match self.blame {
            Blame::Api => "api_error",
            Blame::Card => "card_error",
            Blame::Idempotency => "idempotency_error",
            Blame::Request => "invalid_request_error",
        };
        let mut error = json!({ "type": kind, "message": self.message });
        if let Some(code) = self.code {
            error["code"] = json!(code);
            error["doc_url"] = json!(doc_url(code));
        }
        if let Some(decline_code) = self.decline_code {
            error["decline_code"] = json!(decline_code);
        }
        if let Some(param) = &self.param {
            error["param"] = json!(param);
        }
        for (name, object) in &self.with {
            error[name] = object.clone();
        }
        error
    }
}

/// Where Stripe explains a code.
pub(crate) fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}

/// What an endpoint answers: an object as it is kept.
pub(crate) type Answer = Result<Value, Fail>;
