//! Sessions: your backend opens one for a user, whose browser takes it over by a link that works once.

use super::{
    App,
    problem::{Code, Described, Problem},
    user::{ACCOUNT_CHARS_MAX, User, digest, is_account_id, new_bearer, new_secret},
    view::Body,
};
use crate::{
    clock::{self, SECOND},
    store::sessions::{Session, Use},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long a link waits to be opened.
const LINK_TIME: i64 = 5 * 60 * SECOND;

/// How long a browser's session lasts.
const COOKIE_TIME: i64 = 12 * 3_600 * SECOND;

/// How long a widget's bearer lasts.
const BEARER_TIME: i64 = 15 * 60 * SECOND;

/// The longest e-mail, name and return URL.
const TEXT_CHARS_MAX: usize = 500;

/// What a session is for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum For {
    /// A link for a browser.
    Link,
    /// A bearer for a widget.
    Bearer,
}

/// For whom.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// Your own id of the user.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub account_id: String,
    /// For receipts.
    #[schema(max_length = 500)]
    pub email: Option<String>,
    /// What to call them.
    #[schema(max_length = 500)]
    pub name: Option<String>,
    /// Where the link leads: a path here; `/tokens/buy` without it.
    #[schema(max_length = 500)]
    pub return_url: Option<String>,
    /// A link for a browser, or a bearer for a widget.
    pub r#use: For,
}

/// A session that was opened.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OpenedSession {
    /// Opens it, once, within five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Opens a session for a user, on behalf of your backend.
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = OpenSession,
    security(("service" = [])),
    responses((status = 201, description = "Made.", body = OpenedSession),
        (status = 400, description = "The request makes no sense.", body = Described, content_type = "application/problem+json"),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 413, description = "The body is longer than 64 KiB.", body = Described, content_type = "application/problem+json"),
        (status = 415, description = "The body isn't JSON.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    asked: Result<Body<OpenSession>, Problem>,
) -> Result<(StatusCode, Json<OpenedSession>), Problem> {
    if !app.users.is_service(&headers) {
        let detail = "opening sessions takes one of PAYMENTS_GATEWAY_SERVICE_KEYS as a bearer";
        return Err(Problem::new(Code::Unauthenticated, detail));
    }
    let Body(asked) = asked?;
    check(&asked)?;
    let now = clock::now();
    let (email, name) = (asked.email.as_deref(), asked.name.as_deref());
    app.store.put_customer(&asked.account_id, email, name, now).await?;
    let (shown, r#use, lasts) = match asked.r#use {
        For::Link => (new_secret("")?, Use::Link, LINK_TIME),
        For::Bearer => (new_bearer()?, Use::Bearer, BEARER_TIME),
    };
    let session = Session {
        account_id: asked.account_id,
        csrf: new_secret("")?.secret,
        return_url: asked.return_url,
        expires_at: now.saturating_add(lasts),
    };
    app.store.open_session(&shown.digest, r#use, &session, now).await?;
    let expires_at = clock::rfc3339(session.expires_at);
    let link = format!("{}/session/{}", app.public_url.as_str(), shown.secret);
    let opened = match r#use {
        Use::Bearer => OpenedSession { url: None, token: Some(shown.secret), expires_at },
        Use::Link | Use::Cookie => OpenedSession { url: Some(link), token: None, expires_at },
    };
    Ok((StatusCode::CREATED, Json(opened)))
}

fn check(asked: &OpenSession) -> Result<(), Problem> {
    if !is_account_id(&asked.account_id) {
        let message = format!("give 1 to {ACCOUNT_CHARS_MAX} visible ASCII characters, not sys/…");
        return Err(Problem::field("account_id", message));
    }
    let texts = [("email", &asked.email), ("name", &asked.name)];
    for (field, text) in texts {
        let is_usable = |text: &String| {
            (1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
        };
        if text.as_ref().is_some_and(|text| !is_usable(text)) {
            let message = format!("give 1 to {TEXT_CHARS_MAX} characters");
            return Err(Problem::field(field, message));
        }
    }
    if asked.email.as_ref().is_some_and(|email| !is_email(email)) {
        return Err(Problem::field("email", "give an address such as ada@example.com"));
    }
    if asked.return_url.as_ref().is_some_and(|url| !is_own_path(url)) {
        return Err(Problem::field("return_url", "give a path here, such as /account"));
    }
    Ok(())
}

/// As much as Stripe insists on.
fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.split('.').count() > 1
            && host.split('.').all(|part| !part.is_empty())
            && text.bytes().all(|c| c.is_ascii_graphic() && !b",;<>()[]\\\"".contains(&c))
            && !host.contains('@')
    })
}

