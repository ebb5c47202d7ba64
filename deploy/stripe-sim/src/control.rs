//! `/_sim`: what moves the simulator itself, in JSON and without a key.

use crate::{
    clock::Frozen,
    deliveries::{self, Weather},
    fail::Fail,
    faults::{FAULTS_MAX, Fault, Faults},
    idempotency,
    json::Look as _,
    kind::Kind,
    resources::{challenge, disputes, refunds, webhooks},
    server::{self, Shared},
    world::{EVENTS_MAX, OBJECTS_MAX, World},
};
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

/// Deliveries shown.
const SHOWN_MAX: usize = 1_000;

/// How long may be waited for deliveries.
const PATIENCE_MS_MAX: u64 = 120_000;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(status))
        .route("/clock", get(clock).post(move_clock))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/weather", get(weather).post(set_weather).delete(clear_weather))
        .route("/deliveries", get(deliveries))
        .route("/settle", post(settle))
        .route("/events/{id}/resend", post(resend))
        .route("/webhook_endpoints/{id}/rotate", post(rotate))
        .route("/challenges/{id}", post(answer_challenge))
        .route("/disputes", post(open_dispute))
        .route("/disputes/{id}", post(move_dispute))
        .route("/early_fraud_warnings", post(warn))
        .route("/refunds/{id}", post(settle_refund))
        .route("/reset", post(reset))
        .route("/snapshot", get(snapshot).post(write_snapshot))
}

/// An answer, or what was wrong with the question.
type Told = Result<Value, Fail>;

fn tell(told: Told) -> Response {
    let (status, body) = match told {
        Ok(body) => (StatusCode::OK, body),
        Err(fail) => {
            let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, json!({ "error": fail.to_json() }))
        }
    };
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A body, or `{}` where there is none.
fn asked<T: DeserializeOwned>(body: &Bytes) -> Result<T, Fail> {
    let text = if body.is_empty() { b"{}" } else { body.as_ref() };
    serde_json::from_slice(text)
        .map_err(|error| Fail::request(format!("The body isn't what this call takes: {error}")))
}

/// Reads a body, does what it asks for under the lock, and tells.
fn act<T: DeserializeOwned>(
    shared: &Shared,
    body: &Bytes,
    act: impl FnOnce(&mut World, T) -> Told,
) -> Response {
    tell(asked::<T>(body).and_then(|asked| shared.attempt(|world| act(world, asked))))
}

async fn status(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with_kept(|kept| {
        let world = &kept.world;
        let counts = [
            Kind::Charge, Kind::CheckoutSession, Kind::Customer, Kind::Dispute, Kind::Event, Kind::Invoice,
            Kind::PaymentIntent, Kind::Refund, Kind::Subscription, Kind::WebhookEndpoint,
        ];
        let counts: Value = counts.iter().map(|kind| (kind.object().to_owned(), json!(world.count(*kind)))).collect();
        json!({
            "now": world.now, "frozen": kept.clock.is_frozen(), "seed": world.seed, "kept": counts,
            "deliveries": world.outbox.deliveries.len(), "idempotency_keys": world.keys.len(),
            "limits": {
                "objects": OBJECTS_MAX, "events": EVENTS_MAX, "deliveries": deliveries::DELIVERIES_MAX,
                "idempotency_keys": idempotency::KEYS_MAX, "faults": FAULTS_MAX,
            },
        })
    })))
}

