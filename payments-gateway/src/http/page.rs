//! The pages: what each is told, and what its forms do.

use super::{
    App,
    api::{self, ratio},
    buy::{self, Order},
    problem::{Code, Problem},
    sessions,
    user::{User, Visitor},
    view::{Asked, TransactionView},
    words,
};
use crate::{
    clock::{self, SECOND},
    store::purchases::{Kind, Named, Purchase, state_name},
};
use axum::{
    extract::{Form, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use billing::State as Standing;
use proto::v1::GetBalanceResponse;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the page after paying waits for the tokens before it says that they are on their way.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// The usage that the account page shows: of the last 30 days.
const USAGE_DAYS: i64 = 30;

/// A page, or what stands in its way, as a page.
type Shown = Result<Response, Response>;

/// A problem as people see it.
fn shown(app: &App, problem: Problem) -> Response {
    let (heading, detail) = (problem.code.title(), problem.detail.clone());
    let is_stranger = problem.code == Code::Unauthenticated;
    let answer = problem.into_response();
    let context = json!({
        "title": app.catalog.title,
        "status": answer.status().as_u16(),
        "heading": if is_stranger { "Sign in" } else { heading },
        "detail": if is_stranger {
            format!("Come here from {} itself: its link signs you in.", app.catalog.title)
        } else {
            detail
        },
        "next": { "url": "/tokens/buy", "text": "Buy tokens" },
        "request_id": null, "account": null, "csrf": null, "balance": null,
        "test_mode": !app.livemode, "now": clock::rfc3339(clock::now()),
    });
    match app.pages.write("problem.html", context) {
        Ok(mut page) => {
            *page.status_mut() = answer.status();
            for (name, value) in answer.headers() {
                if name == header::RETRY_AFTER {
                    page.headers_mut().insert(name.clone(), value.clone());
                }
            }
            page
        }
        Err(problem) => problem.into_response(),
    }
}

/// What every page is told.
async fn common(app: &App, user: Option<&User>) -> Result<Map<String, Value>, Problem> {
    let (mut account, mut balance, mut held) = (Value::Null, Value::Null, None);
    if let Some(user) = user {
        let customer = app.store.customer(&user.account_id).await?;
        let known = customer.as_ref();
        account = json!({
            "id": user.account_id,
            "name": known.and_then(|it| it.name.clone()),
            "email": known.and_then(|it| it.email.clone()),
        });
        let found = api::held(app, &user.account_id).await?;
        balance = balance_of(&found);
        held = Some(found);
    }
    let kinds = held.iter().flat_map(|held| &held.kinds).map(|kind| {
        let name = kind.kind().as_str_name().trim_start_matches("GRANT_KIND_");
        let mut letters = name.chars();
        let first = letters.next().map(String::from).unwrap_or_default();
        let name = format!("{first}{}", letters.as_str().to_lowercase());
        json!({ "kind": name, "text": words::number(kind.posted) })
    });
    let context = json!({
        "title": app.catalog.title,
        "account": account,
        "csrf": user.and_then(|user| user.session.as_ref()).map(|session| &session.csrf),
        "balance": balance,
        "by_kind": kinds.collect::<Vec<_>>(),
        "test_mode": !app.livemode,
        "now": clock::rfc3339(clock::now()),
    });
    match context {
        Value::Object(context) => Ok(context),
        _ => Ok(Map::new()),
    }
}

fn balance_of(held: &GetBalanceResponse) -> Value {
    let balance = held.balance.clone().unwrap_or_default();
    let until = held.unlimited_until_time.as_ref();
    json!({
        "available": balance.available,
        "held": balance.held,
        "held_text": words::number(balance.held),
        "text": words::number(balance.available),
        "in_debt": held.debt > 0,
        "unlimited_until": until.map(|time| words::day(time.seconds.saturating_mul(SECOND))),
    })
}

fn transaction(view: &TransactionView) -> Value {
    let time = view.time.parse::<jiff::Timestamp>().unwrap_or_default().as_microsecond();
    let label = view.label.replace('_', " ");
    let mut letters = label.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    json!({
        "time": view.time,
        "time_text": words::moment(time),
        "label": format!("{first}{}", letters.as_str()),
        "description": Some(&view.description).filter(|it| !it.is_empty()),
        "amount_text": words::change(view.amount),
        "is_credit": view.amount > 0,
        "balance_after_text": words::number(view.balance_after),
    })
}

fn purchase_of(purchase: &Purchase) -> Value {
    let price = words::money(purchase.price_minor, &purchase.currency);
    let paid = purchase.paid_minor.map(|minor| words::money(minor, &purchase.currency));
    json!({
        "id": purchase.id,
        "package_name": purchase.name,
        "tokens": purchase.tokens,
        "tokens_text": words::number(purchase.tokens),
        "price_text": price,
        "paid_text": paid,
        "state": purchase.state_name(),
        "state_text": state_text(purchase.state_name()),
        "created_text": words::moment(purchase.created_at),
        "receipt_url": purchase.receipt_url,
        "url": page_of(purchase),
    })
}

/// Where a purchase is to be seen.
fn page_of(purchase: &Purchase) -> Option<String> {
    let session = purchase.session_id.as_ref()?;
    Some(format!("/tokens/success?session_id={session}"))
}

fn state_text(state: &str) -> String {
    match state {
        "created" | "open" => "Not paid yet",
        "awaiting" => "Waiting for the bank",
        "paid" => "Paid",
        "credited" => "Credited",
        "expired" => "Not paid in time",
        "failed" => "Failed",
        "mismatch" => "Being looked at",
        "partly_reversed" => "Partly refunded",
        "reversed" => "Refunded",
        other => other,
    }
    .to_owned()
}

/// `/` leads to where tokens are bought.
pub async fn front() -> Redirect {
    Redirect::to("/tokens/buy")
}

/// What is sold.
pub async fn buy(State(app): State<App>, visitor: Result<Visitor, Problem>) -> Shown {
    let Visitor(user) = visitor.map_err(|problem| shown(&app, problem))?;
    buy_page(&app, user.as_ref(), None, None).await
}

async fn buy_page(
    app: &App,
    user: Option<&User>,
    problem: Option<Problem>,
    tokens: Option<i64>,
) -> Shown {
    let told = buy_context(app, user, tokens).await;
    let mut context = told.map_err(|problem| shown(app, problem))?;
    let status = problem.as_ref().map(|problem| problem.clone().into_response().status());
    let words = problem.map(|it| json!({ "title": it.code.title(), "detail": it.detail }));
    context.insert("problem".to_owned(), words.unwrap_or_default());
    let written = app.pages.write("buy.html", context);
    let mut page = written.map_err(|problem| problem.into_response())?;
    *page.status_mut() = status.unwrap_or(StatusCode::OK);
    Ok(page)
}

async fn buy_context(
    app: &App,
    user: Option<&User>,
    tokens: Option<i64>,
) -> Result<Map<String, Value>, Problem> {
    let catalog = &app.catalog;
    let currency = catalog.currency.code();
    let digits = catalog.currency.minor_digits();
    let unit = 10_i64.pow(digits.min(6));
    let unit_text = words::money(unit, currency);
    let unit_text = unit_text.split('.').next().unwrap_or_default().to_owned();
    let packages = catalog.packages.iter().map(|package| {
        let (tokens, price) = (package.tokens, package.price_minor);
        let per_unit = ratio(tokens.saturating_mul(unit), price);
        json!({
            "id": package.id,
            "name": package.name,
            "tokens": tokens,
            "tokens_text": words::number(tokens),
            "price_text": words::money(price, currency),
            "per_dollar_text": format!("{per_unit} tokens per {unit_text}"),
            "per_token_text": format!("{} per token", words::money(price / tokens.max(1), currency)),
            "badge": package.badge,
            "bonus_percent": package.bonus_percent,
            "savings_percent": package.savings_percent,
        })
    });
    let custom = catalog.custom_amount.map(|custom| {
        json!({
            "min": custom.min_tokens,
            "max": custom.max_tokens,
            "min_text": words::number(custom.min_tokens),
            "max_text": words::number(custom.max_tokens),
            "price_text": words::money(custom.price_minor_per_token, currency),
            "value": tokens,
            "price_minor": custom.price_minor_per_token,
            "currency": currency,
            "decimals": digits,
        })
    });
    let actions = catalog.actions.iter().map(|action| {
        json!({
            "label": action.label,
            "tokens": action.tokens,
            "tokens_text": words::number(action.tokens),
        })
    });
    let mut context = common(app, user).await?;
    let transactions = match user {
        None => Vec::new(),
        Some(user) => api::list_transactions(app, &user.account_id, 5, String::new()).await?.data,
    };
    context.extend([
        ("packages".to_owned(), packages.collect()),
        ("custom".to_owned(), custom.unwrap_or_default()),
        ("actions".to_owned(), actions.collect()),
        ("transactions".to_owned(), transactions.iter().map(transaction).collect()),
    ]);
    Ok(context)
}

/// What a form of the buy page says.
#[derive(Debug, Deserialize)]
pub struct BuyForm {
    csrf: Option<String>,
    package: Option<String>,
    tokens: Option<String>,
}

/// Begins a purchase, and leads to Stripe's page.
pub async fn begin(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    form: Result<Form<BuyForm>, axum::extract::rejection::FormRejection>,
) -> Shown {
    let told = async {
        let Form(form) = form.map_err(Problem::from)?;
        let user = signed_in(visitor?, form.csrf.as_deref())?;
        Ok::<_, Problem>((user, form))
    };
    let (user, form) = told.await.map_err(|problem| shown(&app, problem))?;
    let tokens = form.tokens.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let tokens = tokens.map(|text| text.parse::<i64>().unwrap_or(0));
    let order = Order { package: form.package.filter(|id| !id.is_empty()), tokens };
    let begun = async {
        let wish = order.wish()?;
        Ok::<_, Problem>(app.purchases.begin(&user.account_id, Kind::Checkout, &wish, None).await?)
    };
    match begun.await {
        Ok(begun) => match &begun.purchase.checkout_url {
            Some(url) => Ok(Redirect::to(url).into_response()),
            None => Ok(Redirect::to("/account").into_response()),
        },
        Err(problem) => buy_page(&app, Some(&user), Some(problem), order.tokens).await,
    }
}

/// Whoever posts a form is signed in, and the form is ours.
fn signed_in(Visitor(user): Visitor, csrf: Option<&str>) -> Result<User, Problem> {
    let user = user.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))?;
    user.accepts(csrf)?;
    Ok(user)
}

