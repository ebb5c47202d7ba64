//! Around every call: its span, its deadline, one line when it is over. A layer, so that no method
//! can forget them.

use super::{receive::Received, status};
use crate::{committer::Failure, limits::Limit, telemetry};
use futures::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use proto::{deadline, reason::Error, v1::ErrorReason};
use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

/// The header in which an error's details come.
const DETAILS: &str = "grpc-status-details-bin";

/// How much sooner than its caller we give a call up. tonic gives it up on the dot, and calls it
/// CANCELLED.
const EARLIER: Duration = Duration::from_millis(5);

tokio::task_local! {
    static REQUEST_ID: String;
}

/// The id of the request that is being answered.
#[must_use]
pub fn request_id() -> Option<String> {
    REQUEST_ID.try_with(Clone::clone).ok()
}

/// Calls that take long by their nature, and how long each may take until its answer begins: 100,000
/// credits, or every entry there is.
const LONG_CALLS: [(&str, Duration); 4] = [
    ("/token.v1.AdminService/BulkCredit", Duration::from_secs(600)),
    ("/token.v1.AdminService/TrialBalance", Duration::from_secs(120)),
    ("/token.v1.AdminService/GetStats", Duration::from_secs(120)),
    ("/token.v1.AdminService/GetCheckpoint", Duration::from_secs(600)),
];

/// How long callers may keep us.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until a call's answer begins, whatever its caller says; some have a time of their own.
    pub call_max: Duration,
    /// Until a message that a caller has begun to send is there.
    pub receive: Duration,
}

impl Timeouts {
    /// How long the call to this path may take.
    fn call_max(self, path: &str) -> Duration {
        let own = LONG_CALLS.iter().find(|(long, _)| *long == path).map(|(_, time)| *time);
        own.map_or(self.call_max, |own| own.max(self.call_max))
    }
}

/// Wraps the services of a server.
#[derive(Clone, Debug)]
pub struct RequestLayer {
    timeouts: Timeouts,
    ending: CancellationToken,
}

impl RequestLayer {
    /// Streams that are still open when `ending` is cancelled end then.
    #[must_use]
    pub fn new(timeouts: Timeouts, ending: CancellationToken) -> Self {
        Self { timeouts, ending }
    }
}

impl<S> Layer<S> for RequestLayer {
    type Service = RequestService<S>;

    fn layer(&self, inner: S) -> RequestService<S> {
        RequestService { inner, timeouts: self.timeouts, ending: self.ending.clone() }
    }
}

/// A service whose calls have a span, a deadline and a line in the log.
#[derive(Clone, Debug)]
pub struct RequestService<S> {
    inner: S,
    timeouts: Timeouts,
    ending: CancellationToken,
}

impl<S> Service<Request<Body>> for RequestService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let id = telemetry::request_id(request.headers());
        let name = HeaderValue::try_from(&id).expect("request ids are visible ASCII");
        // The span takes it from here.
        request.headers_mut().insert("x-request-id", name.clone());
        let span = telemetry::request_span(request.headers(), request.uri().path());
        let patience = deadline::read(request.headers()).map(|it| it.saturating_sub(EARLIER));
        let call_max = self.timeouts.call_max(request.uri().path());
        let receive = self.timeouts.receive;
        let asked = patience.filter(|patience| *patience < call_max);
        let patience = asked.unwrap_or(call_max);
        let call = Call { id: id.clone(), span: span.clone(), began: Instant::now(), code: None };
        tracing::debug!(parent: &span, "call begins");
        let ending = self.ending.clone();

        let request = request.map(|body| Body::new(Received::new(body, receive)));
        let answer = self.inner.call(request);
        let answer = AssertUnwindSafe(answer).catch_unwind();
        let answer = async move {
            let mut call = call;
            let response = match timeout(patience, answer).await {
                Ok(Ok(response)) => explained(response?),
                // The hook has logged the panic. The others on this connection go on.
                Ok(Err(_)) => Status::from(status::failed(&Failure::Internal)).into_http(),
                Err(_) => {
                    if asked.is_none() {
                        Limit::RequestTimeout.bites();
                    }
                    Status::from(too_late()).into_http()
                }
            };
            call.read(response.headers());
            let (mut head, body) = response.into_parts();
            head.headers.insert("x-request-id", name);
            let body = Answer { call, body: Some(body), ending, ended: None };
            Ok(Response::from_parts(head, Body::new(body)))
        };
        Box::pin(REQUEST_ID.scope(id, answer).instrument(span))
    }
}

/// An answer that tonic gave by itself (to bytes that are no message, to a method that isn't there)
/// with the reason that every error has.
fn explained(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(DETAILS) {
        return response;
    }
    let Some(status) = Status::from_header_map(headers) else { return response };
    let (code, reason) = match status.code() {
        // Ours carry details: what is left is a message that can't be read, or is too large.
        Code::OutOfRange | Code::ResourceExhausted => {
            Limit::MessageBytes.bites();
            (Code::InvalidArgument, ErrorReason::InvalidField)
        }
        Code::Internal | Code::InvalidArgument => {
            (Code::InvalidArgument, ErrorReason::InvalidField)
        }
        Code::Unimplemented => (Code::Unimplemented, ErrorReason::NotImplemented),
        Code::DeadlineExceeded => (Code::DeadlineExceeded, ErrorReason::DeadlineExceeded),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return response,
    };
    let message = match status.message() {
        "" => "this service has no such method",
        message => message,
    };
    Status::from(Error::new(code, reason, message)).into_http()
}

fn too_late() -> Error {
    let message = "the deadline passed, the outcome is unknown; repeat with the same key";
    Error::new(Code::DeadlineExceeded, ErrorReason::DeadlineExceeded, message)
}

/// A call. It is over when this is dropped: answered, or its caller gone.
#[derive(Debug)]
struct Call {
    id: String,
    span: Span,
    began: Instant,
    code: Option<Code>,
}

impl Call {
    fn read(&mut self, headers: &HeaderMap) {
        let code = headers.get(Status::GRPC_STATUS).map(|code| Code::from_bytes(code.as_bytes()));
        self.code = code.or(self.code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if code == Code::Ok {
            tracing::debug!(parent: &self.span, ?code, ms, "call is over");
        } else {
            tracing::info!(parent: &self.span, ?code, ms, "call is over");
        }
    }
}

/// An answer on its way: its code is in its headers or comes behind it.
struct Answer {
    call: Call,
    /// `None` once it was ended.
    body: Option<Body>,
    ending: CancellationToken,
    /// Waits for the end; only streams have to wait at all.
    ended: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Answer {
    /// The last frame of a stream that goes on while the service goes away.
    fn end(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let ending = &self.ending;
        let ended = self.ended.get_or_insert_with(|| Box::pin(ending.clone().cancelled_owned()));
        ready!(ended.as_mut().poll(context));
        self.body = None;
        let status = Status::from(status::failed(&Failure::Draining));
        self.call.code = Some(status.code());
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let Self { call, body: Some(body), .. } = &mut *self else { return Poll::Ready(None) };
        let poll = || call.span.in_scope(|| Pin::new(body).poll_frame(context));
        let frame = REQUEST_ID.sync_scope(call.id.clone(), poll);
        if frame.is_pending() {
            return self.end(context);
        }
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            call.read(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
