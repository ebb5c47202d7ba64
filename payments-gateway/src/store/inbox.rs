//! The inbox: events, kept before they are acted on. Seen isn't done: what Stripe sends again while it isn't
//! done is worked on again.

use super::{Store, StoreError, new_id};

/// An event to keep.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Where it came in: Stripe's webhook, or ours.
    pub endpoint: &'static str,
    /// Unique within the endpoint, for ever.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// As it came.
    pub body: Vec<u8>,
}

/// Where Stripe's events come in, whoever brings them.
pub const STRIPE: &str = "stripe";

/// Where our own notes to look again come in.
pub const OURS: &str = "gateway";

/// The type of those.
pub const LOOK: &str = "purchase.look";

/// Events that one statement keeps at most.
pub const ROWS_MAX: usize = 64;

/// An event that is being worked on.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Claimed {
    /// Its name here.
    pub id: String,
    /// Where it came in.
    pub endpoint: String,
    /// Its name there.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// As it came.
    pub body: Vec<u8>,
    /// How often it failed.
    pub failures: i64,
    /// Microseconds since 1970.
    pub received_at: i64,
}

/// An event as operators see it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Entry {
    /// Its name here.
    pub id: String,
    /// Where it came in.
    pub endpoint: String,
    /// Its name there.
    pub event_id: String,
    /// Its type.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// What it was about.
    pub purchase_id: Option<String>,
    /// How often it failed.
    pub failures: i64,
    /// Microseconds since 1970.
    pub received_at: i64,
    /// Microseconds since 1970.
    pub due_at: i64,
    /// Microseconds since 1970.
    pub ended_at: Option<i64>,
}

const ENTRY: &str = "id, endpoint, event_id, kind, state, reason, purchase_id, failures, received_at, \
    due_at, ended_at";

/// Where an event may stand.
const STATES: [&str; 6] = ["received", "processing", "retry", "done", "ignored", "parked"];

/// How an event's turn ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What it asked for is done.
    Done(String),
    /// It is about nothing of ours.
    Ignored(String),
    /// An operator has to see to it.
    Parked(String),
    /// It comes again then; whether that counts as a failure.
    Retry {
        /// Microseconds since 1970.
        due_at: i64,
        /// Whether it counts.
        counts: bool,
        /// What went wrong.
        reason: String,
    },
}

/// What an event is that an operator has tried again at `$1`.
const AGAIN: &str = "state = 'retry', due_at = $1, failures = 0, ended_at = NULL";

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 1_000;

impl Store {
    /// Keeps events; all of them are there afterwards, once each. What was parked, or waits to be tried
    /// again, is tried again: somebody has sent it again.
    ///
    /// # Errors
    /// Some of them may not be kept.
    pub async fn keep(&self, mut events: Vec<NewEvent>, now: i64) -> Result<(), StoreError> {
        // In one order, or two replicas that keep the same events wait for each other.
        events.sort_by(|one, other| one.event_id.cmp(&other.event_id));
        for chunk in events.chunks(ROWS_MAX) {
            self.keep_chunk(chunk, now).await?;
        }
        Ok(())
    }

    async fn keep_chunk(&self, events: &[NewEvent], now: i64) -> Result<(), StoreError> {
        let Some(last) = events.last() else { return Ok(()) };
        // Few texts, so that they stay prepared: the last row stands in for those that are missing, and is
        // kept once all the same.
        let rows = events.len().next_power_of_two();
        let values: Vec<String> = (0..rows).map(placeholders).collect();
        let insert = format!(
            "INSERT INTO gateway.inbox \
             (id, endpoint, event_id, kind, body, state, received_at, due_at) VALUES {} \
             ON CONFLICT (endpoint, event_id) DO NOTHING",
            values.join(", ")
        );
        let mut insert = self.query(&insert);
        for event in events.iter().chain(std::iter::repeat(last)).take(rows) {
            insert = insert
                .bind(new_id(now))
                .bind(event.endpoint.to_owned())
                .bind(event.event_id.clone())
                .bind(event.kind.clone())
                .bind(event.body.clone())
                .bind(now)
                .bind(now);
        }
        let kept = insert.execute(&self.writers).await?.rows_affected();
        if usize::try_from(kept).is_ok_and(|kept| kept == events.len()) {
            return Ok(());
        }
        for event in events {
            self.try_again(event.endpoint, &event.event_id, now).await?;
        }
        Ok(())
    }