/// Where Stripe sends its buyers.
#[derive(Debug, Deserialize)]
pub struct SuccessQuery {
    session_id: Option<String>,
}

/// After paying: a receipt, and how far it is. The page only asks for a look; the worker alone credits.
pub async fn success(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    query: Result<Asked<SuccessQuery>, Problem>,
) -> Shown {
    match success_page(&app, visitor, query).await {
        Ok(page) => Ok(page),
        Err(problem) => Err(shown(&app, problem)),
    }
}

async fn success_page(
    app: &App,
    visitor: Result<Visitor, Problem>,
    query: Result<Asked<SuccessQuery>, Problem>,
) -> Result<Response, Problem> {
    let (Visitor(user), Asked(query)) = (visitor?, query?);
    let user = user.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))?;
    let session = query.session_id.ok_or_else(|| Problem::field("session_id", "is missing"))?;
    let find = || async {
        let found = app.store.purchase(Named::Session(&session)).await?;
        let own = found.filter(|purchase| purchase.account_id == user.account_id);
        own.ok_or_else(|| Problem::not_found("purchase"))
    };
    let mut purchase = find().await?;
    if is_moving(&purchase)? {
        // If it can't be kept, a webhook or the reconciler will do.
        app.intake.glance_at(&purchase.id, "its buyer came back").await.ok();
        let until = Instant::now() + PATIENCE;
        while is_moving(&purchase)? && Instant::now() < until {
            sleep(LOOK).await;
            purchase = find().await?;
        }
    }
    let outcome = match purchase.state()? {
        Standing::Credited | Standing::PartlyReversed | Standing::Reversed => "credited",
        Standing::Paid => "working",
        Standing::Awaiting => "awaiting",
        Standing::Created | Standing::Open => "open",
        Standing::Expired | Standing::Failed => "failed",
        Standing::Mismatch => "mismatch",
    };
    let mut context = common(app, Some(&user)).await?;
    context.extend([
        ("purchase".to_owned(), purchase_of(&purchase)),
        ("outcome".to_owned(), outcome.into()),
        ("refresh".to_owned(), is_moving(&purchase)?.into()),
        ("next_url".to_owned(), Value::Null),
        ("checkout_url".to_owned(), purchase.checkout_url.clone().into()),
    ]);
    app.pages.write("success.html", context)
}

