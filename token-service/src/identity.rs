//! Who asks: where callers are identified, what they may is decided here.
//!
//! A [`Caller`] has a name (the actor of its transactions), scopes, and maybe a prefix of account ids
//! that it is bound to. [`Identity`] finds one by a call's bearer token, or by the certificate of its
//! connection; [`method`] says what each method asks for. What a request names is held against its
//! caller where it is read: see [`crate::grpc::convert::Fields`].

mod caller;
mod certificate;
pub mod method;
mod token;

pub use caller::{Caller, Scope};
pub use certificate::{Callers, PeerNames};
pub use token::mint;

use crate::{clock::Clock, grpc::status};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use proto::{
    jwt::{Expected, KeySource, NamedSecrets, Refused, Verifier},
    reason::Error,
};
use std::sync::Arc;

/// How callers are identified.
#[derive(Debug)]
pub enum Identity {
    /// Not at all: whoever can connect may do everything.
    Off(Arc<Caller>),
    /// By what they show.
    On(Box<Checks>),
}

/// What identifies callers.
#[derive(Debug)]
pub struct Credentials {
    /// Secrets that tokens are signed with.
    pub secrets: Option<NamedSecrets>,
    /// Where the public keys are that tokens are signed with.
    pub keys: Option<KeySource>,
    /// What tokens must say.
    pub expected: Expected,
    /// Callers by the names in their certificates, where those are vouched for.
    pub callers: Option<Callers>,
}

/// What callers may show.
#[derive(Debug)]
pub struct Checks {
    tokens: Option<Verifier<Caller>>,
    callers: Option<Callers>,
    clock: Clock,
}

impl Identity {
    /// By these credentials; off if there are none. Reads the key set once.
    ///
    /// # Errors
    /// If the key set is a file that can't be read.
    pub async fn new(credentials: Credentials, clock: Clock) -> Result<Self, String> {
        let Credentials { secrets, keys, expected, callers } = credentials;
        let tokens = match (secrets, keys) {
            (None, None) => None,
            (secrets, keys) => Some(Verifier::open(secrets.as_ref(), keys, expected).await?),
        };
        Ok(match (&tokens, &callers) {
            (None, None) => Self::Off(Arc::new(Caller::anonymous())),
            (Some(_) | None, _) => Self::On(Box::new(Checks { tokens, callers, clock })),
        })
    }

    /// Keeps what it knows fresh, for as long as it is asked to.
    pub async fn keep_fresh(&self) {
        if let Self::On(checks) = self
            && let Some(tokens) = &checks.tokens
        {
            tokens.keep_fresh().await;
        }
    }

    /// Who makes a call with these headers on the connection of these extensions.
    ///
    /// # Errors
    /// CREDENTIAL_INVALID.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Arc<Caller>, Error> {
        let checks = match self {
            Self::Off(anonymous) => return Ok(Arc::clone(anonymous)),
            Self::On(checks) => checks,
        };
        match bearer(headers)? {
            Some(token) => checks.by_token(token).await,
            None => checks.by_certificate(extensions),
        }
    }
}

impl Checks {
    async fn by_token(&self, token: &str) -> Result<Arc<Caller>, Error> {
        let Some(tokens) = &self.tokens else {
            let why = "this service takes no tokens: use a certificate";
            return Err(status::unauthenticated(why));
        };
        tokens.verify(token, self.clock.now().0).await.map_err(|refused| match refused {
            Refused::KeysAway => status::keys_away(),
            Refused::Because(why) => status::unauthenticated(why),
        })
    }

    fn by_certificate(&self, extensions: &Extensions) -> Result<Arc<Caller>, Error> {
        let names = extensions.get::<PeerNames>().filter(|names| !names.0.is_empty());
        match (&self.callers, names) {
            (Some(callers), Some(names)) => callers
                .named(names)
                .ok_or_else(|| status::unauthenticated("the certificate's names are no caller's")),
            (Some(_) | None, _) => Err(status::unauthenticated("the call has no credential")),
        }
    }
}

/// The bearer token of a call, if it has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match (token, all.next()) {
        (Some((_, token)), None) => Ok(Some(token.trim())),
        (Some(_) | None, _) => {
            Err(status::unauthenticated("give one authorization header: `Bearer` and a token"))
        }
    }
}
