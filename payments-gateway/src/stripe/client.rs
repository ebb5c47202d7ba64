//! Calls to Stripe over our own HTTP client: connections that are kept, a time for each attempt, repetitions
//! with the same key, and every answer's name in the log.
//!
//! async-stripe's own client opens a connection for each call, forgets the answer's headers, repeats POSTs without
//! a key, and takes an answer that it can't read for a failure. See ARCHITECTURE.md.

use super::{breaker::Breaker, request::Request};
use backon::{ExponentialBuilder, Retryable as _};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use proto::jwt::Secret;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tower::{BoxError, Service as _, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

/// One attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// A call with all its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(25);

/// Calls at a time: Stripe allows 25 a second to one endpoint of a sandbox.
const CALLS_MAX: usize = 20;

/// Connections that nobody uses are closed before Stripe does.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Waits between repetitions, each by chance between nothing and this, doubling.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
const REPETITIONS_MAX: usize = 6;

/// The longest answer: a list of a hundred events with their objects.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;
type Sent = http::Response<Bytes>;
type Stack = BoxCloneSyncService<http::Request<Full<Bytes>>, Sent, BoxError>;

/// What Stripe answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 200 to 299.
    pub status: u16,
    /// Stripe's name for the call.
    pub request_id: Option<String>,
    /// The object.
    pub body: Value,
}

/// Why there is no answer to act on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// It didn't happen, and won't.
    #[error("Stripe refused it ({status}, {code}): {message}")]
    Refused {
        /// 400 to 499.
        status: u16,
        /// Stripe's code, or type.
        code: String,
        /// What it is about.
        param: Option<String>,
        /// Stripe's words.
        message: String,
        /// Stripe's name for the call.
        request_id: Option<String>,
    },
    /// Our key isn't known, or lacks a right: it didn't happen, and may once somebody has seen to that.
    #[error("Stripe doesn't let us: {0}")]
    Forbidden(String),
    /// Stripe failed, and says the same for this key from now on. Whether it happened has to be looked up.
    #[error("Stripe failed ({status}) and repeats it for this key")]
    Broken {
        /// 500 to 599.
        status: u16,
        /// Stripe's name for the call.
        request_id: Option<String>,
    },
    /// Nobody knows whether it happened: ask again, with the same key.
    #[error("Stripe can't be asked: {0}")]
    Away(String),
}

impl CallError {
    /// Whether what was asked for doesn't exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// What an attempt came to; what is worth another is an error here.
enum Attempt {
    Again { why: CallError, after: Option<Duration> },
    Final(CallError),
}

/// Calls Stripe. Clones share connections, limits and what is known of Stripe's health.
#[derive(Clone)]
pub struct Client {
    stack: Stack,
    base: String,
    authorization: HeaderValue,
    version: HeaderValue,
    breaker: Arc<Breaker>,
}

impl Client {
    /// A client of the API at `base`.
    ///
    /// # Errors
    /// The key can't be a header, or the system has no certificates.
    pub fn new(base: &str, key: &Secret, version: &str) -> Result<Self, BoxError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(ATTEMPT_TIMEOUT / 2));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let http: Http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        let send = tower::service_fn(move |request: http::Request<Full<Bytes>>| {
            let http = http.clone();
            async move {
                let (head, body) = http.request(request).await?.into_parts();
                let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
                Ok::<Sent, BoxError>(http::Response::from_parts(head, body))
            }
        });
        let stack = ServiceBuilder::new()
            .concurrency_limit(CALLS_MAX)
            .timeout(ATTEMPT_TIMEOUT)
            .service(send);
        let credentials = BASE64_STANDARD.encode(format!("{}:", key.expose()));
        let mut authorization = HeaderValue::try_from(format!("Basic {credentials}"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            stack: BoxCloneSyncService::new(stack),
            base: base.trim_end_matches('/').to_owned(),
            authorization,
            version: HeaderValue::try_from(version)?,
            breaker: Arc::default(),
        })
    }

    /// Makes a call, again and again until there is an answer or it takes too long.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let patiently = ExponentialBuilder::default()
            .with_min_delay(BACKOFF_MIN)
            .with_max_delay(BACKOFF_MAX)
            .with_max_times(REPETITIONS_MAX)
            .with_jitter();
        let attempts = (|| self.attempt(request))
            .retry(patiently)
            .when(|attempt| matches!(attempt, Attempt::Again { .. }))
            .adjust(|attempt, wait| match attempt {
                Attempt::Again { after, .. } => {
                    wait.map(|wait| wait.max(after.unwrap_or_default()))
                }
                Attempt::Final(_) => wait,
            });
        match timeout(CALL_TIMEOUT, attempts).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Attempt::Again { why, .. } | Attempt::Final(why))) => Err(why),
            Err(_) => Err(CallError::Away(format!("no answer within {CALL_TIMEOUT:?}"))),
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Answer, Attempt> {
        if !self.breaker.admits() {
            let why = "it failed several times in a row, and is left alone for some seconds";
            return Err(Attempt::Final(CallError::Away(why.to_owned())));
        }
        let sent = self.send(request).await;
        let healthy = sent.as_ref().is_ok_and(|answer| !answer.status().is_server_error());
        self.breaker.note(healthy);
        let answer = sent.map_err(|error| {
            tracing::warn!(path = request.path, error, "Stripe doesn't answer");
            Attempt::Again { why: CallError::Away(error), after: None }
        })?;
        judge(request, &answer)
    }

    async fn send(&self, request: &Request) -> Result<Sent, String> {
        let url = format!("{}/v1{}", self.base, request.path);
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(url)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header("stripe-version", self.version.clone())
            .header(header::USER_AGENT, concat!("payments-gateway/", env!("CARGO_PKG_VERSION")));
        if request.method == Method::POST {
            builder = builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(key) = &request.key {
            builder = builder.header("idempotency-key", key);
        }
        let body = Full::new(Bytes::from(request.body.clone()));
        let built = builder.body(body).map_err(|error| error.to_string())?;
        let mut stack = self.stack.clone();
        let ready = stack.ready().await.map_err(|error| in_full(&*error))?;
        ready.call(built).await.map_err(|error| in_full(&*error))
    }
}

