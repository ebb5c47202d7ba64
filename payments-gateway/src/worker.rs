//! Works on the inbox: takes events that are due, finds out which purchase each is about, has that looked at,
//! and writes down how it ended.

use crate::{
    clock::{self, SECOND},
    intake::Intake,
    settle::{Settle, Trouble},
    store::{
        StoreError,
        alerts::Kind as Alert,
        inbox::{Claimed, Ending, LOOK, OURS},
        new_id,
        purchases::{Named, Purchase},
    },
    stripe::{
        CallError, Request,
        event::{self, Event, Shape},
        facts,
    },
};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// Whoever dies loses its events after this. A turn isn't cut short, since what it has begun must not be: each call in
/// it has a time of its own. Should it take longer than this, somebody else does the same beside it, which is safe.
const LEASE: i64 = 60 * SECOND;

/// Events that are taken at a time.
const CLAIMS_MAX: i64 = 64;

/// How long the inbox isn't looked at when nothing comes in.
const IDLE: Duration = Duration::from_secs(1);

/// Waits after failures: doubling, up to the longest.
const BACKOFF_MIN: i64 = SECOND;
const BACKOFF_MAX: i64 = 600 * SECOND;

/// Failures after which an operator has to see to it.
const FAILURES_MAX: i64 = 12;

/// How often an event about a purchase that isn't there is tried again: it may be younger than our own row.
const UNKNOWN_MAX: i64 = 4;

/// How long somebody who is away is left alone: longer, the longer it has lasted.
const AWAY_MIN: i64 = 2 * SECOND;
const AWAY_MAX: i64 = 60 * SECOND;

/// What these say changes nothing about a purchase.
const SAYS_NOTHING: [&str; 8] = [
    "payment_intent.created",
    "payment_intent.requires_action",
    "payment_intent.amount_capturable_updated",
    "charge.pending",
    "charge.captured",
    "charge.updated",
    "checkout.session.created",
    "mandate.updated",
];

/// What these tell a purchase that is credited isn't new to it. Any other type is looked into.
const ABOUT_PAYING: [&str; 9] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.succeeded",
];

/// Works on the inbox.
#[derive(Clone)]
pub struct Worker {
    settle: Settle,
    intake: Intake,
    /// What this deployment is called at Stripe.
    name: Arc<str>,
    livemode: bool,
    width: usize,
    owner: String,
}

/// How a turn ended, and what it was about.
struct Turn {
    ending: Ending,
    purchase_id: Option<String>,
}

impl Turn {
    fn ignored(reason: impl Into<String>) -> Self {
        Self { ending: Ending::Ignored(reason.into()), purchase_id: None }
    }

    fn parked(reason: impl Into<String>) -> Self {
        Self { ending: Ending::Parked(reason.into()), purchase_id: None }
    }
}

/// Whom an event is about.
enum About {
    Purchase(Box<Purchase>),
    /// It names a purchase that isn't here.
    Unknown(String),
    /// A session that isn't the purchase's own.
    Foreign {
        purchase: Box<Purchase>,
        session: Value,
    },
    Nothing,
}

impl Worker {
    /// A worker for events of one mode, so many at a time.
    #[must_use]
    pub fn new(
        settle: Settle,
        intake: Intake,
        (name, livemode): (Arc<str>, bool),
        width: usize,
    ) -> Self {
        let owner = new_id(clock::now());
        Self { settle, intake, name, livemode, width, owner }
    }

