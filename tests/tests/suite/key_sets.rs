//! Keys of tokens that change while the service runs.

use prost::Message as _;
use proto::v1;
use serde_json::json;
use tests::{
    credentials::{AUDIENCE, ISSUER, Issuer, Sign, good},
    key_server::KeyServer,
    process::{Home, Process},
    raw_call::call,
};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

/// Tokens that name keys that there aren't.
const STRANGERS: usize = 100;

async fn start(home: &Home, jwks: &str) -> Process {
    home.start(&[
        &format!("--jwks={jwks}"),
        &format!("--jwt-issuer={ISSUER}"),
        &format!("--jwt-audience={AUDIENCE}"),
        // What it says of keys that can't be read is expected here.
        "--log=error",
    ])
    .await
}

/// What a caller with a token by this key is told; an unknown account is what a good one is told.
async fn told(process: &Process, issuer: &Issuer, kid: &str) -> Code {
    let token = issuer.sign(&json!({"alg": "EdDSA", "kid": kid}), &good(&json!({})), Sign::Ed);
    told_with(&process.channel().await, &token).await
}

async fn told_with(channel: &Channel, token: &str) -> Code {
    let request = v1::GetBalanceRequest { account_id: "nobody".into(), ..Default::default() };
    let method = "token.v1.TokenService/GetBalance";
    let answer = call(channel, method, vec![request.encode_to_vec()], Some(token)).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_in_a_file_is_read_again_when_a_token_names_a_new_key() {
    let home = Home::sqlite();
    let file = home.folder().join("jwks.json");
    let (old, new) = (Issuer::new(), Issuer::new());
    std::fs::write(&file, old.jwks("-1")).expect("written");
    let process = start(&home, &file.display().to_string()).await;
    assert_eq!(told(&process, &old, "ed-1").await, Code::NotFound);

    std::fs::write(&file, new.jwks("-2")).expect("written");
    assert_eq!(told(&process, &old, "ed-1").await, Code::NotFound, "nobody has looked yet");
    assert_eq!(told(&process, &new, "ed-2").await, Code::NotFound, "the new key is found");
    assert_eq!(told(&process, &old, "ed-1").await, Code::Unauthenticated, "the old one is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_set_behind_a_url_may_come_late_and_is_not_asked_for_by_strangers() {
    let home = Home::sqlite();
    let server = KeyServer::start().await;
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    let process = start(&home, server.url()).await;
    // It isn't the caller's fault: asking again will help.
    assert_eq!(told(&process, &issuer, "ed").await, Code::Unavailable);

    server.answer(Some(issuer.jwks("")));
    let known = async {
        while told(&process, &issuer, "ed").await != Code::NotFound {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), known).await.expect("it is found");

    // Strangers don't make us ask again and again, and wait for what they ask for.
    let asked = server.asked();
    let mut strangers = JoinSet::new();
    let channel = process.channel().await;
    for attempt in 0..STRANGERS {
        let header = json!({"alg": "EdDSA", "kid": format!("unknown-{attempt}")});
        let token = stranger.sign(&header, &good(&json!({})), Sign::Ed);
        let channel = channel.clone();
        strangers.spawn(async move { told_with(&channel, &token).await });
    }
    let codes = strangers.join_all().await;
    assert!(codes.iter().all(|code| *code == Code::Unauthenticated), "{codes:?}");
    assert!(server.asked() - asked <= 3, "strangers made us ask {} times", server.asked() - asked);

    // What can't be read takes nothing away, and isn't a caller's fault.
    for answer in [None, Some("sorry".to_owned())] {
        server.answer(answer);
        assert_eq!(told(&process, &stranger, "unknown").await, Code::Unavailable);
        assert_eq!(told(&process, &issuer, "ed").await, Code::NotFound);
    }
    // Whoever takes all keys back means it.
    server.answer(Some("{\"keys\":[]}".to_owned()));
    assert_eq!(told(&process, &stranger, "unknown").await, Code::Unauthenticated);
    assert_eq!(told(&process, &issuer, "ed").await, Code::Unauthenticated);
}
