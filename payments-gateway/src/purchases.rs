//! Purchases begun: written down, with the call that opens them at Stripe, before Stripe hears of it; then the
//! call is made, as often as it takes, by whoever comes by: the buyer who clicks, or clicks again, or the worker.

use crate::{
    clock::{self, HOUR, SECOND},
    intake::Intake,
    store::{
        Store, StoreError,
        alerts::Kind as Alert,
        calls::{Call, Outcome},
        new_id,
        purchases::{Kind, Named, NewPurchase, Opened, Purchase},
    },
    stripe::{self, CallError, Request, event, facts, request::Returns},
};
use billing::State;
use proto::catalog::Catalog;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};

/// Stripe keeps keys for 24 hours at least; after that the same key would make something new.
const RESEND_MAX: i64 = 23 * HOUR;

/// Sessions end after 24 hours, and nobody was ever told where this one is, so nobody can have paid it: then it isn't
/// even looked up.
const LOOK_UP_MAX: i64 = 25 * HOUR;

/// A session that has less than this left isn't handed out again.
const SESSION_LEFT_MIN: i64 = 10 * 60 * SECOND;

/// Attempts at opening a purchase; each needs a definite no to the one before.
const ATTEMPTS_MAX: i64 = 5;

/// Pages of a list that are read to find what a call made.
const PAGES_MAX: usize = 50;

/// How long after its beginning a purchase that isn't settled is looked at.
const FIRST_LOOK: i64 = 60 * SECOND;

/// What somebody wants to buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The catalog's package of this id.
    Package(String),
    /// So many tokens, at the catalog's price for one.
    Tokens(i64),
}

/// Why a purchase can't be begun.
#[derive(Debug, thiserror::Error)]
pub enum Begin {
    /// Nothing of that kind is sold.
    #[error("{message}")]
    NoSuchOffer {
        /// Which of the two wishes it was.
        field: &'static str,
        /// What is sold instead.
        message: String,
    },
    /// The caller's key stands for something else.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// Too many.
    #[error("{limit} purchases in {window:?} are the limit")]
    Limit {
        /// How many there may be.
        limit: i64,
        /// In which time.
        window: Duration,
        /// When there may be another.
        retry_after: Duration,
    },
    /// Stripe said no.
    #[error("Stripe refused it: {message}")]
    Refused {
        /// In Stripe's words.
        message: String,
    },
    /// Our key isn't known to Stripe, or lacks a right.
    #[error("{0}")]
    Forbidden(String),
    /// Stripe can't be asked; what was begun goes on when it is asked for again.
    #[error("{0}")]
    Away(String),
    /// The database can't be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A purchase that was begun.
#[derive(Debug)]
pub struct Begun {
    /// The purchase.
    pub purchase: Purchase,
    /// Stripe's session or PaymentIntent, if it was asked for just now.
    pub object: Option<Value>,
    /// Whether it was there before.
    pub reused: bool,
}

/// Begins purchases.
#[derive(Clone)]
pub struct Purchases {
    store: Store,
    stripe: stripe::Client,
    intake: Intake,
    catalog: Arc<Catalog>,
    catalog_version: Arc<str>,
    livemode: bool,
    sells_discounts: bool,
    public_url: Arc<str>,
    /// What this deployment is called at Stripe.
    name: Arc<str>,
}

/// What is sold, as the catalog has it.
struct Offer {
    package_id: Option<String>,
    name: String,
    tokens: i64,
    price_minor: i64,
    stripe_price: Option<String>,
}

impl Purchases {
    /// Begins purchases of what `catalog` sells. `sells_discounts` if there are promotion codes of ours.
    #[must_use]
    pub fn new(
        (store, stripe, intake): (Store, stripe::Client, Intake),
        catalog: Arc<Catalog>,
        (livemode, sells_discounts): (bool, bool),
        (name, public_url): (&str, &str),
    ) -> Self {
        let catalog_version = catalog.digest().into();
        let (name, public_url) = (name.into(), public_url.into());
        Self {
            name,
            store,
            stripe,
            intake,
            catalog,
            catalog_version,
            livemode,
            sells_discounts,
            public_url,
        }
    }