    /// Works until it is told to stop, and then finishes what it has begun.
    pub async fn run(self, stop: CancellationToken) {
        let mut turns: JoinSet<()> = JoinSet::new();
        while !stop.is_cancelled() {
            while turns.len() >= self.width {
                turns.join_next().await;
            }
            let (taken, claimed) = self.claim().await.unwrap_or_else(|error| {
                tracing::error!(%error, "the inbox can't be read");
                (0, Vec::new())
            });
            if taken == 0 {
                let kept = self.intake.kept.notified();
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = timeout(IDLE, kept) => {}
                }
                continue;
            }
            let mut claimed = claimed.into_iter();
            while !stop.is_cancelled()
                && let Some(event) = claimed.next()
            {
                while turns.len() >= self.width {
                    turns.join_next().await;
                }
                let worker = self.clone();
                turns.spawn(async move { worker.turn(event).await });
            }
            // What hasn't begun is for somebody else.
            let rest: Vec<String> = claimed.map(|event| event.id).collect();
            if let Err(error) = self.settle.store.give_back(&rest, &self.owner, clock::now()).await
            {
                tracing::error!(%error, "events can't be given back: they wait for their lease to end");
            }
        }
        while turns.join_next().await.is_some() {}
    }

    /// Takes events, so many; those that are about nothing of ours are done with at once, together.
    async fn claim(&self) -> Result<(usize, Vec<Claimed>), StoreError> {
        let now = clock::now();
        let (owner, store) = (&self.owner, &self.settle.store);
        let claimed = store.claim(owner, now, now.saturating_add(LEASE), CLAIMS_MAX).await?;
        let taken = claimed.len();
        let mut ignored: HashMap<String, Vec<String>> = HashMap::new();
        let mut rest = Vec::new();
        for event in claimed {
            match self.at_a_glance(&event) {
                Some(reason) => ignored.entry(reason).or_default().push(event.id),
                None => rest.push(event),
            }
        }
        for (reason, ids) in ignored {
            store.ignore(&ids, owner, &reason, clock::now()).await?;
        }
        Ok((taken, rest))
    }

    /// Why an event is about nothing of ours, if that shows without asking anybody.
    fn at_a_glance(&self, claimed: &Claimed) -> Option<String> {
        if claimed.endpoint == OURS {
            return None;
        }
        let event = event::read(&claimed.body).ok()?;
        if event.account.is_some() || event.livemode.is_some_and(|it| it != self.livemode) {
            return None;
        }
        if event.shape == Shape::Thin {
            return Some("a thin event: nothing of ours sends these".to_owned());
        }
        let names = facts::purchase_id(&event.object).is_some();
        let is_payment = matches!(
            kind_of(&event.object),
            "checkout.session" | "payment_intent" | "charge" | "refund" | "dispute"
        ) || event.kind.starts_with("radar.");
        (!names && !is_payment).then(|| format!("{} is about no purchase", event.kind))
    }

    async fn turn(&self, claimed: Claimed) {
        let worked = if claimed.failures < FAILURES_MAX {
            self.work(&claimed).await
        } else {
            // Failures that nobody wrote down: each time it was taken, whoever took it died.
            Ok(Turn::parked("whoever works on it dies"))
        };
        let turn = match worked {
            Ok(turn) => turn,
            Err((purchase_id, trouble)) => Turn { ending: again(&claimed, &trouble), purchase_id },
        };
        if let Err(error) = self.end(&claimed, &turn).await {
            // It comes back when the lease is over.
            tracing::error!(%error, event = claimed.event_id, "an event's end can't be written down");
        }
    }

    async fn end(&self, claimed: &Claimed, turn: &Turn) -> Result<(), StoreError> {
        let (store, now) = (&self.settle.store, clock::now());
        if let Ending::Parked(reason) = &turn.ending {
            let words = format!("{}: {reason}", claimed.kind);
            store.alert(Alert::Parked, &claimed.event_id, &words, now).await?;
        }
        tracing::info!(
            event = claimed.event_id, kind = claimed.kind, purchase = turn.purchase_id,
            ending = ?turn.ending, "an event's turn ended"
        );
        let purchase_id = turn.purchase_id.as_deref();
        store.end_turn(claimed, &self.owner, purchase_id, &turn.ending, now).await
    }

    async fn work(&self, claimed: &Claimed) -> Result<Turn, (Option<String>, Trouble)> {
        let anonymous = |trouble| (None, trouble);
        if claimed.endpoint == OURS {
            return self.look(claimed).await;
        }
        let event = match event::read(&claimed.body) {
            Ok(event) => event,
            Err(unreadable) => return Ok(Turn::parked(unreadable.to_string())),
        };
        if let Some(account) = &event.account {
            return Ok(Turn::parked(format!("it is of the connected account {account}")));
        }
        if event.livemode.is_some_and(|live| live != self.livemode) {
            let words = format!("{}: livemode is {:?}", event.kind, event.livemode);
            let alerted =
                self.settle.store.alert(Alert::OtherMode, &event.kind, &words, clock::now()).await;
            alerted.map_err(|error| anonymous(error.into()))?;
            return Ok(Turn::ignored(words));
        }
        let about = self.about(&event).await.map_err(anonymous)?;
        match about {
            About::Nothing => Ok(Turn::ignored(format!("{} is about no purchase", event.kind))),
            About::Unknown(id) if claimed.failures < UNKNOWN_MAX => {
                Err((Some(id.clone()), Trouble::Failed(format!("there is no purchase {id}"))))
            }
            About::Unknown(id) => {
                let words = format!("{} names the purchase {id}, which isn't here", event.kind);
                let store = &self.settle.store;
                let alerted = store.alert(Alert::UnknownPurchase, &id, &words, clock::now()).await;
                alerted.map_err(|error| anonymous(error.into()))?;
                Ok(Turn::parked(words))
            }
            About::Foreign { purchase, session } => {
                self.foreign(&purchase, &session, &event).await.map_err(anonymous)
            }
            About::Purchase(purchase) => self.about_purchase(*purchase, &event).await,
        }
    }

    async fn about_purchase(
        &self,
        purchase: Purchase,
        event: &Event,
    ) -> Result<Turn, (Option<String>, Trouble)> {
        let id = purchase.id.clone();
        let named = |trouble| (Some(id.clone()), trouble);
        if event.kind == "radar.early_fraud_warning.created" {
            let words = format!("Stripe warns of fraud: {}", event.id);
            let alerted =
                self.settle.store.alert(Alert::FraudWarning, &id, &words, clock::now()).await;
            alerted.map_err(|error| named(error.into()))?;
        }
        if SAYS_NOTHING.contains(&event.kind.as_str()) {
            let ending = Ending::Ignored(format!("{} changes nothing", event.kind));
            return Ok(Turn { ending, purchase_id: Some(id) });
        }
        let about_money_back = !ABOUT_PAYING.contains(&event.kind.as_str());
        let done = self.settle.purchase(purchase, about_money_back).await.map_err(named)?;
        Ok(Turn { ending: Ending::Done(done), purchase_id: Some(id) })
    }

    /// A session that names a purchase but isn't the one that was opened for it: nothing is credited for it.
    async fn foreign(
        &self,
        purchase: &Purchase,
        session: &Value,
        event: &Event,
    ) -> Result<Turn, Trouble> {
        let named = event::id(&serde_json::json!({ "it": session }), "it").unwrap_or_default();
        let words = format!("{} is about {named}, which isn't the purchase's session", event.kind);
        let is_unpaid = session.get("payment_status").and_then(Value::as_str) == Some("unpaid");
        let purchase_id = Some(purchase.id.clone());
        if is_unpaid {
            return Ok(Turn { ending: Ending::Ignored(words), purchase_id });
        }
        let store = &self.settle.store;
        store.alert(Alert::ForeignSession, &purchase.id, &words, clock::now()).await?;
        Ok(Turn { ending: Ending::Parked(words), purchase_id })
    }

    /// One of our own notes.
    async fn look(&self, claimed: &Claimed) -> Result<Turn, (Option<String>, Trouble)> {
        let note: Value = serde_json::from_slice(&claimed.body).unwrap_or_default();
        let id = note.get("purchase").and_then(Value::as_str).unwrap_or_default().to_owned();
        if claimed.kind != LOOK || id.is_empty() {
            return Ok(Turn::parked("a note that names no purchase"));
        }
        let found = self.settle.store.purchase(Named::Purchase(&id)).await;
        let found = found.map_err(|error| (Some(id.clone()), error.into()))?;
        let Some(purchase) = found else {
            return Ok(Turn::parked(format!("there is no purchase {id}")));
        };
        let done = self.settle.purchase(purchase, true).await;
        let done = done.map_err(|trouble| (Some(id.clone()), trouble))?;
        Ok(Turn { ending: Ending::Done(done), purchase_id: Some(id) })
    }

    /// Which purchase an event is about: by our own notes first, then by what its object says, then by the
    /// payment that it belongs to.
    async fn about(&self, event: &Event) -> Result<About, Trouble> {
        let (object, store) = (&event.object, &self.settle.store);
        let own = object.get("id").and_then(Value::as_str);
        let kind = kind_of(object);
        if kind == "checkout.session"
            && let Some(session) = own
        {
            if let Some(purchase) = store.purchase(Named::Session(session)).await? {
                return Ok(About::Purchase(Box::new(purchase)));
            }
            let Some(id) = facts::purchase_id(object) else { return Ok(About::Nothing) };
            let Some(purchase) = store.purchase(Named::Purchase(id)).await? else {
                return Ok(self.unknown(id, object));
            };
            // Its call's answer may not have come yet, or be lost: the same call tells.
            return Ok(match purchase.session_id {
                None => About::Purchase(Box::new(purchase)),
                Some(_) => About::Foreign { purchase: Box::new(purchase), session: object.clone() },
            });
        }
        let intent = match kind {
            "payment_intent" => own.map(str::to_owned),
            _ => event::id(object, "payment_intent"),
        };
        if let Some(intent) = &intent
            && let Some(purchase) = store.purchase(Named::Intent(intent)).await?
        {
            return Ok(About::Purchase(Box::new(purchase)));
        }
        if let Some(id) = facts::purchase_id(object) {
            return self.named(id, object).await;
        }
        // Refunds and disputes don't say whose they are; their payment does.
        let asks = matches!(kind, "refund" | "dispute") || event.kind.starts_with("radar.");
        let Some(intent) = intent.filter(|_| asks) else {
            return Ok(About::Nothing);
        };
        match self.settle.stripe.call(&Request::intent(&intent)).await {
            Ok(answer) => match facts::purchase_id(&answer.body) {
                Some(id) => self.named(id, &answer.body).await,
                None => Ok(About::Nothing),
            },
            Err(error @ CallError::Refused { .. }) if error.is_missing() => Ok(About::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    async fn named(&self, id: &str, object: &Value) -> Result<About, Trouble> {
        Ok(match self.settle.store.purchase(Named::Purchase(id)).await? {
            Some(purchase) => About::Purchase(Box::new(purchase)),
            None => self.unknown(id, object),
        })
    }

    /// A purchase that isn't here is missing only if it says that it is ours: others sell by this account, too.
    fn unknown(&self, id: &str, object: &Value) -> About {
        match facts::gateway(object) {
            Some(name) if *name == *self.name => About::Unknown(id.to_owned()),
            Some(_) | None => About::Nothing,
        }
    }
}

/// When an event that failed comes again, or that it doesn't.
fn again(claimed: &Claimed, trouble: &Trouble) -> Ending {
    let (now, reason) = (clock::now(), trouble.to_string());
    match trouble {
        Trouble::Away(_) => {
            let lasted = now.saturating_sub(claimed.received_at);
            let wait = (lasted / 8).clamp(AWAY_MIN, AWAY_MAX);
            // By chance up to half as long again, so that they don't all come together.
            let wait = wait.saturating_add(fastrand::i64(0..wait / 2));
            Ending::Retry { due_at: now.saturating_add(wait), counts: false, reason }
        }
        Trouble::Failed(_) if claimed.failures + 1 >= FAILURES_MAX => Ending::Parked(reason),
        Trouble::Failed(_) => {
            let doublings = u32::try_from(claimed.failures).unwrap_or(u32::MAX).min(20);
            let wait = BACKOFF_MIN.saturating_mul(1_i64 << doublings).min(BACKOFF_MAX);
            Ending::Retry { due_at: now.saturating_add(wait), counts: true, reason }
        }
    }
}

/// What an object says it is. What doesn't say so is known by the beginning of its name.
fn kind_of(object: &Value) -> &str {
    if let Some(kind) = object.get("object").and_then(Value::as_str) {
        return kind;
    }
    let named = object.get("id").and_then(Value::as_str).unwrap_or_default();
    let known = [
        ("cs_", "checkout.session"),
        ("pi_", "payment_intent"),
        ("ch_", "charge"),
        ("py_", "charge"),
        ("re_", "refund"),
        ("pyr_", "refund"),
        ("dp_", "dispute"),
        ("du_", "dispute"),
    ];
    known.iter().find(|(prefix, _)| named.starts_with(prefix)).map_or("", |(_, kind)| kind)
}
