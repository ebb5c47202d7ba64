//! Calls that make something at Stripe: written down, with body and key, before they are made.

use super::{Statement, Store, StoreError, Tx};

/// A call.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Call {
    /// `purchase/{id}/attempt/{n}`: its idempotency key at Stripe.
    pub key: String,
    /// The purchase that it is for.
    pub purchase_id: String,
    /// Below `/v1`.
    pub path: String,
    /// As it is sent, each time the same.
    pub body: String,
    /// `open`, `done` or `refused`.
    pub outcome: String,
    /// The newest answer's.
    pub status: Option<i64>,
    /// Stripe's name for it.
    pub request_id: Option<String>,
    /// What Stripe had against it.
    pub error: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub answered_at: Option<i64>,
}

const COLUMNS: &str = "key, purchase_id, path, body, outcome, status, request_id, error, created_at, \
    answered_at";

/// What Stripe told: the status, its name for the call, and what it had against it.
pub type Told<'a> = (Option<u16>, Option<&'a str>, Option<&'a str>);

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It isn't known.
    Open,
    /// It happened.
    Done,
    /// It didn't, and won't.
    Refused,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl Store {
    /// Writes a call down.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn record_call(&self, tx: &mut Tx, call: &Call) -> Result<(), StoreError> {
        let insert = self.query(
            "INSERT INTO gateway.calls (key, purchase_id, path, body, outcome, created_at) \
             VALUES ($1, $2, $3, $4, 'open', $5)",
        );
        let insert = insert.bind(call.key.clone()).bind(call.purchase_id.clone());
        let insert = insert.bind(call.path.clone()).bind(call.body.clone()).bind(call.created_at);
        insert.execute(&mut **tx).await?;
        Ok(())
    }

    /// Writes down that a call was refused, and the next attempt, if `attempt` is still the newest.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn record_next_call(
        &self,
        attempt: i64,
        (key, told): (&str, Told<'_>),
        call: &Call,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let answer = self.answer(key, Outcome::Refused, told, call.created_at);
        super::rows_changed(answer, &mut tx).await?;
        let update = self.query(
            "UPDATE gateway.purchases SET attempt = $2 + 1 \
             WHERE id = $1 AND attempt = $2 AND state = 'created'",
        );
        let update = update.bind(call.purchase_id.clone()).bind(attempt);
        let is_next = super::rows_changed(update, &mut tx).await? == 1;
        if is_next {
            self.record_call(&mut tx, call).await?;
        }
        tx.commit().await?;
        Ok(is_next)
    }

    /// Writes down that a call was refused, and with it the purchase.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn refuse_purchase(
        &self,
        purchase_id: &str,
        key: &str,
        told: Told<'_>,
        note: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let answer = self.answer(key, Outcome::Refused, told, now);
        super::rows_changed(answer, &mut tx).await?;
        let update = self.query(
            "UPDATE gateway.purchases SET state = 'failed', note = $2, updated_at = $3 \
             WHERE id = $1 AND state = 'created'",
        );
        let update = update.bind(purchase_id.to_owned()).bind(note.to_owned()).bind(now);
        super::rows_changed(update, &mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// A call.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn call(&self, key: &str) -> Result<Option<Call>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM gateway.calls WHERE key = $1");
        let select = self.query_as(&select).bind(key.to_owned());
        Ok(select.fetch_optional(&self.readers).await?)
    }

    /// The calls of a purchase, oldest first.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn calls_of(&self, purchase_id: &str) -> Result<Vec<Call>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.calls WHERE purchase_id = $1 ORDER BY created_at, key"
        );
        let select = self.query_as(&select).bind(purchase_id.to_owned());
        Ok(select.fetch_all(&self.readers).await?)
    }

    /// What Stripe answered.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn answer_call(
        &self,
        key: &str,
        outcome: Outcome,
        told: Told<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.answer(key, outcome, told, now).execute(&self.writers).await?;
        Ok(())
    }

    fn answer(
        &self,
        key: &str,
        outcome: Outcome,
        (status, request_id, error): Told<'_>,
        now: i64,
    ) -> Statement {
        let update = self.query(
            "UPDATE gateway.calls SET outcome = $2, status = $3, request_id = $4, error = $5, \
             answered_at = $6 WHERE key = $1 AND outcome = 'open'",
        );
        update
            .bind(key.to_owned())
            .bind(outcome.as_str().to_owned())
            .bind(status.map(i64::from))
            .bind(request_id.map(str::to_owned))
            .bind(error.map(str::to_owned))
            .bind(now)
    }
}
