//! Holds our notes against Stripe's now and then: what a lost webhook left undone goes in through the same door,
//! and what doesn't fit is told.

use crate::{
    clock::{self, HOUR, SECOND},
    intake::Intake,
    ledger::{Ledger, LedgerError},
    store::{
        Store, StoreError,
        inbox::{NewEvent, STRIPE},
        new_id,
        purchases::{Named, Purchase, state_name},
        reconciliations::Reconciliation,
    },
    stripe::{self, CallError, Request, event, facts},
};
use billing::State;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The time that each reconciliation goes over again: Stripe's events don't become visible in order.
const OVERLAP: i64 = HOUR;

/// How far back it goes at most: Stripe keeps events for 30 days.
const BACK_MAX: i64 = 29 * 24 * HOUR;

/// Events are read in slices of so long, the oldest first: what is read needn't be read again.
const SLICE: i64 = HOUR;

/// Pages of events or sessions in one reconciliation; the next one goes on.
const PAGES_MAX: usize = 500;

/// Purchases that are looked at again in one go.
const LOOKS_MAX: i64 = 500;

/// Differences that a report lists; beyond them it says that there are more.
const DIFFERENCES_MAX: usize = 1_000;

/// How far back Stripe's events have been read.
const MARK: &str = "reconciled";

/// Who reconciles.
const LEASE: &str = "reconciler";

/// How long a replica that died keeps the others waiting.
const LEASE_TIME: i64 = 30 * SECOND;

/// Why a reconciliation didn't get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Stripe can't be asked.
    #[error(transparent)]
    Stripe(#[from] CallError),
    /// The database can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger can't be asked.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What was found can't be put into the inbox.
    #[error("the inbox is closed: {0}")]
    Inbox(#[from] crate::intake::NotKept),
}

/// Reconciles.
#[derive(Clone)]
pub struct Reconciler {
    /// Where purchases are kept.
    pub store: Store,
    /// Whom they are held against.
    pub stripe: stripe::Client,
    /// Who has the tokens.
    pub ledger: Ledger,
    /// Where findings go.
    pub intake: Intake,
    /// What this deployment is called at Stripe.
    pub name: Arc<str>,
    /// How often.
    pub every: Duration,
    /// After which time a purchase that isn't settled is looked at again.
    pub look_again: Duration,
}

/// What is found, as it is found.
struct Report {
    of: Reconciliation,
    differences: Vec<Value>,
}

impl Report {
    fn differs(&mut self, what: &str, subject: &str, detail: &str) {
        tracing::warn!(what, subject, detail, "a difference to Stripe");
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(json!({ "what": what, "subject": subject, "detail": detail }));
        }
    }
}

