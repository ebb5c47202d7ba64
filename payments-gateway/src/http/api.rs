//! What is sold, and what an account has.

#![expect(unused_qualifications, reason = "utoipa's macro writes them")]

use super::{
    App,
    problem::{Described, Problem},
    user::User,
    view::{Asked, Money, Page, PageQuery, TransactionView, time},
};
use crate::ledger::LedgerError;
use axum::{Json, extract::State};
use proto::v1::{
    AccountStatus, GetBalanceResponse, GetUsageRequest, GetUsageResponse, ListTransactionsRequest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A package.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Package)]
pub struct PackageView {
    /// Its name in requests.
    pub id: String,
    /// For people.
    pub name: String,
    /// All tokens, a bonus included.
    pub tokens: i64,
    /// What it costs.
    pub price: Money,
    /// A word that makes it stand out.
    pub badge: Option<String>,
    /// Percent more tokens than the smallest package's price buys.
    pub bonus_percent: Option<i64>,
    /// Percent cheaper than in the smallest package.
    pub savings_percent: Option<i64>,
    /// The price of one token in minor units, a decimal number.
    #[schema(example = "9.08")]
    pub price_per_token_minor: String,
}

/// Any number of tokens.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CustomAmount)]
pub struct CustomView {
    /// The price of one token.
    pub price_per_token: Money,
    /// The fewest.
    pub min_tokens: i64,
    /// The most.
    pub max_tokens: i64,
}

/// What tokens are spent on.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub struct ActionView {
    /// Its name.
    pub id: String,
    /// For people.
    pub label: String,
    /// What one costs.
    pub tokens: i64,
}

/// What is sold, and what it is good for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Packages {
    /// The economy's name.
    pub economy: String,
    /// For people.
    pub title: String,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Changes with every change of what is sold.
    pub catalog_version: String,
    /// In the order in which they are shown.
    pub packages: Vec<PackageView>,
    /// If any number of tokens is sold.
    pub custom_amount: Option<CustomView>,
    /// What tokens are spent on.
    pub actions: Vec<ActionView>,
    /// Texts of this economy.
    pub texts: BTreeMap<String, String>,
}

/// What is sold, with the costs of what tokens are spent on.
#[utoipa::path(get, path = "/v1/packages", tag = "catalog", security(()),
    responses((status = 200, description = "As asked.", body = Packages)))]
pub async fn packages(State(app): State<App>) -> Json<Packages> {
    let catalog = &app.catalog;
    let money = |minor| Money { minor, currency: catalog.currency.code().to_owned() };
    let packages = catalog.packages.iter().map(|package| PackageView {
        id: package.id.clone(),
        name: package.name.clone(),
        tokens: package.tokens,
        price: money(package.price_minor),
        badge: package.badge.clone(),
        bonus_percent: package.bonus_percent,
        savings_percent: package.savings_percent,
        price_per_token_minor: ratio(package.price_minor, package.tokens),
    });
    Json(Packages {
        economy: catalog.economy.clone(),
        title: catalog.title.clone(),
        currency: catalog.currency.code().to_owned(),
        catalog_version: app.catalog_version.to_string(),
        packages: packages.collect(),
        custom_amount: catalog.custom_amount.map(|custom| CustomView {
            price_per_token: money(custom.price_minor_per_token),
            min_tokens: custom.min_tokens,
            max_tokens: custom.max_tokens,
        }),
        actions: catalog
            .actions
            .iter()
            .map(|action| ActionView {
                id: action.id.clone(),
                label: action.label.clone(),
                tokens: action.tokens,
            })
            .collect(),
        texts: catalog.texts.clone(),
    })
}

/// One number by another, to two decimals, rounded: without floats.
#[must_use]
pub fn ratio(part: i64, whole: i64) -> String {
    let (part, whole) = (i128::from(part), i128::from(whole).max(1));
    let hundredths = (part * 200 + whole) / (whole * 2);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Tokens of one kind.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct KindTokens {
    /// All of them.
    pub posted: i64,
    /// Those that holds reserve.
    pub held: i64,
}

/// Tokens of an account's whole life.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct Lifetime {
    /// Bought.
    pub purchased: i64,
    /// Spent.
    pub spent: i64,
    /// Received from others.
    pub earned: i64,
}

/// Tokens that will lapse.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Expiry {
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub time: String,
    /// How many.
    pub tokens: i64,
}