/// What an answer means.
fn judge(request: &Request, answer: &Sent) -> Result<Answer, Attempt> {
    let (status, headers) = (answer.status(), answer.headers());
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request_id = text("request-id").map(str::to_owned);
    let replayed = text("idempotent-replayed") == Some("true");
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    tracing::info!(
        method = %request.method, path = request.path, key = request.key, status = status.as_u16(),
        request_id, replayed, "Stripe answered"
    );
    if status.is_success() {
        return match body {
            Some(body) => Ok(Answer { status: status.as_u16(), request_id, body }),
            // It happened, maybe; what it says can be had again with the same key.
            None => Err(Attempt::Again {
                why: CallError::Away(format!("an answer of {status} that isn't JSON")),
                after: None,
            }),
        };
    }
    let error = body.as_ref().and_then(|body| body.get("error"));
    let is_stripes = error.is_some_and(Value::is_object);
    let word = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str);
    let code = word("code").or_else(|| word("type")).unwrap_or("unknown").to_owned();
    let message = word("message").unwrap_or("no message").to_owned();
    let away =
        |why: String| Attempt::Again { why: CallError::Away(why), after: retry_after(headers) };
    let wanted = text("stripe-should-retry");
    let is_worth_it = matches!(
        status,
        StatusCode::CONFLICT | StatusCode::FAILED_DEPENDENCY | StatusCode::TOO_MANY_REQUESTS
    ) || status.is_server_error();
    match (status, wanted) {
        // A key that we have to change, or rights that we lack: nothing happened, and it may once that is mended.
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            Err(Attempt::Final(CallError::Forbidden(format!("{status}: {message}"))))
        }
        _ if status.is_server_error() && replayed => {
            Err(Attempt::Final(CallError::Broken { status: status.as_u16(), request_id }))
        }
        (_, Some("false")) if status.is_server_error() => {
            Err(Attempt::Final(CallError::Broken { status: status.as_u16(), request_id }))
        }
        (_, Some("false")) if status == StatusCode::CONFLICT => {
            Err(Attempt::Final(CallError::Away(format!("{status}: {message}"))))
        }
        (_, Some("true")) => Err(away(format!("{status}: {message}"))),
        // Somebody on the way says so, not Stripe: it tells nothing about what happened.
        _ if is_worth_it || !is_stripes => Err(away(format!("{status}: {message}"))),
        _ => Err(Attempt::Final(CallError::Refused {
            status: status.as_u16(),
            code,
            param: word("param").map(str::to_owned),
            message,
            request_id,
        })),
    }
}

/// How long Stripe asks us to wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(CALL_TIMEOUT))
}

/// An error with what caused it: the client's own words say little.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        None => error.to_string(),
        Some(cause) => format!("{error}: {}", in_full(cause)),
    }
}
