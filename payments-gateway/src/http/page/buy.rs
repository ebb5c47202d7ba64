//! What is sold, and the form that begins a purchase.

use super::{answered, common, signed_in, transaction};
use crate::{
    http::{
        App,
        api::{self, ratio},
        buy::Order,
        problem::{Code, Problem},
        user::{User, Visitor},
        words,
    },
    store::purchases::{Kind, Purchase},
};
use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::header,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What is sold.
pub async fn show(State(app): State<App>, visitor: Result<Visitor, Problem>) -> Response {
    answered(&app, visitor, async |visitor: Visitor| {
        page(&app, visitor.user.as_ref(), None, None).await
    })
    .await
}

async fn page(
    app: &App,
    user: Option<&User>,
    problem: Option<Problem>,
    tokens: Option<i64>,
) -> Result<Response, Problem> {
    let mut context = context(app, user, tokens).await?;
    let answer = problem.as_ref().map(|problem| problem.clone().into_response());
    let words = problem.map(|it| {
        let (title, detail) = for_people(&it);
        json!({ "title": title, "detail": detail })
    });
    context.insert("problem".to_owned(), words.unwrap_or_default());
    let mut page = app.pages.write("buy.html", context)?;
    if let Some(answer) = answer {
        *page.status_mut() = answer.status();
        if let Some(wait) = answer.headers().get(header::RETRY_AFTER) {
            page.headers_mut().insert(header::RETRY_AFTER, wait.clone());
        }
    }
    Ok(page)
}

async fn context(
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
            "per_token_text": format!("{} per token", words::money_each(price, tokens, currency)),
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
    form: Result<Form<BuyForm>, FormRejection>,
) -> Response {
    let began = async |visitor| {
        let Form(form) = form?;
        let user = signed_in(visitor, form.csrf.as_deref())?;
        let tokens = form.tokens.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let tokens = tokens.map(|text| text.parse::<i64>().unwrap_or(0));
        let order = Order { package: form.package.filter(|id| !id.is_empty()), tokens };
        match begun(&app, &user, &order).await {
            Ok(purchase) => Ok(Redirect::to(&next(&purchase)).into_response()),
            // The page again, with what is wrong.
            Err(problem) => page(&app, Some(&user), Some(problem), order.tokens).await,
        }
    };
    answered(&app, visitor, began).await
}

async fn begun(app: &App, user: &User, order: &Order) -> Result<Purchase, Problem> {
    let wish = order.wish()?;
    Ok(app.purchases.begin(&user.account_id, Kind::Checkout, &wish, None).await?.purchase)
}

/// Where a purchase is paid; if it is over already, where it is to be seen.
fn next(purchase: &Purchase) -> String {
    purchase.checkout_url.clone().unwrap_or_else(|| "/account".to_owned())
}

/// A problem in a buyer's words.
fn for_people(problem: &Problem) -> (&'static str, String) {
    match problem.code {
        Code::PurchaseLimit => {
            let detail = "You have begun as many purchases as there may be. Come back in a while.";
            ("That was quick", detail.to_owned())
        }
        Code::InvalidRequest => {
            let words = problem.detail.split_once(": ").map_or("", |(_, words)| words);
            let mut letters = words.chars();
            let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            ("This can't be bought", format!("{first}{}.", letters.as_str()))
        }
        code => (code.title(), problem.detail.clone()),
    }
}
