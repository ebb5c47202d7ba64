//! Every route and layer, on one screen.
//!
//! ```text
//!  listener ─▶ whole (body read, a task of its own, 30 s, one line in the log) ─▶ route ─▶ who asks ─▶ handler
//! ```
//!
//! A request is worked on in a task that isn't cancelled when its client goes away: transactions are opened in
//! there, see [`crate::store`].

pub mod api;
pub mod buy;
pub mod listener;
pub mod page;
pub mod pages;
pub mod problem;
pub mod sessions;
pub mod strangers;
pub mod user;
pub mod view;
pub mod webhook;
pub mod whole;
pub mod words;

use crate::{
    config::PublicUrl, intake::Intake, ledger::Ledger, purchases::Purchases, store::Store,
    stripe::signature::Secrets,
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use pages::Pages;
use problem::{Code, Problem};
use proto::catalog::Catalog;
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use strangers::Strangers;
use tokio::time::timeout;
use user::{Schemes, Users};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What every handler may need.
#[derive(Clone)]
pub struct App {
    /// Where purchases and events are kept.
    pub store: Store,
    /// The door into the inbox.
    pub intake: Intake,
    /// token-service.
    pub ledger: Ledger,
    /// Who begins purchases.
    pub purchases: Purchases,
    /// What is sold.
    pub catalog: Arc<Catalog>,
    /// Its version.
    pub catalog_version: Arc<str>,
    /// Who asks.
    pub users: Arc<Users>,
    /// What people see.
    pub pages: Arc<Pages>,
    /// How browsers reach us.
    pub public_url: Arc<PublicUrl>,
    /// What webhooks are signed with.
    pub secrets: Arc<Secrets>,
    /// Who claims to be Stripe, and isn't.
    pub strangers: Strangers,
    /// Stripe's key for browsers.
    pub publishable_key: Option<Arc<str>>,
    /// Real money?
    pub livemode: bool,
}

/// The longest body of a call.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The API's description.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "payments-gateway",
        description = "Buying tokens, and what became of them. Errors are RFC 9457 problems."
    ),
    modifiers(&Schemes),
    tags((name = "catalog"), (name = "account"), (name = "purchases"), (name = "sessions"))
)]
struct Description;

/// The description, as it is served.
static DESCRIPTION: LazyLock<utoipa::openapi::OpenApi> =
    LazyLock::new(|| api_routes().split_for_parts().1);

/// Routes that programs call: what is here is described.
fn api_routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(api::packages))
        .routes(routes!(api::balance))
        .routes(routes!(api::transactions))
        .routes(routes!(api::usage))
        .routes(routes!(api::stats))
        .routes(routes!(buy::purchases))
        .routes(routes!(buy::purchase))
        .routes(routes!(buy::checkout))
        .routes(routes!(buy::cancel))
        .routes(routes!(buy::payment_intent))
        .routes(routes!(sessions::open))
        .routes(routes!(sessions::current, sessions::end))
}

/// Everything that is answered.
pub fn router(app: App) -> Router {
    let (api, _) = api_routes().split_for_parts();
    let secure = app.public_url.is_secure();
    api.route("/openapi.json", get(|| async { Json(&*DESCRIPTION) }))
        .route(
            "/webhooks/stripe",
            post(webhook::stripe).layer(DefaultBodyLimit::max(webhook::BODY_BYTES_MAX)),
        )
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/", get(page::front))
        .route("/tokens/buy", get(page::buy::show).post(page::buy::begin))
        .route("/tokens/success", get(page::after::success))
        .route("/tokens/cancel", get(page::after::cancel).post(page::after::give_up))
        .route("/account", get(page::account::show))
        .route("/session/{code}", get(page::account::enter).head(sessions::peek))
        .route("/session/end", post(page::account::sign_out))
        .route("/assets/{name}", get(pages::asset))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::map_response(move |answer| guarded(answer, secure)))
        .with_state(app)
}

/// What browsers are told about every answer.
async fn guarded(mut answer: Response, secure: bool) -> Response {
    let headers = answer.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`: with that a form's POST says `Origin: null`, which is nobody's.
    say(header::REFERRER_POLICY, "same-origin");
    say(header::X_FRAME_OPTIONS, "DENY");
    say(header::CACHE_CONTROL, "no-store");
    say(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    if secure {
        say(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    answer
}

async fn nothing() -> Problem {
    Problem::new(Code::NotFound, "there is nothing at this address; see /openapi.json")
}

async fn not_so() -> Problem {
    Problem::new(Code::MethodNotAllowed, "this address takes other methods; see /openapi.json")
}

/// How long whoever is asked has to answer.
const READY_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether requests make sense: the database and token-service answer, and both services go by one catalog.
async fn ready(State(app): State<App>) -> Response {
    let asked = timeout(READY_TIMEOUT, async {
        app.store.ping().await.map_err(|error| error.to_string())?;
        app.ledger.may_credit().await.map_err(|error| error.to_string())?;
        let theirs = app.ledger.catalog_version().await.map_err(|error| error.to_string())?;
        if theirs == *app.catalog_version {
            return Ok(());
        }
        Err(format!(
            "token-service goes by another catalog ({theirs}) than we do ({}): start both with the same",
            app.catalog_version
        ))
    });
    match asked.await.unwrap_or_else(|_| Err(format!("no answer within {READY_TIMEOUT:?}"))) {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
