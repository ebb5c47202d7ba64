//! Secrets stay where they belong: none is in a log, an error, or what `config` prints.

use prost::Message as _;
use proto::v1;
use serde_json::json;
use std::{fs, process::Output};
use tests::{
    credentials::{AUDIENCE, Authority, ISSUER, Issuer, Sign, good},
    process::{Home, Process, run},
    raw_call::call,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// Begins every secret of these tests.
const CANARY: &str = "canary";

/// A secret of its own for each setting.
fn secret(of: &str) -> String {
    format!("{CANARY}-{of}-0123456789-0123456789-0123456789")
}

fn quiet(output: &Output, what: &str) {
    for stream in [&output.stdout, &output.stderr] {
        let words = String::from_utf8_lossy(stream);
        assert!(!words.contains(CANARY), "{what} tells a secret: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_log_of_a_service_that_logs_everything() {
    let home = Home::sqlite();
    let issuer = Issuer::new();
    let jwks = home.folder().join("jwks.json");
    fs::write(&jwks, issuer.jwks("")).expect("written");
    let authority = Authority::new(home.folder(), "authority");
    let (certificate, key) = authority.vouch_files(&["localhost"]);
    let log = home.folder().join("log");
    let settings = [
        format!("--jwks={}", jwks.display()),
        format!("--jwt-secrets=a:{},b:{}", secret("jwt-a"), secret("jwt-b")),
        format!("--chain-keys=a:{},b:{}", secret("chain-a"), secret("chain-b")),
        format!("--jwt-issuer={ISSUER}"),
        format!("--jwt-audience={AUDIENCE}"),
        "--log=trace".to_owned(),
    ];
    let mut arguments: Vec<&str> = settings.iter().map(String::as_str).collect();
    let file = fs::File::create(&log).expect("a file");
    let process = Process::start_logging(home.url(), home.folder(), &arguments, file).await;
    let channel = process.channel().await;

    let shared = issuer.sign(
        &json!({"alg": "HS256", "kid": "a"}),
        &good(&json!({"scope": "tokens:admin"})),
        Sign::Secret(secret("jwt-a").as_bytes()),
    );
    let by_rsa = issuer.token(&json!({"scope": "tokens:admin"}));
    let expired = issuer.token(&json!({"exp": 1}));
    let nonsense = secret("token");
    let request = v1::CreditRequest {
        account_id: "alice".into(),
        idempotency_key: "k".into(),
        amount: 1,
        kind: v1::GrantKind::Purchased.into(),
        ..Default::default()
    };
    let method = "token.v1.TokenService/Credit";
    let mut shown = vec![nonsense.clone()];
    for token in [&shared, &by_rsa, &expired, &nonsense] {
        let request = vec![request.encode_to_vec()];
        let said = match call(&channel, method, request, Some(token)).await {
            Ok(_) => String::new(),
            Err(status) => format!("{status:?}"),
        };
        assert!(!said.contains(CANARY) && !said.contains(token.as_str()), "{said}");
        // A token is its three parts; who has the last one and any of the others is close.
        shown.extend(token.split('.').filter(|part| part.len() > 40).map(str::to_owned));
    }
    assert_eq!(process.terminate().await, Some(0));

    // The key of its certificate is a secret too; with it, it speaks TLS.
    let tls = [format!("--tls-certificate={certificate}"), format!("--tls-key={key}")];
    arguments.extend(tls.iter().map(String::as_str));
    let file = fs::OpenOptions::new().append(true).open(&log).expect("the file");
    let process = Process::start_logging(home.url(), home.folder(), &arguments, file).await;
    let tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(Certificate::from_pem(authority.certificate()));
    let endpoint = Endpoint::from_shared(format!("https://{}", process.address));
    let endpoint = endpoint.expect("an address").tls_config(tls).expect("a certificate");
    let channel = endpoint.connect().await.expect("a handshake");
    assert!(call(&channel, method, vec![request.encode_to_vec()], Some(&by_rsa)).await.is_ok());
    assert_eq!(process.terminate().await, Some(0));
    let key = fs::read_to_string(key).expect("a key");
    shown.extend(key.lines().filter(|line| line.len() > 40).map(str::to_owned));

    let log = fs::read_to_string(log).expect("a log");
    assert!(log.contains("TRACE"), "it logs everything");
    assert!(!log.contains(CANARY), "a secret setting is in the log");
    for part in shown {
        assert!(!log.contains(&part), "{part} is in the log");
    }
}

#[test]
fn no_secret_is_in_what_settings_print_or_are_refused_with() {
    let home = Home::sqlite();
    let folder = home.folder();
    let (chain, jwt) = (format!("a:{}", secret("chain")), format!("a:{}", secret("jwt")));
    let database = format!("postgres://tokens:{}@127.0.0.1:1/tokens", secret("database"));
    let environment = [
        ("LEDGER_CHAIN_KEYS", chain.as_str()),
        ("TOKEN_SERVICE_JWT_SECRETS", jwt.as_str()),
        ("TOKEN_SERVICE_DATABASE", database.as_str()),
    ];
    quiet(&run(folder, &["config"], &environment), "config");
    // The database isn't there.
    for command in [&["migrate", "--check"][..], &["new-epoch"], &["serve", "--log=trace"]] {
        let output = run(folder, command, &environment);
        assert!(!output.status.success());
        quiet(&output, &command.join(" "));
    }
    let short = &secret("jwt")[..20];
    for (name, value) in [
        ("LEDGER_CHAIN_KEYS", secret("chain")),
        ("LEDGER_CHAIN_KEYS", format!("a:{CANARY}")),
        ("LEDGER_CHAIN_KEYS", format!("A:{}", secret("chain"))),
        ("TOKEN_SERVICE_JWT_SECRETS", secret("jwt")),
        ("TOKEN_SERVICE_JWT_SECRETS", format!("a:{short}")),
        ("TOKEN_SERVICE_JWKS", format!("https://me:{}@example.com/jwks", secret("url"))),
        ("TOKEN_SERVICE_JWKS", format!("ftp://example.com/{}", secret("url"))),
        ("TOKEN_SERVICE_OTLP_ENDPOINT", format!("http://me:{}@localhost:4317", secret("url"))),
        ("TOKEN_SERVICE_DATABASE", format!("postgres://me:{}/x@localhost/x", secret("database"))),
        ("TOKEN_SERVICE_DATABASE", format!("mysql://me:{}@localhost/x", secret("database"))),
    ] {
        let output = run(folder, &["config"], &[(name, &value)]);
        assert_eq!(output.status.code(), Some(64), "{name} is refused");
        quiet(&output, name);
    }
    // A file where a secret is expected, and the other way round.
    let key = folder.join("key.pem");
    fs::write(&key, format!("-----BEGIN PRIVATE KEY-----\n{}\n", secret("key"))).expect("written");
    let key = key.display().to_string();
    let output = run(
        folder,
        &[
            "serve",
            "--listen=127.0.0.1:0",
            &format!("--tls-key={key}"),
            &format!("--tls-certificate={key}"),
        ],
        &[],
    );
    assert!(!output.status.success());
    quiet(&output, "TLS");
}

#[test]
fn a_token_of_our_own_making_is_accepted_and_tells_no_secret() {
    let home = Home::sqlite();
    let jwt = format!("a:{}", secret("jwt"));
    let environment = [("TOKEN_SERVICE_JWT_SECRETS", jwt.as_str())];
    let output =
        run(home.folder(), &["token", "--for", "me", "--scopes", "tokens:read"], &environment);
    quiet(&output, "token");
    let token = String::from_utf8(output.stdout).expect("ASCII");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let process = home.start(&[&format!("--jwt-secrets={jwt}")]).await;
        let request = v1::GetCatalogRequest::default().encode_to_vec();
        let method = "token.v1.TokenService/GetCatalog";
        let channel = process.channel().await;
        let answer = call(&channel, method, vec![request.clone()], Some(token.trim())).await;
        assert!(answer.is_ok(), "{answer:?}");
        assert!(call(&channel, method, vec![request], None).await.is_err());
    });
    let output = run(home.folder(), &["token", "--for", "me", "--scopes", "tokens:read"], &[]);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("TOKEN_SERVICE_JWT_SECRETS"), "{words}");
    for wrong in [
        &["token", "--for", "me", "--scopes", "tokens:everything"][..],
        &["token", "--for", "a b", "--scopes", "tokens:read"],
        &["token", "--for", "me", "--scopes", "tokens:read", "--lifetime", "1y"],
        &["token", "--scopes", "tokens:read"],
    ] {
        assert_eq!(run(home.folder(), wrong, &environment).status.code(), Some(64), "{wrong:?}");
    }
}
