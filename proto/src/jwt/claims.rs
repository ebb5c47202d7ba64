//! What a token says: the claims that every one has, and those that a service reads beside them.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Number, value::RawValue};
use std::time::Duration;

/// How far the clocks of a token's issuer and ours may be apart.
const LEEWAY_MICROS: i64 = 30_000_000;

/// A token that is signed, from whom and for whom it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<C> {
    /// The claim `sub`: whose it is. Any text; maybe none.
    pub subject: String,
    /// When it ends, which its claim `exp` says, and the leeway that clocks have.
    pub until_unix_micros: i64,
    /// What else it says.
    pub claims: C,
}

/// When a token holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    from_unix_micros: i64,
    until_unix_micros: i64,
}

impl Validity {
    /// Whether it holds at this time.
    pub(super) fn includes(self, now_unix_micros: i64) -> Result<(), &'static str> {
        match now_unix_micros {
            now if now >= self.until_unix_micros => Err("the token has expired"),
            now if now < self.from_unix_micros => Err("the token isn't valid yet"),
            _ => Ok(()),
        }
    }
}

/// What we read of a token, beside its issuer and audience.
pub(super) struct Claims<C> {
    common: Common,
    own: C,
}

#[derive(Deserialize)]
struct Common {
    // That these two are there is checked with the others that must be.
    #[serde(default)]
    sub: String,
    #[serde(default = "never")]
    exp: Number,
    nbf: Option<Number>,
}

fn never() -> Number {
    0.into()
}

/// The text is read twice, not once with `flatten`, which would have claims that nobody reads make
/// sense too.
impl<'de, C: DeserializeOwned> Deserialize<'de> for Claims<C> {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(text)?;
        let common = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        let own = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { common, own })
    }
}

impl<C> Claims<C> {
    /// What they say, and when they hold.
    pub(super) fn verified(self) -> Result<(Verified<C>, Validity), &'static str> {
        let Common { sub, exp, nbf } = self.common;
        let no_time = "the token's `exp` and `nbf` must be seconds since 1970";
        let until_unix_micros = micros(&exp).ok_or(no_time)?.saturating_add(LEEWAY_MICROS);
        let from_unix_micros = match &nbf {
            None => 0,
            Some(from) => micros(from).ok_or(no_time)?.saturating_sub(LEEWAY_MICROS),
        };
        let validity = Validity { from_unix_micros, until_unix_micros };
        Ok((Verified { subject: sub, until_unix_micros, claims: self.own }, validity))
    }
}

/// Microseconds of seconds since 1970, with or without a fraction.
fn micros(seconds: &Number) -> Option<i64> {
    let seconds = match seconds.as_i64() {
        Some(seconds) => u64::try_from(seconds).ok()?,
        None => Duration::try_from_secs_f64(seconds.as_f64()?).ok()?.as_secs(),
    };
    i64::try_from(seconds).ok()?.checked_mul(1_000_000)
}

/// A claim that lists names, such as those of scopes; issuers write it in either way. The default is
/// none.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// With spaces between them.
    Text(String),
    /// One by one.
    List(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Names {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (text, list): (&str, &[String]) = match self {
            Self::Text(text) => (text, &[]),
            Self::List(list) => ("", list),
        };
        text.split_ascii_whitespace().chain(list.iter().map(String::as_str))
    }
}
