//! A small HTTP client: what a test says is what is sent, and the whole answer is there to look at.

use http::{
    HeaderMap, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Builder,
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use prost::bytes::Bytes;
use serde_json::Value;
use std::{borrow::Cow, fmt::Write as _, time::Duration};
use tokio::time::timeout;

/// How long an answer may take: a test that waits for ever tells nobody what it waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client; its clones share connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Default for Http {
    fn default() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }
}

impl Http {
    /// A GET.
    #[must_use]
    pub fn get(&self, url: &str) -> Asking {
        self.ask("GET", url)
    }

    /// A POST.
    #[must_use]
    pub fn post(&self, url: &str) -> Asking {
        self.ask("POST", url)
    }

    /// Any request.
    #[must_use]
    pub fn ask(&self, method: &str, url: &str) -> Asking {
        let builder = Request::builder().method(method).uri(url);
        let what = format!("{method} {url}");
        Asking { client: self.client.clone(), builder, body: Bytes::new(), what }
    }
}

/// A request that isn't sent yet. Redirects aren't followed.
#[derive(Debug)]
pub struct Asking {
    client: Client<HttpConnector, Full<Bytes>>,
    builder: Builder,
    body: Bytes,
    what: String,
}

impl Asking {
    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// With a body of JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// With a form as its body.
    #[must_use]
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded").body(encode(pairs))
    }

    /// Sends it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap_or_else(|gone| panic!("{gone}"))
    }

    /// Sends it to somebody who may be gone.
    ///
    /// # Errors
    /// Why there is no answer.
    ///
    /// # Panics
    /// If it isn't a request.
    pub async fn try_send(self) -> Result<Answer, String> {
        let Self { client, builder, body, what } = self;
        let request = builder.body(Full::new(body)).expect("a request");
        let exchange = async {
            let answer = client.request(request).await.map_err(|error| chain(&error))?;
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.map_err(|error| chain(&error))?.to_bytes();
            Ok((parts, body))
        };
        let exchanged: Result<_, String> =
            timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err("no answer in time".into()));
        let (parts, body) = exchanged.map_err(|error| format!("{what}: {error}"))?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body, what })
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What was asked, for those who read of a failure.
    what: String,
}

impl Answer {
    /// A header's text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON; null if it isn't any.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// If it has another one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {} {:?}", self.what, self.text(), self.headers);
        self.json()
    }

    /// The problem of an answer that must be a refusal of this status and code.
    ///
    /// # Panics
    /// If it is anything else, or no problem document.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{}: {kind}", self.what);
        assert_eq!(problem["code"], code, "{}: {problem}", self.what);
        assert_eq!(problem["status"], status, "{}: {problem}", self.what);
        problem
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        said = format!("{said}: {deeper}");
        cause = deeper.source();
    }
    said
}

/// Pairs as forms encode them.
#[must_use]
pub fn encode(pairs: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push('&');
        }
        escape(name, &mut form);
        form.push('=');
        escape(value, &mut form);
    }
    form
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                into.push(char::from(byte));
            }
            byte => write!(into, "%{byte:02X}").expect("text can be written to"),
        }
    }
}
