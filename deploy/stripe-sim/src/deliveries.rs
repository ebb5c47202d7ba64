//! Webhooks on their way: which event goes to which endpoint, when, signed how, and how it went.
//!
//! Everything here is decided under the world's lock; [`crate::sender`] only carries what it is handed.

use crate::{json::Look as _, kind::Kind, render::shown, versions, world::World};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};

/// Deliveries remembered: finished ones are forgotten oldest first.
pub(crate) const DELIVERIES_MAX: usize = 50_000;

/// Seconds between tries: three days in all. Stripe doesn't publish its own.
const RETRY_SECONDS: [i64; 8] = [5, 60, 600, 3_600, 21_600, 43_200, 86_400, 86_400];

/// How far back a stale signature lies.
const STALE_SECONDS: i64 = 600;

/// The most that shuffling holds a delivery back, so that others overtake it.
const SHUFFLE_SECONDS: i64 = 2;

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Sending,
    Delivered,
    Failed,
    Dropped,
}

/// An event for an endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: u64,
    pub(crate) event: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) endpoint: String,
    pub(crate) url: String,
    pub(crate) attempt: usize,
    pub(crate) due: i64,
    pub(crate) state: State,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) signature: Option<String>,
}

/// How webhooks travel, as `POST /_sim/weather` describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Weather {
    pub(crate) drop: f64,
    pub(crate) duplicate: f64,
    pub(crate) copies: u32,
    pub(crate) delay: f64,
    pub(crate) delay_seconds: (i64, i64),
    pub(crate) shuffle: bool,
    pub(crate) signature: Signature,
    pub(crate) livemode: bool,
    pub(crate) api_version: Option<String>,
    pub(crate) types: Vec<String>,
}

impl Default for Weather {
    fn default() -> Self {
        Self {
            drop: 0.0,
            duplicate: 0.0,
            copies: 1,
            delay: 0.0,
            delay_seconds: (0, 0),
            shuffle: false,
            signature: Signature::Good,
            livemode: false,
            api_version: None,
            types: vec!["*".to_owned()],
        }
    }
}

/// The longest delay.
const DELAY_SECONDS_MAX: i64 = 30 * 86_400;

/// Copies of one delivery, at most.
const COPIES_MAX: u32 = 20;

impl Weather {
    /// What is wrong with it, if anything.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        let is_probability = |number: f64| (0.0..=1.0).contains(&number);
        if ![self.drop, self.duplicate, self.delay].into_iter().all(is_probability) {
            return Some("drop, duplicate and delay are numbers from 0 to 1");
        }
        if self.copies > COPIES_MAX {
            return Some("copies are at most 20");
        }
        let (least, most) = self.delay_seconds;
        let are_seconds = 0 <= least && least <= most && most <= DELAY_SECONDS_MAX;
        (!are_seconds).then_some("delay_seconds is [least, most], and 30 days at most")
    }

    fn is_about(&self, kind: &str) -> bool {
        self.types.iter().any(|pattern| fits(pattern, kind))
    }
}

/// How deliveries are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Signature {
    #[default]
    Good,
    Bad,
    Stale,
    None,
}

/// All deliveries, and the weather.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    /// When, and which.
    waiting: BTreeSet<(i64, u64)>,
    on_the_way: BTreeSet<u64>,
    next: u64,
    pub(crate) weather: Weather,
}

impl Outbox {
    /// Is anything due, or on its way?
    pub(crate) fn is_settled(&self, now: i64) -> bool {
        self.on_the_way.is_empty() && self.waiting.first().is_none_or(|(due, _)| *due > now)
    }

    /// What was on its way when a snapshot was taken is sent again.
    pub(crate) fn revive(&mut self) {
        for id in std::mem::take(&mut self.on_the_way) {
            if let Some(mut delivery) = self.deliveries.remove(&id) {
                delivery.state = State::Pending;
                self.put(delivery);
            }
        }
    }

