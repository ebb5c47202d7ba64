//! Stripe's webhooks: is it Stripe, keep it, say so. Nothing else happens here.

use super::{
    App,
    problem::{Code, Problem},
};
use crate::{
    clock,
    intake::NotKept,
    store::inbox::{NewEvent, STRIPE},
    stripe::event,
};
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// The longest event.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Takes an event: 200 once it is durable, 400 if it isn't Stripe's, 503 if it couldn't be kept.
pub async fn stripe(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let shown = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let now = clock::now();
    if let Err(refusal) = app.secrets.verify(shown, &body, clock::seconds(now)) {
        let words = refusal.to_string();
        app.strangers.note(words.clone());
        return Err(Problem::new(Code::InvalidRequest, words));
    }
    let kept = app.intake.keep(incoming(&body)).await;
    kept.map(|()| StatusCode::OK).map_err(|why| {
        let words = match why {
            NotKept::Full => "too many events are waiting; send it again",
            NotKept::Failed => "it couldn't be stored; send it again",
        };
        Problem::new(Code::Unavailable, words).retry_after(Duration::from_secs(1))
    })
}

/// An event as it came. What can't be read is kept under a name of its own: the same body has the same.
fn incoming(body: &Bytes) -> NewEvent {
    let (event_id, kind) = match event::read(body) {
        Ok(event) => (event.id, event.kind),
        Err(_) => {
            (format!("unreadable_{}", hex::encode(Sha256::digest(body))), "unreadable".into())
        }
    };
    NewEvent { endpoint: STRIPE, event_id, kind, body: body.to_vec() }
}