    /// Begins a purchase for an account, or goes on with the one that is open or that the caller's key stands
    /// for.
    ///
    /// # Errors
    /// See [`Begin`].
    pub async fn begin(
        &self,
        account_id: &str,
        kind: Kind,
        wish: &Wish,
        key: Option<&str>,
    ) -> Result<Begun, Begin> {
        let offer = self.offer(wish)?;
        let begun = self.write_down(account_id, kind, wish, offer, key).await;
        if let Err(Begin::Limit { limit, window, .. }) = &begun {
            let words = format!("more than {limit} purchases in {window:?}");
            self.store.alert(Alert::PurchaseLimit, account_id, &words, clock::now()).await?;
        }
        let (purchase, reused) = begun?;
        match purchase.state()? {
            State::Created => {
                let (purchase, object) = self.go_on(purchase).await?;
                Ok(Begun { purchase, object, reused })
            }
            State::Open
            | State::Awaiting
            | State::Paid
            | State::Credited
            | State::Expired
            | State::Failed
            | State::Mismatch
            | State::PartlyReversed
            | State::Reversed => {
                let object = match (kind, &purchase.payment_intent) {
                    (Kind::PaymentIntent, Some(intent)) => {
                        Some(self.ask(&Request::intent(intent)).await?)
                    }
                    (Kind::Checkout | Kind::PaymentIntent, _) => None,
                };
                Ok(Begun { purchase, object, reused })
            }
        }
    }

