//! Starts everything in order: Stripe, the ledger, and the gateway between them, which Stripe is told of.

use crate::{Settings, ports::here};
use bytes::Bytes;
use clap::Parser as _;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::SocketAddr};
use token_service::clock::Clock;
use tokio::net::TcpListener;

/// Why it doesn't start.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What the simulator takes for a key; any of test mode would do.
const STRIPE_KEY: &str = "sk_test_local";

/// The user to try things with.
pub const USER: &str = "demo";

/// Everything, running.
pub struct Running {
    /// The ledger.
    pub tokens: SocketAddr,
    /// Pages and API.
    pub pages: SocketAddr,
    /// Operators.
    pub operators: SocketAddr,
    /// The simulator's pages and API.
    pub stripe_url: String,
    /// Who may open sessions for users.
    pub service_key: String,
    /// A link that signs the user in, once.
    pub link: String,
    token_service: token_service::serve::Running,
    gateway: payments_gateway::serve::Running,
    stripe: stripe_sim::Running,
}

/// Starts everything.
///
/// # Errors
/// A port is taken, or the data can't be used.
pub async fn everything(settings: &Settings) -> Result<Running, Failed> {
    std::fs::create_dir_all(&settings.data_dir)?;
    let stripe = stripe_sim::start(stripe_sim::Settings {
        listen: here(settings.ports.stripe),
        snapshot: Some(settings.data_dir.join("stripe.json")),
        ..stripe_sim::Settings::default()
    })
    .await
    .map_err(|error| taken(settings.ports.stripe, &error))?;
    let stripe_url = stripe.url().to_owned();
    let token_service = token_service(settings).await?;
    let tokens = token_service.address;

    let listener = TcpListener::bind(here(settings.ports.pages)).await;
    let listener = listener.map_err(|error| taken(settings.ports.pages, &error))?;
    let pages = listener.local_addr()?;
    let secret = webhook(&stripe_url, &format!("http://{pages}/webhooks/stripe")).await?;
    let service_key = uuid::Uuid::new_v4().simple().to_string();
    let gateway =
        gateway(settings, listener, (tokens, &stripe_url), (&secret, &service_key)).await?;
    let operators = gateway.operator_address;
    let mut running = Running {
        tokens,
        pages,
        operators,
        stripe_url,
        service_key,
        link: String::new(),
        token_service,
        gateway,
        stripe,
    };
    running.link = running.sign_in(USER).await?;
    Ok(running)
}

/// What to do about a port that can't be had.
fn taken(port: u16, error: &std::io::Error) -> String {
    format!("port {port}: {error}; name others, or take free ones with --ports 0")
}

async fn token_service(settings: &Settings) -> Result<token_service::serve::Running, Failed> {
    let database = match &settings.postgres {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", settings.data_dir.join("ledger.db").display()),
    };
    let keys = settings.data_dir.join("ledger.db.keys");
    let arguments = [
        "token-service".to_owned(),
        format!("--listen={}", here(settings.ports.tokens)),
        format!("--database={database}"),
        format!("--chain-key-file={}", keys.display()),
        format!("--catalog={}", settings.catalog),
    ];
    // What is set for a token-service elsewhere isn't meant for this one.
    let (config, _) =
        token_service::config::Config::from_sources(arguments, &BTreeMap::new(), |path| {
            std::fs::read_to_string(path)
        })
        .map_err(|error| error.to_string())?;
    Ok(token_service::serve::start(&config, Clock::System).await?)
}

async fn gateway(
    settings: &Settings,
    listener: TcpListener,
    (tokens, stripe_url): (SocketAddr, &str),
    (webhook_secret, service_key): (&str, &str),
) -> Result<payments_gateway::serve::Running, Failed> {
    let database = match &settings.postgres {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", settings.data_dir.join("gateway.db").display()),
    };
    let arguments = [
        "payments-gateway".to_owned(),
        format!("--operator-listen={}", here(settings.ports.operators)),
        format!("--database={database}"),
        format!("--catalog={}", settings.catalog),
        format!("--token-service=http://{tokens}"),
        format!("--service-keys=local:{service_key}"),
        format!("--stripe-secret-key={STRIPE_KEY}"),
        "--stripe-publishable-key=pk_test_local".to_owned(),
        format!("--stripe-webhook-secrets={webhook_secret}"),
        format!("--stripe-api-base={stripe_url}"),
        // Who tries things doesn't want to wait.
        "--reconcile-seconds=10".to_owned(),
        "--look-again-seconds=10".to_owned(),
    ];
    let config = payments_gateway::config::Config::try_parse_from(arguments)?;
    Ok(payments_gateway::serve::start_on(&config, listener).await?)
}

/// Tells Stripe where to send events, and learns what it signs them with. An endpoint of the last time is
/// replaced: its secret is told only once.
async fn webhook(stripe_url: &str, url: &str) -> Result<String, Failed> {
    let endpoints = format!("{stripe_url}/v1/webhook_endpoints");
    let listed = call(Method::GET, &endpoints, STRIPE_KEY, "", "").await?;
    for known in listed.pointer("/data").and_then(Value::as_array).into_iter().flatten() {
        if let Some(id) = known.get("id").and_then(Value::as_str) {
            call(Method::DELETE, &format!("{endpoints}/{id}"), STRIPE_KEY, "", "").await?;
        }
    }
    let body = format!("url={url}&enabled_events[]=*");
    let form = "application/x-www-form-urlencoded";
    let made = call(Method::POST, &endpoints, STRIPE_KEY, form, &body).await?;
    let secret = made.get("secret").and_then(Value::as_str);
    Ok(secret.ok_or("the simulator told no webhook secret")?.to_owned())
}

async fn call(
    method: Method,
    url: &str,
    key: &str,
    kind: &str,
    body: &str,
) -> Result<Value, Failed> {
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", kind)
        .body(Full::new(Bytes::from(body.to_owned())))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    if !head.status.is_success() {
        return Err(
            format!("{url} answers {}: {}", head.status, String::from_utf8_lossy(&body)).into()
        );
    }
    Ok(serde_json::from_slice(&body)?)
}

impl Running {
    /// A link that signs a user in, once, within five minutes.
    ///
    /// # Errors
    /// The gateway doesn't answer.
    async fn sign_in(&self, account_id: &str) -> Result<String, Failed> {
        let body = json!({
            "account_id": account_id, "use": "link", "email": "demo@example.com", "name": "Demo",
        });
        let url = format!("http://{}/v1/sessions", self.pages);
        let opened =
            call(Method::POST, &url, &self.service_key, "application/json", &body.to_string())
                .await?;
        Ok(opened.get("url").and_then(Value::as_str).ok_or("no link")?.to_owned())
    }

    /// Ends everything, the gateway first, so that what it has begun is done; whether that worked in time.
    pub async fn stop(self) -> bool {
        let gateway = self.gateway.stop().await;
        let tokens = self.token_service.stop().await;
        if let Err(error) = self.stripe.stop().await {
            tracing::error!(%error, "what the simulator knows can't be written");
        }
        gateway && tokens
    }
}
