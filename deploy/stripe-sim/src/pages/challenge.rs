//! The question that a bank asks in 3-D Secure, answered here by two buttons instead of an app or a code.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::form::{Form, Problem, Shown};
use super::layout::{self, Mark};
use super::methods::label;
use super::money::money;
use super::read::{id, merchant};
use crate::fail::Fail;
use crate::json::Look as _;
use crate::resources::challenge;
use crate::server::Shared;
use crate::world::World;

/// Asks, while the intent waits for the answer.
pub(super) async fn show(State(shared): State<Shared>, Path(intent): Path<String>) -> Response {
    let found = shared.with(|world| {
        let Some(intent) = challenge::find(world, &intent) else {
            return is_intent(world, &intent).then(answered);
        };
        let session = world.find(intent.text("_session")).unwrap_or(&intent);
        let method = world.find(id(&intent, "payment_method")).unwrap_or(&Value::Null);
        Some(question(&intent, merchant(session), method))
    });
    match found {
        Some(body) => layout::answer(StatusCode::OK, "Your bank asks", &body),
        None => layout::missing(),
    }
}

fn is_intent(world: &World, id: &str) -> bool {
    let kinds = ["payment_intent", "setup_intent"];
    world.find(id).is_some_and(|found| kinds.contains(&found.text("object")))
}

/// What is left of the question once it is answered: a page for intents that lead nowhere.
fn answered() -> Markup {
    layout::card(&html! {
        (layout::mark(Mark::Done))
        h1 { "Nothing left to answer" }
        p { "Your bank has its answer. You can close this page." }
    })
}

/// Takes the answer to the core, and the browser where the core says.
pub(super) async fn answer(
    State(shared): State<Shared>,
    Path(intent): Path<String>,
    body: Bytes,
) -> Response {
    let passed = Form::parse(&body).get("answer") == "complete";
    let next = shared.with(|world| {
        let url = challenge::answer(world, &intent, passed)?;
        let is_ours = url.starts_with(&world.public_url);
        let has_failed = world.find(&intent).and_then(Problem::of_intent).is_some();
        Ok::<_, Fail>(if is_ours && has_failed { format!("{url}?failed={intent}") } else { url })
    });
    match next {
        Ok(url) => Redirect::to(&url).into_response(),
        Err(fail) if fail.status == 404 => layout::missing(),
        Err(fail) => layout::refused(&fail.message),
    }
}

/// Why the browser is back at the form that it came from: what the intent that its address names says.
pub(super) fn failure(world: &World, query: Option<String>) -> Shown {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let problem = world.find(query.get("failed")).and_then(Problem::of_intent);
    Shown { problems: problem.into_iter().collect(), ..Shown::default() }
}

fn question(intent: &Value, merchant: &str, method: &Value) -> Markup {
    let amount = intent.int("amount");
    layout::card(&html! {
        p.eyebrow { "3-D Secure · simulated bank" }
        h1 { "Is this you?" }
        dl.facts {
            div { dt { "Merchant" } dd { (merchant) } }
            @if amount > 0 {
                div { dt { "Amount" } dd { (money(amount, intent.text("currency"))) } }
            } @else {
                div { dt { "Purpose" } dd { "Saving this card for later" } }
            }
            @if method.is_object() { div { dt { "Card" } dd { (label(method)) } } }
        }
        form.stack method="post" action={ "/3ds/" (intent.text("id")) } {
            button.pay type="submit" name="answer" value="complete" { "Complete authentication" }
            button.plain type="submit" name="answer" value="fail" { "Fail authentication" }
        }
    })
}
