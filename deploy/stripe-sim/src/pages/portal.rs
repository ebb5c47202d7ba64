//! The customer portal. Every change is a form of its own that comes back to the first page and says what
//! was done, so reloading changes nothing twice.

mod flow;
mod overview;
mod steps;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::StatusCode;
use maud::Markup;
use serde_json::Value;

use super::form::{Form, Problem, Shown};
use super::{cards, challenge, checkout, expand_product, layout, typed};
use crate::fail::Fail;
use crate::json::Look as _;
use crate::resources::checkout::Next;
use crate::resources::portal::{self, Act, When};
use crate::server::Shared;

/// What the browser calls all of the portal.
const TITLE: &str = "Your billing";

/// What was done last.
#[derive(Clone, Copy)]
enum Done {
    Canceled,
    Kept,
    PlanChanged,
    CardAdded,
    DefaultSet,
    MethodRemoved,
}

impl Done {
    const ALL: [Self; 6] = [
        Self::Canceled,
        Self::Kept,
        Self::PlanChanged,
        Self::CardAdded,
        Self::DefaultSet,
        Self::MethodRemoved,
    ];

    /// Its name in the address of the page that says so.
    fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Kept => "kept",
            Self::PlanChanged => "plan",
            Self::CardAdded => "card",
            Self::DefaultSet => "default",
            Self::MethodRemoved => "removed",
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Canceled => "Your plan is cancelled.",
            Self::Kept => "Your plan continues.",
            Self::PlanChanged => "Your plan is changed.",
            Self::CardAdded => "Your card is saved.",
            Self::DefaultSet => "Future payments use this method.",
            Self::MethodRemoved => "The payment method is removed.",
        }
    }
}

/// The first page.
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(portal) = find(&shared, &session) else { return layout::missing() };
    // Whoever comes back from a step has an address that says how it went.
    if let (None, Some(step)) = (&query, flow::start(&portal)) {
        return Redirect::to(&step).into_response();
    }
    let named = Form::parse(query.as_deref().unwrap_or_default().as_bytes());
    let done = Done::ALL.into_iter().find(|done| done.name() == named.get("done"));
    let failure = shared.with(|world| challenge::failure(world, query));
    layout::answer(StatusCode::OK, TITLE, &overview::overview(&portal, done, &failure))
}

/// Asks before a plan is cancelled.
pub(super) async fn ask_to_cancel(
    State(shared): State<Shared>,
    Path((session, subscription)): Path<(String, String)>,
) -> Response {
    step(&shared, &session, &Shown::default(), |portal, shown| {
        Some(steps::cancel(portal, find_plan(portal, &subscription)?, shown))
    })
}

/// Cancels a plan, when the merchant's settings say.
pub(super) async fn cancel(
    State(shared): State<Shared>,
    Path((session, subscription)): Path<(String, String)>,
) -> Response {
    let Some(portal) = find(&shared, &session) else { return layout::missing() };
    let rules = portal.at("configuration").at("features").at("subscription_cancel");
    let when = match rules.text("mode") {
        "immediately" => When::Now,
        _ => When::PeriodEnd,
    };
    act(&shared, &session, Act::Cancel { subscription, when }, Done::Canceled)
}

/// Takes a cancellation back.
pub(super) async fn keep(
    State(shared): State<Shared>,
    Path((session, subscription)): Path<(String, String)>,
) -> Response {
    act(&shared, &session, Act::Keep { subscription }, Done::Kept)
}

/// Shows the plans to choose from.
pub(super) async fn show_plans(
    State(shared): State<Shared>,
    Path((session, subscription)): Path<(String, String)>,
) -> Response {
    step(&shared, &session, &Shown::default(), |portal, shown| {
        Some(steps::plans(portal, find_plan(portal, &subscription)?, shown))
    })
}

