//! The client against a server that refuses, stalls or isn't there.

use proto::{
    client::{Client, Options, Origin},
    reason::{self, Error},
    v1::{self, ErrorReason},
};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    body::Body,
    codegen::{Service, http},
    server::{NamedService, UnaryService},
    transport::Server,
};

/// Answers with these codes, one a call, then OK; and remembers what it was asked.
#[derive(Clone, Default)]
struct Script {
    codes: Arc<Mutex<Vec<Code>>>,
    seen: Arc<Mutex<Vec<(v1::DebitRequest, String)>>>,
    retry_after: Option<Duration>,
}

impl NamedService for Script {
    const NAME: &'static str = "token.v1.TokenService";
}

impl Service<http::Request<Body>> for Script {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let script = self.clone();
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::default();
            Ok(tonic::server::Grpc::new(codec).unary(script, request).await)
        })
    }
}

impl UnaryService<v1::DebitRequest> for Script {
    type Response = v1::DebitResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<Self::Response>, Status>> + Send>>;

    fn call(&mut self, request: Request<v1::DebitRequest>) -> Self::Future {
        let header = |name| request.metadata().get(name).and_then(|it| it.to_str().ok());
        let trace = header("traceparent").unwrap_or_default().to_owned();
        self.seen.lock().expect("no test panics with it").push((request.into_inner(), trace));
        let next = self.codes.lock().expect("no test panics with it").pop();
        let retry_after = self.retry_after;
        Box::pin(async move {
            match next {
                None => Ok(tonic::Response::new(v1::DebitResponse::default())),
                Some(Code::DeadlineExceeded) => std::future::pending().await,
                Some(code) => {
                    let error = Error::new(code, ErrorReason::Overloaded, "scripted");
                    Err(Error { retry: retry_after, ..error }.into())
                }
            }
        })
    }
}

/// A server of this script, and a client of it.
async fn play(script: &Script, options: Options) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = Server::builder().add_service(script.clone());
    let incoming = TcpListenerStream::new(listener);
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    drop(tokio::spawn(server.serve_with_incoming(incoming)));
    Client::connect(&format!("http://{address}"), options).expect("a URI")
}

fn script(codes: &[Code]) -> Script {
    let codes = codes.iter().rev().copied().collect();
    Script { codes: Arc::new(Mutex::new(codes)), ..Script::default() }
}

fn debit() -> v1::DebitRequest {
    v1::DebitRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn unavailable_is_asked_again_with_the_same_request() {
    let script = script(&[Code::Unavailable, Code::Unavailable]);
    let client = play(&script, Options::default()).await;
    let origin = Origin { traceparent: Some("00-t-s-01".parse().unwrap()), request_id: None };
    client.within(origin).tokens().debit(debit()).await.unwrap();
    let seen = script.seen.lock().expect("no test panics with it");
    assert_eq!(*seen, vec![(debit(), "00-t-s-01".to_owned()); 3]);
}

#[tokio::test]
async fn an_answer_is_not_asked_again() {
    for code in [Code::FailedPrecondition, Code::ResourceExhausted, Code::Internal, Code::Aborted] {
        let script = script(&[code]);
        let client = play(&script, Options::default()).await;
        let status = client.tokens().debit(debit()).await.unwrap_err();
        assert_eq!(
            (status.code(), script.seen.lock().expect("no test panics with it").len()),
            (code, 1)
        );
        assert_eq!(reason::refusal(&status).unwrap().0, ErrorReason::Overloaded);
    }
}

#[tokio::test]
async fn repetitions_have_an_end() {
    let script = script(&[Code::Unavailable; 9]);
    let options = Options { repetitions_max: 2, ..Options::default() };
    let status = play(&script, options).await.tokens().debit(debit()).await.unwrap_err();
    assert_eq!(
        (status.code(), script.seen.lock().expect("no test panics with it").len()),
        (Code::Unavailable, 3)
    );
}

#[tokio::test]
async fn a_wait_that_the_deadline_does_not_allow_is_not_begun() {
    let script =
        Script { retry_after: Some(Duration::from_secs(60)), ..script(&[Code::Unavailable]) };
    let client = play(&script, Options::default()).await;
    let status = client.tokens().debit(debit()).await.unwrap_err();
    assert_eq!(
        (status.code(), script.seen.lock().expect("no test panics with it").len()),
        (Code::Unavailable, 1)
    );
}

#[tokio::test]
async fn the_deadline_holds_for_the_call_as_a_whole() {
    // The script never answers this one.
    let script = script(&[Code::Unavailable, Code::DeadlineExceeded]);
    let client = play(&script, Options::default()).await;
    let mut request = Request::new(debit());
    request.set_timeout(Duration::from_millis(300));
    let status = client.tokens().debit(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reason::refusal(&status).unwrap().0, ErrorReason::DeadlineExceeded);
    assert_eq!(script.seen.lock().expect("no test panics with it").len(), 2);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let options = Options { repetitions_max: 1, ..Options::default() };
    let client = Client::connect("http://127.0.0.1:9", options).unwrap();
    let status = client.tokens().debit(debit()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}
