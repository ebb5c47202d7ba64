//! A token itself: who must have made it, whether a key of ours has signed it, and how one is made.

use super::{
    Bearer,
    claims::{Claims, Validity},
    crypto,
    keyring::Keyring,
    secrets::NamedSecret,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, Validation, errors::ErrorKind};
use serde_json::{Map, Value};
use std::time::Duration;

/// Who must have made a token, and for whom.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The claim `iss`; `None`: whatever it is, and if there is none.
    pub issuer: Option<String>,
    /// One of the claim `aud`.
    pub audience: String,
}

impl Expected {
    /// What a token must say that is signed with this key.
    fn rules(&self, algorithm: Algorithm) -> Validation {
        let mut rules = Validation::new(algorithm);
        rules.set_audience(&[&self.audience]);
        match &self.issuer {
            None => rules.set_required_spec_claims(&["exp", "aud", "sub"]),
            Some(issuer) => {
                rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
                rules.set_issuer(&[issuer]);
            }
        }
        // By our own clock, at each use.
        rules.validate_exp = false;
        rules
    }

    /// What is wrong with a token, in words that quote nothing of it.
    fn words(&self, error: &ErrorKind) -> &'static str {
        match error {
            ErrorKind::InvalidSignature => "the token's signature is wrong",
            ErrorKind::InvalidIssuer => "the token is from another issuer",
            ErrorKind::InvalidAudience => "the token is for another audience",
            ErrorKind::MissingRequiredClaim(_) if self.issuer.is_none() => {
                "the token must have aud, sub and exp"
            }
            ErrorKind::MissingRequiredClaim(_) => "the token must have iss, aud, sub and exp",
            _ => "the token isn't a JSON Web Token as this service accepts them",
        }
    }
}

/// Why a token proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// No key of ours can have signed it; maybe one that we haven't got yet.
    UnknownKey,
    /// In words that say nothing about the token itself.
    Because(&'static str),
}

/// Nobody whom we know has signed it.
const UNKNOWN_KEY: &str = "the token isn't signed with a key that is known here";

impl Unproven {
    /// In words that say nothing about the token itself.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::UnknownKey => UNKNOWN_KEY,
            Self::Because(why) => why,
        }
    }
}

/// Whose token it is, whenever that may be, and when it holds.
pub(super) fn read<B: Bearer>(
    token: &str,
    keys: &Keyring,
    expected: &Expected,
) -> Result<(B, Validity), Unproven> {
    crypto::install();
    let wrong =
        |error: jsonwebtoken::errors::Error| Unproven::Because(expected.words(error.kind()));
    let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
    if header.crit.is_some() {
        return Err(Unproven::Because("the token asks for extensions that aren't known here"));
    }
    let mut unproven = match header.alg {
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => Unproven::UnknownKey,
        _ => Unproven::Because(UNKNOWN_KEY),
    };
    for key in keys.matching(&header) {
        let rules = expected.rules(key.algorithm);
        match jsonwebtoken::decode::<Claims<B::Claims>>(token, &key.verifies, &rules) {
            Ok(token) => return bearer(token.claims).map_err(Unproven::Because),
            Err(error) => unproven = wrong(error),
        }
    }
    Err(unproven)
}

fn bearer<B: Bearer>(claims: Claims<B::Claims>) -> Result<(B, Validity), &'static str> {
    let (verified, validity) = claims.verified()?;
    Ok((B::of(verified)?, validity))
}

/// Makes a token for `subject` that says `claims` beside what it must, signed with a shared secret
/// (HS256); it expires `lifetime` after now.
///
/// # Panics
/// Never: HMAC takes every secret.
#[must_use]
pub fn mint(
    subject: &str,
    claims: Map<String, Value>,
    secret: &NamedSecret,
    expected: &Expected,
    (now_unix_micros, lifetime): (i64, Duration),
) -> String {
    crypto::install();
    let now = now_unix_micros / 1_000_000;
    let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
    let common = [
        ("iss", expected.issuer.as_deref().map(Value::from)),
        ("aud", Some(expected.audience.as_str().into())),
        ("sub", Some(subject.into())),
        ("iat", Some(now.into())),
        ("exp", Some(now.saturating_add(lifetime).into())),
    ];
    let common = common.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    // What it must say has the last word.
    let claims: Map<String, Value> = claims.into_iter().chain(common).collect();
    let header = Header { kid: Some(secret.id.clone()), ..Header::default() };
    let key = EncodingKey::from_secret(secret.secret.expose().as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).expect("HMAC takes every secret")
}
