//! The door of calls: each comes in with its caller, or not at all. A layer, so that no method can
//! forget it.

use super::status;
use crate::identity::{Identity, method};
use http::{Request, Response, header::AUTHORIZATION};
use proto::{reason::Error, v1::ErrorReason};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

/// Wraps the services of a server.
#[derive(Clone, Debug)]
pub struct DoorLayer {
    identity: Arc<Identity>,
}

impl DoorLayer {
    /// Callers are identified so.
    #[must_use]
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity }
    }
}

impl<S> Layer<S> for DoorLayer {
    type Service = Door<S>;

    fn layer(&self, inner: S) -> Door<S> {
        Door { inner, identity: Arc::clone(&self.identity) }
    }
}

/// A service whose calls have callers who may make them.
#[derive(Clone, Debug)]
pub struct Door<S> {
    inner: S,
    identity: Arc<Identity>,
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
        let identity = Arc::clone(&self.identity);
        // The one that said it is ready, not its copy.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            match admit(&identity, &mut request).await {
                Ok(()) => inner.call(request).await,
                Err(error) => Ok(Status::from(error).into_http()),
            }
        })
    }
}

/// Gives the call its caller; the credential ends here.
async fn admit(identity: &Identity, request: &mut Request<Body>) -> Result<(), Error> {
    let access = method::access_of_path(request.uri().path());
    if access == Some(method::Access::Anyone) {
        return Ok(());
    }
    let caller = identity.caller(request.headers(), request.extensions()).await?;
    request.headers_mut().remove(AUTHORIZATION);
    let Some(access) = access else {
        let message = "this service has no such method";
        return Err(Error::new(Code::Unimplemented, ErrorReason::NotImplemented, message));
    };
    if !access.admits(&caller) {
        return Err(status::scope_missing(&caller, access));
    }
    request.extensions_mut().insert(caller);
    Ok(())
}
