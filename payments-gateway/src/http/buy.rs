//! Buying: purchases, Checkout sessions, PaymentIntents.

use super::{
    App,
    problem::{Code, Described, Problem},
    user::User,
    view::{Asked, Body, Named, Page, PageQuery, PurchaseView},
};
use crate::{
    clock,
    purchases::{Begun, Wish},
    store::purchases::{self, Kind, Purchase},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What to buy: a package, or a number of tokens where the catalog sells any.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// A package's id.
    #[schema(max_length = 64)]
    pub package: Option<String>,
    /// A number of tokens.
    #[schema(minimum = 1)]
    pub tokens: Option<i64>,
}

impl Order {
    /// What is wished for.
    ///
    /// # Errors
    /// Both, or neither.
    pub fn wish(&self) -> Result<Wish, Problem> {
        match (&self.package, self.tokens) {
            (Some(package), None) => Ok(Wish::Package(package.clone())),
            (None, Some(tokens)) => Ok(Wish::Tokens(tokens)),
            (Some(_), Some(_)) | (None, None) => {
                Err(Problem::field("package", "name either a package or a number of tokens"))
            }
        }
    }
}

/// A purchase and where to pay it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CheckoutSession {
    /// The purchase.
    pub purchase: PurchaseView,
    /// Stripe's page; none if the purchase isn't open any more.
    pub url: Option<String>,
    /// RFC 3339: when that page closes.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// A purchase and what Stripe Elements needs to have it paid.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PaymentIntent {
    /// The purchase.
    pub purchase: PurchaseView,
    /// For Stripe Elements; for nobody but the buyer.
    pub client_secret: String,
    /// Which account of Stripe's.
    pub publishable_key: String,
}

/// Your purchases, newest first.
#[utoipa::path(get, path = "/v1/purchases", tag = "purchases", params(PageQuery),
    security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = Page<PurchaseView>),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn purchases(
    State(app): State<App>,
    user: User,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<PurchaseView>>, Problem> {
    let (limit, after) = (page.limit()?, page.after()?);
    let more = limit.saturating_add(1);
    let found = app.store.purchases(Some(&user.account_id), None, after, more).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let next = (found.len() > shown).then(|| found.get(shown.saturating_sub(1))).flatten();
    let next_cursor = next.map(|last| format!("{}-{}", last.created_at, last.id));
    let data = found.iter().take(shown).map(PurchaseView::of).collect();
    Ok(Json(Page { data, next_cursor }))
}

/// A purchase of the one who asks.
///
/// # Errors
/// There is none, or it is somebody else's.
pub async fn own(app: &App, user: &User, id: &str) -> Result<Purchase, Problem> {
    let found = app.store.purchase(purchases::Named::Purchase(id)).await?;
    let own = found.filter(|purchase| purchase.account_id == user.account_id);
    own.ok_or_else(|| Problem::not_found("purchase"))
}

/// One of your purchases.
#[utoipa::path(get, path = "/v1/purchases/{id}", tag = "purchases",
    params(("id" = String, Path, description = "The purchase.")),
    security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = PurchaseView),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, or it is somebody else's.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn purchase(
    State(app): State<App>,
    user: User,
    Named(id): Named<String>,
) -> Result<Json<PurchaseView>, Problem> {
    Ok(Json(PurchaseView::of(&own(&app, &user, &id).await?)))
}

/// Begins a purchase on Stripe's page; a repeated click gets the one that is open.
#[utoipa::path(post, path = "/v1/checkout/sessions", tag = "purchases", request_body = Order,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request: 1 to 255 visible characters.", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    security(("user" = []), ("session" = [])),
    responses((status = 201, description = "Made.", body = CheckoutSession), (status = 200, description = "There already: the one that is open, or that the key stands for.", body = CheckoutSession),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 403, description = "It came from somewhere else, or without the token of the session.", body = Described, content_type = "application/problem+json"),
        (status = 409, description = "The key stands for another request.", body = Described, content_type = "application/problem+json"),
        (status = 413, description = "The body is longer than 64 KiB.", body = Described, content_type = "application/problem+json"),
        (status = 415, description = "The body isn't JSON.", body = Described, content_type = "application/problem+json"),
        (status = 429, description = "Too many purchases: ask again after Retry-After.", body = Described, content_type = "application/problem+json"),
        (status = 502, description = "Stripe doesn't answer, or refuses.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn checkout(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    Body(order): Body<Order>,
) -> Result<(StatusCode, Json<CheckoutSession>), Problem> {
    let key = key(&headers)?;
    let begun = app.purchases.begin(&user.account_id, Kind::Checkout, &order.wish()?, key).await?;
    let status = if begun.reused { StatusCode::OK } else { StatusCode::CREATED };
    let purchase = PurchaseView::of(&begun.purchase);
    let url = purchase.checkout_url.clone();
    let expires_at = begun.purchase.session_expires_at.filter(|_| url.is_some());
    let expires_at = expires_at.map(clock::rfc3339);
    Ok((status, Json(CheckoutSession { purchase, url, expires_at })))
}

