//! A connection to token-service that repeats what may be repeated.
//!
//! A write whose outcome is unknown is asked again with the same request, and so with the same
//! idempotency key: UNAVAILABLE, and a connection that broke before the answer was whole. Everything
//! else is an answer; and UpdateAccount, which has no key, is asked once. The deadline holds for a call with all its repetitions. Streams pass as they
//! are: only their reader knows where to go on.

use crate::{
    deadline,
    reason::Error,
    v1::{
        ErrorReason, FILE_DESCRIPTOR_SET, admin_service_client::AdminServiceClient,
        token_service_client::TokenServiceClient,
    },
};
use backon::{ExponentialBuilder, Retryable as _};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{AUTHORIZATION, InvalidHeaderValue},
    request,
};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use prost::{Message as _, bytes::Bytes};
use prost_types::FileDescriptorSet;
use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{
    Code, Status,
    body::Body,
    transport::{self, Channel, ClientTlsConfig, Endpoint},
};
use tower::{Service, ServiceExt as _};

/// Unused connections are probed this often, and given up when the answer takes too long.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before the first repetition, and the longest one; each is lengthened by chance up to
/// twofold, so that callers that were refused together don't come back together.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The largest answer: the service's own limit on one message, and a little for its frame.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
const ANSWER_BYTES_MAX: usize = MESSAGE_BYTES_MAX + 1024;

/// The one call that isn't repeated: it has no key, and may insist on a version that it has itself
/// left behind.
const ONCE: &str = "/token.v1.AdminService/UpdateAccount";

/// How patient to be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a call may take with all its repetitions, unless its request says less.
    pub deadline: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How often to ask again at most.
    pub repetitions_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
            repetitions_max: 5,
        }
    }
}

/// What a call is part of. It is sent along, so that one trace shows both services.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// W3C Trace Context.
    pub traceparent: Option<HeaderValue>,
    /// Names the request in both services' logs.
    pub request_id: Option<HeaderValue>,
}

impl Origin {
    /// That of a request that came in.
    pub fn of(headers: &HeaderMap) -> Self {
        let header = |name| headers.get(name).cloned();
        Self { traceparent: header("traceparent"), request_id: header("x-request-id") }
    }

    fn write(&self, headers: &mut HeaderMap) {
        let own = [("traceparent", &self.traceparent), ("x-request-id", &self.request_id)];
        for (name, value) in own {
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
    }
}

/// Calls token-service. Clones share one connection.
#[derive(Clone, Debug)]
pub struct Client {
    calls: Repeating,
}

impl Client {
    /// A client of the service at `endpoint`, e.g. `http://127.0.0.1:50051`; with `https`, whoever
    /// the system trusts may vouch for it. It connects with the first call, and again whenever the
    /// connection is lost. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// If the endpoint isn't a URI.
    pub fn connect(endpoint: &str, options: Options) -> Result<Self, transport::Error> {
        let trusting = ClientTlsConfig::new().with_native_roots();
        Self::connect_trusting(endpoint, trusting, options)
    }

