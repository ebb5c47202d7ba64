//! Who asks: an operator, by a token of theirs.

use proto::jwt::{Bearer, Names, Verified};
use serde::Deserialize;

/// What a token has to allow.
pub const SCOPE: &str = "payments:admin";

/// Who may ask without a token, where none is asked for.
const ANONYMOUS: &str = "anonymous";

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Somebody who shows a good token; whether it is of use here is in its scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    name: String,
    is_admin: bool,
}

impl Operator {
    /// Whoever can connect, where that is enough.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), is_admin: true }
    }

    /// What stands beside their decisions: visible ASCII.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether they have the scope.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_admin
    }
}

/// What is read of a token beside what every one says.
#[derive(Deserialize)]
pub struct Claims {
    /// Names of scopes; issuers use either.
    #[serde(default)]
    scope: Names,
    #[serde(default)]
    scp: Names,
}

impl Bearer for Operator {
    type Claims = Claims;

    fn of(verified: Verified<Claims>) -> Result<Self, &'static str> {
        let Verified { subject: name, claims, .. } = verified;
        let is_short = (1..=NAME_BYTES_MAX).contains(&name.len());
        if !is_short || !name.bytes().all(|c| c.is_ascii_graphic()) {
            return Err("the token's `sub` must be 1 to 128 visible ASCII characters");
        }
        let is_admin = claims.scope.iter().chain(claims.scp.iter()).any(|scope| scope == SCOPE);
        Ok(Self { name, is_admin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(subject: &str, claims: Value) -> Result<Operator, &'static str> {
        let claims = serde_json::from_value(claims).unwrap();
        Operator::of(Verified { subject: subject.to_owned(), until_unix_micros: 0, claims })
    }

    #[test]
    fn an_operator_has_the_scope_whichever_way_it_is_written() {
        for (claims, is_admin) in [
            (json!({ "scope": "payments:admin" }), true),
            (json!({ "scope": "tokens:read payments:admin" }), true),
            (json!({ "scp": ["payments:admin"] }), true),
            (json!({}), false),
            (json!({ "scope": "payments:administration tokens:admin" }), false),
        ] {
            let ann = of("ann", claims.clone()).unwrap();
            assert_eq!((ann.name(), ann.is_admin()), ("ann", is_admin), "{claims}");
        }
    }

    #[test]
    fn a_name_can_be_written_down() {
        for name in ["", "a b", "a\nb", "ä", &"x".repeat(129)] {
            assert!(of(name, json!({})).is_err(), "{name}");
        }
    }
}
