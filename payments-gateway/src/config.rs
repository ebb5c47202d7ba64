//! The settings of payments-gateway: flags, or the environment. Their comments are the manual that `--help`
//! prints.

use clap::{Parser, Subcommand};
use http::Uri;
use proto::jwt::{KeySource, NamedSecrets, Secret};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Where money becomes tokens: Stripe's webhooks in, credits out, and the pages that people see.
#[derive(Clone, Debug, Parser)]
#[command(name = "payments-gateway", version)]
#[command(
    after_long_help = "Secrets belong into the environment: other users of a machine can read its \
    command lines. It exits with 64, having done nothing, when the settings make no sense."
)]
pub struct Config {
    /// What to do; without a command it serves.
    #[command(subcommand)]
    pub invocation: Option<Invocation>,

    /// Where to answer HTTP; port 0 takes a free one.
    #[arg(long, env = "PAYMENTS_GATEWAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where to answer operators' gRPC; port 0 takes a free one.
    #[arg(long, env = "PAYMENTS_GATEWAY_OPERATOR_LISTEN", default_value = "127.0.0.1:50052")]
    pub operator_listen: SocketAddr,

    /// How browsers reach this service: `https://…`, or `http://` and a loopback address [default: `http://` and
    /// where it listens].
    #[arg(long, env = "PAYMENTS_GATEWAY_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,

    /// Where purchases and events are kept: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
    /// (version 15 or newer; schema `gateway`; several services may share it).
    #[arg(long, env = "PAYMENTS_GATEWAY_DATABASE", default_value = "sqlite:data/gateway.db")]
    #[arg(value_name = "URL", hide_env_values = true)]
    pub database: Database,