    async fn try_again(&self, endpoint: &str, event_id: &str, now: i64) -> Result<(), StoreError> {
        let update = self.query(
            "UPDATE gateway.inbox SET due_at = $3, state = 'retry', \
             failures = CASE state WHEN 'parked' THEN 0 ELSE failures END WHERE endpoint = $1 AND event_id = $2 AND state IN ('parked', 'retry')",
        );
        let update = update.bind(endpoint.to_owned()).bind(event_id.to_owned()).bind(now);
        update.execute(&self.writers).await?;
        Ok(())
    }

    /// Which of these Stripe events the inbox hasn't.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn is_kept(&self, event_id: &str) -> Result<bool, StoreError> {
        let select = "SELECT 1 FROM gateway.inbox WHERE endpoint = $1 AND event_id = $2";
        let select = self.query(select).bind(STRIPE.to_owned()).bind(event_id.to_owned());
        Ok(select.fetch_optional(&self.readers).await?.is_some())
    }

    /// Takes events that are due, each for as long as the lease lasts: those of whoever died come back, and that
    /// counts as a failure.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn claim(
        &self,
        owner: &str,
        now: i64,
        lease_until: i64,
        limit: i64,
    ) -> Result<Vec<Claimed>, StoreError> {
        let claim = self.query_as(
            "UPDATE gateway.inbox SET owner = $2, due_at = $3, state = 'processing', \
             failures = failures + CASE state WHEN 'processing' THEN 1 ELSE 0 END WHERE id IN \
             (SELECT id FROM gateway.inbox WHERE state IN ('received', 'processing', 'retry') \
             AND due_at <= $1 ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED) \
             RETURNING id, endpoint, event_id, kind, body, failures, received_at",
        );
        let claim = claim.bind(now).bind(owner.to_owned()).bind(lease_until).bind(limit);
        Ok(claim.fetch_all(&self.writers).await?)
    }

    /// Writes down how an event's turn ended, unless somebody else has it by now.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn end_turn(
        &self,
        event: &Claimed,
        owner: &str,
        purchase_id: Option<&str>,
        ending: &Ending,
        now: i64,
    ) -> Result<(), StoreError> {
        let (state, reason, due_at, counts) = match ending {
            Ending::Done(reason) => ("done", reason, now, false),
            Ending::Ignored(reason) => ("ignored", reason, now, false),
            Ending::Parked(reason) => ("parked", reason, now, false),
            Ending::Retry { due_at, counts, reason } => ("retry", reason, *due_at, *counts),
        };
        let reason: String = reason.chars().filter(|c| *c != '\0').take(REASON_CHARS_MAX).collect();
        let ended_at = (state != "retry").then_some(now);
        self.query(
            "UPDATE gateway.inbox SET state = $3, reason = $4, due_at = $5, failures = failures + $6, \
             purchase_id = coalesce($7, purchase_id), ended_at = $8, owner = NULL \
             WHERE id = $1 AND owner = $2 AND state = 'processing'",
        )
        .bind(event.id.clone())
        .bind(owner.to_owned())
        .bind(state.to_owned())
        .bind(reason)
        .bind(due_at)
        .bind(i64::from(counts))
        .bind(purchase_id.map(str::to_owned))
        .bind(ended_at)
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// Gives events back that weren't begun with.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn give_back(&self, ids: &[String], owner: &str, now: i64) -> Result<(), StoreError> {
        for id in ids {
            let update = self.query(
                "UPDATE gateway.inbox SET state = 'retry', due_at = $3, owner = NULL \
                 WHERE id = $1 AND owner = $2 AND state = 'processing'",
            );
            let update = update.bind(id.clone()).bind(owner.to_owned()).bind(now);
            update.execute(&self.writers).await?;
        }
        Ok(())
    }

    /// The same for many that are about nothing of ours.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn ignore(
        &self,
        ids: &[String],
        owner: &str,
        reason: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        for chunk in ids.chunks(ROWS_MAX) {
            let Some(last) = chunk.last() else { continue };
            let rows = chunk.len().next_power_of_two();
            let names: Vec<String> = (0..rows).map(|row| format!("${}", row + 4)).collect();
            let update = format!(
                "UPDATE gateway.inbox SET state = 'ignored', reason = $2, ended_at = $3, owner = NULL \
                 WHERE owner = $1 AND state = 'processing' AND id IN ({})",
                names.join(", ")
            );
            let update = self.query(&update).bind(owner.to_owned()).bind(reason.to_owned());
            let names = chunk.iter().chain(std::iter::repeat(last)).take(rows);
            let update = names.fold(update.bind(now), |update, id| update.bind(id.clone()));
            update.execute(&self.writers).await?;
        }
        Ok(())
    }

    /// When the next event is due.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreError> {
        let select = self.query_as(
            "SELECT due_at FROM gateway.inbox WHERE state IN ('received', 'processing', 'retry') \
             ORDER BY due_at LIMIT 1",
        );
        let next: Option<(i64,)> = select.fetch_optional(&self.readers).await?;
        Ok(next.map(|(due_at,)| due_at))
    }

    /// Events, newest first: in a state or any, of a purchase or any, after (`received_at`, `id`).
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn entries(
        &self,
        state: Option<&str>,
        purchase_id: Option<&str>,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Entry>, StoreError> {
        let (received_at, id) = after.unwrap_or((i64::MAX, String::new()));
        let about = if purchase_id.is_some() { "purchase_id = $2" } else { "$2 = ''" };
        // To the letter, so that the index of the few that somebody looks for is used.
        let known = STATES.iter().find(|known| Some(**known) == state);
        let state_is = known.map_or_else(String::new, |known| format!("state = '{known}' AND"));
        let select = format!(
            "SELECT {ENTRY} FROM gateway.inbox WHERE {state_is} ($1 = '' OR state = $1) AND {about} \
             AND (received_at < $3 OR (received_at = $3 AND id < $4)) \
             ORDER BY received_at DESC, id DESC LIMIT $5"
        );
        let select = self.query_as(&select).bind(state.unwrap_or_default().to_owned());
        let select = select.bind(purchase_id.unwrap_or_default().to_owned()).bind(received_at);
        Ok(select.bind(id).bind(limit).fetch_all(&self.readers).await?)
    }

    /// An event with its body.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn entry(&self, id: &str) -> Result<Option<(Entry, Vec<u8>)>, StoreError> {
        let select = format!(
            "SELECT {ENTRY} FROM gateway.inbox \
             WHERE id = $1 OR (endpoint IN ($2, $3) AND event_id = $1)"
        );
        let select = self.query_as(&select).bind(id.to_owned()).bind(STRIPE.to_owned());
        let select = select.bind(OURS.to_owned());
        let found: Option<Entry> = select.fetch_optional(&self.readers).await?;
        let Some(entry) = found else { return Ok(None) };
        let select = self.query_as("SELECT body FROM gateway.inbox WHERE id = $1");
        let (body,): (Vec<u8>,) = select.bind(entry.id.clone()).fetch_one(&self.readers).await?;
        Ok(Some((entry, body)))
    }

    /// An operator has events tried again, whatever became of them; how many there are.
    ///
    /// # Errors
    /// Some of them may not be.
    pub async fn replay(&self, ids: &[String], now: i64) -> Result<u64, StoreError> {
        let mut replayed = 0;
        for chunk in ids.chunks(ROWS_MAX) {
            let Some(last) = chunk.last() else { continue };
            let rows = chunk.len().next_power_of_two();
            let names: Vec<String> = (0..rows).map(|row| format!("${}", row + 4)).collect();
            let names = names.join(", ");
            // With its endpoints, so that the index is of use.
            let update = format!(
                "UPDATE gateway.inbox SET {AGAIN} WHERE state <> 'processing' \
                 AND (id IN ({names}) OR (endpoint IN ($2, $3) AND event_id IN ({names})))"
            );
            let update = self.query(&update).bind(now).bind(STRIPE.to_owned());
            let names = chunk.iter().chain(std::iter::repeat(last)).take(rows);
            let update =
                names.fold(update.bind(OURS.to_owned()), |update, id| update.bind(id.clone()));
            replayed += update.execute(&self.writers).await?.rows_affected();
        }
        Ok(replayed)
    }

    /// The same for all in a state, the oldest first, at most so many.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn replay_all(&self, state: &str, now: i64, limit: i64) -> Result<u64, StoreError> {
        let update = format!(
            "UPDATE gateway.inbox SET {AGAIN} WHERE id IN (SELECT id FROM gateway.inbox \
             WHERE state = $2 AND state <> 'processing' \
             ORDER BY received_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)"
        );
        let update = self.query(&update).bind(now).bind(state.to_owned()).bind(limit);
        Ok(update.execute(&self.writers).await?.rows_affected())
    }
}

fn placeholders(row: usize) -> String {
    let first = row * 7;
    let [id, endpoint, event, kind, body, received, due] = [1, 2, 3, 4, 5, 6, 7].map(|n| first + n);
    format!("(${id}, ${endpoint}, ${event}, ${kind}, ${body}, 'received', ${received}, ${due})")
}
