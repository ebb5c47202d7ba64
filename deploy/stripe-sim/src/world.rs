//! Everything that is kept: objects by id, what falls due when, and the doors through which both change.
//!
//! An object is the JSON that Stripe would show, so that lists, expansion, events and snapshots are one
//! piece of code for all kinds. Members that begin with an underscore are ours: a card's number, whose
//! session an intent belongs to. They never leave. Whatever changes, changes under one lock and at one
//! time, and says so by an event.

use crate::{
    deliveries::Outbox,
    fail::{Answer, Fail},
    faults::Faults,
    idempotency::Keys,
    journal::Journal,
    json::{Look as _, difference},
    kind::Kind,
    params::Params,
    skeleton,
    timers::{Happened, Timer},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The version of Stripe's API that is simulated.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// Objects kept, of all kinds but events. A purchase makes about ten.
pub(crate) const OBJECTS_MAX: usize = 100_000;

/// Events kept: the oldest are forgotten, as Stripe's are after 30 days.
pub(crate) const EVENTS_MAX: usize = 50_000;

/// Days for which events are kept.
pub(crate) const EVENT_SECONDS: i64 = 30 * 86_400;

/// Elements of a page, at most, and unless told.
const PAGE_MAX: i64 = 100;
const PAGE: i64 = 10;

/// All of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct World {
    /// Unix seconds, as the simulated clock has them.
    pub(crate) now: i64,
    /// How browsers reach the pages.
    pub(crate) public_url: String,
    pub(crate) seed: u64,
    dice: u64,
    chance: u64,
    objects: HashMap<String, Value>,
    order: BTreeMap<Kind, VecDeque<String>>,
    pub(crate) timers: BTreeMap<i64, Vec<Timer>>,
    pub(crate) outbox: Outbox,
    pub(crate) faults: Faults,
    pub(crate) keys: Keys,
    /// The call whose doing everything is at the moment: its id, and its idempotency key.
    #[serde(skip)]
    pub(crate) cause: (Option<String>, Option<String>),
    /// What timers did, while somebody wants to know.
    #[serde(skip)]
    pub(crate) happened: Option<Vec<Happened>>,
    #[serde(skip)]
    pub(crate) journal: Option<Journal>,
    /// Which world this is: a reset makes another one, and what was under way in this one is nobody's.
    #[serde(skip)]
    pub(crate) generation: u64,
}

impl World {
    /// An empty one.
    pub(crate) fn new(seed: u64, now: i64, public_url: String) -> Self {
        Self {
            now,
            public_url,
            seed,
            dice: seed,
            chance: !seed,
            objects: HashMap::new(),
            order: BTreeMap::new(),
            timers: BTreeMap::new(),
            outbox: Outbox::default(),
            faults: Faults::default(),
            keys: Keys::default(),
            cause: (None, None),
            happened: None,
            journal: None,
            generation: 0,
        }
    }

    /// Dice for ids: they fall the same way for the same seed and the same calls.
    fn dice(&mut self) -> fastrand::Rng {
        let mut dice = fastrand::Rng::with_seed(self.dice);
        self.dice = dice.u64(..);
        dice
    }

    /// Dice for weather and faults, so that ids don't depend on them.
    pub(crate) fn chance(&mut self) -> fastrand::Rng {
        let mut dice = fastrand::Rng::with_seed(self.chance);
        self.chance = dice.u64(..);
        dice
    }

