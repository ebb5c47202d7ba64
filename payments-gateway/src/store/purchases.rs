//! Purchases: written down before Stripe hears of them, moved on only from a state that allows it.

use super::{Store, StoreError, Tx};
use billing::{Price, Quote, State};

/// How something is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On Stripe's page.
    Checkout,
    /// In the customer's own page, with Stripe Elements.
    PaymentIntent,
}

impl Kind {
    /// As the table and the API have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::PaymentIntent => "payment_intent",
        }
    }
}

/// The longest name that Stripe, or we, give anything.
const NAME_BYTES_MAX: usize = 255;

/// States and their names in the table and the API.
const STATES: [(State, &str); 10] = [
    (State::Created, "created"),
    (State::Open, "open"),
    (State::Awaiting, "awaiting"),
    (State::Paid, "paid"),
    (State::Credited, "credited"),
    (State::Expired, "expired"),
    (State::Failed, "failed"),
    (State::Mismatch, "mismatch"),
    (State::PartlyReversed, "partly_reversed"),
    (State::Reversed, "reversed"),
];

/// A state's name.
#[must_use]
pub fn state_name(state: State) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("", |(_, name)| name)
}

/// A purchase.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Purchase {
    /// Its name, everywhere.
    pub id: String,
    /// Who gets the tokens.
    pub account_id: String,
    kind: String,
    state: String,
    /// The catalog's package; none for a number of tokens.
    pub package_id: Option<String>,
    /// What people read.
    pub name: String,
    /// What the account gets.
    pub tokens: i64,
    /// What it costs, before discounts and taxes.
    pub price_minor: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// 1: real money.
    pub livemode: i64,
    /// Stripe's price, if the catalog names one.
    pub stripe_price: Option<String>,
    /// 1: may cost nothing, by a promotion that is ours.
    pub may_be_free: i64,
    /// The catalog that it was quoted from.
    pub catalog_version: String,
    /// What repeated clicks have in common.
    pub offer: String,
    /// The number of its newest call to Stripe.
    pub attempt: i64,
    /// `cs_…`.
    pub session_id: Option<String>,
    /// Where the buyer pays.
    pub checkout_url: Option<String>,
    /// Microseconds since 1970.
    pub session_expires_at: Option<i64>,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `ch_…`.
    pub charge: Option<String>,
    /// Stripe's own receipt.
    pub receipt_url: Option<String>,
    /// What was paid.
    pub paid_minor: Option<i64>,
    /// Tokens that are to be taken back in all.
    pub clawback_target: i64,
    /// Which revision of that it is; 0: there was none yet.
    pub clawback_revision: i64,
    /// The newest that the ledger has confirmed.
    pub clawback_confirmed: i64,
    /// Money that is back.
    pub returned_minor: i64,
    /// The ledger's transaction.
    pub transaction_id: Option<String>,
    /// Why it is where it is.
    pub note: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    /// Microseconds since 1970.
    pub paid_at: Option<i64>,
    /// Microseconds since 1970.
    pub credited_at: Option<i64>,
}

const COLUMNS: &str = "id, account_id, kind, state, package_id, name, tokens, price_minor, currency, \
    livemode, stripe_price, may_be_free, catalog_version, offer, attempt, session_id, checkout_url, session_expires_at, payment_intent, charge, receipt_url, paid_minor, \
    clawback_target, clawback_revision, clawback_confirmed, returned_minor, transaction_id, note, \
    created_at, updated_at, paid_at, credited_at";

/// The longest note that is kept, in characters.
const NOTE_CHARS_MAX: usize = 4_000;

/// What a purchase is when it is written down.
#[derive(Clone, Debug)]
pub struct NewPurchase {
    /// Its name.
    pub id: String,
    /// Who gets the tokens.
    pub account_id: String,
    /// How it is paid for.
    pub kind: Kind,
    /// See [`Purchase`].
    pub package_id: Option<String>,
    /// See [`Purchase`].
    pub name: String,
    /// See [`Purchase`].
    pub tokens: i64,
    /// See [`Purchase`].
    pub price_minor: i64,
    /// See [`Purchase`].
    pub currency: String,
    /// Real money?
    pub livemode: bool,
    /// See [`Purchase`].
    pub stripe_price: Option<String>,
    /// May it cost nothing?
    pub may_be_free: bool,
    /// See [`Purchase`].
    pub catalog_version: String,
    /// See [`Purchase`].
    pub offer: String,
}