/// Gives a purchase up: its page is closed, unless it was paid meanwhile.
#[utoipa::path(post, path = "/v1/checkout/sessions/{purchase}/cancel", tag = "purchases",
    params(("purchase" = String, Path, description = "The purchase.")),
    security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = PurchaseView),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 403, description = "It came from somewhere else, or without the token of the session.", body = Described, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, or it is somebody else's.", body = Described, content_type = "application/problem+json"),
        (status = 502, description = "Stripe doesn't answer, or refuses.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn cancel(
    State(app): State<App>,
    user: User,
    Named(id): Named<String>,
) -> Result<Json<PurchaseView>, Problem> {
    let purchase = own(&app, &user, &id).await?;
    Ok(Json(PurchaseView::of(&app.purchases.cancel(purchase).await?)))
}

/// Begins a purchase in your own page, with Stripe Elements.
#[utoipa::path(post, path = "/v1/payment-intents", tag = "purchases", request_body = Order,
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the request: 1 to 255 visible characters.", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    security(("user" = []), ("session" = [])),
    responses((status = 201, description = "Made.", body = PaymentIntent), (status = 200, description = "There already: the one that the key stands for.", body = PaymentIntent),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 403, description = "It came from somewhere else, or without the token of the session.", body = Described, content_type = "application/problem+json"),
        (status = 404, description = "There is no such thing, or it is somebody else's.", body = Described, content_type = "application/problem+json"),
        (status = 409, description = "The key stands for another request.", body = Described, content_type = "application/problem+json"),
        (status = 413, description = "The body is longer than 64 KiB.", body = Described, content_type = "application/problem+json"),
        (status = 415, description = "The body isn't JSON.", body = Described, content_type = "application/problem+json"),
        (status = 429, description = "Too many purchases: ask again after Retry-After.", body = Described, content_type = "application/problem+json"),
        (status = 502, description = "Stripe doesn't answer, or refuses.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn payment_intent(
    State(app): State<App>,
    user: User,
    headers: HeaderMap,
    Body(order): Body<Order>,
) -> Result<(StatusCode, Json<PaymentIntent>), Problem> {
    let publishable_key = app.publishable_key.as_deref().ok_or_else(|| {
        let detail =
            "PaymentIntents need STRIPE_PUBLISHABLE_KEY; use /v1/checkout/sessions instead";
        Problem::new(Code::NotFound, detail)
    })?;
    let (wish, key) = (order.wish()?, key(&headers)?);
    let begun = app.purchases.begin(&user.account_id, Kind::PaymentIntent, &wish, key).await?;
    let Begun { purchase, object, reused } = begun;
    let secret = object.as_ref().and_then(|it| it.get("client_secret")).and_then(Value::as_str);
    let client_secret = secret.ok_or_else(|| {
        Problem::new(
            Code::StripeUnavailable,
            "the payment service gave no client secret; ask again",
        )
    })?;
    let status = if reused { StatusCode::OK } else { StatusCode::CREATED };
    let purchase = PurchaseView::of(&purchase);
    let (client_secret, publishable_key) = (client_secret.to_owned(), publishable_key.to_owned());
    Ok((status, Json(PaymentIntent { purchase, client_secret, publishable_key })))
}

/// The caller's key.
fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok();
    let is_usable =
        |key: &&str| (1..=255).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_graphic());
    let wrong = || Problem::field("Idempotency-Key", "give 1 to 255 visible ASCII characters");
    key.filter(is_usable).map(Some).ok_or_else(wrong)
}