async fn clock(State(shared): State<Shared>) -> Response {
    tell(Ok(
        shared.with_kept(|kept| json!({ "now": kept.world.now, "frozen": kept.clock.is_frozen() }))
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    advance: Option<i64>,
    to: Option<i64>,
    frozen: Option<bool>,
}

/// The clock goes no further than this at once: ten years of renewals are a lot.
const ADVANCE_SECONDS_MAX: i64 = 10 * 366 * 86_400;

async fn move_clock(State(shared): State<Shared>, body: Bytes) -> Response {
    tell(asked::<Move>(&body).and_then(|asked| shared.with_kept(|kept| {
        let now = kept.clock.now();
        let to = asked.to.unwrap_or(now).saturating_add(asked.advance.unwrap_or(0));
        if to < now || to > now + ADVANCE_SECONDS_MAX {
            return Err(Fail::request(format!("The clock goes forward only, and ten years at most: it is {now}.")));
        }
        if let Some(frozen) = asked.frozen {
            kept.clock.freeze(Frozen::from(frozen));
        }
        kept.world.happened = Some(Vec::new());
        kept.clock.set(to);
        let passed = kept.world.pass_until(to);
        let happened = kept.world.happened.take();
        passed?;
        Ok(json!({ "now": kept.world.now, "frozen": kept.clock.is_frozen(), "happened": happened }))
    })))
}

async fn faults(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with(|world| json!({ "data": world.faults.waiting }))))
}

async fn add_fault(State(shared): State<Shared>, body: Bytes) -> Response {
    act(&shared, &body, |world, fault: Fault| {
        if let Some(complaint) = fault.complaint() {
            return Err(Fail::request(complaint));
        }
        if world.faults.waiting.len() >= FAULTS_MAX {
            let said = format!("There are {FAULTS_MAX} faults already: DELETE /_sim/faults.");
            return Err(Fail::request(said));
        }
        world.faults.waiting.push(fault);
        Ok(json!({ "data": world.faults.waiting }))
    })
}

async fn clear_faults(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with(|world| {
        world.faults = Faults::default();
        json!({ "data": [] })
    })))
}

async fn weather(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with(|world| json!(world.outbox.weather))))
}

async fn set_weather(State(shared): State<Shared>, body: Bytes) -> Response {
    act(&shared, &body, |world, weather: Weather| {
        if let Some(complaint) = weather.complaint() {
            return Err(Fail::request(complaint));
        }
        world.outbox.weather = weather;
        Ok(json!(world.outbox.weather))
    })
}

async fn clear_weather(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with(|world| {
        world.outbox.weather = Weather::default();
        json!(world.outbox.weather)
    })))
}