/// What Stripe said when it opened a session.
#[derive(Clone, Debug)]
pub struct Opened {
    /// `cs_…`, of a checkout.
    pub session_id: Option<String>,
    /// Where the buyer pays.
    pub checkout_url: Option<String>,
    /// Microseconds since 1970.
    pub session_expires_at: Option<i64>,
    /// `pi_…`, if it is known.
    pub payment_intent: Option<String>,
}

/// What is known once money is there.
#[derive(Clone, Debug)]
pub struct Paid {
    /// What was paid.
    pub paid_minor: i64,
    /// `pi_…`; none if nothing was due.
    pub payment_intent: Option<String>,
    /// `ch_…`.
    pub charge: Option<String>,
    /// Stripe's receipt.
    pub receipt_url: Option<String>,
}

/// How Stripe names what belongs to a purchase.
#[derive(Clone, Copy, Debug)]
pub enum Named<'a> {
    /// By the purchase's own id.
    Purchase(&'a str),
    /// By a session.
    Session(&'a str),
    /// By a PaymentIntent.
    Intent(&'a str),
}

impl Purchase {
    /// Where it stands.
    ///
    /// # Errors
    /// The row names no state.
    pub fn state(&self) -> Result<State, StoreError> {
        let known = STATES.iter().find(|(_, name)| *name == self.state);
        known.map(|(state, _)| *state).ok_or_else(|| {
            StoreError::Corrupt(format!("purchase {} is in state {}", self.id, self.state))
        })
    }

    /// Its state's name.
    #[must_use]
    pub fn state_name(&self) -> &str {
        &self.state
    }

    /// How it is paid for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.kind.as_str() {
            "payment_intent" => Kind::PaymentIntent,
            _ => Kind::Checkout,
        }
    }

    /// Its quote, as the decisions take it.
    #[must_use]
    pub fn quote(&self) -> Quote {
        let price = match &self.stripe_price {
            Some(price) => Price::Stripe(price.clone()),
            None => Price::Inline(self.price_minor),
        };
        Quote {
            purchase_id: self.id.clone(),
            tokens: self.tokens,
            price_minor: self.price_minor,
            currency: self.currency.clone(),
            livemode: self.livemode == 1,
            line: (price, 1),
            may_be_free: self.may_be_free == 1,
        }
    }

    /// The key of its credit in the ledger.
    #[must_use]
    pub fn credit_key(&self) -> String {
        format!("purchase/{}", self.id)
    }
}

impl Store {
    /// Writes a purchase down.
    ///
    /// # Errors
    /// A conflict if there is one with this request key, or an open one of this offer; or no database.
    pub async fn insert_purchase(
        &self,
        tx: &mut Tx,
        new: &NewPurchase,
        (now, look_at): (i64, i64),
    ) -> Result<Purchase, StoreError> {
        let insert = format!(
            "INSERT INTO gateway.purchases (id, account_id, kind, state, package_id, name, tokens, \
             price_minor, currency, livemode, stripe_price, may_be_free, catalog_version, offer, \
             attempt, created_at, updated_at, look_at) \
             VALUES ($1, $2, $3, 'created', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1, \
             $14, $14, $15) RETURNING {COLUMNS}"
        );
        let insert = self
            .query_as(&insert)
            .bind(new.id.clone())
            .bind(new.account_id.clone())
            .bind(new.kind.as_str().to_owned())
            .bind(new.package_id.clone())
            .bind(new.name.clone())
            .bind(new.tokens)
            .bind(new.price_minor)
            .bind(new.currency.clone())
            .bind(i64::from(new.livemode))
            .bind(new.stripe_price.clone())
            .bind(i64::from(new.may_be_free))
            .bind(new.catalog_version.clone())
            .bind(new.offer.clone())
            .bind(now)
            .bind(look_at);
        Ok(insert.fetch_one(&mut **tx).await?)
    }

    /// What a caller's key stands for: a digest of what was asked with it, and the purchase.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn request(
        &self,
        tx: &mut Tx,
        account_id: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, StoreError> {
        let select = self.query_as(
            "SELECT digest, purchase_id FROM gateway.requests WHERE account_id = $1 AND key = $2",
        );
        let select = select.bind(account_id.to_owned()).bind(key.to_owned());
        Ok(select.fetch_optional(&mut **tx).await?)
    }