    fn put(&mut self, delivery: Delivery) {
        if delivery.state == State::Pending {
            self.waiting.insert((delivery.due, delivery.id));
        }
        self.deliveries.insert(delivery.id, delivery);
        if self.deliveries.len() > DELIVERIES_MAX {
            let is_over =
                |delivery: &Delivery| !matches!(delivery.state, State::Pending | State::Sending);
            let finished =
                self.deliveries.values().find(|delivery| is_over(delivery)).map(|found| found.id);
            finished.and_then(|id| self.deliveries.remove(&id));
        }
    }

    /// For the journal: it isn't sent after all.
    pub(crate) fn recall(&mut self, id: u64) {
        if let Some(delivery) = self.deliveries.remove(&id) {
            self.waiting.remove(&(delivery.due, id));
        }
    }
}

/// A delivery, ready to be carried.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) id: u64,
    /// Of which world: see [`World::generation`].
    pub(crate) generation: u64,
    pub(crate) url: String,
    pub(crate) body: String,
    pub(crate) signature: Option<String>,
}

/// Does an event's type fit `charge.*`, `*`, or its own name?
pub(crate) fn fits(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => pattern == kind,
    }
}

/// Sends an event to every endpoint that wants it.
pub(crate) fn send_event(world: &mut World, event: &str) {
    let kind = world.get(event).text("type").to_owned();
    let endpoints: Vec<_> = world
        .all(Kind::WebhookEndpoint)
        .filter(|endpoint| endpoint.text("status") == "enabled")
        .filter(|endpoint| {
            endpoint
                .items("enabled_events")
                .iter()
                .filter_map(Value::as_str)
                .any(|wanted| fits(wanted, &kind))
        })
        .map(|endpoint| endpoint.text("id").to_owned())
        .collect();
    world.set(event, |event| event["pending_webhooks"] = json!(endpoints.len()));
    for endpoint in endpoints {
        send(world, event, &endpoint);
    }
}

/// Sends an event to an endpoint, as the weather has it.
pub(crate) fn send(world: &mut World, event: &str, endpoint: &str) {
    let mut dice = world.chance();
    let weather = world.outbox.weather.clone();
    let kind = world.get(event).text("type").to_owned();
    let url = world.get(endpoint).text("url").to_owned();
    let is_rough = weather.is_about(&kind);
    let copies = if is_rough && dice.f64() < weather.duplicate { weather.copies } else { 0 };
    for _ in 0..=copies {
        let mut due = world.now;
        if is_rough && dice.f64() < weather.delay {
            due += dice.i64(weather.delay_seconds.0..=weather.delay_seconds.1);
        }
        if is_rough && weather.shuffle {
            due += dice.i64(0..=SHUFFLE_SECONDS);
        }
        let is_dropped = is_rough && dice.f64() < weather.drop;
        world.outbox.next += 1;
        let delivery = Delivery {
            id: world.outbox.next,
            event: event.to_owned(),
            kind: kind.clone(),
            endpoint: endpoint.to_owned(),
            url: url.clone(),
            attempt: 0,
            due,
            state: if is_dropped { State::Dropped } else { State::Pending },
            status: None,
            error: None,
            signature: None,
        };
        if let Some(journal) = &mut world.journal {
            journal.send(delivery.id);
        }
        world.outbox.put(delivery);
    }
}

/// Takes what is due, in order, at most so many.
pub(crate) fn take_due(world: &mut World, most: usize, machine_now: i64) -> Vec<Parcel> {
    let now = world.now;
    let due = world.outbox.waiting.range(..(now + 1, 0)).take(most);
    let mut due: Vec<_> = due.copied().collect();
    for key in &due {
        world.outbox.waiting.remove(key);
    }
    if world.outbox.weather.shuffle {
        world.chance().shuffle(&mut due);
    }
    due.into_iter().filter_map(|(_, id)| pack(world, id, machine_now)).collect()
}

