//! Bearer tokens: what their claims say that somebody may. What a token is, and whether it is good,
//! the contract says: [`proto::jwt`].

use super::{Caller, Scope};
use ledger::Time;
use proto::jwt::{self, Bearer, Expected, NamedSecret, Names, Verified};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// What we read of a token, beside what every one says.
#[derive(Deserialize)]
pub struct Claims {
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

impl Bearer for Caller {
    type Claims = Claims;

    fn of(verified: Verified<Claims>) -> Result<Self, &'static str> {
        let (name, claims) = (&verified.subject, &verified.claims);
        if !Self::is_name(name) {
            return Err("the token's `sub` must be 1 to 128 visible ASCII characters");
        }
        let caller = Self::new(name)
            .with_scopes(claims.scope.iter().chain(claims.scp.iter()).filter_map(Scope::of))
            .with_on_behalf_of(claims.on_behalf_of)
            .with_until(Time(verified.until_unix_micros));
        match claims.account_prefix.as_ref().map(Option::as_deref) {
            None => Ok(caller),
            Some(None | Some("")) => Err("the token's `account_prefix` is empty; leave it out"),
            Some(Some(prefix)) => Ok(caller.with_prefix(prefix)),
        }
    }
}

/// Makes a token for a caller, signed with a shared secret; it expires `lifetime` after `now`.
#[must_use]
pub fn mint(
    caller: &Caller,
    secret: &NamedSecret,
    expected: &Expected,
    (now, lifetime): (Time, Duration),
) -> String {
    let scopes = Scope::ALL.into_iter().filter(|scope| caller.has(*scope));
    let scopes = scopes.map(Scope::as_str).collect::<Vec<_>>().join(" ");
    let claims: [(&str, Option<Value>); 3] = [
        ("scope", Some(scopes.into())),
        ("on_behalf_of", Some(caller.may_act_for_others().into())),
        ("account_prefix", caller.prefix().map(Value::from)),
    ];
    let claims = claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let claims: Map<String, Value> = claims.collect();
    jwt::mint(caller.name(), claims, secret, expected, (now.0, lifetime))
}
