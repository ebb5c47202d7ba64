//! The pages that a buyer sees: forms and links that need no script, rendered from the same objects that the
//! API shows. They know the core only through a few functions, and the core knows nothing of them.

mod cards;
mod challenge;
mod checkout;
mod fields;
mod form;
mod invoice;
mod layout;
mod methods;
mod money;
mod portal;
mod read;
mod receipt;
mod typed;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use maud::{Markup, html};
use serde_json::Value;

use crate::json::Look as _;
use crate::kind::Kind;
use crate::server::Shared;
use crate::world::World;

/// More than any of these forms can fill.
const BODY_LIMIT_BYTES: usize = 16 * 1024;

/// What a browser may do with a page: show it, in our style. Whatever isn't named is forbidden, except where
/// a form may lead: browsers hold redirects against `form-action` too, and a payment ends with one to the
/// merchant, who may be anywhere.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'";

/// Sent with every page: it holds what someone typed, and its address is a key.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// The pages' routes.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/c/pay/{session}", get(checkout::show).post(checkout::pay))
        .route("/c/pay/{session}/quantity", post(checkout::change_quantity))
        .route("/c/pay/{session}/promotion", post(checkout::change_promotion))
        .route("/3ds/{intent}", get(challenge::show).post(challenge::answer))
        .route("/p/session/{session}", get(portal::show))
        .route("/p/session/{session}/cancel/{id}", get(portal::ask_to_cancel).post(portal::cancel))
        .route("/p/session/{session}/keep/{id}", post(portal::keep))
        .route("/p/session/{session}/plan/{id}", get(portal::show_plans).post(portal::change_plan))
        .route("/p/session/{session}/methods", get(portal::ask_for_card).post(portal::add_card))
        .route("/p/session/{session}/methods/{id}/default", post(portal::set_default))
        .route("/p/session/{session}/methods/{id}/remove", post(portal::remove_method))
        .route("/i/{invoice}", get(invoice::show).post(invoice::pay))
        .route("/receipts/{charge}", get(receipt::show))
        .layer(map_response(with_headers))
        .route(layout::STYLE_PATH, get(style))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, include_str!("pages/style.css")).into_response()
}

/// Puts the product in place of its id in a price.
fn expand_product(world: &World, price: &mut Value) {
    let product = world.find(read::id(price, "product")).cloned();
    if let (Some(product), Some(shown)) = (product, price.get_mut("product")) {
        *shown = product;
    }
}

/// What a customer has saved, newest first.
fn saved_methods(world: &World, customer: &str) -> Vec<Value> {
    let is_theirs = |method: &&Value| !customer.is_empty() && method.text("customer") == customer;
    world.all(Kind::PaymentMethod).filter(is_theirs).cloned().collect()
}

/// A status as a word in a pill. The colour repeats what the word says, never more.
fn status(name: &str) -> Markup {
    let (mood, word) = match name {
        "active" => ("good", "Active"),
        "paid" => ("good", "Paid"),
        "trialing" => ("good", "Trial"),
        "ending" => ("calm", "Ending"),
        "canceled" => ("calm", "Cancelled"),
        "void" => ("calm", "Void"),
        "paused" => ("calm", "Paused"),
        "draft" => ("calm", "Draft"),
        "open" => ("warn", "Open"),
        "incomplete" => ("warn", "Incomplete"),
        "past_due" => ("bad", "Past due"),
        "unpaid" => ("bad", "Unpaid"),
        "uncollectible" => ("bad", "Uncollectible"),
        other => ("calm", other),
    };
    html! { span class={ "pill " (mood) } { (word) } }
}
