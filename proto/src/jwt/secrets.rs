//! Secrets, which nothing prints, and the names that they go by.

use serde::{Serialize, Serializer};
use std::{convert::Infallible, fmt, str::FromStr};

/// The shortest secret for HS256: as long as its code.
const HS256_CHARS_MIN: usize = 32;

/// Text that is never printed: `Debug`, `Display` and serialization show [`Secret::MASK`].
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// What stands in for every secret; too short to pass for one.
    pub const MASK: &str = "********";

    /// The secret itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A secret with a name that stands beside whatever it signed.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// 1 to 16 of `a-z`, `0-9` and `-`.
    pub id: String,
    /// At least 16 visible ASCII characters.
    pub secret: Secret,
}

/// Secrets that sign, at least one, ids unique; the first signs, the rest only verify.
///
/// Parsed from `id:secret,id2:secret2`, the text of a setting as of a key file.
#[derive(Debug, Clone)]
pub struct NamedSecrets(Vec<NamedSecret>);

impl NamedSecrets {
    /// All keys, the one that signs first.
    pub fn iter(&self) -> impl Iterator<Item = &NamedSecret> {
        self.0.iter()
    }

    /// Parses secrets that are long enough for tokens (HS256): 32 characters or more.
    ///
    /// # Errors
    /// What is wrong with them, in words that quote none.
    pub fn for_tokens(text: &str) -> Result<Self, String> {
        let secrets: Self = text.parse()?;
        let is_short = |named: &NamedSecret| named.secret.expose().len() < HS256_CHARS_MIN;
        let short = secrets.iter().position(is_short);
        match short {
            Some(before) => Err(format!(
                "the secret of key {} must be {HS256_CHARS_MIN} or more characters",
                before + 1,
            )),
            None => Ok(secrets),
        }
    }
}

impl FromStr for NamedSecrets {
    type Err = String;

    /// The complaint counts keys instead of quoting them: what stands in the wrong place may be
    /// the secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys = Vec::<NamedSecret>::new();
        for (key, n) in text.trim().split(',').zip(1..) {
            let (id, secret) = key.split_once(':').ok_or(format!("key {n} must be id:secret"))?;
            let plain = |c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-');
            if id.is_empty() || id.len() > 16 || !id.bytes().all(plain) {
                return Err(format!("the id of key {n} must be 1 to 16 of a-z, 0-9 and -"));
            }
            if secret.len() < 16 || !secret.bytes().all(|c| c.is_ascii_graphic()) {
                return Err(format!(
                    "the secret of key {n} must be 16 or more visible ASCII characters"
                ));
            }
            if keys.iter().any(|earlier| earlier.id == id) {
                return Err(format!("key {n} has the id of an earlier one; ids must differ"));
            }
            keys.push(NamedSecret { id: id.to_owned(), secret: Secret(secret.to_owned()) });
        }
        Ok(Self(keys))
    }
}

impl fmt::Display for NamedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for NamedSecret { id, secret } in &self.0 {
            write!(f, "{comma}{id}:{secret}")?;
            comma = ",";
        }
        Ok(())
    }
}

impl Serialize for NamedSecrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
