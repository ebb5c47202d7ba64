//! WatchBalance and health: what a follower sees, and what it sees when the service goes away.

use proto::v1::{
    CreditRequest, DebitRequest, GrantKind, WatchBalanceRequest,
    token_service_client::TokenServiceClient,
};
use std::time::Duration;
use tests::process::Process;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// How long a follower waits for what is sure to come.
const PATIENCE: Duration = Duration::from_secs(10);

async fn credit(client: &mut TokenServiceClient<Channel>, key: &str, amount: i64) {
    let credit = CreditRequest {
        account_id: "alice".to_owned(),
        idempotency_key: key.to_owned(),
        amount,
        kind: GrantKind::Purchased.into(),
        ..CreditRequest::default()
    };
    client.credit(credit).await.expect("credited");
}

#[tokio::test]
async fn a_follower_sees_the_balance_now_and_ends_on_the_newest_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let mut client = process.client().await;
    let request = WatchBalanceRequest { account_id: "alice".to_owned() };
    let mut seen = client.watch_balance(request).await.expect("a stream").into_inner();
    let mut next = async || {
        let message = timeout(PATIENCE, seen.message()).await.expect("in time");
        message.map(|it| it.and_then(|it| it.balance).map(|it| (it.posted, it.sequence)))
    };
    assert_eq!(next().await.expect("a message"), Some((0, 0)), "there is no account yet");
    credit(&mut client, "first", 100).await;
    assert_eq!(next().await.expect("a message"), Some((100, 1)));
    for number in 0..50 {
        let debit = DebitRequest {
            account_id: "alice".to_owned(),
            idempotency_key: format!("d{number}"),
            amount: 1,
            ..DebitRequest::default()
        };
        client.debit(debit).await.expect("debited");
    }
    let mut newest = 1;
    while newest < 51 {
        let (posted, sequence) = next().await.expect("a message").expect("a balance");
        assert!(sequence > newest, "never the same twice, never backwards");
        assert_eq!(posted, 101 - sequence);
        newest = sequence;
    }
    let (code, end) = tokio::join!(process.terminate(), next());
    assert!(end.is_err() || end.is_ok_and(|it| it.is_none()), "the stream ends with the service");
    assert_eq!(code, Some(0), "and doesn't hold it up");
}

#[tokio::test]
async fn every_service_is_healthy_while_it_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::start(folder.path(), &[]).await;
    let mut health = HealthClient::new(process.channel().await);
    for service in ["", "token.v1.TokenService", "token.v1.AdminService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.expect("known").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest { service: "token.v1.TokenService".to_owned() };
    let mut watched = health.watch(request).await.expect("a stream").into_inner();
    let first = watched.message().await.expect("a message").expect("a status");
    assert_eq!(first.status(), ServingStatus::Serving);
    let farewell = async {
        let second = timeout(PATIENCE, watched.message()).await.expect("in time");
        let second = second.expect("a message").expect("a status");
        assert_eq!(second.status(), ServingStatus::NotServing);
        let end = timeout(PATIENCE, watched.message()).await.expect("in time");
        assert!(!matches!(end, Ok(Some(_))), "then the stream ends");
    };
    let (code, ()) = tokio::join!(process.terminate(), farewell);
    assert_eq!(code, Some(0));
}