/// What an account holds: posted = held + available.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceView {
    /// The account.
    pub account_id: String,
    /// All tokens; below zero in debt.
    pub posted: i64,
    /// Those set aside.
    pub held: i64,
    /// Those that can be spent.
    pub available: i64,
    /// By kind: purchased, promotional, trial, allowance, earned, adjustment.
    pub by_kind: BTreeMap<String, KindTokens>,
    /// Ever.
    pub lifetime: Lifetime,
    /// What lapses next.
    pub next_expiry: Option<Expiry>,
    /// RFC 3339: use is unlimited until then.
    #[schema(format = DateTime)]
    pub unlimited_until: Option<String>,
    /// active, frozen or closed.
    pub status: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub as_of: String,
}

impl BalanceView {
    /// What an account sees of its balance.
    #[must_use]
    pub fn of(account_id: &str, held: &GetBalanceResponse, now: i64) -> Self {
        let balance = held.balance.clone().unwrap_or_default();
        let by_kind = held.kinds.iter().map(|kind| {
            let name = kind.kind().as_str_name().trim_start_matches("GRANT_KIND_").to_lowercase();
            (name, KindTokens { posted: kind.posted, held: kind.held })
        });
        let expiry = time(held.next_expire_time.as_ref());
        Self {
            account_id: account_id.to_owned(),
            posted: balance.posted,
            held: balance.held,
            available: balance.available,
            by_kind: by_kind.collect(),
            lifetime: Lifetime {
                purchased: held.lifetime_purchased,
                spent: held.lifetime_spent,
                earned: held.lifetime_earned,
            },
            next_expiry: expiry.map(|time| Expiry { time, tokens: held.next_expire_amount }),
            unlimited_until: time(held.unlimited_until_time.as_ref()),
            status: match held.status() {
                AccountStatus::Frozen => "frozen",
                AccountStatus::Closed => "closed",
                AccountStatus::Active | AccountStatus::Unspecified => "active",
            }
            .to_owned(),
            as_of: crate::clock::rfc3339(now),
        }
    }
}

/// What an account holds; one that never had a token holds nothing.
///
/// # Errors
/// The ledger can't be asked.
pub async fn held(app: &App, account_id: &str) -> Result<GetBalanceResponse, Problem> {
    match app.ledger.balance(account_id).await {
        Ok(held) => Ok(held),
        Err(LedgerError::NoAccount) => Ok(GetBalanceResponse::default()),
        Err(error) => Err(error.into()),
    }
}

/// What you hold.
#[utoipa::path(get, path = "/v1/balance", tag = "account", security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = BalanceView),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn balance(State(app): State<App>, user: User) -> Result<Json<BalanceView>, Problem> {
    let held = held(&app, &user.account_id).await?;
    Ok(Json(BalanceView::of(&user.account_id, &held, crate::clock::now())))
}

/// Your transactions, newest first.
#[utoipa::path(get, path = "/v1/transactions", tag = "account", params(PageQuery),
    security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = Page<TransactionView>),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn transactions(
    State(app): State<App>,
    user: User,
    Asked(page): Asked<PageQuery>,
) -> Result<Json<Page<TransactionView>>, Problem> {
    let limit = page.limit()?;
    let cursor = page.cursor.clone().unwrap_or_default();
    Ok(Json(list_transactions(&app, &user.account_id, limit, cursor).await?))
}

/// A page of an account's transactions; notices that move nothing are left out.
///
/// # Errors
/// The ledger can't be asked.
pub async fn list_transactions(
    app: &App,
    account_id: &str,
    limit: i64,
    cursor: String,
) -> Result<Page<TransactionView>, Problem> {
    let request = ListTransactionsRequest {
        account_id: account_id.to_owned(),
        page_size: i32::try_from(limit).unwrap_or(i32::MAX),
        page_token: cursor,
        ..ListTransactionsRequest::default()
    };
    let listed = match app.ledger.transactions(request).await {
        Ok(listed) => listed,
        Err(LedgerError::NoAccount) => return Ok(Page { data: Vec::new(), next_cursor: None }),
        Err(LedgerError::Refused(_)) => {
            return Err(Problem::field("cursor", "give the next_cursor of an answer"));
        }
        Err(error) => return Err(error.into()),
    };
    let view = |it| TransactionView::of(it, account_id, &app.catalog);
    let next = Some(listed.next_page_token).filter(|token| !token.is_empty());
    Ok(Page { data: listed.transactions.iter().map(view).collect(), next_cursor: next })
}

/// Of which time.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Period {
    /// From then on, RFC 3339; from the beginning without it.
    #[param(format = DateTime)]
    pub from: Option<String>,
    /// Before then, RFC 3339; until now without it.
    #[param(format = DateTime)]
    pub to: Option<String>,
}

