//! The pages: what each is told, and what its forms do.

pub mod account;
pub mod after;
pub mod buy;

use super::{
    App, api,
    problem::{Code, Problem},
    user::{User, Visitor},
    view::TransactionView,
    whole::RequestId,
    words,
};
use crate::{
    clock::{self, SECOND},
    store::purchases::Purchase,
};
use axum::response::{IntoResponse as _, Redirect, Response};
use http::header;
use proto::v1::GetBalanceResponse;
use serde_json::{Map, Value, json};

/// Has a page written for whoever came; what stands in its way is a page, too.
async fn answered<F>(
    app: &App,
    visitor: Result<Visitor, Problem>,
    page: impl FnOnce(Visitor) -> F,
) -> Response
where
    F: Future<Output = Result<Response, Problem>>,
{
    let came = visitor.as_ref().ok().cloned();
    let page = match visitor {
        Ok(visitor) => page(visitor).await,
        Err(problem) => Err(problem),
    };
    page.unwrap_or_else(|problem| shown(app, came.unwrap_or_default(), problem))
}

/// A problem as people see it.
fn shown(app: &App, came: Visitor, problem: Problem) -> Response {
    let Visitor { user, request_id: RequestId(request_id) } = came;
    let account =
        user.as_ref().map(|it| json!({ "id": it.account_id, "name": null, "email": null }));
    let csrf = user.as_ref().and_then(|user| user.session.as_ref()).map(|session| &session.csrf);
    let (heading, detail) = match problem.code {
        Code::Unauthenticated => {
            let title = &app.catalog.title;
            ("Sign in", format!("Come here from {title} itself: its link signs you in."))
        }
        Code::Csrf => {
            let detail = "Go back, load the page again, and try once more. Nothing was charged.";
            ("This page is out of date", detail.to_owned())
        }
        code => (code.title(), problem.detail.clone()),
    };
    let answer = problem.into_response();
    let context = json!({
        "title": app.catalog.title,
        "status": answer.status().as_u16(),
        "heading": heading,
        "detail": detail,
        "next": { "url": "/tokens/buy", "text": "Buy tokens" },
        "request_id": request_id, "account": account, "csrf": csrf, "balance": null,
        "test_mode": !app.livemode, "now": clock::rfc3339(clock::now()),
    });
    let mut page = match app.pages.write("problem.html", context) {
        Ok(page) => page,
        Err(problem) => return problem.into_response(),
    };
    *page.status_mut() = answer.status();
    if let Some(wait) = answer.headers().get(header::RETRY_AFTER) {
        page.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    page
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
    let label = match view.label.as_str() {
        "clawback" => "taken back".to_owned(),
        label => label.replace('_', " "),
    };
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
        "expired" => "Not paid",
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

/// Whoever posts a form is signed in, and the form is ours.
fn signed_in(visitor: Visitor, csrf: Option<&str>) -> Result<User, Problem> {
    let user = somebody(visitor)?;
    user.accepts(csrf)?;
    Ok(user)
}

/// Whoever sees what is theirs is signed in.
fn somebody(visitor: Visitor) -> Result<User, Problem> {
    visitor.user.ok_or_else(|| Problem::new(Code::Unauthenticated, "sign in first"))
}
