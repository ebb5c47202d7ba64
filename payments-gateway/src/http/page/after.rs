//! Where Stripe sends buyers back to: after paying, and without.

use super::{answered, common, purchase_of, signed_in, somebody};
use crate::{
    http::{
        App, buy,
        problem::Problem,
        user::{User, Visitor},
        view::Asked,
    },
    store::purchases::{Named, Purchase, state_name},
};
use axum::{
    extract::{Form, State, rejection::FormRejection},
    response::Response,
};
use billing::State as Standing;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Where Stripe sends its buyers.
#[derive(Debug, Deserialize)]
pub struct SuccessQuery {
    session_id: Option<String>,
}

/// How long the page after paying waits for the tokens before it says that they are on their way.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// After paying: a receipt, and how far it is. The page only asks for a look; the worker alone credits.
pub async fn success(
    State(app): State<App>,
    visitor: Result<Visitor, Problem>,
    query: Result<Asked<SuccessQuery>, Problem>,
) -> Response {
    let page = async |visitor| {
        let Asked(query) = query?;
        success_page(&app, &somebody(visitor)?, query).await
    };
    answered(&app, visitor, page).await
}

async fn success_page(app: &App, user: &User, query: SuccessQuery) -> Result<Response, Problem> {
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
    let mut context = common(app, Some(user)).await?;
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
) -> Response {
    let page = async |visitor| {
        let Asked(query) = query?;
        let user = somebody(visitor)?;
        let purchase = match &query.purchase {
            Some(id) => Some(buy::own(&app, &user, id).await?),
            None => None,
        };
        cancel_page(&app, &user, purchase.as_ref()).await
    };
    answered(&app, visitor, page).await
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
    form: Result<Form<CancelForm>, FormRejection>,
) -> Response {
    let page = async |visitor| {
        let Form(form) = form?;
        let user = signed_in(visitor, form.csrf.as_deref())?;
        let purchase = buy::own(&app, &user, &form.purchase.unwrap_or_default()).await?;
        let purchase = app.purchases.cancel(purchase).await?;
        cancel_page(&app, &user, Some(&purchase)).await
    };
    answered(&app, visitor, page).await
}
