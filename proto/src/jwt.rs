//! Who a bearer is: JSON Web Tokens as both services take them, so that a credential means the same
//! to either.
//!
//! A [`Verifier`] has keys (shared secrets, a set of public keys in a file or behind a URL) and knows
//! what tokens must say ([`Expected`]). What a service makes of whoever shows one is its own affair: a
//! [`Bearer`]. This knows nothing of headers, scopes, or what anybody may do, and reads no clock.

mod claims;
mod crypto;
mod jwks;
mod keyring;
mod secrets;
mod source;
#[cfg(test)]
mod tests;
mod token;

pub use claims::{Names, Verified};
pub use secrets::{NamedSecret, NamedSecrets, Secret};
pub use source::KeySource;
pub use token::{Expected, mint};

use claims::Validity;
use jwks::{Keys, Looked};
use keyring::Keyring;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use token::Unproven;

/// Tokens that are known to be good at a time; beyond that all of them are looked at again.
const KNOWN_MAX: usize = 4_096;

/// Whom a service takes the bearer of a token for.
pub trait Bearer: Sized {
    /// The claims that it reads beside `iss`, `aud`, `sub`, `exp` and `nbf`. Whatever they don't name
    /// isn't looked at.
    type Claims: DeserializeOwned;

    /// Whose token it is, whenever that may be: the outcome is remembered, and whether the token
    /// holds is looked at each time.
    ///
    /// # Errors
    /// Why it proves nothing, in words that quote nothing of it.
    fn of(verified: Verified<Self::Claims>) -> Result<Self, &'static str>;
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The keys that tokens are signed with can't be read: it isn't the caller's fault, and asking
    /// again may help.
    KeysAway,
    /// It proves nothing, in words that quote nothing of it.
    Because(&'static str),
}

/// Tells whose tokens are whose.
#[derive(Debug)]
pub struct Verifier<B> {
    expected: Expected,
    secrets: Keyring,
    keys: Option<Keys>,
    /// Those that were found good, by their hash, and the keys by which they were.
    known: Mutex<Known<B>>,
}

#[derive(Debug)]
struct Known<B> {
    by: Option<Arc<Keyring>>,
    bearers: HashMap<[u8; 32], (Arc<B>, Validity)>,
}

impl<B> Known<B> {
    /// None yet, by these keys.
    fn none(by: Option<Arc<Keyring>>) -> Self {
        Self { by, bearers: HashMap::new() }
    }
}

impl<B: Bearer> Verifier<B> {
    /// By these secrets (HS256) and these keys (RS256, ES256, EdDSA); by neither, no token is good.
    /// Reads the key set once.
    ///
    /// # Errors
    /// If the key set is a file that can't be read. What is behind a URL may come later.
    pub async fn open(
        secrets: Option<&NamedSecrets>,
        keys: Option<KeySource>,
        expected: Expected,
    ) -> Result<Self, String> {
        let keys = match keys {
            None => None,
            Some(source) => Some(Keys::open(source).await?),
        };
        let secrets = Keyring::of_secrets(secrets);
        Ok(Self { expected, secrets, keys, known: Mutex::new(Known::none(None)) })
    }

    /// Keeps the key set fresh, for as long as it is asked to: the work of one task. Without it no
    /// key is ever new, and whoever shows a token by an unknown one waits for ever.
    pub async fn keep_fresh(&self) {
        if let Some(keys) = &self.keys {
            keys.keep_fresh().await;
        }
    }

    /// Whose token this is. One by an unknown key has the key set read again, which may take some
    /// seconds; meanwhile the caller may go away.
    ///
    /// # Errors
    /// Why it isn't anybody's at this time (microseconds since 1970).
    pub async fn verify(&self, token: &str, now_unix_micros: i64) -> Result<Arc<B>, Refused> {
        let found = match (self.find(token), &self.keys) {
            (Err(Unproven::UnknownKey), Some(keys)) => match keys.look_again().await {
                Looked { succeeded: false, .. } => return Err(Refused::KeysAway),
                Looked { succeeded: true, .. } => self.find(token),
            },
            (found, _) => found,
        };
        let (bearer, validity) = found.map_err(|why| Refused::Because(why.words()))?;
        validity.includes(now_unix_micros).map_err(Refused::Because)?;
        Ok(bearer)
    }

    /// Whose token it is, whenever that may be.
    fn find(&self, token: &str) -> Result<(Arc<B>, Validity), Unproven> {
        let keys = self.keys.as_ref().and_then(|keys| keys.looked().keys);
        let hash: [u8; 32] = Sha256::digest(token).into();
        let same = |a: &Option<Arc<Keyring>>| match (a, &keys) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if same(&known.by)
                && let Some((bearer, validity)) = known.bearers.get(&hash)
            {
                return Ok((Arc::clone(bearer), *validity));
            }
        }
        let read = |keys| token::read::<B>(token, keys, &self.expected);
        let (bearer, validity) = match (read(&self.secrets), &keys) {
            (Err(Unproven::UnknownKey), Some(keys)) => read(keys)?,
            (read, _) => read?,
        };
        let bearer = Arc::new(bearer);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !same(&known.by) || known.bearers.len() >= KNOWN_MAX {
            *known = Known::none(keys);
        }
        known.bearers.insert(hash, (Arc::clone(&bearer), validity));
        Ok((bearer, validity))
    }
}