    /// A purchase with its call, or the one that is meant; and whether it was there before.
    async fn write_down(
        &self,
        account_id: &str,
        kind: Kind,
        wish: &Wish,
        offer: Offer,
        key: Option<&str>,
    ) -> Result<(Purchase, bool), Begin> {
        let now = clock::now();
        let asked = digest(&[kind.as_str(), &format!("{wish:?}")]);
        let mut tx = self.store.begin().await?;
        // Whoever else begins one for this account waits here, on whichever replica.
        let customer = self.store.lock_customer(&mut tx, account_id, now).await?;
        if let Some(key) = key
            && let Some((digest, id)) = self.store.request(&mut tx, account_id, key).await?
        {
            let purchase = self.store.purchase_within(&mut tx, &id).await?;
            return match purchase {
                Some(purchase) if digest == asked => Ok((purchase, true)),
                Some(_) => Err(Begin::KeyReused),
                None => Err(StoreError::Corrupt(format!("request without purchase {id}")).into()),
            };
        }
        let offered = digest(&[
            &format!("{:?} {:?}", offer.package_id, offer.stripe_price),
            &format!("{} {}", offer.tokens, offer.price_minor),
            &self.catalog_version,
        ]);
        if kind == Kind::Checkout
            && let Some(open) = self.store.open_purchase(&mut tx, account_id, &offered).await?
        {
            let is_fresh = |end: i64| end.saturating_sub(now) >= SESSION_LEFT_MIN;
            if open.session_expires_at.is_none_or(is_fresh) {
                if let Some(key) = key {
                    let request = (account_id, key, asked.as_str());
                    self.store.remember_request(&mut tx, request, &open.id, now).await?;
                }
                tx.commit().await.map_err(StoreError::from)?;
                return Ok((open, true));
            }
            self.store.close_stale(&mut tx, &open.id, now).await?;
        }
        self.within_limits(&mut tx, account_id, now).await?;
        let new = NewPurchase {
            id: new_id(now),
            account_id: account_id.to_owned(),
            kind,
            package_id: offer.package_id,
            name: offer.name,
            tokens: offer.tokens,
            price_minor: offer.price_minor,
            currency: self.catalog.currency.code().to_owned(),
            livemode: self.livemode,
            stripe_price: offer.stripe_price,
            may_be_free: self.sells_discounts && kind == Kind::Checkout,
            catalog_version: self.catalog_version.to_string(),
            offer: offered,
        };
        let look_at = now.saturating_add(FIRST_LOOK);
        let purchase = self.store.insert_purchase(&mut tx, &new, (now, look_at)).await?;
        let who = (customer.stripe_customer.as_deref(), customer.email.as_deref());
        let call = self.first_call(&purchase, who, now);
        self.store.record_call(&mut tx, &call).await?;
        if let Some(key) = key {
            let request = (account_id, key, asked.as_str());
            self.store.remember_request(&mut tx, request, &purchase.id, now).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        Ok((purchase, false))
    }

    async fn within_limits(
        &self,
        tx: &mut crate::store::Tx,
        account_id: &str,
        now: i64,
    ) -> Result<(), Begin> {
        let limits = self.catalog.limits;
        let day = now.saturating_sub(24 * HOUR);
        let per_day = limits.purchases_per_day;
        let begun = self.store.purchases_since(tx, account_id, day, per_day).await?;
        let windows = [(limits.purchases_per_hour, HOUR), (per_day, 24 * HOUR)];
        let reached = windows.into_iter().filter_map(|(limit, window)| {
            let nth = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(1);
            // The one that has to grow too old before there may be another.
            let wait = begun.get(nth)?.saturating_add(window).saturating_sub(now);
            (wait > 0).then_some((wait, limit, window))
        });
        let Some((wait, limit, window)) = reached.max() else { return Ok(()) };
        let micros = |time: i64| Duration::from_micros(u64::try_from(time).unwrap_or_default());
        Err(Begin::Limit { limit, window: micros(window), retry_after: micros(wait) })
    }

    fn first_call(
        &self,
        purchase: &Purchase,
        customer: (Option<&str>, Option<&str>),
        now: i64,
    ) -> Call {
        let request = match purchase.kind() {
            Kind::Checkout => {
                let returns = self.returns(purchase);
                Request::create_session(purchase, &self.name, &returns, customer)
            }
            Kind::PaymentIntent => Request::create_intent(purchase, &self.name, customer.0),
        };
        Call {
            key: attempt_key(&purchase.id, purchase.attempt),
            purchase_id: purchase.id.clone(),
            path: request.path,
            body: request.body,
            outcome: String::new(),
            status: None,
            request_id: None,
            error: None,
            created_at: now,
            answered_at: None,
        }
    }

    fn returns(&self, purchase: &Purchase) -> Returns {
        let public_url = &self.public_url;
        Returns {
            success_url: format!("{public_url}/tokens/success?session_id={{CHECKOUT_SESSION_ID}}"),
            cancel_url: format!("{public_url}/tokens/cancel?purchase={}", purchase.id),
        }
    }

    fn offer(&self, wish: &Wish) -> Result<Offer, Begin> {
        match wish {
            Wish::Package(id) => {
                let package = self.catalog.package(id).ok_or_else(|| {
                    let known: Vec<&str> =
                        self.catalog.packages.iter().map(|it| it.id.as_str()).collect();
                    let known = known.join(", ");
                    no_offer("package", format!("there is no package `{id}`; there are {known}"))
                })?;
                Ok(Offer {
                    package_id: Some(package.id.clone()),
                    name: format!("{}: {} tokens", package.name, package.tokens),
                    tokens: package.tokens,
                    price_minor: package.price_minor,
                    stripe_price: package.stripe_price.clone(),
                })
            }
            Wish::Tokens(tokens) => {
                let custom = self.catalog.custom_amount.ok_or_else(|| {
                    no_offer("tokens", "only packages are sold here; name a package".to_owned())
                })?;
                let price_minor = custom.price_minor(*tokens).ok_or_else(|| {
                    let (min, max) = (custom.min_tokens, custom.max_tokens);
                    no_offer("tokens", format!("give a number from {min} to {max}"))
                })?;
                Ok(Offer {
                    package_id: None,
                    name: format!("{tokens} tokens"),
                    tokens: *tokens,
                    price_minor,
                    stripe_price: None,
                })
            }
        }
    }

    /// Makes the call that opens a purchase, and again, until it is known what became of it.
    ///
    /// # Errors
    /// See [`Begin`].
    pub async fn go_on(&self, purchase: Purchase) -> Result<(Purchase, Option<Value>), Begin> {
        let mut purchase = purchase;
        loop {
            let key = attempt_key(&purchase.id, purchase.attempt);
            let call = self.store.call(&key).await?;
            let call = call.ok_or_else(|| StoreError::Corrupt(format!("no call {key}")))?;
            if call.outcome == "refused" {
                return Err(Begin::Refused { message: call.error.unwrap_or_default() });
            }
            let since = call.created_at;
            let now = clock::now();
            let is_fresh = now.saturating_sub(call.created_at) < RESEND_MAX;
            let answer = if is_fresh {
                self.stripe.call(&Request::recorded(&call.path, &call.body, &key)).await
            } else {
                Err(CallError::Broken { status: 0, request_id: None })
            };
            match answer {
                Ok(answer) => {
                    let told = (Some(answer.status), answer.request_id.as_deref(), None);
                    let opened = self.adopt(purchase, &answer.body).await?;
                    self.store.answer_call(&key, Outcome::Done, told, clock::now()).await?;
                    return Ok((opened, Some(answer.body)));
                }
                Err(CallError::Away(why)) => return Err(Begin::Away(why)),
                Err(CallError::Forbidden(why)) => return Err(Begin::Forbidden(why)),
                Err(CallError::Refused { status, param, message, request_id, .. }) => {
                    let told = (Some(status), request_id.as_deref(), Some(message.as_str()));
                    // A customer who was deleted at Stripe, or is of another mode: without them, then.
                    let is_the_customer = param.as_deref() == Some("customer");
                    if !is_the_customer || purchase.attempt >= ATTEMPTS_MAX {
                        self.refused(&purchase, &key, told).await?;
                        return Err(Begin::Refused { message });
                    }
                    self.store.forget_stripe_customer(&purchase.account_id).await?;
                    purchase = self.next_attempt(purchase, &key, told, now).await?;
                }
                Err(CallError::Broken { status, request_id }) => {
                    let is_over = now.saturating_sub(since) > LOOK_UP_MAX;
                    let found = if is_over { None } else { self.look_up(&purchase, since).await? };
                    if let Some(object) = found {
                        let opened = self.adopt(purchase, &object).await?;
                        let told = (Some(status), request_id.as_deref(), Some("looked up"));
                        self.store.answer_call(&key, Outcome::Done, told, clock::now()).await?;
                        return Ok((opened, Some(object)));
                    }
                    let told = (Some(status), request_id.as_deref(), Some("it never happened"));
                    if !is_fresh || purchase.attempt >= ATTEMPTS_MAX {
                        self.refused(&purchase, &key, told).await?;
                        return Err(Begin::Away("Stripe failed again and again".to_owned()));
                    }
                    purchase = self.next_attempt(purchase, &key, told, now).await?;
                }
            }
        }
    }

    /// Stripe said no, for good.
    async fn refused(
        &self,
        purchase: &Purchase,
        key: &str,
        told: (Option<u16>, Option<&str>, Option<&str>),
    ) -> Result<(), StoreError> {
        tracing::error!(purchase = purchase.id, key, ?told, "Stripe refused to open a purchase");
        let now = clock::now();
        let note = format!("Stripe refused it: {}", told.2.unwrap_or_default());
        self.store.refuse_purchase(&purchase.id, key, told, &note, now).await
    }

    /// The call didn't happen, and won't: another one is written down in the same moment.
    async fn next_attempt(
        &self,
        purchase: Purchase,
        key: &str,
        told: (Option<u16>, Option<&str>, Option<&str>),
        now: i64,
    ) -> Result<Purchase, StoreError> {
        let customer = self.store.customer(&purchase.account_id).await?;
        let who = customer.as_ref();
        let who = (
            who.and_then(|it| it.stripe_customer.as_deref()),
            who.and_then(|it| it.email.as_deref()),
        );
        let before = purchase.attempt;
        let mut next = purchase;
        next.attempt = before.saturating_add(1);
        // If somebody else was quicker, theirs is made.
        let call = self.first_call(&next, who, now);
        self.store.record_next_call(before, (key, told), &call).await?;
        self.reread(&next.id).await
    }

    /// Writes down what Stripe opened.
    async fn adopt(&self, purchase: Purchase, object: &Value) -> Result<Purchase, Begin> {
        let text = |member| object.get(member).and_then(Value::as_str).map(str::to_owned);
        let named = text("id").ok_or_else(|| Begin::Away("an object without an id".to_owned()))?;
        let opened = match purchase.kind() {
            Kind::Checkout => Opened {
                session_id: Some(named),
                checkout_url: text("url"),
                session_expires_at: event::amount(object, "expires_at")
                    .map(|seconds| seconds.saturating_mul(SECOND)),
                payment_intent: event::id(object, "payment_intent"),
            },
            Kind::PaymentIntent => Opened {
                session_id: None,
                checkout_url: None,
                session_expires_at: None,
                payment_intent: Some(named),
            },
        };
        match self.store.opened(&purchase.id, &opened, clock::now()).await? {
            Some(opened) => Ok(opened),
            None => Ok(self.reread(&purchase.id).await?),
        }
    }

    /// Finds what a call made, whose answer was lost: it names the purchase.
    async fn look_up(&self, purchase: &Purchase, since: i64) -> Result<Option<Value>, Begin> {
        // Stripe's clock and ours may differ.
        let since = clock::seconds(since).saturating_sub(600);
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let request = match purchase.kind() {
                Kind::Checkout => Request::sessions_since(since, after.as_deref()),
                Kind::PaymentIntent => Request::intents_since(since, after.as_deref()),
            };
            let page = self.ask(&request).await?;
            let data = page.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            let is_it = |object: &&Value| facts::purchase_id(object) == Some(&purchase.id);
            if let Some(found) = data.iter().find(is_it) {
                return Ok(Some(found.clone()));
            }
            after = data.last().and_then(|last| event::id(&serde_json::json!({"it": last}), "it"));
            let has_more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            if !has_more || after.is_none() {
                return Ok(None);
            }
        }
        Err(Begin::Away("Stripe has too many sessions to look one up".to_owned()))
    }