    /// What is sold: phoenix, landscape, domains, vantage, or the path of your own TOML file; the same as
    /// token-service's.
    #[arg(
        long,
        env = "PAYMENTS_GATEWAY_CATALOG",
        default_value = "phoenix",
        value_name = "NAME|FILE"
    )]
    pub catalog: String,

    /// What this deployment is called among those that share an account of Stripe's [default: the catalog's
    /// economy].
    #[arg(long, env = "PAYMENTS_GATEWAY_NAME", value_name = "NAME", value_parser = name)]
    pub name: Option<String>,

    /// Where token-service answers.
    #[arg(long, env = "PAYMENTS_GATEWAY_TOKEN_SERVICE", default_value = "http://127.0.0.1:50051")]
    #[arg(value_name = "URL")]
    pub token_service: String,

    /// What to show token-service: a bearer token with tokens:read and tokens:credit.
    #[arg(long, env = "PAYMENTS_GATEWAY_TOKEN_SERVICE_TOKEN", value_name = "TOKEN")]
    #[arg(hide_env_values = true, value_parser = secret)]
    pub token_service_token: Option<Secret>,

    /// Who may open sessions for users, `id:secret,id2:secret2`; a secret is 32 or more visible characters.
    #[arg(long, env = "PAYMENTS_GATEWAY_SERVICE_KEYS", value_name = "KEYS")]
    #[arg(hide_env_values = true, value_parser = NamedSecrets::for_tokens)]
    pub service_keys: Option<NamedSecrets>,

    /// Secrets that your own tokens for users are signed with (HS256), `id:secret,…`, of 32 or more characters.
    #[arg(long, env = "PAYMENTS_GATEWAY_JWT_SECRETS", value_name = "SECRETS")]
    #[arg(hide_env_values = true, value_parser = NamedSecrets::for_tokens)]
    pub jwt_secrets: Option<NamedSecrets>,

    /// The public keys of your own tokens for users (RS256, ES256, EdDSA), a JSON Web Key Set: a file, or an
    /// https URL.
    #[arg(long, env = "PAYMENTS_GATEWAY_JWT_JWKS", value_name = "FILE|URL")]
    pub jwt_jwks: Option<KeySource>,

    /// Who makes them: what their claim `iss` must be [default: anybody with the key].
    #[arg(long, env = "PAYMENTS_GATEWAY_JWT_ISSUER", value_name = "NAME")]
    pub jwt_issuer: Option<String>,

    /// Whom they are for: what must be in their claim `aud`.
    #[arg(long, env = "PAYMENTS_GATEWAY_JWT_AUDIENCE", default_value = "payments-gateway")]
    #[arg(value_name = "NAME")]
    pub jwt_audience: String,

    /// Secrets that operators' tokens are signed with (HS256; scope `payments:admin`), `id:secret,…`. Without
    /// it operators are answered on loopback only.
    #[arg(long, env = "PAYMENTS_GATEWAY_OPERATOR_JWT_SECRETS", value_name = "SECRETS")]
    #[arg(hide_env_values = true, value_parser = NamedSecrets::for_tokens)]
    pub operator_jwt_secrets: Option<NamedSecrets>,

    /// Seconds between two reconciliations with Stripe.
    #[arg(long, env = "PAYMENTS_GATEWAY_RECONCILE_SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400), value_name = "SECONDS")]
    pub reconcile_seconds: u32,

    /// Seconds after which a purchase that isn't settled is looked at again.
    #[arg(long, env = "PAYMENTS_GATEWAY_LOOK_AGAIN_SECONDS", default_value_t = 120)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400), value_name = "SECONDS")]
    pub look_again_seconds: u32,

    /// Events worked on at a time.
    #[arg(long, env = "PAYMENTS_GATEWAY_WORKERS", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,

    /// A folder whose templates replace the built-in ones, read at each request.
    #[arg(long, env = "PAYMENTS_GATEWAY_TEMPLATES", value_name = "FOLDER")]
    pub templates: Option<PathBuf>,

    /// Connections at a time, in all.
    #[arg(long, env = "PAYMENTS_GATEWAY_CONNECTIONS_MAX", default_value_t = 4_096)]
    pub connections_max: usize,

    /// Connections at a time from one address.
    #[arg(long, env = "PAYMENTS_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX", default_value_t = 1_024)]
    pub connections_per_address_max: usize,

    /// Stripe's secret or restricted key, `sk_…` or `rk_…`; its mode is this deployment's.
    #[arg(long, env = "STRIPE_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    #[arg(value_parser = secret)]
    pub stripe_secret_key: Secret,

    /// Stripe's publishable key, `pk_…`, for payments in your own pages (PaymentIntents).
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY", value_name = "KEY")]
    pub stripe_publishable_key: Option<String>,

    /// Signing secrets of the webhook endpoint, `whsec_…,whsec_…`: every one that is active.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRETS", value_name = "SECRETS", hide_env_values = true)]
    #[arg(value_delimiter = ',', required = true, value_parser = secret)]
    pub stripe_webhook_secrets: Vec<Secret>,

    /// Where Stripe's API answers; a simulator's address, or a proxy's.
    #[arg(
        long,
        env = "STRIPE_API_BASE",
        default_value = "https://api.stripe.com",
        value_name = "URL"
    )]
    #[arg(value_parser = api_base)]
    pub stripe_api_base: String,

    /// The version of Stripe's API that is asked for.
    #[arg(long, env = "STRIPE_API_VERSION", value_name = "VERSION")]
    #[arg(default_value = "2026-09-30.endive")]
    pub stripe_api_version: String,

    /// Promotion codes (`promo_…`) and coupons that are ours, with commas: what they take off is no difference,
    /// and buyers may enter codes.
    #[arg(long, env = "STRIPE_PROMOTION_CODES", value_name = "IDS", value_delimiter = ',')]
    pub stripe_promotion_codes: Vec<String>,

    /// How log lines are written.
    #[arg(long, env = "PAYMENTS_GATEWAY_LOG_FORMAT", default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged: a level, or `target=level` pairs such as `info,sqlx=warn`.
    #[arg(long, env = "PAYMENTS_GATEWAY_LOG", default_value = "info")]
    pub log: String,
}

/// What the process was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Invocation {
    /// Answer until told to stop; what happens without a command.
    Serve,
    /// Ask Stripe who it is talking to, and say what is wrong; exits 1 if something is.
    Check,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Where purchases and events are kept.
#[derive(Clone)]
pub enum Database {
    /// One SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, as a URL with its password.
    Postgres(Secret),
}

impl Database {
    /// What the driver takes.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => {
                let path = path.display().to_string();
                let path = path.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
                format!("sqlite://{path}?mode=rwc")
            }
            Self::Postgres(url) => url.expose().to_owned(),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres"),
        }
    }
}

impl FromStr for Database {
    type Err = String;

    /// The complaint names no part of a URL: it may hold a password.
    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                match path {
                    "" => Err("give a file, sqlite:PATH".to_owned()),
                    path if path.contains(":memory:") => {
                        Err("purchases must outlive the process; give a file, sqlite:PATH"
                            .to_owned())
                    }
                    path => Ok(Self::Sqlite(path.into())),
                }
            }
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(secret_of(url))),
            _ => Err("give sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned()),
        }
    }
}

