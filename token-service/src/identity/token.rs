//! Bearer tokens: JSON Web Tokens, whose claims say who somebody is and what they may.

use super::{Caller, Scope, crypto, keyring::Keyring};
use crate::config::NamedSecret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation, errors::ErrorKind};
use ledger::Time;
use serde::{Deserialize, Deserializer};
use serde_json::{Number, json};
use std::{sync::Arc, time::Duration};

/// How far the clocks of a token's issuer and ours may be apart.
const LEEWAY: Duration = Duration::from_secs(30);

/// Who must have made a token, and for whom.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The claim `iss`.
    pub issuer: String,
    /// One of the claim `aud`.
    pub audience: String,
}

/// What we read of a token, beside its issuer and audience.
#[derive(Deserialize)]
struct Claims {
    // That these two are there is checked with the others that must be.
    #[serde(default)]
    sub: String,
    #[serde(default = "never")]
    exp: Number,
    nbf: Option<Number>,
    /// Names of scopes; issuers use either.
    #[serde(default)]
    scope: Names,
    #[serde(default)]
    scp: Names,
    /// Bound to accounts whose id begins so. `null` is no prefix, and not none either: refused.
    #[serde(default, deserialize_with = "given")]
    account_prefix: Option<Option<String>>,
    /// Trusted to say for whom it acts.
    #[serde(default)]
    on_behalf_of: bool,
}

fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

fn never() -> Number {
    0.into()
}

/// Names with spaces between them, or a list of names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    Text(String),
    List(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    fn scopes(&self) -> Vec<Scope> {
        match self {
            Self::Text(text) => text.split_ascii_whitespace().filter_map(Scope::of).collect(),
            Self::List(list) => list.iter().filter_map(|name| Scope::of(name)).collect(),
        }
    }
}

/// A caller, while their token holds.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) caller: Arc<Caller>,
    from: Time,
}

/// Nobody whom we know has signed it.
pub(super) const UNKNOWN_KEY: &str = "the token isn't signed with a key that is known here";

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No key of ours can have signed it; maybe one that we haven't got yet.
    UnknownKey,
    /// In words that say nothing about the token itself.
    Because(&'static str),
}

impl Bearer {
    /// Whose token it is, whenever that may be.
    pub(super) fn read(token: &str, keys: &Keyring, expected: &Expected) -> Result<Self, Refused> {
        crypto::install();
        let header = jsonwebtoken::decode_header(token);
        let header = header.map_err(|error| Refused::Because(words(error.kind())))?;
        if header.crit.is_some() {
            return Err(Refused::Because("the token asks for extensions that aren't known here"));
        }
        let mut refused = match header.alg {
            Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => Refused::UnknownKey,
            _ => Refused::Because(UNKNOWN_KEY),
        };
        for key in keys.matching(&header) {
            let mut rules = Validation::new(key.algorithm);
            rules.set_issuer(&[&expected.issuer]);
            rules.set_audience(&[&expected.audience]);
            rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            // By our own clock, at each use.
            rules.validate_exp = false;
            match jsonwebtoken::decode::<Claims>(token, &key.verifies, &rules) {
                Ok(token) => return Self::of(&token.claims).map_err(Refused::Because),
                Err(error) => refused = Refused::Because(words(error.kind())),
            }
        }
        Err(refused)
    }

    fn of(claims: &Claims) -> Result<Self, &'static str> {
        let name = &claims.sub;
        if !Caller::is_name(name) {
            return Err("the token's `sub` must be 1 to 128 visible ASCII characters");
        }
        let caller = Caller::new(name)
            .with_scopes(claims.scope.scopes().into_iter().chain(claims.scp.scopes()))
            .with_on_behalf_of(claims.on_behalf_of);
        let caller = match claims.account_prefix.as_ref().map(Option::as_deref) {
            None => caller,
            Some(None | Some("")) => {
                return Err("the token's `account_prefix` is empty; leave it out");
            }
            Some(Some(prefix)) => caller.with_prefix(prefix),
        };
        let no_time = "the token's `exp` and `nbf` must be seconds since 1970";
        let until = time(&claims.exp).ok_or(no_time)?.after_micros(micros(LEEWAY));
        let from = match &claims.nbf {
            None => Time(0),
            Some(from) => time(from).ok_or(no_time)?.after_micros(-micros(LEEWAY)),
        };
        Ok(Self { caller: Arc::new(caller.with_until(until)), from })
    }

    /// Whether it holds at this time.
    pub(super) fn holds(&self, now: Time) -> Result<(), &'static str> {
        match () {
            () if self.caller.until().is_some_and(|until| now >= until) => {
                Err("the token has expired")
            }
            () if now < self.from => Err("the token isn't valid yet"),
            () => Ok(()),
        }
    }
}

/// Seconds since 1970, with or without a fraction.
fn time(seconds: &Number) -> Option<Time> {
    let seconds = match seconds.as_i64() {
        Some(seconds) => u64::try_from(seconds).ok()?,
        None => Duration::try_from_secs_f64(seconds.as_f64()?).ok()?.as_secs(),
    };
    i64::try_from(seconds).ok()?.checked_mul(1_000_000).map(Time)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What is wrong with a token, in words that quote nothing of it.
fn words(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        ErrorKind::InvalidIssuer => "the token is from another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token must have iss, aud, sub and exp",
        _ => "the token isn't a JSON Web Token as this service accepts them",
    }
}

/// Makes a token for a caller, signed with a shared secret; it expires `lifetime` after `now`.
///
/// # Panics
/// Never: HMAC takes every secret.
#[must_use]
pub fn mint(
    caller: &Caller,
    secret: &NamedSecret,
    expected: &Expected,
    (now, lifetime): (Time, Duration),
) -> String {
    crypto::install();
    let now = now.0 / 1_000_000;
    let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let scopes = Scope::ALL.into_iter().filter(|scope| caller.has(*scope));
    let mut claims = json!({
        "iss": expected.issuer,
        "aud": expected.audience,
        "sub": caller.name(),
        "iat": now,
        "exp": now.saturating_add(lifetime),
        "scope": scopes.map(Scope::as_str).collect::<Vec<_>>().join(" "),
        "on_behalf_of": caller.may_act_for_others(),
    });
    if let (Some(prefix), Some(claims)) = (caller.prefix(), claims.as_object_mut()) {
        claims.insert("account_prefix".to_owned(), prefix.into());
    }
    let header = Header { kid: Some(secret.id.clone()), ..Header::default() };
    let key = EncodingKey::from_secret(secret.secret.expose().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).expect("HMAC takes every secret")
}