/// A path of ours: nobody is led elsewhere from here.
fn is_own_path(text: &str) -> bool {
    text.len() <= TEXT_CHARS_MAX
        && text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|c| c.is_ascii_graphic() && c != b'\\')
}

/// Who only looks whether a link is there (mail scanners do) doesn't use it up.
pub async fn peek() -> StatusCode {
    StatusCode::OK
}

/// Takes a session over into the browser that opens its link, which works once. The session that it had ends.
///
/// # Errors
/// The link was opened before, or is too old.
pub async fn enter(app: &App, code: &str, before: Option<User>) -> Result<Response, Problem> {
    let now = clock::now();
    let link = app.store.end_session(&digest(code), Use::Link, now).await?;
    let link = link.ok_or_else(|| {
        let detail =
            "this link was opened before, or is more than five minutes old; get another one";
        Problem::new(Code::NotFound, detail)
    })?;
    let shown = new_secret("")?;
    let (csrf, expires_at) = (new_secret("")?.secret, now.saturating_add(COOKIE_TIME));
    let Session { account_id, return_url, .. } = link;
    let session = Session { account_id, csrf, return_url: None, expires_at };
    app.store.open_session(&shown.digest, Use::Cookie, &session, now).await?;
    if let Some(session) = before.and_then(|user| user.session) {
        app.store.end_session(&session.digest, Use::Cookie, now).await?;
    }
    let next = return_url.unwrap_or_else(|| "/tokens/buy".to_owned());
    let mut answer = Redirect::to(&next).into_response();
    set_cookie(&mut answer, app, &shown.secret, COOKIE_TIME)?;
    Ok(answer)
}

/// Gives a browser its cookie, or takes it away.
///
/// # Errors
/// Never: our secrets are visible characters.
pub fn set_cookie(
    answer: &mut Response,
    app: &App,
    secret: &str,
    lasts: i64,
) -> Result<(), Problem> {
    let secure = if app.public_url.is_secure() { "; Secure" } else { "" };
    let cookie = format!(
        "{}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        app.users.cookie(),
        clock::seconds(lasts)
    );
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|_| Problem::new(Code::Internal, "a cookie that can't be a header"))?;
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

/// Who is signed in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CurrentSession {
    /// The account.
    pub account_id: String,
    /// What a cookie's POSTs have to show; none for bearers.
    pub csrf_token: Option<String>,
    /// RFC 3339; none for bearers.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// Who you are.
#[utoipa::path(get, path = "/v1/session", tag = "sessions", security(("user" = []), ("session" = [])),
    responses((status = 200, description = "As asked.", body = CurrentSession),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn current(user: User) -> Json<CurrentSession> {
    let session = user.session.as_ref();
    Json(CurrentSession {
        csrf_token: session.map(|session| session.csrf.clone()),
        expires_at: session.map(|session| clock::rfc3339(session.expires_at)),
        account_id: user.account_id,
    })
}

/// Signs out.
#[utoipa::path(delete, path = "/v1/session", tag = "sessions", security(("user" = []), ("session" = [])),
    responses((status = 204, description = "Signed out."),
        (status = 401, description = "Nobody, or nobody we know.", body = Described, content_type = "application/problem+json"),
        (status = 403, description = "It came from somewhere else, or without the token of the session.", body = Described, content_type = "application/problem+json"),
        (status = 503, description = "The database or token-service can't be asked: ask again.", body = Described, content_type = "application/problem+json")))]
pub async fn end(State(app): State<App>, user: User) -> Result<Response, Problem> {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    leave(&app, &user, &mut answer).await?;
    Ok(answer)
}

/// Ends a browser's session.
///
/// # Errors
/// The database isn't there.
pub async fn leave(app: &App, user: &User, answer: &mut Response) -> Result<(), Problem> {
    if let Some(session) = &user.session {
        app.store.end_session(&session.digest, Use::Cookie, clock::now()).await?;
        set_cookie(answer, app, "", 0)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in ["/account", "/tokens/buy?x=1"] {
            assert!(is_own_path(good), "{good}");
        }
        for bad in
            ["", "account", "//evil.example", "https://evil.example", "/\\evil", "/a b", "/a\nb"]
        {
            assert!(!is_own_path(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_has_a_name_and_a_host() {
        for good in ["a@b.c", "ada+tokens@mail.example.com"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "a@b", "@b.c", "a@b.", "a b@c.d", "a@b@c.d"] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
