//! What every page shares: the document, the banner that says what this is, and the page for what isn't
//! there.

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// Where the pages' style is served. It carries no data, so it may be kept for an hour.
pub(super) const STYLE_PATH: &str = "/_pages/style.css";

/// A whole document. The title is the page's name, without the simulator's.
pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Stripe simulator" }
                link rel="stylesheet" href=(STYLE_PATH);
                link rel="icon" href="data:,";
            }
            body {
                p.banner { "Simulator – no money moves" }
                (body)
            }
        }
    }
}

/// A document as an answer.
pub(super) fn answer(status: StatusCode, title: &str, body: &Markup) -> Response {
    (status, Html(document(title, body).into_string())).into_response()
}

/// A page in the middle of which stands one card: what a buyer reads, and perhaps one thing to do.
pub(super) fn card(content: &Markup) -> Markup {
    html! { main.lone { div.card { (content) } } }
}

/// What a card begins with when something is over.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// It went well.
    Done,
    /// Its time is up.
    Expired,
}

/// A drawing for those who see it: the heading beneath says the same.
pub(super) fn mark(mark: Mark) -> Markup {
    let (mood, drawing) = match mark {
        Mark::Done => ("good", "M5 12.5l4.5 4.5L19 7.5"),
        Mark::Expired => ("calm", "M12 7v5.5l3.5 2M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0 -17"),
    };
    html! {
        div class={ "mark " (mood) } aria-hidden="true" {
            svg viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor" stroke-width="2"
                stroke-linecap="round" stroke-linejoin="round" { path d=(drawing); }
        }
    }
}

/// Nothing is here, or not any more.
pub(super) fn missing() -> Response {
    let body = card(&html! {
        h1 { "This page isn’t here" }
        p {
            "The link may have expired or been mistyped. The simulator also forgets everything when it is "
            "started again without a snapshot."
        }
        p { "Go back to where you came from and try again from there." }
    });
    answer(StatusCode::NOT_FOUND, "Not found", &body)
}

/// Something that can't be done from here, said in the core's words.
pub(super) fn refused(message: &str) -> Response {
    let body = card(&html! {
        h1 { "That didn’t work" }
        p role="alert" { (message) }
        p { "Go back and try again." }
    });
    answer(StatusCode::BAD_REQUEST, "That didn’t work", &body)
}