    /// An id that nobody has.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        let mut dice = self.dice();
        prefix.chars().chain(std::iter::repeat_with(|| dice.alphanumeric()).take(length)).collect()
    }

    /// An id of a kind, as long as Stripe's are.
    pub(crate) fn id_of(&mut self, kind: Kind) -> String {
        match kind {
            Kind::CheckoutSession => self.id("cs_test_a1", 58),
            Kind::Charge | Kind::PaymentIntent | Kind::Refund | Kind::BalanceTransaction => {
                self.id(&format!("{}3", kind.prefix()), 23)
            }
            Kind::Coupon => self.id("", 8),
            Kind::Customer | Kind::Product => self.id(kind.prefix(), 14),
            _ => self.id(&format!("{}1", kind.prefix()), 23),
        }
    }

    /// Any object.
    pub(crate) fn find(&self, id: &str) -> Option<&Value> {
        self.objects.get(id)
    }

    /// An object that is known to be there, because another one names it.
    pub(crate) fn get(&self, id: &str) -> &Value {
        self.find(id).unwrap_or(&Value::Null)
    }

    /// An object of a kind that `param` names, unless it was deleted.
    pub(crate) fn need(&self, kind: Kind, id: &str, param: &str) -> Result<&Value, Fail> {
        let found = self.find(id).filter(|found| found.text("object") == kind.object());
        match found
            .filter(|found| !found.flag("deleted") || (param == "id" && kind == Kind::Customer))
        {
            Some(found) => Ok(found),
            None => Err(Fail::no_such(kind.noun(), id, param)),
        }
    }

    /// Is this id somebody's? One that was deleted may be used again.
    pub(crate) fn is_taken(&self, id: &str) -> bool {
        self.find(id).is_some_and(|found| !found.flag("deleted"))
    }

    /// How many there are of a kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.order.get(&kind).map_or(0, VecDeque::len)
    }

    /// How many there are in all, but for events.
    pub(crate) fn is_full(&self) -> bool {
        self.objects.len() - self.count(Kind::Event) >= OBJECTS_MAX
    }

    /// All of a kind, newest first.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = &Value> {
        let ids = self.order.get(&kind).into_iter().flatten().rev();
        ids.filter_map(|id| self.objects.get(id))
    }

    /// Their ids, where a member says so, oldest first.
    pub(crate) fn ids_where(&self, kind: Kind, member: &str, is: &str) -> Vec<String> {
        let mut ids: Vec<_> = self
            .all(kind)
            .filter(|object| object.text(member) == is)
            .map(|object| object.text("id").to_owned())
            .collect();
        ids.reverse();
        ids
    }

    /// Keeps a new object; gives it an id and the time unless it has them.
    pub(crate) fn add(&mut self, kind: Kind, members: Value) -> String {
        let mut object = skeleton::of(kind, members);
        if object.opt("id").is_none() {
            object["id"] = json!(self.id_of(kind));
        }
        if object.at("created").is_null() && kind.is_dated() {
            object["created"] = json!(self.now);
        }
        let id = object.text("id").to_owned();
        if let Some(journal) = &mut self.journal {
            journal.touch(&id, self.objects.get(&id));
            journal.add(kind, &id);
        }
        self.objects.insert(id.clone(), object);
        self.order.entry(kind).or_default().push_back(id.clone());
        id
    }

    /// The same, and says so.
    pub(crate) fn create(&mut self, kind: Kind, event: &str, members: Value) -> String {
        let id = self.add(kind, members);
        self.emit(event, &id);
        id
    }

    /// Changes an object without a word.
    pub(crate) fn set(&mut self, id: &str, change: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.get_mut(id) else { return };
        if let Some(journal) = &mut self.journal {
            journal.touch(id, Some(object));
        }
        change(object);
    }

    /// Changes an object and says so, unless nothing is different.
    pub(crate) fn edit(&mut self, id: &str, event: &str, change: impl FnOnce(&mut Value)) {
        let before = self.get(id).clone();
        self.set(id, change);
        let previous = difference(&before, self.get(id));
        if !previous.is_empty() {
            self.emit_about(event, id, Some(Value::Object(previous)));
        }
    }

    /// Says that something happened to an object.
    pub(crate) fn emit(&mut self, event: &str, id: &str) {
        self.emit_about(event, id, None);
    }

    fn emit_about(&mut self, kind: &str, id: &str, previous: Option<Value>) {
        let object = crate::render::as_kept(self, id);
        self.emit_object(kind, object, previous);
    }

    /// Says that something happened to what isn't kept any more.
    pub(crate) fn emit_object(&mut self, kind: &str, object: Value, previous: Option<Value>) {
        let mut data = json!({ "object": object });
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        let (request, key) = self.cause.clone();
        let id = self.add(
            Kind::Event,
            json!({
                "api_version": API_VERSION, "type": kind, "_data_text": data.to_string(), "pending_webhooks": 0,
                "request": { "id": request, "idempotency_key": key },
            }),
        );
        crate::deliveries::send_event(self, &id);
        self.forget_old_events();
    }

    /// The oldest go first, however young; a delivery that still waits is told when it is due.
    fn forget_old_events(&mut self) {
        while self.count(Kind::Event) > EVENTS_MAX {
            let oldest = self.order.get_mut(&Kind::Event).and_then(VecDeque::pop_front);
            oldest.and_then(|id| self.objects.remove(&id));
        }
    }

    /// Forgets an object; what is left says that it was there.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str, event: Option<&str>) -> Value {
        if let Some(event) = event {
            self.emit(event, id);
        }
        let gone = json!({ "id": id, "object": kind.object(), "deleted": true });
        if let Some(journal) = &mut self.journal {
            journal.touch(id, self.objects.get(id));
        }
        self.objects.insert(id.to_owned(), gone.clone());
        let at = self.order.get(&kind).and_then(|ids| ids.iter().position(|other| other == id));
        if let Some(at) = at {
            self.order.get_mut(&kind).and_then(|ids| ids.remove(at));
            if let Some(journal) = &mut self.journal {
                journal.remove(kind, at, id);
            }
        }
        gone
    }

    /// For the journal: it isn't listed after all.
    pub(crate) fn unlist(&mut self, kind: Kind, id: &str) {
        if let Some(ids) = self.order.get_mut(&kind)
            && let Some(at) = ids.iter().rposition(|other| other == id)
        {
            ids.remove(at);
        }
    }

    /// For the journal: it is listed again where it was.
    pub(crate) fn relist(&mut self, kind: Kind, at: usize, id: String) {
        let ids = self.order.entry(kind).or_default();
        ids.insert(at.min(ids.len()), id);
    }

    /// For the journal: an object as it was, if it was.
    pub(crate) fn put_back(&mut self, id: String, before: Option<Value>) {
        match before {
            Some(before) => self.objects.insert(id, before),
            None => self.objects.remove(&id),
        };
    }

    /// Ready at a time, or later.
    pub(crate) fn at(&mut self, due: i64, timer: Timer) {
        if let Some(journal) = &mut self.journal {
            journal.time(due, timer.clone());
        }
        self.timers.entry(due).or_default().push(timer);
    }

    /// For the journal: it needn't be.
    pub(crate) fn forget_timer(&mut self, due: i64, timer: &Timer) {
        if let Some(at_once) = self.timers.get_mut(&due)
            && let Some(at) = at_once.iter().rposition(|other| other == timer)
        {
            at_once.remove(at);
        }
    }

    /// A page of a kind, newest first: those that `is_wanted` and that have what the parameters say.
    pub(crate) fn list(
        &self,
        kind: Kind,
        params: &Params,
        url: &str,
        is_wanted: impl Fn(&Value) -> bool,
    ) -> Answer {
        let wanted = |object: &Value| has_what_params_say(object, params) && is_wanted(object);
        page(self.all(kind), wanted, params, url, kind)
    }
}

