//! Who asks: a session's cookie, a bearer of ours, or the customer's own JWT.

use super::{
    App,
    problem::{Code, Problem},
    whole::RequestId,
};
use crate::{
    clock,
    config::PublicUrl,
    store::sessions::{Session, Use},
};
use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use proto::jwt::{self, NamedSecrets, Refused, Verified, Verifier};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

/// What a bearer of ours begins with, so that it isn't taken for a JWT.
const BEARER_PREFIX: &str = "tgb_";

/// What the header is called that a cookie's POSTs need.
const CSRF_HEADER: &str = "x-csrf-token";

/// The longest account id.
pub const ACCOUNT_CHARS_MAX: usize = 128;

/// Whoever shows a JWT of the customer's.
#[derive(Clone, Debug)]
pub struct Holder {
    account_id: String,
}

/// We read nothing of a user's token but whose it is.
#[derive(Debug, Deserialize)]
pub struct NoClaims {}

impl jwt::Bearer for Holder {
    type Claims = NoClaims;

    fn of(verified: Verified<NoClaims>) -> Result<Self, &'static str> {
        if is_account_id(&verified.subject) {
            Ok(Self { account_id: verified.subject })
        } else {
            Err(
                "the token's `sub` must be an account: 1 to 128 visible ASCII characters, not sys/…",
            )
        }
    }
}

/// Knows who is who.
#[derive(Debug)]
pub struct Users {
    tokens: Verifier<Holder>,
    service_keys: Vec<[u8; 32]>,
    cookie: &'static str,
}

/// A secret that somebody shows, and what is kept of it.
#[derive(Debug)]
pub struct Shown {
    /// What they show.
    pub secret: String,
    /// What is kept.
    pub digest: String,
}

impl Users {
    /// By these tokens and service keys, behind this address.
    #[must_use]
    pub fn new(
        tokens: Verifier<Holder>,
        service_keys: Option<&NamedSecrets>,
        public_url: &PublicUrl,
    ) -> Self {
        let keys = service_keys.into_iter().flat_map(NamedSecrets::iter);
        let service_keys = keys.map(|it| Sha256::digest(it.secret.expose()).into()).collect();
        let cookie = if public_url.is_secure() { "__Host-session" } else { "session" };
        Self { tokens, service_keys, cookie }
    }

    /// Keeps the customer's keys fresh: a task's work.
    pub async fn keep_fresh(&self) {
        self.tokens.keep_fresh().await;
    }

    /// The cookie's name.
    #[must_use]
    pub fn cookie(&self) -> &'static str {
        self.cookie
    }

    /// Whether somebody is a service of the customer's. Digests are compared: how long it takes says nothing of
    /// a key.
    #[must_use]
    pub fn is_service(&self, headers: &HeaderMap) -> bool {
        let shown = bearer(headers).map(|shown| Sha256::digest(shown).into());
        shown.is_some_and(|shown: [u8; 32]| self.service_keys.contains(&shown))
    }
}

/// A secret that nobody guesses.
///
/// # Errors
/// The system has no randomness.
pub fn new_secret(prefix: &str) -> Result<Shown, Problem> {
    let mut bytes = [0_u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Problem::new(Code::Internal, "no randomness to be had"))?;
    let secret = format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let digest = digest(&secret);
    Ok(Shown { secret, digest })
}

/// A bearer of ours.
///
/// # Errors
/// The system has no randomness.
pub fn new_bearer() -> Result<Shown, Problem> {
    new_secret(BEARER_PREFIX)
}

/// What is kept of a secret.
#[must_use]
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

