//! A request, whole: its body is read first, then it is worked on in a task of its own, which nobody cancels, and
//! which has a time. One line in the log says how it went.

use super::{
    BODY_BYTES_MAX,
    problem::{Code, Problem},
    webhook,
};
use crate::clock;
use axum::{
    Router,
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, HeaderValue, Request, Response, header},
    response::IntoResponse as _,
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tracing::Instrument as _;

/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take. What was begun goes on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bodies longer than a call's that are read at a time, of whoever claims to be Stripe.
const LARGE_MAX: usize = 256;

/// A body that takes no room worth speaking of.
const SHORT_BYTES: u64 = 64 * 1024;

/// What a request is called in the log.
#[derive(Clone, Debug, Default)]
pub struct RequestId(pub String);

/// Answers requests with a router.
#[derive(Clone)]
pub struct Whole {
    /// What answers them.
    pub router: Router,
    /// Who waits for them at the end.
    pub tasks: TaskTracker,
    /// Room for long bodies.
    large: Arc<Semaphore>,
}

impl Whole {
    /// Answers with this router; `tasks` is who waits for what was begun.
    #[must_use]
    pub fn new(router: Router, tasks: TaskTracker) -> Self {
        Self { router, tasks, large: Arc::new(Semaphore::new(LARGE_MAX)) }
    }

    /// Reads a body, as long as it may be for where it goes.
    async fn read(&self, path: &str, body: Incoming) -> Result<Bytes, Problem> {
        let is_short = body.size_hint().exact().is_some_and(|bytes| bytes <= SHORT_BYTES);
        let (bytes_max, _room) = match path {
            "/webhooks/stripe" if is_short => (webhook::BODY_BYTES_MAX, None),
            "/webhooks/stripe" => {
                let room = timeout(BODY_TIMEOUT, Arc::clone(&self.large).acquire_owned()).await;
                let Ok(Ok(room)) = room else {
                    let detail = "too many long bodies come at once; send it again";
                    return Err(Problem::new(Code::Unavailable, detail).retry_after(BODY_TIMEOUT));
                };
                (webhook::BODY_BYTES_MAX, Some(room))
            }
            _ => (BODY_BYTES_MAX, None),
        };
        match timeout(BODY_TIMEOUT, Limited::new(body, bytes_max).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                Err(Problem::new(Code::BodyTooLarge, format!("at most {bytes_max} bytes are read")))
            }
            Ok(Err(_)) => Err(Problem::field("body", "it didn't come whole")),
            Err(_) => {
                let detail = format!("the body didn't come within {BODY_TIMEOUT:?}");
                Err(Problem::new(Code::RequestTimeout, detail))
            }
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// None: whatever goes wrong is an answer.
    pub async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let request_id = request_id(&head.headers);
        // Queries name sessions, and links open them.
        let path = head.uri.path();
        let path = if path.starts_with("/session/") { "/session/…" } else { path };
        let span = tracing::error_span!(
            "request", request_id, trace_id = trace_id(&head.headers),
            method = %head.method, path
        );
        let begun = Instant::now();
        let mut answer = match self.read(head.uri.path(), body).await {
            Ok(body) => {
                let mut request = Request::from_parts(head, Body::from(body));
                request.extensions_mut().insert(RequestId(request_id.clone()));
                self.work(request, span.clone()).await
            }
            Err(problem) => problem.into_response(),
        };
        name(&mut answer, &request_id);
        let (status, ms) = (answer.status().as_u16(), begun.elapsed().as_millis());
        span.in_scope(|| tracing::info!(status, ms, "answered"));
        Ok(answer)
    }

    async fn work(&self, request: Request<Body>, span: tracing::Span) -> Response<Body> {
        let router = self.router.clone();
        let work = async move { router.oneshot(request).await };
        let task = self.tasks.spawn(work.instrument(span.clone()));
        match timeout(ANSWER_TIMEOUT, task).await {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(panic)) => {
                span.in_scope(|| tracing::error!(%panic, "a request's task panicked"));
                Problem::new(Code::Internal, "this is our mistake; the log knows more")
                    .into_response()
            }
            Err(_) => {
                let detail = "what was begun goes on; ask again with the same Idempotency-Key";
                Problem::new(Code::Timeout, detail).into_response()
            }
        }
    }
}

/// Every answer says what it is called in the log; problems say it in their body as well.
fn name(answer: &mut Response<Body>, request_id: &str) {
    if let Ok(value) = HeaderValue::try_from(request_id) {
        answer.headers_mut().insert("x-request-id", value);
    }
    let Some(problem) = answer.extensions_mut().remove::<Problem>() else { return };
    let is_problem = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it.as_bytes() == b"application/problem+json");
    if is_problem {
        let status = answer.status();
        let named = problem.with("request_id", request_id).into_response();
        *answer.body_mut() = named.into_body();
        *answer.status_mut() = status;
        answer.headers_mut().remove(header::CONTENT_LENGTH);
    }
}

/// The caller's, if it is 1 to 128 visible ASCII characters, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let is_usable =
        |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_graphic());
    given.filter(is_usable).map_or_else(|| crate::store::new_id(clock::now()), str::to_owned)
}

/// That of a W3C `traceparent`, or a new one.
fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get("traceparent").and_then(|it| it.to_str().ok());
    let given = given.and_then(|it| it.split('-').nth(1));
    let is_usable = |id: &&str| id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit());
    let new = || uuid::Uuid::new_v4().simple().to_string();
    given.filter(is_usable).map_or_else(new, str::to_owned)
}