/// A page of what is wanted, of all that there is in order. A cursor needn't be wanted itself: whoever looks
/// for what wasn't delivered goes on from the last event that was.
pub(crate) fn page<'a>(
    all: impl Iterator<Item = &'a Value>,
    is_wanted: impl Fn(&Value) -> bool,
    params: &Params,
    url: &str,
    kind: Kind,
) -> Answer {
    let limit = limit(params)?;
    let (after, before) = (params.full("starting_after"), params.full("ending_before"));
    let (data, has_more) = match (after, before) {
        (Some(_), Some(_)) => {
            let said =
                "You may only specify one of these parameters: starting_after, ending_before.";
            return Err(Fail::param("ending_before", said));
        }
        // Of everything newer than that one the page is the part next to it.
        (None, Some(id)) => {
            let mut there = false;
            let newer = all.take_while(|object| {
                there = object.text("id") == id;
                !there
            });
            let mut newer: Vec<_> = newer.filter(|object| is_wanted(object)).collect();
            if !there {
                return Err(Fail::no_such(kind.noun(), id, "ending_before"));
            }
            let rest = newer.len().saturating_sub(limit);
            (newer.split_off(rest), rest > 0)
        }
        (after, None) => {
            let mut all = all;
            if let Some(id) = after
                && !all.any(|object| object.text("id") == id)
            {
                return Err(Fail::no_such(kind.noun(), id, "starting_after"));
            }
            let mut found: Vec<_> =
                all.filter(|object| is_wanted(object)).take(limit + 1).collect();
            let has_more = found.len() > limit;
            found.truncate(limit);
            (found, has_more)
        }
    };
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

/// How many elements a page has.
pub(crate) fn limit(params: &Params) -> Result<usize, Fail> {
    let limit = params.int("limit").unwrap_or(PAGE);
    let said = match limit {
        1..=PAGE_MAX => return Ok(usize::try_from(limit).unwrap_or_default()),
        ..=0 => {
            format!("This value must be greater than or equal to 1 (it currently is '{limit}').")
        }
        _ => format!(
            "This value must be less than or equal to {PAGE_MAX} (it currently is '{limit}')."
        ),
    };
    Err(Fail::param("limit", said).code("parameter_invalid_integer"))
}

/// Parameters of a list that aren't members.
const PAGING: [&str; 5] = ["limit", "starting_after", "ending_before", "expand", "include"];

/// A parameter named like a member is compared with it; `created` may be a range.
fn has_what_params_say(object: &Value, params: &Params) -> bool {
    let asked = params.all().iter().filter(|(name, _)| !PAGING.contains(&name.as_str()));
    asked.into_iter().all(|(name, wanted)| match (object.get(name), wanted) {
        (None, _) => !skeleton::is_nullable(object.text("object"), name),
        (Some(have), Value::Object(range)) if have.is_i64() => is_within(have, range),
        (Some(have), wanted) => have == wanted,
    })
}

fn is_within(have: &Value, range: &serde_json::Map<String, Value>) -> bool {
    let have = have.as_i64().unwrap_or_default();
    range.iter().all(|(bound, than)| {
        let than = than.as_i64().unwrap_or_default();
        match bound.as_str() {
            "gt" => have > than,
            "gte" => have >= than,
            "lt" => have < than,
            "lte" => have <= than,
            _ => true,
        }
    })
}