/// Whether something may still happen to a purchase within moments.
fn is_moving(purchase: &Purchase) -> Result<bool, Problem> {
    Ok(match purchase.state()? {
        Standing::Created | Standing::Open | Standing::Paid => true,
        Standing::Awaiting
        | Standing::Credited
        | Standing::PartlyReversed
        | Standing::Reversed
        | Standing::Expired
        | Standing::Failed
        | Standing::Mismatch => false,
    })
}

/// Where Stripe sends those who turned back.
#[derive(Debug, Deserialize)]
pub struct CancelQuery {
    purchase: Option<String>,
}

/// Nothing was paid: try again, or give it up.
pub async fn cancel(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    query: Result<Asked<CancelQuery>, Problem>,
) -> Shown {
    let page = async {
        let (Visitor(user), Asked(query)) = (visitor?, query?);
        let user = user.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))?;
        let purchase = match &query.purchase {
            Some(id) => Some(buy::own(&app, &user, id).await?),
            None => None,
        };
        cancel_page(&app, &user, purchase.as_ref()).await
    };
    page.await.map_err(|problem| shown(&app, problem))
}

async fn cancel_page(
    app: &App,
    user: &User,
    purchase: Option<&Purchase>,
) -> Result<Response, Problem> {
    let is_open = |it: &&Purchase| it.state_name() == state_name(Standing::Open);
    let checkout_url = purchase.filter(is_open).and_then(|it| it.checkout_url.clone());
    let faq = [
        ("Was my card charged?", "No. Nothing is charged until a payment is confirmed."),
        (
            "Can I go on later?",
            "Yes. The payment page stays open for a day, or begin anew whenever you like.",
        ),
        (
            "Which ways of paying are there?",
            "Those that the payment page shows for your country and currency.",
        ),
        ("Do tokens expire?", "Your account shows it if some of yours do."),
    ];
    let faq = faq.map(|(question, answer)| json!({ "question": question, "answer": answer }));
    let mut context = common(app, Some(user)).await?;
    context.extend([
        ("purchase".to_owned(), purchase.map(purchase_of).unwrap_or_default()),
        ("checkout_url".to_owned(), checkout_url.into()),
        ("faq".to_owned(), faq.into_iter().collect()),
    ]);
    app.pages.write("cancel.html", context)
}