/// What was used of one action.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActionUsage {
    /// The action; none for debits by amount.
    pub action: Option<String>,
    /// For people.
    pub label: String,
    /// Tokens, less reversals.
    pub tokens: i64,
    /// How often.
    pub count: i64,
}

/// What was used.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Usage {
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub from: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub to: Option<String>,
    /// Most tokens first.
    pub actions: Vec<ActionUsage>,
    /// In all.
    pub tokens: i64,
    /// In all.
    pub count: i64,
}

/// What you used, by action.
#[utoipa::path(get, path = "/v1/usage", tag = "account", params(Period),
    security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = Usage),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn usage(
    State(app): State<App>,
    user: User,
    Asked(period): Asked<Period>,
) -> Result<Json<Usage>, Problem> {
    let (from, to) = (moment("from", period.from.as_deref())?, moment("to", period.to.as_deref())?);
    let moments = |from: prost_types::Timestamp, to: prost_types::Timestamp| {
        (from.seconds, from.nanos) < (to.seconds, to.nanos)
    };
    if from.zip(to).is_some_and(|(from, to)| !moments(from, to)) {
        return Err(Problem::field("to", "give a time after `from`"));
    }
    let used = used(&app, &user.account_id, from, to).await?;
    Ok(Json(Usage { from: time(from.as_ref()), to: time(to.as_ref()), ..used }))
}

fn moment(field: &str, text: Option<&str>) -> Result<Option<prost_types::Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Problem::field(field, "give a time such as 2026-01-31T12:00:00Z");
    let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    let seconds = time.as_second();
    // The ledger began after 1970, and its times end with the year 9999.
    if !(0..=253_402_300_799).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Some(prost_types::Timestamp { seconds, nanos: time.subsec_nanosecond().max(0) }))
}

/// What an account used between two times.
///
/// # Errors
/// The ledger can't be asked.
pub async fn used(
    app: &App,
    account_id: &str,
    start_time: Option<prost_types::Timestamp>,
    end_time: Option<prost_types::Timestamp>,
) -> Result<Usage, Problem> {
    let request = GetUsageRequest { account_id: account_id.to_owned(), start_time, end_time };
    let used = match app.ledger.usage(request).await {
        Ok(used) => used,
        Err(LedgerError::NoAccount) => GetUsageResponse::default(),
        Err(LedgerError::Refused(why)) => return Err(Problem::field("from", why)),
        Err(error) => return Err(error.into()),
    };
    let actions = used.actions.iter().map(|action| {
        let known = app.catalog.action(&action.action);
        ActionUsage {
            action: Some(action.action.clone()).filter(|it| !it.is_empty()),
            label: known.map_or_else(|| action.action.clone(), |it| it.label.clone()),
            tokens: action.tokens,
            count: action.count,
        }
    });
    let actions = actions.collect();
    Ok(Usage { from: None, to: None, actions, tokens: used.tokens, count: used.count })
}

/// An account in figures.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Stats {
    /// Tokens that can be spent.
    pub balance: i64,
    /// Tokens ever bought.
    pub total_purchased: i64,
    /// Money ever paid.
    pub total_paid: Money,
    /// Purchases ever credited.
    pub purchase_count: i64,
    /// What they were spent on.
    pub usage_breakdown: Vec<ActionUsage>,
}

/// Your account in figures.
#[utoipa::path(get, path = "/v1/stats", tag = "account", security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = Stats),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn stats(State(app): State<App>, user: User) -> Result<Json<Stats>, Problem> {
    let held = held(&app, &user.account_id).await?;
    let used = used(&app, &user.account_id, None, None).await?;
    let (paid_minor, purchase_count) = app.store.paid_by(&user.account_id).await?;
    Ok(Json(Stats {
        balance: held.balance.clone().unwrap_or_default().available,
        total_purchased: held.lifetime_purchased,
        total_paid: Money { minor: paid_minor, currency: app.catalog.currency.code().to_owned() },
        purchase_count,
        usage_breakdown: used.actions,
    }))
}

#[cfg(test)]
mod tests {
    use super::ratio;

    #[test]
    fn a_ratio_is_rounded_to_two_decimals() {
        assert_eq!(
            [ratio(999, 110), ratio(1000, 100), ratio(1, 3), ratio(2, 3)],
            ["9.08", "10.00", "0.33", "0.67"]
        );
        assert_eq!(ratio(i64::MAX, 1), "9223372036854775807.00");
    }
}