    /// Remembers what a caller's key stands for.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn remember_request(
        &self,
        tx: &mut Tx,
        (account_id, key, digest): (&str, &str, &str),
        purchase_id: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let insert = self.query("INSERT INTO gateway.requests VALUES ($1, $2, $3, $4, $5)");
        let insert = insert.bind(account_id.to_owned()).bind(key.to_owned());
        let insert = insert.bind(digest.to_owned()).bind(purchase_id.to_owned()).bind(now);
        insert.execute(&mut **tx).await?;
        Ok(())
    }

    /// A purchase, within a transaction.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn purchase_within(
        &self,
        tx: &mut Tx,
        id: &str,
    ) -> Result<Option<Purchase>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM gateway.purchases WHERE id = $1");
        let select = self.query_as(&select).bind(id.to_owned());
        Ok(select.fetch_optional(&mut **tx).await?)
    }

    /// Closes a purchase whose session is over or nearly so, so that another may be begun; should it have been
    /// paid meanwhile, it is credited all the same.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn close_stale(&self, tx: &mut Tx, id: &str, now: i64) -> Result<(), StoreError> {
        let update = self.query(
            "UPDATE gateway.purchases SET state = 'expired', note = 'its session is over', \
             updated_at = $2 WHERE id = $1 AND state IN ('created', 'open')",
        );
        update.bind(id.to_owned()).bind(now).execute(&mut **tx).await?;
        Ok(())
    }

    /// The purchase of this offer that waits for its buyer.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn open_purchase(
        &self,
        tx: &mut Tx,
        account_id: &str,
        offer: &str,
    ) -> Result<Option<Purchase>, StoreError> {
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.purchases WHERE account_id = $1 AND offer = $2 \
             AND state IN ('created', 'open') AND kind = 'checkout'"
        );
        let select = self.query_as(&select).bind(account_id.to_owned()).bind(offer.to_owned());
        Ok(select.fetch_optional(&mut **tx).await?)
    }

    /// When an account's purchases of some time were begun, newest first, at most so many.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn purchases_since(
        &self,
        tx: &mut Tx,
        account_id: &str,
        since: i64,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let select = self.query_as(
            "SELECT created_at FROM gateway.purchases WHERE account_id = $1 AND created_at > $2 \
             ORDER BY created_at DESC LIMIT $3",
        );
        let select = select.bind(account_id.to_owned()).bind(since).bind(limit);
        let found: Vec<(i64,)> = select.fetch_all(&mut **tx).await?;
        Ok(found.into_iter().map(|(at,)| at).collect())
    }

    /// A purchase.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn purchase(&self, named: Named<'_>) -> Result<Option<Purchase>, StoreError> {
        let (column, name) = match named {
            Named::Purchase(id) => ("id", id),
            Named::Session(id) => ("session_id", id),
            Named::Intent(id) => ("payment_intent", id),
        };
        // What can't be the name of anything isn't asked for: PostgreSQL refuses NUL.
        if name.len() > NAME_BYTES_MAX || name.contains('\0') {
            return Ok(None);
        }
        let select = format!("SELECT {COLUMNS} FROM gateway.purchases WHERE {column} = $1");
        let select = self.query_as(&select).bind(name.to_owned());
        Ok(select.fetch_optional(&self.readers).await?)
    }

    /// Purchases, newest first: of an account or all, in a state or any, after (`created_at`, `id`).
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn purchases(
        &self,
        account_id: Option<&str>,
        state: Option<&str>,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Purchase>, StoreError> {
        let (created_at, id) = after.unwrap_or((i64::MAX, String::new()));
        let whose = if account_id.is_some() { "account_id = $1" } else { "$1 = ''" };
        let select = format!(
            "SELECT {COLUMNS} FROM gateway.purchases WHERE {whose} AND ($2 = '' OR state = $2) \
             AND (created_at < $3 OR (created_at = $3 AND id < $4)) \
             ORDER BY created_at DESC, id DESC LIMIT $5"
        );
        let select = self.query_as(&select).bind(account_id.unwrap_or_default().to_owned());
        let select = select.bind(state.unwrap_or_default().to_owned()).bind(created_at).bind(id);
        Ok(select.bind(limit).fetch_all(&self.readers).await?)
    }

    /// What an account has paid, and how often.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn paid_by(&self, account_id: &str) -> Result<(i64, i64), StoreError> {
        let select = self.query_as(
            "SELECT CAST(coalesce(sum(paid_minor), 0) AS bigint), count(*) FROM gateway.purchases \
             WHERE account_id = $1 AND state IN ('credited', 'partly_reversed', 'reversed')",
        );
        Ok(select.bind(account_id.to_owned()).fetch_one(&self.readers).await?)
    }

    /// Stripe has opened a session for it, even if it was given up meanwhile.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn opened(
        &self,
        id: &str,
        opened: &Opened,
        now: i64,
    ) -> Result<Option<Purchase>, StoreError> {
        let update = format!(
            "UPDATE gateway.purchases SET state = CASE state WHEN 'created' THEN 'open' ELSE state END, \
             session_id = $2, checkout_url = $3, session_expires_at = $4, \
             payment_intent = coalesce($5, payment_intent), updated_at = $6 \
             WHERE id = $1 AND session_id IS NULL AND (payment_intent IS NULL OR payment_intent = $5) \
             AND state IN ('created', 'expired', 'failed') RETURNING {COLUMNS}"
        );
        let update = self
            .query_as(&update)
            .bind(id.to_owned())
            .bind(opened.session_id.clone())
            .bind(opened.checkout_url.clone())
            .bind(opened.session_expires_at)
            .bind(opened.payment_intent.clone())
            .bind(now);
        Ok(update.fetch_optional(&self.writers).await?)
    }

    /// Moves it to a state that has no facts of its own, from those that it may be in.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn move_purchase(
        &self,
        id: &str,
        from: &[State],
        to: State,
        note: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        let from: Vec<String> =
            from.iter().map(|state| format!("'{}'", state_name(*state))).collect();
        let update = format!(
            "UPDATE gateway.purchases SET state = $2, note = $3, updated_at = $4 \
             WHERE id = $1 AND state IN ({})",
            from.join(", ")
        );
        let update = self.query(&update).bind(id.to_owned()).bind(state_name(to).to_owned());
        let moved = update.bind(note.to_owned()).bind(now).execute(&self.writers).await?;
        Ok(moved.rows_affected() == 1)
    }

    /// The money is there: what was paid is fixed from here on, since the credit names it.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn paid(
        &self,
        id: &str,
        paid: &Paid,
        now: i64,
    ) -> Result<Option<Purchase>, StoreError> {
        let update = format!(
            "UPDATE gateway.purchases SET state = 'paid', paid_minor = $2, \
             payment_intent = coalesce($3, payment_intent), charge = coalesce($4, charge), \
             receipt_url = coalesce($5, receipt_url), paid_at = $6, updated_at = $6, note = NULL \
             WHERE id = $1 AND state IN ('created', 'open', 'awaiting', 'expired', 'failed', 'mismatch') \
             RETURNING {COLUMNS}"
        );
        let update = self
            .query_as(&update)
            .bind(id.to_owned())
            .bind(paid.paid_minor)
            .bind(paid.payment_intent.clone())
            .bind(paid.charge.clone())
            .bind(paid.receipt_url.clone())
            .bind(now);
        Ok(update.fetch_optional(&self.writers).await?)
    }

    /// What an operator has decided about a mismatch, and nobody else before: it is paid, or it stays one
    /// without; its open alerts are seen to. What was noted before stands behind the new note.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn resolve_mismatch(
        &self,
        id: &str,
        paid: Option<&Paid>,
        note: &str,
        now: i64,
    ) -> Result<Option<Purchase>, StoreError> {
        let mut tx = self.begin().await?;
        let update = format!(
            "UPDATE gateway.purchases SET state = CASE WHEN $2 IS NULL THEN state ELSE 'paid' END, \
             paid_minor = $2, payment_intent = coalesce($3, payment_intent), \
             charge = coalesce($4, charge), receipt_url = coalesce($5, receipt_url), \
             paid_at = CASE WHEN $2 IS NULL THEN paid_at ELSE $6 END, \
             note = substr($7 || coalesce('; ' || note, ''), 1, {NOTE_CHARS_MAX}), \
             updated_at = $6 WHERE id = $1 AND state = 'mismatch' RETURNING {COLUMNS}"
        );
        let update = self
            .query_as(&update)
            .bind(id.to_owned())
            .bind(paid.map(|paid| paid.paid_minor))
            .bind(paid.and_then(|paid| paid.payment_intent.clone()))
            .bind(paid.and_then(|paid| paid.charge.clone()))
            .bind(paid.and_then(|paid| paid.receipt_url.clone()))
            .bind(now)
            .bind(note.to_owned());
        let resolved: Option<Purchase> = update.fetch_optional(&mut *tx).await?;
        if resolved.is_some() {
            let seen_to = self.query(
                "UPDATE gateway.alerts SET state = 'acknowledged', note = $2 \
                 WHERE kind = 'mismatch' AND subject = $1 AND state = 'open'",
            );
            let seen_to = seen_to.bind(id.to_owned()).bind(note.to_owned());
            seen_to.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(resolved)
    }

    /// The ledger has credited it.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn credited(
        &self,
        id: &str,
        transaction_id: &str,
        now: i64,
    ) -> Result<(), StoreError> {
        let update = self.query(
            "UPDATE gateway.purchases SET state = 'credited', transaction_id = $2, credited_at = $3, \
             updated_at = $3 WHERE id = $1 AND state = 'paid'",
        );
        let update = update.bind(id.to_owned()).bind(transaction_id.to_owned()).bind(now);
        update.execute(&self.writers).await?;
        Ok(())
    }

    /// A new target, as the next revision (the time, so that it is newer than any that a restored backup has
    /// forgotten); false if somebody else had one meanwhile, who may know more: look
    /// at Stripe again.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn set_clawback(
        &self,
        purchase: &Purchase,
        target: i64,
        returned_minor: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let update = self.query(
            "UPDATE gateway.purchases SET clawback_target = $3, returned_minor = $4, \
             clawback_revision = CASE WHEN $5 > $2 THEN $5 ELSE $2 + 1 END, \
             updated_at = $5 WHERE id = $1 AND clawback_revision = $2",
        );
        let update = update.bind(purchase.id.clone()).bind(purchase.clawback_revision);
        let update = update.bind(target).bind(returned_minor).bind(now);
        Ok(update.execute(&self.writers).await?.rows_affected() == 1)
    }

    /// The target has to be told again, as a newer revision than any that there was.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn renew_clawback(&self, id: &str, now: i64) -> Result<(), StoreError> {
        let update = self.query(
            "UPDATE gateway.purchases SET clawback_revision = $2 \
             WHERE id = $1 AND clawback_revision < $2",
        );
        update.bind(id.to_owned()).bind(now).execute(&self.writers).await?;
        Ok(())
    }

    /// The ledger has taken a revision.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn confirm_clawback(
        &self,
        id: &str,
        revision: i64,
        now: i64,
    ) -> Result<(), StoreError> {
        self.query(
            "UPDATE gateway.purchases SET clawback_confirmed = $2, updated_at = $3, state = CASE \
             WHEN clawback_revision > $2 THEN state WHEN clawback_target = 0 THEN 'credited' \
             WHEN clawback_target = tokens THEN 'reversed' ELSE 'partly_reversed' END \
             WHERE id = $1 AND clawback_confirmed < $2 \
             AND state IN ('credited', 'partly_reversed', 'reversed')",
        )
        .bind(id.to_owned())
        .bind(revision)
        .bind(now)
        .execute(&self.writers)
        .await?;
        Ok(())
    }

    /// Purchases that aren't settled and are due to be looked at, each of which is put off by `pause` and more,
    /// the older it is.
    ///
    /// # Errors
    /// The database isn't there.
    pub async fn take_unsettled(
        &self,
        now: i64,
        pause: i64,
        limit: i64,
    ) -> Result<Vec<Purchase>, StoreError> {
        let update = format!(
            "UPDATE gateway.purchases SET look_at = $1 + $2 + ($1 - created_at) / 8 WHERE id IN \
             (SELECT id FROM gateway.purchases WHERE look_at <= $1 AND \
             (state IN ('created', 'open', 'awaiting', 'paid') OR clawback_confirmed < clawback_revision) \
             ORDER BY look_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING {COLUMNS}"
        );
        let update = self.query_as(&update).bind(now).bind(pause).bind(limit);
        Ok(update.fetch_all(&self.writers).await?)
    }
}