    /// The same, with `https` trusting and showing what `tls` says: an authority of one's own, a
    /// certificate that the service asks for.
    ///
    /// # Errors
    /// If the endpoint isn't a URI, or `tls` can't be used.
    pub fn connect_trusting(
        endpoint: &str,
        tls: ClientTlsConfig,
        options: Options,
    ) -> Result<Self, transport::Error> {
        let endpoint = Endpoint::from_shared(endpoint.to_owned())?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("https") => endpoint.tls_config(tls)?,
            Some(_) | None => endpoint,
        };
        let endpoint = endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Self::over(endpoint.connect_lazy(), options))
    }

    /// A client over a channel that was made elsewhere.
    pub fn over(channel: Channel, options: Options) -> Self {
        Self { calls: Repeating { channel, options, origin: Origin::default(), bearer: None } }
    }

    /// The same client, whose calls carry this bearer token. Before it expires ask for another
    /// client with a new one: they share the connection.
    ///
    /// # Errors
    /// If the token can't be a header.
    pub fn with_token(&self, token: &str) -> Result<Self, InvalidHeaderValue> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
        bearer.set_sensitive(true);
        Ok(Self { calls: Repeating { bearer: Some(bearer), ..self.calls.clone() } })
    }

    /// The same client, whose calls are part of something.
    #[must_use]
    pub fn within(&self, origin: Origin) -> Self {
        Self { calls: Repeating { origin, ..self.calls.clone() } }
    }

    /// Balances and commands.
    pub fn tokens(&self) -> TokenServiceClient<Repeating> {
        let client = TokenServiceClient::new(self.calls.clone());
        client.max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The operators' side.
    pub fn admin(&self) -> AdminServiceClient<Repeating> {
        let client = AdminServiceClient::new(self.calls.clone());
        client.max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// A channel that asks again.
#[derive(Clone, Debug)]
pub struct Repeating {
    channel: Channel,
    options: Options,
    origin: Origin,
    bearer: Option<HeaderValue>,
}

impl Service<Request<Body>> for Repeating {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Every attempt waits for the channel by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let calls = self.clone();
        Box::pin(async move { Ok(calls.answer(request).await.unwrap_or_else(Status::into_http)) })
    }
}

impl Repeating {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let Self { channel, options, origin, bearer } = self;
        let (mut head, body) = request.into_parts();
        origin.write(&mut head.headers);
        if let Some(bearer) = bearer {
            head.headers.insert(AUTHORIZATION, bearer);
        }
        if STREAMS.contains(head.uri.path()) {
            let answer = channel.oneshot(Request::from_parts(head, body)).await;
            return answer.map_err(|error| no_answer(&error));
        }

        let repetitions = if head.uri.path() == ONCE { 0 } else { options.repetitions_max };
        let patience = deadline::read(&head.headers).unwrap_or(options.deadline);
        let deadline = Instant::now() + patience.min(options.deadline);
        let body = body.collect().await?.to_bytes();
        let backoff = ExponentialBuilder::default()
            .with_min_delay(BACKOFF_MIN)
            .with_max_delay(BACKOFF_MAX)
            .with_max_times(repetitions)
            .with_jitter();
        let attempts =
            (|| attempt(&channel, &head, &body, deadline)).retry(backoff).adjust(|status, wait| {
                let wait = wait?.max(retry_delay(status).unwrap_or_default());
                (Instant::now() + wait < deadline).then_some(wait)
            });
        let answer =
            timeout_at(deadline, attempts).await.unwrap_or_else(|_| Err(too_late().into()));
        answer.map_err(|status| if Instant::now() < deadline { status } else { too_late().into() })
    }
}

/// Asks once. An error is worth asking again; any other answer is given as it came.
async fn attempt(
    channel: &Channel,
    head: &request::Parts,
    body: &Bytes,
    deadline: Instant,
) -> Result<Response<Body>, Status> {
    let mut request = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
    deadline::write(request.headers_mut(), deadline.saturating_duration_since(Instant::now()));

    let answer = channel.clone().oneshot(request).await.map_err(|error| no_answer(&error))?;
    let (head, body) = answer.into_parts();
    let body: Collected<Bytes> =
        Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| no_answer(&*error))?;
    let trailers = body.trailers().and_then(Status::from_header_map);
    match Status::from_header_map(&head.headers).or(trailers) {
        Some(status) if status.code() == Code::Unavailable => Err(status),
        // What stands in front of the service may say so in HTTP's words.
        None if matches!(head.status.as_u16(), 429 | 502..=504) => {
            Err(Status::unavailable(format!("HTTP status {}", head.status)))
        }
        Some(_) | None => Ok(Response::from_parts(head, Body::new(body))),
    }
}

/// The connection broke, or there was none: the outcome is unknown.
fn no_answer(error: &dyn std::error::Error) -> Status {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        message = format!("{message}: {error}");
        source = error.source();
    }
    Status::unavailable(message)
}

fn too_late() -> Error {
    let message = "the deadline passed, the outcome is unknown; repeat with the same key";
    Error::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message)
}

fn retry_delay(status: &Status) -> Option<Duration> {
    Error::of(status).and_then(|error| error.retry)
}

/// The paths of the methods that stream in either direction.
static STREAMS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build wrote it").file;
    let streaming = files.iter().flat_map(|file| {
        file.service.iter().flat_map(|service| {
            let methods = service.method.iter();
            let streaming = methods.filter(|it| it.client_streaming() || it.server_streaming());
            streaming.map(|it| format!("/{}.{}/{}", file.package(), service.name(), it.name()))
        })
    });
    streaming.collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_are_known() {
        let names = STREAMS.iter().filter_map(|path| path.rsplit('/').next());
        let expected = ["BulkCredit", "VerifyLedger", "WatchBalance", "WatchEvents"];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert!(STREAMS.contains("/token.v1.TokenService/WatchBalance"));
    }
}
