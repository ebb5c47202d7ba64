//! Who is signed in. What they show isn't kept: its SHA-256 is.

use super::{Store, StoreError};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Opened once, becomes a cookie.
    Link,
    /// A browser's.
    Cookie,
    /// A widget's.
    Bearer,
}

impl Use {
    /// As the table has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Cookie => "cookie",
            Self::Bearer => "bearer",
        }
    }
}

/// A session.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Session {
    /// Whose it is.
    pub account_id: String,
    /// What its POSTs have to show beside the cookie.
    pub csrf: String,
    /// Where its link leads.
    pub return_url: Option<String>,
    /// Microseconds since 1970.
    pub expires_at: i64,
}

const COLUMNS: &str = "account_id, csrf, return_url, expires_at";

impl Store {
    /// Opens a session; those that have expired go.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn open_session(
        &self,
        digest: &str,
        r#use: Use,
        session: &Session,
        now: i64,
    ) -> Result<(), StoreError> {
        self.query(
            "INSERT INTO gateway.sessions \
             (digest, use, account_id, csrf, return_url, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(digest.to_owned())
        .bind(r#use.as_str().to_owned())
        .bind(session.account_id.clone())
        .bind(session.csrf.clone())
        .bind(session.return_url.clone())
        .bind(now)
        .bind(session.expires_at)
        .execute(&self.writers)
        .await?;
        let expired = "DELETE FROM gateway.sessions WHERE expires_at <= $1";
        self.query(expired).bind(now).execute(&self.writers).await?;
        Ok(())
    }

    /// A session that holds.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn session(
        &self,
        digest: &str,
        r#use: Use,
        now: i64,
    ) -> Result<Option<Session>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.sessions \
             WHERE digest = $1 AND use = $2 AND expires_at > $3"
        );
        let select = self.query_as(&select).bind(digest.to_owned()).bind(r#use.as_str().to_owned());
        Ok(select.bind(now).fetch_optional(&self.readers).await?)
    }

    /// Takes a session away; what it was, for the one who took it.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn end_session(
        &self,
        digest: &str,
        r#use: Use,
        now: i64,
    ) -> Result<Option<Session>, StoreError> {
        let delete = format!(
            "DELETE FROM gateway.sessions WHERE digest = $1 AND use = $2 RETURNING {COLUMNS}"
        );
        let delete = self.query_as(&delete).bind(digest.to_owned()).bind(r#use.as_str().to_owned());
        let ended: Option<Session> = delete.fetch_optional(&self.writers).await?;
        Ok(ended.filter(|session| session.expires_at > now))
    }
}