    /// The purchase with the session that names it at Stripe, if there is one, whoever opened it.
    ///
    /// # Errors
    /// See [`Begin`].
    pub async fn find(&self, id: &str) -> Result<Option<Purchase>, Begin> {
        let purchase = self.reread(id).await?;
        match self.look_up(&purchase, purchase.created_at).await? {
            Some(object) => Ok(Some(self.adopt(purchase, &object).await?)),
            None => Ok(None),
        }
    }

    async fn ask(&self, request: &Request) -> Result<Value, Begin> {
        match self.stripe.call(request).await {
            Ok(answer) => Ok(answer.body),
            Err(error) => Err(Begin::Away(error.to_string())),
        }
    }

    /// Gives a purchase up: its session is closed at Stripe, unless it was paid meanwhile.
    ///
    /// # Errors
    /// See [`Begin`].
    pub async fn cancel(&self, purchase: Purchase) -> Result<Purchase, Begin> {
        let (id, now) = (purchase.id.clone(), clock::now());
        match (purchase.state()?, &purchase.session_id) {
            (State::Open, Some(session)) => {
                match self.stripe.call(&Request::expire_session(session)).await {
                    Ok(_) => {
                        let note = "its buyer gave it up";
                        let from = [State::Open];
                        self.store.move_purchase(&id, &from, State::Expired, note, now).await?;
                    }
                    // It is over already, or paid: the worker finds out.
                    Err(CallError::Refused { .. }) => {
                        self.intake.look_at(&id, "it can't be given up").await.ok();
                    }
                    Err(error) => return Err(Begin::Away(error.to_string())),
                }
            }
            (State::Created, _) => {
                let note = "its buyer gave it up before Stripe answered";
                self.store.move_purchase(&id, &[State::Created], State::Expired, note, now).await?;
            }
            (
                State::Open
                | State::Awaiting
                | State::Paid
                | State::Credited
                | State::Expired
                | State::Failed
                | State::Mismatch
                | State::PartlyReversed
                | State::Reversed,
                _,
            ) => {}
        }
        Ok(self.reread(&id).await?)
    }

    async fn reread(&self, id: &str) -> Result<Purchase, StoreError> {
        let purchase = self.store.purchase(Named::Purchase(id)).await?;
        purchase.ok_or_else(|| StoreError::Corrupt(format!("purchase {id} is gone")))
    }
}

fn no_offer(field: &'static str, message: String) -> Begin {
    Begin::NoSuchOffer { field, message }
}

fn attempt_key(purchase_id: &str, attempt: i64) -> String {
    format!("purchase/{purchase_id}/attempt/{attempt}")
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hex::encode(hasher.finalize())
}