/// What the form of the cancel page says.
#[derive(Debug, Deserialize)]
pub struct CancelForm {
    csrf: Option<String>,
    purchase: Option<String>,
}

/// Gives a purchase up.
pub async fn give_up(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    form: Result<Form<CancelForm>, axum::extract::rejection::FormRejection>,
) -> Shown {
    let page = async {
        let Form(form) = form.map_err(Problem::from)?;
        let user = signed_in(visitor?, form.csrf.as_deref())?;
        let id = form.purchase.unwrap_or_default();
        let purchase = buy::own(&app, &user, &id).await?;
        let purchase = app.purchases.cancel(purchase).await?;
        cancel_page(&app, &user, Some(&purchase)).await
    };
    page.await.map_err(|problem| shown(&app, problem))
}

/// An account: what it has, bought and used.
pub async fn account(State(app): State<App>, visitor: Result<Visitor, Problem>) -> Shown {
    let page = async {
        let Visitor(user) = visitor?;
        let user = user.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))?;
        account_page(&app, &user).await
    };
    page.await.map_err(|problem| shown(&app, problem))
}

async fn account_page(app: &App, user: &User) -> Result<Response, Problem> {
    let account_id = &user.account_id;
    let purchases = app.store.purchases(Some(account_id), None, None, 20).await?;
    let transactions = api::list_transactions(app, account_id, 20, String::new()).await?.data;
    let since = clock::now().saturating_sub(USAGE_DAYS * 24 * clock::HOUR);
    let since = prost_types::Timestamp { seconds: clock::seconds(since), nanos: 0 };
    let used = api::used(app, account_id, Some(since), None).await?;
    let most = used.actions.iter().map(|it| it.tokens.max(it.count)).max().unwrap_or(0).max(1);
    let usage = used.actions.iter().map(|action| {
        let label = if action.label.is_empty() { "Other" } else { action.label.as_str() };
        json!({
            "label": label,
            "tokens": action.tokens,
            "count": action.count,
            "tokens_text": words::number(action.tokens),
            "count_text": words::number(action.count),
            "share": action.tokens.max(0).saturating_mul(100) / most,
        })
    });
    let mut context = common(app, Some(user)).await?;
    context.extend([
        ("purchases".to_owned(), purchases.iter().map(purchase_of).collect()),
        ("transactions".to_owned(), transactions.iter().map(transaction).collect()),
        ("usage".to_owned(), usage.collect()),
        ("usage_text".to_owned(), format!("in the last {USAGE_DAYS} days").into()),
    ]);
    app.pages.write("account.html", context)
}

/// What the form that signs out says.
#[derive(Debug, Deserialize)]
pub struct SignOutForm {
    csrf: Option<String>,
}

/// Signs out.
pub async fn sign_out(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    form: Result<Form<SignOutForm>, axum::extract::rejection::FormRejection>,
) -> Shown {
    let page = async {
        let Form(form) = form.map_err(Problem::from)?;
        let user = signed_in(visitor?, form.csrf.as_deref())?;
        let mut answer = Redirect::to("/tokens/buy").into_response();
        sessions::leave(&app, &user, &mut answer).await?;
        Ok::<_, Problem>(answer)
    };
    page.await.map_err(|problem| shown(&app, problem))
}