fn pack(world: &mut World, id: u64, machine_now: i64) -> Option<Parcel> {
    let delivery = world.outbox.deliveries.get(&id)?.clone();
    let endpoint = world.get(&delivery.endpoint).clone();
    if endpoint.text("status") != "enabled" {
        finish(world, id, State::Failed, Some("the endpoint is disabled or deleted".to_owned()));
        return None;
    }
    let weather = world.outbox.weather.clone();
    let weather = if weather.is_about(&delivery.kind) { weather } else { Weather::default() };
    let version = weather.api_version.clone();
    let version = version.or_else(|| endpoint.opt("api_version").map(str::to_owned));
    let Some(event) = world.find(&delivery.event) else {
        finish(
            world,
            id,
            State::Failed,
            Some("the event was forgotten: there were too many".to_owned()),
        );
        return None;
    };
    let mut event = shown(event);
    if let Some(version) = version {
        let object = event["data"]["object"].take();
        event["data"]["object"] = versions::render(world, object, &version);
        event["api_version"] = json!(version);
    }
    if weather.livemode {
        event["livemode"] = json!(true);
        event["data"]["object"]["livemode"] = json!(true);
    }
    let body = serde_json::to_string_pretty(&event).ok()?;
    let secrets = secrets(&endpoint, world.now);
    let signature = match weather.signature {
        Signature::Good => Some(sign(&secrets, machine_now, &body)),
        Signature::Stale => Some(sign(&secrets, machine_now - STALE_SECONDS, &body)),
        Signature::Bad => Some(sign(&["whsec_wrong"], machine_now, &body)),
        Signature::None => None,
    };
    let delivery = world.outbox.deliveries.get_mut(&id)?;
    delivery.state = State::Sending;
    delivery.attempt += 1;
    delivery.signature.clone_from(&signature);
    world.outbox.on_the_way.insert(id);
    let generation = world.generation;
    Some(Parcel { id, generation, url: endpoint.text("url").to_owned(), body, signature })
}

/// The secrets that sign now: the newest first, an older one while its rotation lasts.
fn secrets(endpoint: &Value, now: i64) -> Vec<&str> {
    let secrets = endpoint.items("_secrets").iter();
    let valid =
        secrets.filter(|secret| secret.at("until").as_i64().is_none_or(|until| until > now));
    valid.map(|secret| secret.text("secret")).collect()
}

fn sign(secrets: &[&str], at: i64, body: &str) -> String {
    let mut header = format!("t={at}");
    for secret in secrets {
        header.push_str(",v1=");
        header.push_str(&hmac(secret, at, body));
    }
    // In test mode Stripe adds a signature of a scheme that nobody may accept.
    header.push_str(",v0=");
    header.push_str(&hmac("whsec_test_mode", at, body));
    header
}

fn hmac(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// What became of a parcel: a status, or why there is none.
pub(crate) fn carried(
    world: &mut World,
    (id, generation): (u64, u64),
    answer: Result<u16, String>,
) {
    if generation != world.generation {
        return;
    }
    world.outbox.on_the_way.remove(&id);
    let now = world.now;
    let Some(delivery) = world.outbox.deliveries.get_mut(&id) else { return };
    let (event, attempt) = (delivery.event.clone(), delivery.attempt);
    delivery.status = answer.as_ref().ok().copied();
    if let Ok(200..300) = answer {
        let endpoint = delivery.endpoint.clone();
        finish(world, id, State::Delivered, None);
        world.set(&event, |event| {
            // A copy that arrives isn't another one that was waited for.
            if !event.items("_delivered").iter().any(|before| *before == endpoint) {
                let delivered = event.items("_delivered").iter().cloned();
                event["_delivered"] = delivered.chain([json!(endpoint)]).collect();
                event["pending_webhooks"] = json!((event.int("pending_webhooks") - 1).max(0));
            }
        });
        return;
    }
    let error = match answer {
        Ok(status) => format!("answered {status}"),
        Err(error) => error,
    };
    let Some(pause) = attempt.checked_sub(1).and_then(|done| RETRY_SECONDS.get(done)) else {
        return finish(world, id, State::Failed, Some(error));
    };
    if let Some(mut delivery) = world.outbox.deliveries.remove(&id) {
        delivery.state = State::Pending;
        delivery.due = now + pause;
        delivery.error = Some(error);
        world.outbox.put(delivery);
    }
}

fn finish(world: &mut World, id: u64, state: State, error: Option<String>) {
    if let Some(delivery) = world.outbox.deliveries.get_mut(&id) {
        delivery.state = state;
        delivery.error = error;
    }
}
