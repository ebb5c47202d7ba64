//! Who buys: the account, and who that is at Stripe.

use super::{Store, StoreError, Tx};

/// A customer.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Customer {
    /// The account.
    pub account_id: String,
    /// Where to write to.
    pub email: Option<String>,
    /// What to call them.
    pub name: Option<String>,
    /// `cus_…`, once there is one.
    pub stripe_customer: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
}

const COLUMNS: &str = "account_id, email, name, stripe_customer, created_at";

impl Store {
    /// A customer.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn customer(&self, account_id: &str) -> Result<Option<Customer>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM gateway.customers WHERE account_id = $1");
        let select = self.query_as(&select).bind(account_id.to_owned());
        Ok(select.fetch_optional(&self.readers).await?)
    }

    /// The customers whose account is called so, whom Stripe calls so, or who have this address: in this order,
    /// and the oldest first, at most so many.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn find_customers(
        &self,
        word: &str,
        limit: i64,
    ) -> Result<Vec<Customer>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.customers \
             WHERE account_id = $1 OR stripe_customer = $1 OR email = $1 \
             ORDER BY CASE WHEN account_id = $1 THEN 0 WHEN stripe_customer = $1 THEN 1 ELSE 2 END, \
             created_at, account_id LIMIT $2"
        );
        let select = self.query_as(&select).bind(word.to_owned()).bind(limit);
        Ok(select.fetch_all(&self.readers).await?)
    }

    /// Writes a customer down, with what is known of them now.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn put_customer(
        &self,
        account_id: &str,
        email: Option<&str>,
        name: Option<&str>,
        now: i64,
    ) -> Result<(), StoreError> {
        self.query(
            "INSERT INTO gateway.customers (account_id, email, name, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (account_id) DO UPDATE SET \
             email = coalesce(excluded.email, customers.email), \
             name = coalesce(excluded.name, customers.name)",
        )
        .bind(account_id.to_owned())
        .bind(email.map(str::to_owned))
        .bind(name.map(str::to_owned))
        .bind(now)
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// Stripe knows the customer so, if it didn't before.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn name_customer(
        &self,
        account_id: &str,
        stripe_customer: &str,
    ) -> Result<(), StoreError> {
        let update = self.query(
            "UPDATE gateway.customers SET stripe_customer = $2 \
             WHERE account_id = $1 AND stripe_customer IS NULL AND NOT EXISTS \
             (SELECT 1 FROM gateway.customers WHERE stripe_customer = $2)",
        );
        let update = update.bind(account_id.to_owned()).bind(stripe_customer.to_owned());
        update.execute(&self.writers).await?;
        Ok(())
    }

    /// Stripe knows no such customer any more.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn forget_stripe_customer(&self, account_id: &str) -> Result<(), StoreError> {
        let update =
            self.query("UPDATE gateway.customers SET stripe_customer = NULL WHERE account_id = $1");
        update.bind(account_id.to_owned()).execute(&self.writers).await?;
        Ok(())
    }

    /// The customer, written down if need be, and locked until the transaction's end: one purchase of an
    /// account is begun at a time, whichever replica begins it.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn lock_customer(
        &self,
        tx: &mut Tx,
        account_id: &str,
        now: i64,
    ) -> Result<Customer, StoreError> {
        let lock = format!(
            "INSERT INTO gateway.customers (account_id, created_at) VALUES ($1, $2) \
             ON CONFLICT (account_id) DO UPDATE SET created_at = customers.created_at \
             RETURNING {COLUMNS}"
        );
        let lock = self.query_as(&lock).bind(account_id.to_owned()).bind(now);
        Ok(lock.fetch_one(&mut **tx).await?)
    }
}