/// How browsers reach this service, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// That of a service that only this machine can reach.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self(format!("http://{address}"))
    }

    /// `https://host`, or `http://127.0.0.1:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether browsers keep what is sent here from others on the way.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "give a URL such as https://pay.example.com";
        let uri: Uri = text.parse().map_err(|_| wrong)?;
        let host = uri.host().ok_or(wrong)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("give a URL without a path: pages are at its root".to_owned());
        }
        match uri.scheme_str() {
            _ if uri.authority().is_some_and(|it| it.as_str().contains('@')) => {
                return Err("give a URL without a name or password".to_owned());
            }
            Some("https") => {}
            Some("http") if is_loopback(host) => {}
            Some("http") => {
                return Err("people's sessions need https, but on this machine".to_owned());
            }
            _ => return Err(wrong.to_owned()),
        }
        // As browsers write an origin.
        let scheme = uri.scheme_str().unwrap_or_default();
        let port = match (scheme, uri.port_u16()) {
            (_, None) | ("https", Some(443)) | ("http", Some(80)) => String::new(),
            (_, Some(port)) => format!(":{port}"),
        };
        Ok(Self(format!("{scheme}://{}{port}", host.to_lowercase())))
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The longest name of a deployment.
const NAME_CHARS_MAX: usize = 64;

fn name(text: &str) -> Result<String, String> {
    let is_usable = (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-.".contains(&c));
    let wrong = || format!("give 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, _, - and .");
    is_usable.then(|| text.to_owned()).ok_or_else(wrong)
}

fn secret(text: &str) -> Result<Secret, String> {
    let is_usable = !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic());
    is_usable.then(|| secret_of(text)).ok_or_else(|| "give visible characters".to_owned())
}

fn secret_of(text: &str) -> Secret {
    match text.parse() {
        Ok(secret) => secret,
        Err(never) => match never {},
    }
}

fn api_base(text: &str) -> Result<String, String> {
    let wrong = "give a URL such as https://api.stripe.com";
    let uri: Uri = text.parse().map_err(|_| wrong)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) if uri.query().is_none() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(wrong.to_owned()),
    }
}

impl Config {
    /// Promotion codes and coupons that are ours: an empty setting names none.
    #[must_use]
    pub fn promotions(&self) -> Vec<String> {
        let named = self.stripe_promotion_codes.iter().map(|id| id.trim().to_owned());
        named.filter(|id| !id.is_empty()).collect()
    }

    /// Real money? As Stripe's key says.
    ///
    /// # Errors
    /// The key is none of Stripe's.
    pub fn livemode(&self) -> Result<bool, String> {
        let key = self.stripe_secret_key.expose();
        let mode = ["sk_", "rk_"].iter().find_map(|kind| key.strip_prefix(kind));
        match mode.and_then(|rest| rest.split_once('_')) {
            Some(("live", _)) => Ok(true),
            Some(("test", _)) => Ok(false),
            _ => Err("STRIPE_SECRET_KEY must begin with sk_test_, sk_live_, rk_test_ or rk_live_"
                .to_owned()),
        }
    }

    /// What no setting can know about itself alone.
    ///
    /// # Errors
    /// Everything that contradicts something else.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        match self.livemode() {
            Err(why) => problems.push(why),
            Ok(live) => {
                let mode = if live { "pk_live_" } else { "pk_test_" };
                let publishable = self.stripe_publishable_key.as_deref();
                if publishable.is_some_and(|key| !key.starts_with(mode)) {
                    problems.push(format!(
                        "STRIPE_PUBLISHABLE_KEY must begin with {mode}, as STRIPE_SECRET_KEY is of that mode"
                    ));
                }
            }
        }
        if self.livemode() == Ok(true) && !self.stripe_api_base.starts_with("https://") {
            problems.push(
                "STRIPE_API_BASE must be https for a live key, which it would tell everybody"
                    .to_owned(),
            );
        }
        let whsec = |secret: &Secret| secret.expose().starts_with("whsec_");
        if !self.stripe_webhook_secrets.iter().all(whsec) {
            problems.push("each of STRIPE_WEBHOOK_SECRETS must begin with whsec_".to_owned());
        }
        let operators_are_far = !self.operator_listen.ip().to_canonical().is_loopback();
        if operators_are_far && self.operator_jwt_secrets.is_none() {
            problems.push(format!(
                "operator_listen is {}, which other machines can reach: set \
                 PAYMENTS_GATEWAY_OPERATOR_JWT_SECRETS, or listen on 127.0.0.1",
                self.operator_listen
            ));
        }
        let is_far = !self.listen.ip().to_canonical().is_loopback();
        if is_far && self.public_url.is_none() {
            problems.push(format!(
                "listen is {}: say how browsers reach it, PAYMENTS_GATEWAY_PUBLIC_URL=https://…",
                self.listen
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