/// Changes a plan.
pub(super) async fn change_plan(
    State(shared): State<Shared>,
    Path((session, subscription)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let price = form.get("price").to_owned();
    let change = Act::ChangePlan { subscription: subscription.clone(), price };
    match perform(&shared, &session, change) {
        Ok(next) => go_on(&shared, &session, &next, Done::PlanChanged),
        Err(fail) => {
            let problems = vec![Problem::general(&fail.message)];
            step(&shared, &session, &Shown::again(form, problems), |portal, shown| {
                Some(steps::plans(portal, find_plan(portal, &subscription)?, shown))
            })
        }
    }
}

/// Shows the form for another card.
pub(super) async fn ask_for_card(
    State(shared): State<Shared>,
    Path(session): Path<String>,
) -> Response {
    step(&shared, &session, &Shown::default(), |portal, shown| Some(steps::add_card(portal, shown)))
}

/// Saves another card.
pub(super) async fn add_card(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    body: Bytes,
) -> Response {
    let form = Form::parse(&body);
    let shown = if cards::is_pressed(&form) {
        Shown::filled(cards::fill(form))
    } else {
        match typed::method(&form) {
            Err(problems) => Shown::again(form, problems),
            Ok(method) => match perform(&shared, &session, Act::AddMethod(method)) {
                Ok(next) => return go_on(&shared, &session, &next, Done::CardAdded),
                Err(fail) => Shown::refused(form, &fail),
            },
        }
    };
    step(&shared, &session, &shown, |portal, shown| Some(steps::add_card(portal, shown)))
}

/// Makes a method the one that invoices are paid with.
pub(super) async fn set_default(
    State(shared): State<Shared>,
    Path((session, method)): Path<(String, String)>,
) -> Response {
    act(&shared, &session, Act::SetDefault(method), Done::DefaultSet)
}

/// Forgets a method.
pub(super) async fn remove_method(
    State(shared): State<Shared>,
    Path((session, method)): Path<(String, String)>,
) -> Response {
    act(&shared, &session, Act::RemoveMethod(method), Done::MethodRemoved)
}

/// The portal's data, with products in place of their ids.
fn find(shared: &Shared, session: &str) -> Option<Value> {
    shared.with(|world| {
        let mut portal = portal::view(world, session).ok()?;
        let subscriptions = portal["subscriptions"].as_array_mut().into_iter().flatten();
        for subscription in subscriptions {
            for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
                expand_product(world, &mut item["price"]);
            }
        }
        Some(portal)
    })
}

fn find_plan<'a>(portal: &'a Value, subscription: &str) -> Option<&'a Value> {
    portal.items("subscriptions").iter().find(|found| found.text("id") == subscription)
}

/// One of the pages behind the first, with what was wrong if something was.
fn step(
    shared: &Shared,
    session: &str,
    shown: &Shown,
    view: impl FnOnce(&Value, &Shown) -> Option<Markup>,
) -> Response {
    let has_failed = !shown.problems.is_empty();
    let code = if has_failed { StatusCode::PAYMENT_REQUIRED } else { StatusCode::OK };
    match find(shared, session).and_then(|portal| view(&portal, shown)) {
        Some(body) => layout::answer(code, TITLE, &body),
        None => layout::missing(),
    }
}

fn perform(shared: &Shared, session: &str, act: Act) -> Result<Next, Fail> {
    shared.attempt(|world| portal::act(world, session, act))
}

/// Does what a button alone asks for.
fn act(shared: &Shared, session: &str, act: Act, done: Done) -> Response {
    match perform(shared, session, act) {
        Ok(next) => go_on(shared, session, &next, done),
        Err(fail) if fail.status == 404 => layout::missing(),
        Err(fail) => layout::refused(&fail.message),
    }
}

/// To the bank if it has a question; else back to the first page, unless the merchant wants another.
fn go_on(shared: &Shared, session: &str, next: &Next, done: Done) -> Response {
    if let Next::Challenge(_) = next {
        return checkout::follow(next);
    }
    let portal = find(shared, session).unwrap_or_default();
    let first = format!("/p/session/{session}?done={}", done.name());
    Redirect::to(flow::end(&portal).unwrap_or(&first)).into_response()
}
