//! What answers look like: JSON shapes, and how our rows and the ledger's messages become them.

use super::problem::Problem;
use crate::{clock, store::purchases::Purchase};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query};
use proto::{
    catalog::{Catalog, Label},
    v1,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Entries of a page, when nothing is said.
const LIMIT: i64 = 20;

/// Entries of a page at most.
const LIMIT_MAX: i64 = 100;

/// A body; what can't be read is a problem.
#[derive(FromRequest)]
#[from_request(via(Json), rejection(Problem))]
pub struct Body<T>(pub T);

/// A query; the same.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(Problem))]
pub struct Asked<T>(pub T);

/// A path; the same.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(Problem))]
pub struct Named<T>(pub T);

/// Money.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Money {
    /// Minor units: cents of usd, yen of jpy.
    pub minor: i64,
    /// ISO 4217, lower case.
    #[schema(example = "usd")]
    pub currency: String,
}

/// Which page of a list.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<i64>,
    /// Where the last page ended: its `next_cursor`.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// How many.
    ///
    /// # Errors
    /// Too few, or too many.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(LIMIT) {
            limit if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
            _ => Err(Problem::field("limit", format!("give a number from 1 to {LIMIT_MAX}"))),
        }
    }

    /// The time and id where the last page ended.
    ///
    /// # Errors
    /// No answer of ours had that cursor.
    pub fn after(&self) -> Result<Option<(i64, String)>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let read = cursor.split_once('-').and_then(|(time, id)| {
            let is_id = id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric());
            Some((time.parse().ok()?, id.to_owned())).filter(|_| is_id)
        });
        read.map(Some).ok_or_else(|| Problem::field("cursor", "give the next_cursor of an answer"))
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// What to ask for next; none at the end.
    pub next_cursor: Option<String>,
}

/// A purchase.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Purchase)]
pub struct PurchaseView {
    /// Its name.
    pub id: String,
    /// created, open, awaiting, paid, credited, expired, failed, mismatch, partly_reversed or reversed.
    pub state: String,
    /// checkout or payment_intent.
    pub kind: String,
    /// The package; none for a number of tokens.
    pub package: Option<String>,
    /// What people read.
    pub name: String,
    /// What the account gets.
    pub tokens: i64,
    /// What it costs, before discounts and taxes.
    pub price: Money,
    /// What was paid; none before.
    pub paid: Option<Money>,
    /// Tokens that are taken back, because money went back.
    pub reversed_tokens: i64,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub credited_at: Option<String>,
    /// Where it is paid, while it is open.
    pub checkout_url: Option<String>,
    /// Stripe's receipt.
    pub receipt_url: Option<String>,
}

impl PurchaseView {
    /// What its buyer sees of a purchase.
    #[must_use]
    pub fn of(purchase: &Purchase) -> Self {
        let money = |minor| Money { minor, currency: purchase.currency.clone() };
        let is_open = purchase.state_name() == "open";
        Self {
            id: purchase.id.clone(),
            state: purchase.state_name().to_owned(),
            kind: purchase.kind().as_str().to_owned(),
            package: purchase.package_id.clone(),
            name: purchase.name.clone(),
            tokens: purchase.tokens,
            price: money(purchase.price_minor),
            paid: purchase.paid_minor.map(money),
            reversed_tokens: purchase.clawback_target,
            created_at: clock::rfc3339(purchase.created_at),
            credited_at: purchase.credited_at.map(clock::rfc3339),
            checkout_url: purchase.checkout_url.clone().filter(|_| is_open),
            receipt_url: purchase.receipt_url.clone(),
        }
    }
}

/// A transaction, as its account sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Transaction)]
pub struct TransactionView {
    /// Its name.
    pub id: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// credit, debit, reversal, transfer, hold, capture, release, clawback, …
    pub r#type: String,
    /// What this economy calls it.
    pub label: String,
    /// Tokens, with a sign: more or fewer than before.
    pub amount: i64,
    /// Tokens right after it, held ones included.
    pub balance_after: i64,
    /// What was done with them.
    pub action: Option<String>,
    /// For people.
    pub description: String,
    /// The caller's.
    pub reference: String,
}

impl TransactionView {
    /// What an account sees of a transaction.
    #[must_use]
    pub fn of(transaction: &v1::Transaction, account_id: &str, catalog: &Catalog) -> Self {
        let entry = transaction.entries.iter().find(|entry| entry.account_id == account_id);
        let amount = entry.map_or(0, |entry| entry.amount);
        let name = transaction.r#type().as_str_name().trim_start_matches("TRANSACTION_TYPE_");
        let name = name.to_lowercase();
        let label = label(transaction, amount).and_then(|label| catalog.label(label));
        let action = Some(transaction.action.clone()).filter(|action| !action.is_empty());
        Self {
            id: transaction.transaction_id.clone(),
            time: time(transaction.create_time.as_ref()).unwrap_or_default(),
            label: label.map_or_else(|| name.clone(), str::to_owned),
            r#type: name,
            amount,
            balance_after: entry.map_or(0, |entry| entry.balance_after),
            action,
            description: transaction.description.clone(),
            reference: transaction.reference.clone(),
        }
    }
}

/// RFC 3339.
#[must_use]
pub fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let time = time?;
    let micros = time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1_000)?;
    Some(clock::rfc3339(micros))
}

fn label(transaction: &v1::Transaction, amount: i64) -> Option<Label> {
    use v1::TransactionType as Type;
    Some(match transaction.r#type() {
        Type::Unspecified => return None,
        // The gateway's own credits name their purchase.
        Type::Credit if transaction.idempotency_key.starts_with("purchase/") => {
            Label::CreditPurchased
        }
        Type::Credit if transaction.idempotency_key == "sys/trial" => Label::CreditTrial,
        Type::Credit => Label::Credit,
        Type::Debit => Label::Debit,
        Type::Reversal => Label::Reversal,
        Type::Transfer if amount < 0 => Label::TransferSent,
        Type::Transfer => Label::TransferReceived,
        Type::Hold => Label::Hold,
        Type::Capture => Label::Capture,
        Type::Release => Label::Release,
        Type::Clawback => Label::Clawback,
        Type::Entitlement => Label::Entitlement,
        Type::GrantExpiry => Label::GrantExpiry,
        Type::HoldExpiry => Label::HoldExpiry,
        Type::Activation => Label::Activation,
        Type::Withdrawal => Label::Withdrawal,
        Type::AccountChange => Label::AccountChange,
        Type::ExpiryNotice => Label::ExpiryNotice,
    })
}
