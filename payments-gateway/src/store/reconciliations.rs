//! What reconciling found.

use super::{Store, StoreError};

/// One reconciliation.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Reconciliation {
    /// Its name.
    pub id: String,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// None while it runs, or if it never ended.
    pub ended_at: Option<i64>,
    /// Events that Stripe told of.
    pub events_seen: i64,
    /// Those that the inbox hadn't.
    pub events_missing: i64,
    /// Purchases that are looked at again.
    pub purchases_looked_at: i64,
    /// A JSON list of `{"what", "subject", "detail"}`.
    pub differences: String,
    /// Why it didn't get to the end.
    pub error: Option<String>,
}

const COLUMNS: &str = "id, started_at, ended_at, events_seen, events_missing, purchases_looked_at, \
    differences, error";

impl Store {
    /// Writes down how far it has come.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn put_reconciliation(&self, of: &Reconciliation) -> Result<(), StoreError> {
        self.query(
            "INSERT INTO gateway.reconciliations (id, started_at, ended_at, events_seen, \
             events_missing, purchases_looked_at, differences, error) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET \
             ended_at = excluded.ended_at, events_seen = excluded.events_seen, \
             events_missing = excluded.events_missing, \
             purchases_looked_at = excluded.purchases_looked_at, \
             differences = excluded.differences, error = excluded.error",
        )
        .bind(of.id.clone())
        .bind(of.started_at)
        .bind(of.ended_at)
        .bind(of.events_seen)
        .bind(of.events_missing)
        .bind(of.purchases_looked_at)
        .bind(of.differences.clone())
        .bind(of.error.clone())
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// What they found, newest first, after the cursor (`started_at`, `id`).
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn reconciliations(
        &self,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Reconciliation>, StoreError> {
        let (started_at, id) = after.unwrap_or((i64::MAX, String::new()));
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.reconciliations \
             WHERE started_at < $1 OR (started_at = $1 AND id < $2) \
             ORDER BY started_at DESC, id DESC LIMIT $3"
        );
        let select = self.query_as(&select).bind(started_at).bind(id).bind(limit);
        Ok(select.fetch_all(&self.readers).await?)
    }
}
