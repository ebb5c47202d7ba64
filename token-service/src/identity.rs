//! Who asks: where callers are identified, what they may is decided here.
//!
//! A [`Caller`] has a name (the actor of its transactions), scopes, and maybe a prefix of account ids
//! that it is bound to. [`Identity`] finds one by a call's bearer token, or by the certificate of its
//! connection; [`method`] says what each method asks for. What a request names is held against its
//! caller where it is read: see [`crate::grpc::convert::Fields`].

mod caller;
mod certificate;
mod crypto;
mod jwks;
mod keyring;
pub mod method;
mod token;

pub use caller::{Caller, Scope};
pub use certificate::{Callers, PeerNames};
pub use token::{Expected, mint};

use crate::{
    clock::Clock,
    config::{KeySource, NamedSecrets},
    grpc::status,
};
use http::{Extensions, HeaderMap, header::AUTHORIZATION};
use jwks::{Keys, Looked};
use keyring::Keyring;
use proto::reason::Error;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use token::{Bearer, Refused, UNKNOWN_KEY};

/// Tokens that are known to be good at a time; beyond that all of them are looked at again.
const KNOWN_MAX: usize = 4_096;

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
    tokens: Option<Tokens>,
    callers: Option<Callers>,
    clock: Clock,
}

/// Bearer tokens that are accepted.
#[derive(Debug)]
struct Tokens {
    expected: Expected,
    secrets: Keyring,
    keys: Option<Keys>,
    /// Those that were found good, by their hash, and the keys by which they were.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by: Option<Arc<Keyring>>,
    bearers: HashMap<[u8; 32], Bearer>,
}

impl Identity {
    /// By these credentials; off if there are none. Reads the key set once.
    ///
    /// # Errors
    /// If the key set is a file that can't be read.
    pub async fn new(credentials: Credentials, clock: Clock) -> Result<Self, String> {
        let Credentials { secrets, keys, expected, callers } = credentials;
        let keys = match keys {
            None => None,
            Some(source) => Some(Keys::open(source).await?),
        };
        let tokens = (secrets.is_some() || keys.is_some()).then(|| Tokens {
            expected,
            secrets: Keyring::of_secrets(secrets.as_ref()),
            keys,
            known: Mutex::default(),
        });
        Ok(match (&tokens, &callers) {
            (None, None) => Self::Off(Arc::new(Caller::anonymous())),
            (Some(_) | None, _) => Self::On(Box::new(Checks { tokens, callers, clock })),
        })
    }

    /// Keeps what it knows fresh, for as long as it is asked to.
    pub async fn keep_fresh(&self) {
        if let Self::On(checks) = self
            && let Some(Tokens { keys: Some(keys), .. }) = &checks.tokens
        {
            keys.keep_fresh().await;
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
        let refused = |why| status::unauthenticated(why);
        let Some(tokens) = &self.tokens else {
            return Err(refused("this service takes no tokens: use a certificate"));
        };
        let bearer = match (tokens.bearer(token), &tokens.keys) {
            (Err(Refused::UnknownKey), Some(keys)) => match keys.look_again().await {
                // It isn't the caller's fault.
                Looked { succeeded: false, .. } => return Err(status::keys_away()),
                Looked { succeeded: true, .. } => tokens.bearer(token),
            },
            (bearer, _) => bearer,
        };
        let bearer = bearer.map_err(|why| match why {
            Refused::UnknownKey => refused(UNKNOWN_KEY),
            Refused::Because(why) => refused(why),
        })?;
        bearer.holds(self.clock.now()).map_err(refused)?;
        Ok(bearer.caller)
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

impl Tokens {
    fn bearer(&self, token: &str) -> Result<Bearer, Refused> {
        let keys = self.keys.as_ref().and_then(|keys| keys.looked().keys);
        let hash: [u8; 32] = Sha256::digest(token).into();
        let same = |a: &Option<Arc<Keyring>>| match (a, &keys) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if same(&known.by)
                && let Some(found) = known.bearers.get(&hash)
            {
                return Ok(found.clone());
            }
        }
        let read = |keys| Bearer::read(token, keys, &self.expected);
        let bearer = match (read(&self.secrets), &keys) {
            (Err(Refused::UnknownKey), Some(keys)) => read(keys)?,
            (bearer, _) => bearer?,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !same(&known.by) || known.bearers.len() >= KNOWN_MAX {
            *known = Known { by: keys, bearers: HashMap::new() };
        }
        known.bearers.insert(hash, bearer.clone());
        Ok(bearer)
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
