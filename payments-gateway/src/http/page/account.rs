//! An account: what it has, bought and used.

use super::{answered, common, purchase_of, signed_in, somebody, transaction};
use crate::{
    clock,
    http::{
        App, api,
        problem::Problem,
        sessions,
        user::{User, Visitor},
        view::Named,
        words,
    },
};
use axum::{
    extract::{Form, State, rejection::FormRejection},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;

/// The usage that is shown: of the last 30 days.
const USAGE_DAYS: i64 = 30;

/// An account: what it has, bought and used.
pub async fn show(State(app): State<App>, visitor: Result<Visitor, Problem>) -> Response {
    answered(&app, visitor, async |visitor| page(&app, &somebody(visitor)?).await).await
}

async fn page(app: &App, user: &User) -> Result<Response, Problem> {
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

/// Signs in with a link, which works once.
pub async fn enter(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    Named(code): Named<String>,
) -> Response {
    let page = async |visitor: Visitor| sessions::enter(&app, &code, visitor.user).await;
    answered(&app, visitor, page).await
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
    form: Result<Form<SignOutForm>, FormRejection>,
) -> Response {
    let page = async |visitor| {
        let Form(form) = form?;
        let user = signed_in(visitor, form.csrf.as_deref())?;
        let mut answer = Redirect::to("/tokens/buy").into_response();
        sessions::leave(&app, &user, &mut answer).await?;
        Ok(answer)
    };
    answered(&app, visitor, page).await
}
