//! Checkout: what is bought beside how it is paid. A buyer who is declined sees why, with everything that was
//! typed except the card; one who changes the order sees the new total before paying it.

mod entry;
mod order;
mod summary;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::StatusCode;
use maud::html;
use serde_json::Value;

use self::order::Order;
use super::form::{Form, Problem, Shown};
use super::read::link;
use super::{cards, challenge, layout, typed};
use crate::fail::Fail;
use crate::json::Look as _;
use crate::resources::checkout::{self, Next, Paying};
use crate::server::Shared;
use crate::world::World;

/// Shows a session: the form while it is open, what became of it afterwards.
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let found = shared
        .with(|world| Some((Order::find(world, &session)?, challenge::failure(world, query))));
    match found {
        Some((order, mut shown)) => {
            // Whoever comes back from the bank needn't type it again.
            let email = order.session.at("customer_details").text("email");
            shown.form = shown.form.with("email", email);
            page(StatusCode::OK, &order, &shown)
        }
        None => layout::missing(),
    }
}

fn page(status: StatusCode, order: &Order, shown: &Shown) -> Response {
    if !order.is_open() {
        return layout::answer(status, "Checkout", &layout::card(&entry::over(&order.session)));
    }
    let title = if shown.problems.is_empty() { "Checkout" } else { "Problem – Checkout" };
    layout::answer(
        status,
        title,
        &html! {
            div.checkout { (summary::summary(order, shown)) (entry::entry(order, shown)) }
        },
    )
}

/// Pays, or fills the form in from the list of test cards.
pub(super) async fn pay(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    let Some(order) = shared.with(|world| Order::find(world, &session)) else {
        return layout::missing();
    };
    let form = Form::parse(&body);
    if cards::is_pressed(&form) {
        return page(StatusCode::OK, &order, &Shown::filled(cards::fill(form)));
    }
    if !order.is_open() {
        return page(StatusCode::CONFLICT, &order, &Shown::default());
    }

    let paying = match read(&order, &form) {
        Ok(paying) => paying,
        Err(problems) => {
            return page(StatusCode::BAD_REQUEST, &order, &Shown::again(form, problems));
        }
    };
    let (outcome, order) = shared.with(|world| {
        let outcome = world.attempt(|world| checkout::pay(world, &session, paying));
        (outcome, Order::find(world, &session).unwrap_or(order))
    });
    match outcome {
        Ok(next) => follow(&next),
        Err(fail) => page(StatusCode::PAYMENT_REQUIRED, &order, &Shown::refused(form, &fail)),
    }
}

fn read(order: &Order, form: &Form) -> Result<Paying, Vec<Problem>> {
    let typed_email = || form.optional("email").filter(|email| email.contains('@'));
    let email = order.email.clone().or_else(typed_email);
    let method = if order.is_free() { Ok(None) } else { typed::method(form).map(Some) };
    match (email, method) {
        (Some(email), Ok(method)) => Ok(Paying { method, email: Some(email) }),
        (Some(_), Err(problems)) => Err(problems),
        (None, method) => {
            let missing = Problem::of("email", "Enter your email address, like you@example.com.");
            Err(std::iter::once(missing).chain(method.err().unwrap_or_default()).collect())
        }
    }
}

/// Sends the browser on: to the merchant, or to the bank first.
pub(super) fn follow(next: &Next) -> Response {
    match next {
        Next::Go(url) => Redirect::to(url).into_response(),
        Next::Challenge(intent) => Redirect::to(&format!("/3ds/{intent}")).into_response(),
    }
}

/// Changes how many of a line are bought: its fields are named after the lines.
pub(super) async fn change_quantity(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let wanted: Vec<_> = form.numbers().collect();
    change(&shared, &session, form, "quantity", |world| {
        checkout::change_quantities(world, &session, &wanted)
    })
}

/// Applies a promotion code, or removes the one that is applied.
pub(super) async fn change_promotion(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let code = form.optional("code");
    if code.is_none() && form.get("remove").is_empty() {
        let empty = |_: &mut World| Err(Fail::request("Enter a promotion code."));
        return change(&shared, &session, form, "code", empty);
    }
    change(&shared, &session, form, "code", |world| {
        checkout::apply_promotion(world, &session, code.as_deref())
    })
}

/// Changes an open session, and shows it anew: with what was wrong beside the field, if something was.
fn change(
    shared: &Shared,
    session: &str,
    form: Form,
    field: &'static str,
    act: impl FnOnce(&mut World) -> Result<(), Fail>,
) -> Response {
    let changed = shared.with(|world| {
        let is_open = Order::find(world, session)?.is_open();
        let problem = if is_open { world.attempt(act).err() } else { None };
        Some((Order::find(world, session)?, problem))
    });
    match changed {
        None => layout::missing(),
        Some((_, None)) => Redirect::to(&format!("/c/pay/{session}")).into_response(),
        Some((order, Some(fail))) => {
            let problem = Problem::of(field, &fail.message);
            page(StatusCode::BAD_REQUEST, &order, &Shown::again(form, vec![problem]))
        }
    }
}

/// Where a buyer goes who has paid.
fn success_url(session: &Value) -> Option<String> {
    let url = link(session, "success_url")?;
    Some(url.replace("{CHECKOUT_SESSION_ID}", session.text("id")))
}
