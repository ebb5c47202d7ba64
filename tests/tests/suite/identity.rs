//! Who may call what, asked of the real service by every kind of caller.

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};
use proto::{
    client::{Client, Options},
    v1::{self, token_service_client::TokenServiceClient},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tests::{
    credentials::{AUDIENCE, Authority, ISSUER, Issuer, Sign, good, now},
    http2::Raw,
    process::{Home, Process},
    raw_call::call,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// A service that identifies callers by tokens and certificates.
struct Guarded {
    process: Process,
    issuer: Issuer,
    authority: Authority,
    home: Home,
}

/// Connections that never send a byte.
const STRANGERS: usize = 100;

/// When they are gone.
const GONE: Duration = Duration::from_secs(10);

/// A secret that the service shares with those who make tokens.
const SECRET: &str = "a-shared-secret-of-more-than-32-characters";

impl Guarded {
    async fn start() -> Self {
        let home = Home::sqlite();
        let issuer = Issuer::new();
        let jwks = home.folder().join("jwks.json");
        std::fs::write(&jwks, issuer.jwks("")).expect("written");
        let authority = Authority::new(home.folder(), "authority");
        let (certificate, key) = authority.vouch_files(&["localhost"]);
        let callers = home.folder().join("callers.toml");
        let operator = "[[caller]]\nname = \"operator.internal\"\nscopes = [\"tokens:admin\"]\n\
             [[caller]]\nname = \"spiffe://example.com/shop\"\nscopes = [\"tokens:debit\"]\n\
             account_prefix = \"shop-\"\n";
        std::fs::write(&callers, operator).expect("written");
        let process = home
            .start(&[
                &format!("--jwks={}", jwks.display()),
                &format!("--jwt-secrets=shared:{SECRET}"),
                &format!("--jwt-issuer={ISSUER}"),
                &format!("--jwt-audience={AUDIENCE}"),
                &format!("--tls-certificate={certificate}"),
                &format!("--tls-key={key}"),
                &format!("--tls-client-authority={}", authority.file()),
                &format!("--callers={}", callers.display()),
            ])
            .await;
        Self { process, issuer, authority, home }
    }

    /// A connection with a certificate of these names.
    async fn connect(&self, names: &[&str]) -> Channel {
        let (certificate, key) = self.authority.vouch(names);
        let tls = ClientTlsConfig::new().identity(Identity::from_pem(certificate, key));
        self.try_connect(tls).await.expect("a handshake")
    }

    /// A connection that has shaken hands, and nothing else.
    async fn shake_hands(&self) -> TlsStream<TcpStream> {
        let (certificate, key) = self.authority.vouch(&["operator.internal"]);
        let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).expect("PEM");
        let mut roots = RootCertStore::empty();
        roots.add(pem(self.authority.certificate())).expect("an authority");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![pem(&certificate)], key)
            .expect("a certificate");
        let stream = TcpStream::connect(&self.process.address).await.expect("somebody listens");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.expect("a handshake")
    }

    async fn try_connect(&self, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
        let tls = tls
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(self.authority.certificate()));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.process.address));
        endpoint.expect("an address").tcp_nodelay(true).tls_config(tls)?.connect().await
    }
}

/// Every method of every service, with the message that it takes.
fn methods() -> BTreeMap<String, DescriptorProto> {
    let sets = [
        v1::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let sets = sets.map(|set| FileDescriptorSet::decode(set).expect("a descriptor set"));
    let files = || sets.iter().flat_map(|set| &set.file);
    let message = |name: &str| {
        let named = files().find_map(|file| {
            let package = format!(".{}.", file.package());
            file.message_type.iter().find(|it| format!("{package}{}", it.name()) == name).cloned()
        });
        named.unwrap_or_else(|| panic!("{name} is nowhere"))
    };
    let mut all = BTreeMap::new();
    for file in files() {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                all.insert(name, message(method.input_type()));
            }
        }
    }
    all
}