/// Whether this can be an account.
#[must_use]
pub fn is_account_id(text: &str) -> bool {
    (1..=ACCOUNT_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_graphic())
        && !text.starts_with("sys/")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = shown.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// A cookie's value.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|it| it.to_str().ok());
    let mut pairs = cookies.flat_map(|it| it.split(';')).filter_map(|it| it.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whoever asks, as far as we know them.
#[derive(Clone, Debug)]
pub struct User {
    /// Their account.
    pub account_id: String,
    /// Their session, if they came with its cookie.
    pub session: Option<CookieSession>,
}

/// The session of a cookie.
#[derive(Clone, Debug)]
pub struct CookieSession {
    /// What is kept of its secret.
    pub digest: String,
    /// What its POSTs have to show.
    pub csrf: String,
    /// Microseconds since 1970.
    pub expires_at: i64,
}

/// Whoever asks for a page: somebody, or nobody. Its forms show their CSRF token themselves.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// Somebody.
    pub user: Option<User>,
    /// What the request is called in the log.
    pub request_id: RequestId,
}

impl User {
    async fn of(parts: &Parts, app: &App) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let unknown = |why: &str| Problem::new(Code::Unauthenticated, why);
        let now = clock::now();
        if headers.contains_key(header::AUTHORIZATION) {
            let shown = bearer(headers).ok_or_else(|| unknown("give `Authorization: Bearer …`"))?;
            if shown.starts_with(BEARER_PREFIX) {
                let session = app.store.session(&digest(shown), Use::Bearer, now).await?;
                let session =
                    session.ok_or_else(|| unknown("this bearer isn't known, or is over"))?;
                return Ok(Self { account_id: session.account_id, session: None });
            }
            return match app.users.tokens.verify(shown, now).await {
                Ok(holder) => Ok(Self { account_id: holder.account_id.clone(), session: None }),
                Err(Refused::Because(why)) => Err(unknown(why)),
                Err(Refused::KeysAway) => {
                    Err(Problem::new(Code::Unavailable, "the keys of tokens can't be read"))
                }
            };
        }
        let shown = cookie(headers, app.users.cookie);
        let shown = shown.ok_or_else(|| unknown("sign in first: there is no session or bearer"))?;
        let digest = digest(shown);
        let session = app.store.session(&digest, Use::Cookie, now).await?;
        let session: Session =
            session.ok_or_else(|| unknown("your session is over; sign in again"))?;
        if !parts.method.is_safe() {
            same_origin(headers, &app.public_url)?;
        }
        let Session { account_id, csrf, expires_at, .. } = session;
        Ok(Self { account_id, session: Some(CookieSession { digest, csrf, expires_at }) })
    }

    /// Whether a POST shows what its session's pages know.
    ///
    /// # Errors
    /// It doesn't: it comes from somewhere else.
    pub fn accepts(&self, shown: Option<&str>) -> Result<(), Problem> {
        let Some(session) = &self.session else { return Ok(()) };
        // Digests: how long it takes says nothing of the token.
        if shown.is_some_and(|shown| Sha256::digest(shown) == Sha256::digest(&session.csrf)) {
            return Ok(());
        }
        let detail =
            "a cookie's POST shows the session's token: header X-CSRF-Token, or the form's csrf";
        Err(Problem::new(Code::Csrf, detail))
    }
}

/// A cookie's POST comes from our own pages, and says so.
fn same_origin(headers: &HeaderMap, public_url: &PublicUrl) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (text("origin"), text("sec-fetch-site")) {
        (Some(origin), _) => origin == public_url.as_str(),
        (None, Some(site)) => site == "same-origin",
        (None, None) => false,
    };
    if is_ours {
        return Ok(());
    }
    Err(Problem::new(Code::Csrf, format!("this must come from {}", public_url.as_str())))
}

impl<S> FromRequestParts<S> for User
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let user = Self::of(parts, &App::from_ref(state)).await?;
        if !parts.method.is_safe() {
            user.accepts(parts.headers.get(CSRF_HEADER).and_then(|it| it.to_str().ok()))?;
        }
        Ok(user)
    }
}

impl<S> FromRequestParts<S> for Visitor
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get::<RequestId>().cloned().unwrap_or_default();
        match User::of(parts, &App::from_ref(state)).await {
            Ok(user) => Ok(Self { user: Some(user), request_id }),
            Err(problem) if problem.code == Code::Unauthenticated => {
                Ok(Self { user: None, request_id })
            }
            Err(problem) => Err(problem),
        }
    }
}

/// How the description says who may ask.
pub struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = |what: &str| {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(what));
            SecurityScheme::Http(bearer.build())
        };
        let cookie = ApiKeyValue::with_description(
            "__Host-session",
            "A browser's session; POSTs need X-CSRF-Token as well.",
        );
        components.add_security_scheme("user", bearer("A bearer of ours, or your own JWT."));
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
        components.add_security_scheme("service", bearer("One of the service keys."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn an_account_is_visible_and_not_the_systems() {
        for good in ["a", "user-1", "auth0|5f7", &"x".repeat(128)] {
            assert!(is_account_id(good), "{good}");
        }
        for bad in ["", "a b", "sys/usage", "é", "a\n", &"x".repeat(129)] {
            assert!(!is_account_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; xsession=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("session=3; b=4"));
        assert_eq!(cookie(&headers, "session"), Some("3"));
        assert_eq!(cookie(&headers, "sess"), None);
    }

    #[test]
    fn only_our_own_pages_may_post() {
        let ours: PublicUrl = "https://pay.example.com".parse().unwrap();
        let table: [(&[(&str, &str)], bool); 7] = [
            (&[("origin", "https://pay.example.com")], true),
            (&[("origin", "https://evil.example.com")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[], false),
        ];
        for (shown, allowed) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in shown {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(same_origin(&headers, &ours).is_ok(), allowed, "{shown:?}");
        }
    }
}
