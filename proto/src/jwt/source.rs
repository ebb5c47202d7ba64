//! Where public keys come from, as a setting names it.

use serde::{Serialize, Serializer};
use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

/// Where the public keys are that bearers' tokens are signed with: a JSON Web Key Set.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// Behind a URL: HTTPS, or HTTP of this machine.
    Url(http::Uri),
}

impl FromStr for KeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.contains("://") {
            return Ok(Self::File(text.into()));
        }
        if text.contains('@') {
            return Err("give a URL without a name or password".to_owned());
        }
        let wrong = "give a file, or a URL such as https://login.example.com/.well-known/jwks.json";
        let url: http::Uri = text.parse().map_err(|_| wrong)?;
        let host = url.host().unwrap_or_default();
        let here = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
        match url.scheme_str() {
            Some("https") => Ok(Self::Url(url)),
            Some("http") if here => Ok(Self::Url(url)),
            Some("http") => Err("http is for this machine alone; give an https URL".to_owned()),
            _ => Err(wrong.to_owned()),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl Serialize for KeySource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
