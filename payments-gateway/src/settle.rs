//! A purchase, looked at: how it stands at Stripe, and what is to be done. The only place that credits.
//!
//! Nothing here depends on which event asked, or how often: Stripe is asked how things stand now, `billing`
//! decides, and each step may be repeated. Whoever dies between two steps is followed by somebody who begins
//! at the first.

use crate::{
    clock,
    ledger::{Ledger, LedgerError},
    purchases::{Begin, Purchases},
    store::{
        Store, StoreError,
        alerts::Kind as Alert,
        purchases::{Kind, Named, Purchase},
    },
    stripe::{self, CallError, Request, facts},
};
use billing::{Decision, Difference, MoneyBack, State, Why};
use serde_json::Value;
use std::sync::Arc;

/// States from which money may still arrive.
const BEFORE_PAID: [State; 5] =
    [State::Created, State::Open, State::Awaiting, State::Expired, State::Failed];

/// How often a new target is computed anew because somebody else had one meanwhile.
const OVERTAKEN_MAX: usize = 20;

/// Pages of refunds or disputes of one payment: a payment has far fewer than a page.
const PAGES_MAX: usize = 20;

/// Why a purchase couldn't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Somebody is away, who will be back: it counts as no failure.
    #[error("{0}")]
    Away(String),
    /// Something is wrong; trying again may help, or somebody has to see to it.
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        if error.is_final() {
            Self::Failed(error.to_string())
        } else {
            Self::Away(error.to_string())
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Away(_) | CallError::Broken { .. } => Self::Away(error.to_string()),
            CallError::Refused { .. } | CallError::Forbidden(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<facts::Unreadable> for Trouble {
    fn from(error: facts::Unreadable) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<Begin> for Trouble {
    fn from(error: Begin) -> Self {
        match error {
            Begin::Away(why) => Self::Away(why),
            Begin::Store(error) => error.into(),
            Begin::Limit { .. }
            | Begin::KeyReused
            | Begin::NoSuchOffer { .. }
            | Begin::Refused { .. }
            | Begin::Forbidden(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Away(_) => Self::Away(error.to_string()),
            LedgerError::Refused(_) | LedgerError::KeyReused(_) | LedgerError::NoAccount => {
                Self::Failed(error.to_string())
            }
        }
    }
}

/// What a purchase is looked at with.
#[derive(Clone)]
pub struct Settle {
    /// Where it is kept.
    pub store: Store,
    /// Who knows whether it is paid.
    pub stripe: stripe::Client,
    /// Who has the tokens.
    pub ledger: Ledger,
    /// Who makes calls that were begun.
    pub purchases: Purchases,
    /// Promotion codes and coupons that are ours.
    pub promotions: Arc<[String]>,
}

impl Settle {
    /// Looks at a purchase and does what is to be done; what that was, in words. `about_money_back` if whoever
    /// asks has heard of a refund or dispute.
    ///
    /// # Errors
    /// See [`Trouble`]; nothing is lost, ask again.
    pub async fn purchase(
        &self,
        purchase: Purchase,
        about_money_back: bool,
    ) -> Result<String, Trouble> {
        match purchase.state()? {
            State::Credited | State::PartlyReversed | State::Reversed => {
                return self.credited(purchase, about_money_back).await;
            }
            State::Paid => return self.credit(purchase, about_money_back).await,
            State::Mismatch => return Ok("an operator has it".to_owned()),
            State::Created | State::Open | State::Awaiting | State::Expired | State::Failed => {}
        }
        let Some(purchase) = self.begun(purchase).await? else {
            return Ok("Stripe never opened a session for it".to_owned());
        };
        let facts = self.facts(&purchase).await?;
        if let Some(customer) = &facts.customer {
            self.store.name_customer(&purchase.account_id, customer).await?;
        }
        let state = purchase.state()?;
        let move_to = |to: State, note: &'static str| {
            let (store, id) = (&self.store, &purchase.id);
            async move {
                store.move_purchase(id, &BEFORE_PAID, to, note, clock::now()).await?;
                Ok(note.to_owned())
            }
        };
        match billing::decide(&purchase.quote(), state, &facts.session) {
            Decision::Credit { paid_minor, .. } => {
                let paid = crate::store::purchases::Paid { paid_minor, ..facts.paid };
                let paid = self.store.paid(&purchase.id, &paid, clock::now()).await?;
                let Some(paid) = paid else {
                    // Somebody else was quicker, and may have died since.
                    return self.again(&purchase.id, about_money_back).await;
                };
                self.credit(paid, about_money_back || facts.money_went_back).await
            }
            Decision::Await => move_to(State::Awaiting, "the bank hasn't answered yet").await,
            Decision::Expire => move_to(State::Expired, "nobody paid in time").await,
            Decision::Fail => move_to(State::Failed, "the bank said no").await,
            Decision::Mismatch(differences) => self.mismatch(&purchase, &differences).await,
            Decision::Nothing(why) => Ok(words(why).to_owned()),
        }
    }

    /// The same, by name.
    async fn again(&self, id: &str, about_money_back: bool) -> Result<String, Trouble> {
        let purchase = self.store.purchase(Named::Purchase(id)).await?;
        let purchase = purchase.ok_or_else(|| Trouble::Failed(format!("no purchase {id}")))?;
        match purchase.state()? {
            State::Paid | State::Credited | State::PartlyReversed | State::Reversed => {
                Box::pin(self.purchase(purchase, about_money_back)).await
            }
            State::Created
            | State::Open
            | State::Awaiting
            | State::Expired
            | State::Failed
            | State::Mismatch => Err(Trouble::Away("it was moved meanwhile".to_owned())),
        }
    }

    /// The purchase with its session; `None` if there will be none.
    async fn begun(&self, purchase: Purchase) -> Result<Option<Purchase>, Trouble> {
        let is_begun = match purchase.kind() {
            Kind::Checkout => purchase.session_id.is_some(),
            Kind::PaymentIntent => purchase.payment_intent.is_some(),
        };
        if is_begun {
            return Ok(Some(purchase));
        }
        let purchase_id = &purchase.id.clone();
        match self.purchases.go_on(purchase).await {
            Ok((purchase, _)) => Ok(Some(purchase)),
            Err(Begin::Refused { .. }) => {
                // Whoever refused it may have been wrong: a session that names the purchase is its own.
                Ok(self.purchases.find(purchase_id).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn facts(&self, purchase: &Purchase) -> Result<facts::Facts, Trouble> {
        let request = match (purchase.kind(), &purchase.session_id, &purchase.payment_intent) {
            (Kind::Checkout, Some(session), _) => Request::session(session),
            (Kind::PaymentIntent, _, Some(intent)) => Request::intent(intent),
            (Kind::Checkout | Kind::PaymentIntent, _, _) => {
                return Err(Trouble::Failed("it has no session".to_owned()));
            }
        };
        let answer = self.stripe.call(&request).await?;
        Ok(facts::of(purchase, &answer.body, &self.promotions)?)
    }

    async fn mismatch(
        &self,
        purchase: &Purchase,
        differences: &[Difference],
    ) -> Result<String, Trouble> {
        let words: Vec<String> = differences.iter().map(|it| format!("{it:?}")).collect();
        let words = format!("not as it was quoted: {}", words.join("; "));
        // First the alert: whoever dies after it raises it again, which is better than never.
        let now = clock::now();
        self.store.alert(Alert::Mismatch, &purchase.id, &words, now).await?;
        self.store.move_purchase(&purchase.id, &BEFORE_PAID, State::Mismatch, &words, now).await?;
        Ok(words)
    }

    /// The money is there: the tokens follow.
    async fn credit(&self, purchase: Purchase, about_money_back: bool) -> Result<String, Trouble> {
        let transaction = match self.ledger.credit(&purchase).await {
            Ok(transaction) => transaction,
            Err(error @ LedgerError::KeyReused(_)) => {
                let (words, now) = (error.to_string(), clock::now());
                self.store.alert(Alert::DuplicateCredit, &purchase.id, &words, now).await?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        self.store.credited(&purchase.id, &transaction, clock::now()).await?;
        tracing::info!(
            purchase = purchase.id,
            account = purchase.account_id,
            tokens = purchase.tokens,
            "credited"
        );
        let words = format!("credited {} tokens", purchase.tokens);
        if !about_money_back {
            return Ok(words);
        }
        Ok(format!("{words}; {}", self.take_back(purchase.id).await?))
    }

    /// The tokens are there: only what goes back is left to decide.
    async fn credited(
        &self,
        purchase: Purchase,
        about_money_back: bool,
    ) -> Result<String, Trouble> {
        let is_confirmed = purchase.clawback_confirmed == purchase.clawback_revision;
        if about_money_back || !is_confirmed {
            self.take_back(purchase.id).await
        } else {
            Ok("credited already".to_owned())
        }
    }

    /// Computes how many tokens are to be taken back from how the payment stands now, and tells the ledger.
    ///
    /// The purchase is read before Stripe is asked, and its new target is written only if its revision is still
    /// the same: a higher revision always knows at least as much.
    async fn take_back(&self, id: String) -> Result<String, Trouble> {
        for _ in 0..OVERTAKEN_MAX {
            let purchase = self.store.purchase(Named::Purchase(&id)).await?;
            let purchase = purchase.ok_or_else(|| Trouble::Failed(format!("no purchase {id}")))?;
            let Some(intent) = &purchase.payment_intent else {
                return Ok("nothing was paid, so nothing comes back".to_owned());
            };
            let refunds = self.all(|after| Request::refunds(intent, after)).await?;
            let disputes = self.all(|after| Request::disputes(intent, after)).await?;
            let refunds = facts::refunds(&refunds, &purchase.currency)?;
            let disputes = facts::disputes(&disputes, &purchase.currency)?;
            let back = MoneyBack { refunds: &refunds, disputes: &disputes };
            let paid_minor = purchase.paid_minor.unwrap_or_default();
            let target = billing::target(purchase.tokens, paid_minor, back);
            let returned_minor = billing::returned(paid_minor, back);
            let is_new =
                target != purchase.clawback_target || (returned_minor != purchase.returned_minor);
            if !is_new && purchase.clawback_confirmed == purchase.clawback_revision {
                return Ok(format!("{target} tokens are taken back, as before"));
            }
            if is_new {
                let now = clock::now();
                if !self.store.set_clawback(&purchase, target, returned_minor, now).await? {
                    continue;
                }
            }
            let purchase = self.store.purchase(Named::Purchase(&id)).await?;
            let purchase = purchase.ok_or_else(|| Trouble::Failed(format!("no purchase {id}")))?;
            self.ledger.set_clawback(&purchase).await?;
            let (target, revision) = (purchase.clawback_target, purchase.clawback_revision);
            self.store.confirm_clawback(&id, revision, clock::now()).await?;
            return Ok(format!("{target} of {} tokens are taken back", purchase.tokens));
        }
        Err(Trouble::Away("others look at it all the time".to_owned()))
    }

    /// All pages of a list.
    async fn all(&self, page: impl Fn(Option<&str>) -> Request) -> Result<Vec<Value>, Trouble> {
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..PAGES_MAX {
            let after = all.last().and_then(|last| last.get("id")).and_then(Value::as_str);
            let answer = self.stripe.call(&page(after)).await?;
            let data = answer.body.get("data").and_then(Value::as_array);
            let data = data.ok_or_else(|| Trouble::Failed("a list without data".to_owned()))?;
            let has_more = answer.body.get("has_more").and_then(Value::as_bool).unwrap_or(false);
            let is_empty = data.is_empty();
            all.extend(data.iter().cloned());
            if !has_more || is_empty {
                return Ok(all);
            }
        }
        Err(Trouble::Failed("a list that doesn't end".to_owned()))
    }
}

fn words(why: Why) -> &'static str {
    match why {
        Why::Credited => "credited already",
        Why::Open => "its buyer hasn't paid",
        Why::WithOperator => "an operator has it",
        Why::Closed => "it was closed already",
    }
}