async fn deliveries(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with(|world| {
        let newest: Vec<_> = world.outbox.deliveries.values().rev().take(SHOWN_MAX).collect();
        json!({ "data": newest })
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    timeout_ms: Option<u64>,
}

async fn settle(State(shared): State<Shared>, body: Bytes) -> Response {
    let patience = match asked::<Patience>(&body) {
        Ok(patience) => patience.timeout_ms.unwrap_or(5_000).min(PATIENCE_MS_MAX),
        Err(fail) => return tell(Err(fail)),
    };
    let settled = server::settle(&shared, Duration::from_millis(patience)).await;
    tell(Ok(json!({ "settled": settled })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resend {
    endpoint: Option<String>,
}

async fn resend(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Response {
    act(&shared, &body, |world, asked: Resend| {
        world.need(Kind::Event, &id, "id")?;
        let endpoints = match asked.endpoint {
            Some(endpoint) => vec![
                world.need(Kind::WebhookEndpoint, &endpoint, "endpoint")?.text("id").to_owned(),
            ],
            None => world
                .all(Kind::WebhookEndpoint)
                .map(|endpoint| endpoint.text("id").to_owned())
                .collect(),
        };
        for endpoint in &endpoints {
            deliveries::send(world, &id, endpoint);
        }
        Ok(json!({ "sent": endpoints }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    overlap: Option<i64>,
}

async fn rotate(State(shared): State<Shared>, Path(id): Path<String>, body: Bytes) -> Response {
    const OVERLAP_SECONDS: i64 = 86_400;
    act(&shared, &body, |world, asked: Rotate| {
        let overlap = asked.overlap.unwrap_or(OVERLAP_SECONDS);
        webhooks::rotate(world, &id, overlap).map(|secret| json!({ "secret": secret }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChallengeAnswer {
    passed: bool,
}

async fn answer_challenge(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    act(&shared, &body, |world, asked: ChallengeAnswer| {
        let next = challenge::answer(world, &id, asked.passed)?;
        Ok(json!({ "next": next, "status": world.get(&id).at("status") }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenDispute {
    charge: Option<String>,
    payment_intent: Option<String>,
    amount: Option<i64>,
    reason: Option<String>,
    #[serde(default)]
    inquiry: bool,
}

async fn open_dispute(State(shared): State<Shared>, body: Bytes) -> Response {
    act(&shared, &body, |world, asked: OpenDispute| {
        let charge = charge(world, asked.charge.as_deref(), asked.payment_intent.as_deref())?;
        if world.get(&charge).flag("disputed") {
            return Err(Fail::param(
                "charge",
                "This charge was disputed already: banks do so once.",
            ));
        }
        let paid = world.get(&charge).int("amount_captured");
        if asked.amount.is_some_and(|amount| !(1..=paid).contains(&amount)) {
            return Err(Fail::param(
                "amount",
                format!("A dispute is about 1 to {paid} of this charge."),
            ));
        }
        let weight =
            if asked.inquiry { disputes::Weight::Inquiry } else { disputes::Weight::Dispute };
        let reason = asked.reason.as_deref().unwrap_or("fraudulent");
        let id = disputes::open(world, &charge, asked.amount, reason, weight);
        Ok(crate::render::as_kept(world, &id))
    })
}

/// A paid charge, by its id or its intent's.
fn charge(world: &World, charge: Option<&str>, intent: Option<&str>) -> Result<String, Fail> {
    let intent = intent
        .map(|intent| world.need(Kind::PaymentIntent, intent, "payment_intent"))
        .transpose()?;
    let id =
        charge.or_else(|| intent?.opt("latest_charge")).ok_or_else(|| Fail::missing("charge"))?;
    let charge = world.need(Kind::Charge, id, "charge")?;
    if charge.flag("paid") {
        Ok(id.to_owned())
    } else {
        Err(Fail::param("charge", format!("{id} isn't paid.")))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: String,
}

async fn move_dispute(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    act(&shared, &body, |world, asked: Status| {
        disputes::move_on(world, &id, &asked.status)?;
        Ok(crate::render::as_kept(world, &id))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Warn {
    charge: Option<String>,
    payment_intent: Option<String>,
}

async fn warn(State(shared): State<Shared>, body: Bytes) -> Response {
    act(&shared, &body, |world, asked: Warn| {
        let charge = charge(world, asked.charge.as_deref(), asked.payment_intent.as_deref())?;
        let id = disputes::warn(world, &charge);
        Ok(crate::render::as_kept(world, &id))
    })
}

async fn settle_refund(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    act(&shared, &body, |world, asked: Status| {
        let from = world.need(Kind::Refund, &id, "id")?.text("status").to_owned();
        if !refunds::settle(world, &id, Some(&asked.status)) {
            return Err(Fail::param(
                "status",
                format!("A refund can't go from {from} to {}.", asked.status),
            ));
        }
        Ok(crate::render::as_kept(world, &id))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    seed: Option<u64>,
}

async fn reset(State(shared): State<Shared>, body: Bytes) -> Response {
    tell(asked::<Reset>(&body).map(|asked| {
        shared.with_kept(|kept| {
            let seed = asked.seed.unwrap_or(kept.world.seed);
            kept.clock = crate::clock::Clock::default();
            let generation = kept.world.generation + 1;
            kept.world = World::new(seed, kept.clock.now(), kept.world.public_url.clone());
            kept.world.generation = generation;
            json!({ "seed": seed, "now": kept.world.now })
        })
    }))
}

async fn snapshot(State(shared): State<Shared>) -> Response {
    tell(Ok(shared.with_kept(|kept| json!(kept))))
}

async fn write_snapshot(State(shared): State<Shared>) -> Response {
    tell(match server::write(&shared) {
        Ok(Some(file)) => Ok(json!({ "file": file })),
        Ok(None) => Err(Fail::request(
            "Start the simulator with --snapshot FILE to have a place to write to.",
        )),
        Err(error) => Err(Fail::trouble(500, format!("The snapshot wasn't written: {error}"))),
    })
}