/// A request that names an account, if it can.
fn naming(account: &str, method: &str, message: &DescriptorProto) -> Vec<u8> {
    if method.ends_with("/Batch") {
        let debit = v1::DebitRequest {
            account_id: account.into(),
            idempotency_key: "k".into(),
            amount: 1,
            ..v1::DebitRequest::default()
        };
        let command = Some(v1::batch_command::Command::Debit(debit));
        let mode = v1::BatchMode::Independent.into();
        let commands = vec![v1::BatchCommand { command }];
        return v1::BatchRequest { commands, mode, ..v1::BatchRequest::default() }.encode_to_vec();
    }
    let fields = message.field.iter();
    let mut names = fields.filter(|field| matches!(field.name(), "account_id" | "account_ids"));
    let Some(field) = names.next() else { return Vec::new() };
    let tag = u8::try_from(field.number()).expect("a small number") << 3 | 2;
    let length = u8::try_from(account.len()).expect("a short name");
    [&[tag, length], account.as_bytes()].concat()
}

/// What the answer says about the caller.
fn judged(answer: &Result<Vec<u8>, Status>) -> &'static str {
    match answer.as_ref().map_err(Status::code) {
        Err(Code::Unauthenticated) => "U",
        Err(Code::PermissionDenied) => "P",
        // Nobody's fault but ours.
        Err(Code::Internal | Code::Unknown | Code::Unavailable | Code::Cancelled) => "?",
        // Anything else is between an admitted caller and the ledger.
        Ok(_) | Err(_) => "A",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_admits_whom_the_table_says() {
    let guarded = Guarded::start().await;
    let issuer = &guarded.issuer;
    let admin = json!({"scope": "tokens:admin"});
    let with = |more: Value| {
        let mut claims = admin.clone();
        let object = claims.as_object_mut().expect("an object");
        object.extend(more.as_object().cloned().expect("an object"));
        issuer.token(&claims)
    };
    let unsigned = issuer.sign(&json!({"alg": "none"}), &good(&admin), Sign::Nothing);
    let confused = issuer.rsa_public_shapes().into_iter().map(|shape| {
        let header = json!({"alg": "HS256", "kid": "rsa"});
        issuer.sign(&header, &good(&admin), Sign::Secret(&shape))
    });
    // No caller's name, so that the token alone counts.
    let nobody = guarded.connect(&["nobody.internal"]).await;
    let operator = guarded.connect(&["operator.internal"]).await;
    let scoped = |scope: &str| vec![Some(issuer.token(&json!({"scope": scope})))];
    let callers: BTreeMap<&str, (&Channel, Vec<Option<String>>)> = [
        ("none", &nobody, vec![None]),
        ("expired", &nobody, vec![Some(with(json!({"exp": now() - 60})))]),
        ("audience", &nobody, vec![Some(with(json!({"aud": ["elsewhere", "nowhere"]})))]),
        ("issuer", &nobody, vec![Some(with(json!({"iss": "https://login.example.org"})))]),
        ("unsigned", &nobody, vec![Some(unsigned)]),
        ("confused", &nobody, confused.map(Some).collect()),
        ("prefix", &nobody, vec![Some(with(json!({"account_prefix": "other-"})))]),
        ("read", &nobody, scoped("tokens:read")),
        ("debit", &nobody, scoped("tokens:debit")),
        ("credit", &nobody, scoped("tokens:credit")),
        ("transfer", &nobody, scoped("tokens:transfer")),
        ("admin", &nobody, scoped("tokens:admin")),
        ("named", &operator, vec![None]),
        ("wrong", &nobody, vec![None]),
    ]
    .map(|(name, channel, tokens)| (name, (channel, tokens)))
    .into();

    let table = include_str!("identity.txt");
    let mut lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let columns: Vec<&str> = lines.next().expect("a head").split_whitespace().collect();
    let rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows: BTreeMap<&str, Vec<&str>> = rows.map(|row| (row[0], row[1..].to_vec())).collect();
    let methods = methods();
    let known: BTreeSet<&str> = methods.keys().map(String::as_str).collect();
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), known, "a row for each method");

    let mut wrong = Vec::new();
    for (method, expected) in &rows {
        assert_eq!(expected.len(), columns.len(), "{method} has a cell for each caller");
        let request = naming("alice", method, &methods[*method]);
        for (caller, expected) in columns.iter().zip(expected) {
            let (channel, tokens) = &callers[caller];
            for token in tokens {
                let answer = call(channel, method, vec![request.clone()], token.as_deref()).await;
                if judged(&answer) != *expected {
                    wrong.push(format!("{method} by {caller}: {expected}, but {answer:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asks for a balance with this token.
async fn ask(channel: &Channel, token: &str) -> Result<(), String> {
    let request = v1::GetBalanceRequest { account_id: "nobody".into(), ..Default::default() };
    let method = "token.v1.TokenService/GetBalance";
    match call(channel, method, vec![request.encode_to_vec()], Some(token)).await {
        Err(status) if status.code() == Code::Unauthenticated => Err(status.message().to_owned()),
        Ok(_) | Err(_) => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_accepted_by_their_key_s_own_algorithm_alone() {
    let guarded = Guarded::start().await;
    let channel = guarded.connect(&["nobody.internal"]).await;
    let issuer = &guarded.issuer;
    let sign = |alg: &str, kid: Option<&str>, claims: &Value, how| {
        let mut header = json!({"alg": alg, "typ": "JWT"});
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        issuer.sign(&header, &good(claims), how)
    };
    let shared = Sign::Secret(SECRET.as_bytes());
    let fine = json!({});
    for token in [
        sign("RS256", Some("rsa"), &fine, Sign::Rsa),
        sign("RS256", None, &fine, Sign::Rsa),
        sign("ES256", Some("ec"), &fine, Sign::Ec),
        sign("EdDSA", Some("ed"), &fine, Sign::Ed),
        sign("HS256", Some("shared"), &fine, shared),
        sign("HS256", None, &fine, shared),
        sign("RS256", Some("rsa"), &json!({"aud": ["else", AUDIENCE]}), Sign::Rsa),
        sign("RS256", Some("rsa"), &json!({"exp": 1.5 + 4_000_000_000_f64}), Sign::Rsa),
        sign("RS256", Some("rsa"), &json!({"nbf": now()}), Sign::Rsa),
        sign("RS256", Some("rsa"), &json!({"scope": null, "scp": ["tokens:read"]}), Sign::Rsa),
    ] {
        assert_eq!(ask(&channel, &token).await, Ok(()), "{token}");
    }

    let crit = json!({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": true});
    let crit = issuer.sign(&crit, &good(&fine), Sign::Rsa);
    let mut null = good(&fine);
    null["account_prefix"] = Value::Null;
    let null_prefix = issuer.sign(&json!({"alg": "RS256", "kid": "rsa"}), &null, Sign::Rsa);
    let whole = sign("RS256", Some("rsa"), &fine, Sign::Rsa);
    let mut parts: Vec<&str> = whole.split('.').collect();
    let other = sign("RS256", Some("rsa"), &json!({"sub": "mallory"}), Sign::Rsa);
    parts[1] = other.split('.').nth(1).expect("claims");
    for (token, expected) in [
        (parts.join("."), "signature"),
        (sign("ES256", Some("rsa"), &fine, Sign::Ec), "key"),
        (sign("RS256", Some("ec"), &fine, Sign::Rsa), "key"),
        (sign("PS256", Some("rsa"), &fine, Sign::RsaPss), "key"),
        (sign("RS256", Some("encrypts"), &fine, Sign::Rsa), "key"),
        // The set's own secret is nobody's.
        (sign("HS256", Some("shared"), &fine, Sign::Secret(&[7; 32])), "signature"),
        (sign("HS256", None, &fine, Sign::Secret(b"")), "signature"),
        (sign("none", Some("rsa"), &fine, Sign::Nothing), "JSON Web Token"),
        (sign("None", Some("rsa"), &fine, Sign::Rsa), "JSON Web Token"),
        (sign("RS256", Some("rsa"), &json!({"exp": null}), Sign::Rsa), "must have"),
        (sign("RS256", Some("rsa"), &json!({"exp": "soon"}), Sign::Rsa), ""),
        (sign("RS256", Some("rsa"), &json!({"exp": now() - 31}), Sign::Rsa), "expired"),
        (sign("RS256", Some("rsa"), &json!({"nbf": now() + 60}), Sign::Rsa), "isn't valid yet"),
        (sign("RS256", Some("rsa"), &json!({"aud": null}), Sign::Rsa), "must have"),
        (sign("RS256", Some("rsa"), &json!({"aud": []}), Sign::Rsa), "audience"),
        (sign("RS256", Some("rsa"), &json!({"iss": null}), Sign::Rsa), "must have"),
        (sign("RS256", Some("rsa"), &json!({"sub": null}), Sign::Rsa), "must have"),
        (sign("RS256", Some("rsa"), &json!({"sub": "a b"}), Sign::Rsa), "`sub`"),
        (sign("RS256", Some("rsa"), &json!({"sub": "x".repeat(129)}), Sign::Rsa), "`sub`"),
        (sign("RS256", Some("rsa"), &json!({"account_prefix": ""}), Sign::Rsa), "account_prefix"),
        (sign("RS256", Some("rsa"), &json!({"sub": "anonymous"}), Sign::Rsa), "`sub`"),
        (sign("RS256", Some("rsa"), &json!({"sub": "token-service"}), Sign::Rsa), "`sub`"),
        (null_prefix, "account_prefix"),
        (crit, "extensions"),
        (String::new(), ""),
        ("x".repeat(3_000), "JSON Web Token"),
    ] {
        let said = ask(&channel, &token).await.expect_err(&token);
        assert!(said.contains(expected), "{expected}: {said} ({token})");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_the_actor_of_what_it_did_and_may_name_only_what_is_its_own() {
    let guarded = Guarded::start().await;
    let channel = guarded.connect(&["nobody.internal"]).await;
    let token = |claims: Value| guarded.issuer.token(&claims);
    let shop = token(json!({"sub": "shop", "scope": "tokens:credit tokens:debit tokens:read",
                            "account_prefix": "shop-"}));
    let trusted =
        token(json!({"sub": "gateway", "scope": "tokens:credit tokens:transfer tokens:read",
                               "on_behalf_of": true}));
    let credit = |account: &str, for_whom: &str| {
        v1::CreditRequest {
            account_id: account.into(),
            idempotency_key: "k".into(),
            amount: 10,
            kind: v1::GrantKind::Purchased.into(),
            on_behalf_of: for_whom.into(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    let method = |name: &str| format!("token.v1.TokenService/{name}");
    let ask = async |name: &str, request: Vec<u8>, token: &str| {
        call(&channel, &method(name), vec![request], Some(token)).await
    };

    let done = ask("Credit", credit("shop-1", ""), &shop).await.expect("its own account");
    let done = v1::CreditResponse::decode(&*done).expect("an answer").transaction;
    assert_eq!(done.expect("a transaction").actor, "shop");
    let done = ask("Credit", credit("alice", "bob"), &trusted).await.expect("trusted");
    let done = v1::CreditResponse::decode(&*done).expect("an answer").transaction;
    let done = done.expect("a transaction");
    assert_eq!((&*done.actor, &*done.on_behalf_of), ("gateway", "bob"));

    let away = v1::TransferRequest {
        account_id: "shop-1".into(),
        idempotency_key: "t".into(),
        amount: 1,
        to_account_id: "alice".into(),
        ..Default::default()
    };
    let tipper =
        token(json!({"sub": "shop", "scope": "tokens:transfer", "account_prefix": "shop-"}));
    let two = v1::BatchGetBalancesRequest { account_ids: vec!["shop-1".into(), "alice".into()] };
    let everybody = v1::WatchEventsRequest::default();
    for (name, request, token, field) in [
        ("Credit", credit("alice", ""), &shop, "account_id"),
        ("Credit", credit("shop-1", "bob"), &shop, "on_behalf_of"),
        ("Transfer", away.encode_to_vec(), &tipper, "to_account_id"),
        ("BatchGetBalances", two.encode_to_vec(), &shop, "account_ids[1]"),
        ("WatchEvents", everybody.encode_to_vec(), &shop, "account_id"),
    ] {
        let status = ask(name, request, token).await.expect_err(name);
        let error = proto::reason::Error::of(&status).expect("a reason");
        assert_eq!(error.reason, v1::ErrorReason::ScopeMissing, "{name}");
        assert_eq!(error.metadata.get("field").map(String::as_str), Some(field), "{name}");
    }

    // Somebody else's repetition under the same key is another request.
    let status = ask("Credit", credit("shop-1", ""), &trusted).await.expect_err("another caller");
    let error = proto::reason::Error::of(&status).expect("a reason");
    assert_eq!(error.reason, v1::ErrorReason::IdempotencyKeyReused);
    assert_eq!(error.metadata["fields"], "caller");
}

#[tokio::test(flavor = "multi_thread")]
async fn spending_is_undone_by_whoever_may_spend_and_the_rest_by_operators() {
    let guarded = Guarded::start().await;
    let channel = guarded.connect(&["nobody.internal"]).await;
    let token = |scope: &str| guarded.issuer.token(&json!({"scope": scope}));
    let (admin, debit) = (token("tokens:admin"), token("tokens:debit tokens:transfer"));
    let bound = json!({"scope": "tokens:admin", "account_prefix": "ali"});
    let bound = guarded.issuer.token(&bound);
    let ask = async |name: &str, request: Vec<u8>, token: &str| {
        call(&channel, &format!("token.v1.TokenService/{name}"), vec![request], Some(token)).await
    };
    let (account_id, amount) = (|| "alice".to_owned(), 10);
    let credit = v1::CreditRequest {
        account_id: account_id(),
        idempotency_key: "credit".into(),
        amount: 100,
        kind: v1::GrantKind::Purchased.into(),
        ..Default::default()
    };
    let done = ask("Credit", credit.encode_to_vec(), &admin).await.expect("credited");
    let credited = v1::CreditResponse::decode(&*done).expect("an answer").transaction;
    let request = v1::DebitRequest {
        account_id: account_id(),
        idempotency_key: "debit".into(),
        amount,
        ..Default::default()
    };
    let done = ask("Debit", request.encode_to_vec(), &debit).await.expect("debited");
    let debited = v1::DebitResponse::decode(&*done).expect("an answer").transaction;
    let request = v1::TransferRequest {
        account_id: account_id(),
        idempotency_key: "transfer".into(),
        amount,
        to_account_id: "bob".into(),
        ..Default::default()
    };
    let done = ask("Transfer", request.encode_to_vec(), &debit).await.expect("transferred");
    let transferred = v1::TransferResponse::decode(&*done).expect("an answer").transaction;

    let reverse = |of: &Option<v1::Transaction>, key: &str| v1::ReverseRequest {
        account_id: account_id(),
        idempotency_key: key.into(),
        transaction_id: of.as_ref().expect("a transaction").transaction_id.clone(),
        amount: Some(1),
        ..Default::default()
    };
    let code = |answer: Result<Vec<u8>, Status>| answer.map(drop).map_err(|status| status.code());
    for (of, by, expected) in [
        (&debited, &debit, Ok(())),
        (&credited, &debit, Err(Code::PermissionDenied)),
        (&transferred, &debit, Err(Code::PermissionDenied)),
        // It would take from bob.
        (&transferred, &bound, Err(Code::PermissionDenied)),
        (&credited, &bound, Ok(())),
        (&debited, &admin, Ok(())),
        (&credited, &admin, Ok(())),
        (&transferred, &admin, Ok(())),
    ] {
        let key = format!("reverse-{}", uuid::Uuid::new_v4());
        let answer = ask("Reverse", reverse(of, &key).encode_to_vec(), by).await;
        assert_eq!(code(answer), expected);
    }
    // And it sees its own side of what others took part in.
    for (token, sides) in [(&admin, 2), (&bound, 1)] {
        let id = transferred.as_ref().expect("a transaction").transaction_id.clone();
        let request = v1::GetTransactionRequest {
            account_id: account_id(),
            name: Some(v1::get_transaction_request::Name::TransactionId(id)),
        };
        let done =
            ask("GetTransaction", request.encode_to_vec(), token).await.expect("it is there");
        let done = v1::GetTransactionResponse::decode(&*done).expect("an answer").transaction;
        assert_eq!(done.expect("a transaction").entries.len(), sides);
    }
    let withdrawal = v1::DebitRequest {
        account_id: account_id(),
        idempotency_key: "withdrawal".into(),
        amount,
        purpose: v1::DebitPurpose::Withdrawal.into(),
        ..Default::default()
    };
    assert_eq!(
        code(ask("Debit", withdrawal.encode_to_vec(), &debit).await),
        Err(Code::PermissionDenied)
    );
    let command = v1::batch_command::Command::Reverse(reverse(&credited, "in-a-batch"));
    let batch = v1::BatchRequest {
        commands: vec![v1::BatchCommand { command: Some(command) }],
        mode: v1::BatchMode::Atomic.into(),
        ..Default::default()
    };
    let answer = ask("Batch", batch.encode_to_vec(), &debit).await;
    assert_eq!(code(answer), Err(Code::PermissionDenied));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_name_callers_and_strangers_shake_no_hands() {
    let guarded = Guarded::start().await;
    let balance = |account: &str| {
        let account_id = account.to_owned();
        v1::DebitRequest {
            account_id,
            idempotency_key: "k".into(),
            amount: 1,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let debit = "token.v1.TokenService/Debit";
    // A name of one is enough; a URI is a name as a host's is.
    let shop = guarded.connect(&["pod-7.internal", "spiffe://example.com/shop"]).await;
    let code =
        async |request| call(&shop, debit, vec![request], None).await.map_err(|it| it.code());
    assert_eq!(code(balance("shop-1")).await, Err(Code::NotFound));
    assert_eq!(code(balance("alice")).await, Err(Code::PermissionDenied));

    let other = Authority::new(guarded.home.folder(), "other");
    let (certificate, key) = other.vouch(&["operator.internal"]);
    let forged = ClientTlsConfig::new().identity(Identity::from_pem(certificate, key));
    for stranger in [ClientTlsConfig::new(), forged] {
        // With TLS 1.3 a client learns of its refusal with its first call.
        let refused = match guarded.try_connect(stranger).await {
            Err(_) => true,
            Ok(channel) => {
                let answer = call(&channel, debit, vec![balance("alice")], None).await;
                answer.is_err_and(|status| {
                    !matches!(status.code(), Code::NotFound | Code::Unauthenticated)
                })
            }
        };
        assert!(refused, "a stranger comes in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_client_trusts_an_authority_shows_a_certificate_and_carries_a_token() {
    let guarded = Guarded::start().await;
    let (certificate, key) = guarded.authority.vouch(&["nobody.internal"]);
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(guarded.authority.certificate()))
        .identity(Identity::from_pem(certificate, key));
    let endpoint = format!("https://{}", guarded.process.address);
    let client = Client::connect_trusting(&endpoint, tls, Options::default()).expect("a URI");
    let ask = async |client: &Client| {
        let answer = client.tokens().get_catalog(v1::GetCatalogRequest::default()).await;
        answer.map(drop).map_err(|status| status.code())
    };
    assert_eq!(ask(&client).await, Err(Code::Unauthenticated));
    let token = guarded.issuer.token(&json!({}));
    assert_eq!(ask(&client.with_token(&token).expect("a header")).await, Ok(()));
    assert!(client.with_token("new\nline").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_shakes_no_hands_or_then_says_nothing_is_sent_away() {
    let guarded = Guarded::start().await;
    let address = &guarded.process.address;
    let since = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..STRANGERS {
        silent.push(Raw::connect(address).await);
    }
    let mut greeted = guarded.shake_hands().await;
    // Others come in meanwhile.
    let channel = guarded.connect(&["operator.internal"]).await;
    let method = "token.v1.TokenService/GetCatalog";
    assert!(call(&channel, method, vec![Vec::new()], None).await.is_ok());

    let rest = || GONE.saturating_sub(since.elapsed());
    for mut raw in silent {
        timeout(rest(), raw.closed()).await.expect("gone in time");
    }
    // What it says of itself, then the end.
    let ended = timeout(rest(), greeted.read_to_end(&mut Vec::new())).await;
    drop(ended.expect("gone in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_good_ends_with_its_time_and_so_do_its_streams() {
    let guarded = Guarded::start().await;
    let channel = guarded.connect(&["nobody.internal"]).await;
    // Clocks may be half a minute apart.
    let token = guarded.issuer.token(&json!({"exp": now() - 27}));
    assert_eq!(ask(&channel, &token).await, Ok(()));
    let mut client = TokenServiceClient::with_interceptor(channel.clone(), {
        let bearer: MetadataValue<Ascii> = format!("Bearer {token}").parse().expect("a header");
        move |mut request: Request<()>| {
            request.metadata_mut().insert("authorization", bearer.clone());
            Ok(request)
        }
    });
    let events = client.watch_events(v1::WatchEventsRequest::default()).await.expect("a stream");
    let mut events = events.into_inner();
    let ended = timeout(GONE, async {
        loop {
            if let Err(status) = events.message().await {
                return status.code();
            }
        }
    });
    assert_eq!(ended.await.expect("it ends"), Code::Unauthenticated);
    assert_eq!(ask(&channel, &token).await, Err("the token has expired".to_owned()));
}
