//! How far things have come, and who does what only one replica should do at a time.

use super::{Store, StoreError};

impl Store {
    /// A mark, if it was ever set.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn mark(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let found: Option<(i64,)> = self
            .query_as("SELECT value FROM gateway.marks WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.map(|(value,)| value))
    }

    /// Moves a mark forward; never back.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn move_mark(&self, name: &str, value: i64) -> Result<(), StoreError> {
        self.query(
            "INSERT INTO gateway.marks (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value \
             WHERE excluded.value > marks.value",
        )
        .bind(name.to_owned())
        .bind(value)
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// Takes a lease until `until`, if nobody else has it at `now`.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn lease(
        &self,
        name: &str,
        owner: &str,
        now: i64,
        until: i64,
    ) -> Result<bool, StoreError> {
        let taken = self
            .query(
                "INSERT INTO gateway.marks (name, value, owner) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, owner = excluded.owner \
                 WHERE marks.value <= $4 OR marks.owner = excluded.owner",
            )
            .bind(name.to_owned())
            .bind(until)
            .bind(owner.to_owned())
            .bind(now)
            .execute(&self.writers)
            .await?;
        Ok(taken.rows_affected() == 1)
    }
}
