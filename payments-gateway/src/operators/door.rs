//! The door of calls: who asks, how long it may take, one line in the log. A layer, so that no method can forget
//! them; reflection is behind it too.

use super::{caller::Operator, status};
use crate::clock;
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use proto::{
    deadline,
    jwt::{Refused, Verifier},
    payments::v1::{ErrorReason, operator_service_server::SERVICE_NAME},
};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

/// How long a call may take until its answer begins.
const CALL_MAX: Duration = Duration::from_secs(30);

/// The same of one that reads everything that Stripe has.
const LONG_CALL_MAX: Duration = Duration::from_secs(600);
const LONG_CALL: &str = "Reconcile";

/// How much sooner than its caller we give a call up. tonic gives it up on the dot, and calls it CANCELLED.
const EARLIER: Duration = Duration::from_millis(5);

/// Whoever looks whether we are alive has no credential.
const ANYONE: &str = "/grpc.health.v1.Health/";

/// The header in which an error's details come.
const DETAILS: &str = "grpc-status-details-bin";

/// Wraps the services of a server.
#[derive(Clone)]
pub struct DoorLayer {
    verifier: Option<Arc<Verifier<Operator>>>,
}

impl DoorLayer {
    /// Operators show tokens that this takes for good; without it everybody is one.
    pub fn new(verifier: Option<Arc<Verifier<Operator>>>) -> Self {
        Self { verifier }
    }
}

impl<S> Layer<S> for DoorLayer {
    type Service = Door<S>;

    fn layer(&self, inner: S) -> Door<S> {
        Door { inner, verifier: self.verifier.clone() }
    }
}

/// A service that only operators reach.
#[derive(Clone)]
pub struct Door<S> {
    inner: S,
    verifier: Option<Arc<Verifier<Operator>>>,
}

impl<S> Service<Request<Body>> for Door<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send,
    S: 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if request.uri().path().starts_with(ANYONE) {
            let answer = timeout(CALL_MAX, self.inner.call(request));
            return Box::pin(async {
                answer.await.unwrap_or_else(|_| Ok(status::too_late().into_http()))
            });
        }
        let verifier = self.verifier.clone();
        // The one that said it is ready, not its copy.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let (path, began) = (request.uri().path().to_owned(), Instant::now());
            let patience = deadline::read(request.headers()).map(|it| it.saturating_sub(EARLIER));
            let limit = call_max(&path);
            let limit = patience.map_or(limit, |patience| patience.min(limit));
            let mut operator = None;
            let answer = async {
                let admitted = admit(verifier.as_deref(), request.headers()).await?;
                operator = Some(admitted.name().to_owned());
                // The credential ends here.
                request.headers_mut().remove(AUTHORIZATION);
                request.extensions_mut().insert(admitted);
                match inner.call(request).await {
                    Ok(answer) => Ok(explained(answer)),
                    Err(never) => match never {},
                }
            };
            let answer = timeout(limit, answer).await.unwrap_or_else(|_| Err(status::too_late()));
            let answer = answer.unwrap_or_else(|status| status.into_http());
            let code = answer.headers().get(Status::GRPC_STATUS);
            let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(path, operator, ?code, ms, "an operator's call is over");
            Ok(answer)
        })
    }
}

fn call_max(path: &str) -> Duration {
    let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE_NAME));
    match method.and_then(|method| method.strip_prefix('/')) {
        Some(LONG_CALL) => LONG_CALL_MAX,
        Some(_) | None => CALL_MAX,
    }
}

/// Who makes a call with these headers, if they may.
async fn admit(
    verifier: Option<&Verifier<Operator>>,
    headers: &HeaderMap,
) -> Result<Arc<Operator>, Status> {
    let Some(verifier) = verifier else { return Ok(Arc::new(Operator::anonymous())) };
    let operator = verifier.verify(bearer(headers)?, clock::now()).await;
    let operator = operator.map_err(|refused| match refused {
        Refused::KeysAway => status::keys_away(),
        Refused::Because(why) => status::unauthenticated(why),
    })?;
    if operator.is_admin() { Ok(operator) } else { Err(status::scope_missing(operator.name())) }
}

/// The bearer token of a call.
fn bearer(headers: &HeaderMap) -> Result<&str, Status> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Err(status::unauthenticated("the call has no credential"));
    };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match (token, all.next()) {
        (Some((_, token)), None) => Ok(token.trim()),
        (Some(_) | None, _) => {
            Err(status::unauthenticated("give one authorization header: `Bearer` and a token"))
        }
    }
}

/// An answer that tonic gave by itself (to bytes that are no message, to a method that isn't there), with the
/// reason that every error has.
fn explained(answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers();
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(DETAILS) {
        return answer;
    }
    let Some(given) = Status::from_header_map(headers) else { return answer };
    let (code, reason) = match given.code() {
        // Ours carry details: what is left is a message that can't be read, or is too large.
        Code::Internal | Code::InvalidArgument | Code::OutOfRange | Code::ResourceExhausted => {
            (Code::InvalidArgument, ErrorReason::InvalidField)
        }
        Code::Unimplemented => (Code::Unimplemented, ErrorReason::NotImplemented),
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return answer,
    };
    let message = match given.message() {
        "" => "this service has no such method",
        message => message,
    };
    status::new(code, reason, message, &[]).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn one_bearer_token_is_taken_and_nothing_else() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(str::to_owned).map_err(|status| status.code())
        };
        assert_eq!(read(&["Bearer  abc "]), Ok("abc".to_owned()));
        assert_eq!(read(&["bearer abc"]), Ok("abc".to_owned()));
        for wrong in [&[][..], &["abc"], &["Basic abc"], &["Bearer a", "Bearer a"]] {
            assert_eq!(read(wrong), Err(Code::Unauthenticated), "{wrong:?}");
        }
    }

    #[test]
    fn only_reconciling_takes_long() {
        assert_eq!(call_max("/payments.v1.OperatorService/Reconcile"), LONG_CALL_MAX);
        assert_eq!(call_max("/payments.v1.OperatorService/ListAlerts"), CALL_MAX);
        assert_eq!(call_max("/elsewhere/Reconcile"), CALL_MAX);
    }
}
