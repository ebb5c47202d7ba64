//! What an operator should know.

use super::{Store, StoreError, new_id};
use crate::clock::HOUR;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A webhook that none of our secrets signed.
    BadSignature,
    /// An event of the other mode.
    OtherMode,
    /// A purchase that wasn't paid as it was quoted.
    Mismatch,
    /// An event that couldn't be worked on.
    Parked,
    /// Somebody buys too often.
    PurchaseLimit,
    /// The ledger had a credit under a purchase's key that isn't ours.
    DuplicateCredit,
    /// A session that names a purchase, but isn't its.
    ForeignSession,
    /// Stripe warns of fraud.
    FraudWarning,
    /// An event about a purchase that we don't know.
    UnknownPurchase,
}

impl Kind {
    /// As the table, logs and operators have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::OtherMode => "other_mode",
            Self::Mismatch => "mismatch",
            Self::Parked => "parked",
            Self::PurchaseLimit => "purchase_limit",
            Self::DuplicateCredit => "duplicate_credit",
            Self::ForeignSession => "foreign_session",
            Self::FraudWarning => "fraud_warning",
            Self::UnknownPurchase => "unknown_purchase",
        }
    }
}

/// An alert.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Alert {
    /// Its name.
    pub id: String,
    /// One of [`Kind`].
    pub kind: String,
    /// What it is about: a purchase, an event, an account.
    pub subject: String,
    /// How often within the hour.
    pub count: i64,
    /// The newest, in words.
    pub detail: String,
    /// Microseconds since 1970.
    pub first_at: i64,
    /// Microseconds since 1970.
    pub last_at: i64,
    /// `open`, `acknowledged` or `false_positive`.
    pub state: String,
    /// What an operator said about it.
    pub note: Option<String>,
}

const COLUMNS: &str = "id, kind, subject, count, detail, first_at, last_at, state, note";

/// The longest detail that is kept, in characters.
const DETAIL_CHARS_MAX: usize = 2_000;

impl Store {
    /// Raises an alert, or counts it with the one of this hour.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn alert(
        &self,
        kind: Kind,
        subject: &str,
        detail: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        self.alerts_of(kind, subject, detail, 1, now).await
    }

    /// The same for something that happened so often.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn alerts_of(
        &self,
        kind: Kind,
        subject: &str,
        detail: &str,
        count: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        tracing::warn!(alert = kind.as_str(), subject, detail, count, "security alert");
        let detail: String = detail.chars().filter(|c| *c != '\0').take(DETAIL_CHARS_MAX).collect();
        self.query(
            "INSERT INTO gateway.alerts \
             (id, kind, subject, hour, count, detail, first_at, last_at, state) \
             VALUES ($1, $2, $3, $4, $7, $5, $6, $6, 'open') \
             ON CONFLICT (kind, subject, hour) DO UPDATE SET \
             count = alerts.count + excluded.count, detail = excluded.detail, last_at = excluded.last_at",
        )
        .bind(new_id(now))
        .bind(kind.as_str().to_owned())
        .bind(subject.to_owned())
        .bind(now.div_euclid(HOUR))
        .bind(detail)
        .bind(now)
        .bind(count)
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// Alerts, newest first, of one state or all, after the cursor (`last_at`, `id`).
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn alerts(
        &self,
        state: Option<&str>,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Alert>, StoreError> {
        let (last_at, id) = after.unwrap_or((i64::MAX, String::new()));
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.alerts WHERE ($1 = '' OR state = $1) \
             AND (last_at < $2 OR (last_at = $2 AND id < $3)) ORDER BY last_at DESC, id DESC LIMIT $4"
        );
        let select = self.query_as(&select).bind(state.unwrap_or_default().to_owned());
        Ok(select.bind(last_at).bind(id).bind(limit).fetch_all(&self.readers).await?)
    }

    /// An operator has seen to it.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn resolve_alert(
        &self,
        id: &str,
        state: &str,
        note: &str,
    ) -> Result<Option<Alert>, StoreError> {
        let update = format!(
            "UPDATE gateway.alerts SET state = $2, note = $3 WHERE id = $1 RETURNING {COLUMNS}"
        );
        let update = self.query_as(&update).bind(id.to_owned()).bind(state.to_owned());
        Ok(update.bind(note.to_owned()).fetch_optional(&self.writers).await?)
    }
}