impl Reconciler {
    /// Reconciles now and then, on one replica at a time.
    pub async fn run(self, stop: CancellationToken) {
        let owner = new_id(clock::now());
        let mut due = interval(self.every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = due.tick() => {}
            }
            let now = clock::now();
            match self.store.lease(LEASE, &owner, now, now.saturating_add(LEASE_TIME)).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    tracing::error!(%error, "can't reconcile");
                    continue;
                }
            }
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.reconcile(false) => done,
            };
            if let Err(error) = done {
                tracing::error!(%error, "a reconciliation didn't get to its end");
            }
        }
    }

    /// Reconciles. `after_restore`: a backup was restored, of this database or the ledger's, so every purchase
    /// that was credited is credited again, with its key.
    ///
    /// # Errors
    /// It couldn't even be written down; what stopped it later is in the report.
    pub async fn reconcile(&self, after_restore: bool) -> Result<Reconciliation, StoreError> {
        let now = clock::now();
        let of = Reconciliation {
            id: new_id(now),
            started_at: now,
            ended_at: None,
            events_seen: 0,
            events_missing: 0,
            purchases_looked_at: 0,
            differences: "[]".to_owned(),
            error: None,
        };
        let mut report = Report { of, differences: Vec::new() };
        let done = self.everything(&mut report, after_restore).await;
        report.of.error = done.err().map(|error| error.to_string());
        report.of.ended_at = Some(clock::now());
        report.of.differences = Value::Array(report.differences).to_string();
        self.store.put_reconciliation(&report.of).await?;
        tracing::info!(
            events_seen = report.of.events_seen,
            events_missing = report.of.events_missing,
            purchases_looked_at = report.of.purchases_looked_at,
            error = report.of.error,
            "reconciled"
        );
        Ok(report.of)
    }

    async fn everything(&self, report: &mut Report, after_restore: bool) -> Result<(), Trouble> {
        // What is ours first: it needs nothing of Stripe's.
        self.unsettled(report).await?;
        if after_restore {
            self.credit_again(report).await?;
        }
        let now = report.of.started_at;
        // Before the first time there was nothing to sell.
        let mark = self.store.mark(MARK).await?.unwrap_or(now);
        let since = mark.saturating_sub(OVERLAP).max(now.saturating_sub(BACK_MAX));
        self.sessions(report, clock::seconds(since)).await?;
        let mut from = since;
        while from <= now {
            let to = from.saturating_add(SLICE);
            // The last one has no end: Stripe's clock may be ahead of ours.
            let until = (to <= now).then(|| clock::seconds(to));
            self.events(report, clock::seconds(from), until).await?;
            self.store.move_mark(MARK, to.min(now)).await?;
            from = to;
        }
        Ok(())
    }

    /// Purchases that aren't where they should end.
    async fn unsettled(&self, report: &mut Report) -> Result<(), Trouble> {
        let pause = i64::try_from(self.look_again.as_micros()).unwrap_or(i64::MAX);
        let found = self.store.take_unsettled(clock::now(), pause, LOOKS_MAX).await?;
        for purchase in found {
            self.intake.look_at(&purchase.id, "it isn't settled").await?;
            report.of.purchases_looked_at += 1;
            if matches!(purchase.state(), Ok(State::Paid)) {
                let detail = "paid, and not credited yet";
                report.differs("paid_not_credited", &purchase.id, detail);
            }
        }
        Ok(())
    }

    /// Events that never came.
    async fn events(
        &self,
        report: &mut Report,
        since: i64,
        until: Option<i64>,
    ) -> Result<(), Trouble> {
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let request = Request::events_between(since, until, after.as_deref());
            let page = self.stripe.call(&request).await?.body;
            let data = page.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            for object in &data {
                let Some(id) = object.get("id").and_then(Value::as_str) else { continue };
                report.of.events_seen += 1;
                after = Some(id.to_owned());
                if self.store.is_kept(id).await? {
                    continue;
                }
                let kind = object.get("type").and_then(Value::as_str).unwrap_or("unknown");
                report.of.events_missing += 1;
                report.differs("event_missing", id, kind);
                let body = object.to_string().into_bytes();
                let (event_id, kind) = (id.to_owned(), kind.to_owned());
                self.intake.keep(NewEvent { endpoint: STRIPE, event_id, kind, body }).await?;
            }
            let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            if !has_more || data.is_empty() {
                return Ok(());
            }
        }
        Err(Trouble::Stripe(CallError::Away("it has more events than can be read".to_owned())))
    }

    /// Sessions that were paid, whatever became of their events.
    async fn sessions(&self, report: &mut Report, since: i64) -> Result<(), Trouble> {
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page =
                self.stripe.call(&Request::sessions_since(since, after.as_deref())).await?.body;
            let data = page.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            for session in &data {
                after = event::id(&json!({ "it": session }), "it");
                self.session(report, session).await?;
            }
            let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            if !has_more || data.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn session(&self, report: &mut Report, session: &Value) -> Result<(), Trouble> {
        let Some(id) = facts::purchase_id(session) else { return Ok(()) };
        let named = session.get("id").and_then(Value::as_str).unwrap_or_default();
        let is_paid = matches!(
            session.get("payment_status").and_then(Value::as_str),
            Some("paid" | "no_payment_required")
        ) && session.get("status").and_then(Value::as_str) == Some("complete");
        if !is_paid {
            return Ok(());
        }
        let Some(purchase) = self.store.purchase(Named::Purchase(id)).await? else {
            if facts::gateway(session) == Some(&*self.name) {
                report.differs("unknown_purchase", id, named);
            }
            return Ok(());
        };
        let state = purchase.state()?;
        match state {
            State::Credited | State::PartlyReversed | State::Reversed | State::Mismatch => {}
            State::Created
            | State::Open
            | State::Awaiting
            | State::Paid
            | State::Expired
            | State::Failed => {
                report.differs("paid_at_stripe", id, state_name(state));
                self.intake.look_at(id, "Stripe says that it is paid").await?;
                report.of.purchases_looked_at += 1;
            }
        }
        Ok(())
    }

    /// Every purchase that was credited, oldest last: what the ledger has it answers, what it lost it gets.
    async fn credit_again(&self, report: &mut Report) -> Result<(), Trouble> {
        let mut after: Option<(i64, String)> = None;
        loop {
            let page = self.store.purchases(None, None, after.clone(), 500).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.created_at, last.id.clone()));
            for purchase in &page {
                self.credit_one_again(report, purchase).await?;
            }
        }
    }

    async fn credit_one_again(
        &self,
        report: &mut Report,
        purchase: &Purchase,
    ) -> Result<(), Trouble> {
        match purchase.state()? {
            State::Credited | State::PartlyReversed | State::Reversed => {}
            State::Created
            | State::Open
            | State::Awaiting
            | State::Paid
            | State::Expired
            | State::Failed
            | State::Mismatch => return Ok(()),
        }
        report.of.purchases_looked_at += 1;
        match self.ledger.credit(purchase).await {
            Ok(_) => {}
            Err(error @ LedgerError::Away(_)) => return Err(error.into()),
            Err(error) => report.differs("credit_refused", &purchase.id, &error.to_string()),
        }
        // Whatever the ledger was told that a backup has forgotten: it is told anew, as of now.
        self.store.renew_clawback(&purchase.id, clock::now()).await?;
        self.intake.look_at(&purchase.id, "a backup was restored").await?;
        Ok(())
    }
}
