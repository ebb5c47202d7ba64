//! What a setting may say: each kind of value with its grammar, how it prints, and what it tells
//! whoever got it wrong. Apart from the settings, so that those read as a manual.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::{ContextKind, ContextValue};
use proto::jwt::Secret;
use serde::{Serialize, Serializer};
use sqlx::postgres::PgConnectOptions;

use crate::{
    identity::{Caller, Scope},
    telemetry,
};

/// Where the ledger is kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// One SQLite file, written `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A PostgreSQL database, written `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(PostgresUrl),
}

/// Where a PostgreSQL database is, and who asks.
#[derive(Clone)]
pub struct PostgresUrl {
    options: Box<PgConnectOptions>,
    /// The URL, with [`Secret::MASK`] for its password.
    masked: String,
}

impl PostgresUrl {
    /// What to connect with.
    pub fn options(&self) -> PgConnectOptions {
        (*self.options).clone()
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl FromStr for PostgresUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("give postgres://HOST/DATABASE")?;
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (place, query) = tail.split_once('?').unwrap_or((tail, ""));
        if place.contains('@') || query.contains('@') {
            return Err("write / ? @ and : in a name or password as %2F %3F %40 and %3A".into());
        }
        if query.split('&').any(|pair| pair.starts_with("password") || pair.contains('%')) {
            return Err("the password belongs before the @: postgres://USER:PASSWORD@HOST".into());
        }
        let masked = match authority.rsplit_once('@').map(|(who, host)| (who.split_once(':'), host))
        {
            Some((Some((user, _)), host)) => {
                format!("{scheme}://{user}:{}@{host}{tail}", Secret::MASK)
            }
            Some((None, _)) | None => url.to_owned(),
        };
        // What is wrong isn't told in the parser's words: they may quote the password.
        let options = PgConnectOptions::from_str(url).map_err(
            |_| "give postgres://USER:PASSWORD@HOST:PORT/DATABASE, escaped as in any URL",
        )?;
        Ok(Self { options: Box::new(options), masked })
    }
}

impl Database {
    /// The path of a file beside the database's: `data/ledger.db` and `keys` make
    /// `data/ledger.db.keys`. A server's database has no place beside it: `data/ledger.keys`.
    pub fn beside(&self, extension: &str) -> PathBuf {
        let path = match self {
            Self::Sqlite(path) => path,
            Self::Postgres(_) => Path::new("data/ledger"),
        };
        let mut path = path.to_owned().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }
}

impl FromStr for Database {
    type Err = String;

    /// The complaint names the scheme at most: the rest of a URL may hold a password.
    fn from_str(url: &str) -> Result<Self, String> {
        let path = match url.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("postgres" | "postgresql", _)) => return url.parse().map(Self::Postgres),
            _ => return Err("give sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned()),
        };
        if path.is_empty() || path.contains(":memory:") {
            return Err("a ledger must outlive its process; give a file, sqlite:PATH".to_owned());
        }
        if path.contains('?') {
            return Err("parameters after ? are not taken; give sqlite:PATH alone".to_owned());
        }
        Ok(Self::Sqlite(path.into()))
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&url.masked),
        }
    }
}

/// Which catalog prices actions and sets the limits.
#[derive(Debug, Clone)]
pub enum Catalog {
    /// Image generation and artist tips.
    Phoenix,
    /// Pay-per-use generation.
    Landscape,
    /// Domain tools.
    Domains,
    /// Subscriptions and packages.
    Vantage,
    /// Your own, a TOML file.
    File(PathBuf),
}

impl FromStr for Catalog {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "phoenix" => Self::Phoenix,
            "landscape" => Self::Landscape,
            "domains" => Self::Domains,
            "vantage" => Self::Vantage,
            path if Path::new(path).extension() == Some(OsStr::new("toml")) => {
                Self::File(path.into())
            }
            _ => {
                return Err("give phoenix, landscape, domains, vantage \
                            or the path of a file that ends in .toml"
                    .to_owned());
            }
        })
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phoenix => f.write_str("phoenix"),
            Self::Landscape => f.write_str("landscape"),
            Self::Domains => f.write_str("domains"),
            Self::Vantage => f.write_str("vantage"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether gRPC reflection answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reflection {
    /// grpcurl and its kin can list and describe the services; where callers are identified, only
    /// with the scope `tokens:admin`.
    On,
    /// Callers need the `.proto` files.
    Off,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// Prints as it is written, so that what `config` shows can be given back.
macro_rules! serialize_as_displayed {
    ($($value:ty),+) => {$(
        impl Serialize for $value {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )+};
}
serialize_as_displayed!(Catalog, Database);

/// A whole number within bounds.
pub(super) fn within<N>(
    bounds: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + fmt::Display + Clone + Send + Sync + 'static,
{
    move |text| {
        text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            format!("give a whole number from {} to {}", bounds.start(), bounds.end())
        })
    }
}

/// An IP address and port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "give an IP address and port, such as 127.0.0.1:50051".to_owned())
}

/// The address of a collector that is spoken to without TLS.
pub(super) fn collector(text: &str) -> Result<String, String> {
    let uri = text.parse::<http::Uri>().ok();
    let plain = |uri: &http::Uri| uri.authority().is_some_and(|it| !it.as_str().contains('@'));
    let known = uri.filter(|uri| uri.scheme_str() == Some("http") && plain(uri));
    known
        .map(|_| text.to_owned())
        .ok_or_else(|| "give a URL such as http://localhost:4317".to_owned())
}

/// The name of a caller.
pub(super) fn caller_name(text: &str) -> Result<String, String> {
    let wrong = || format!("give 1 to {} visible characters", Caller::NAME_CHARS_MAX);
    Caller::is_name(text).then(|| text.to_owned()).ok_or_else(wrong)
}

/// A scope.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let known = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::of(text).ok_or_else(|| format!("there are {}", known()))
}

/// What ids of accounts begin with.
pub(super) fn account_prefix(text: &str) -> Result<String, String> {
    let visible = text.bytes().all(|it| it.is_ascii_graphic());
    (visible && !text.is_empty())
        .then(|| text.to_owned())
        .ok_or_else(|| "give one or more visible characters".to_owned())
}

/// A number and a unit of time.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let read = units.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.parse::<u32>().ok().map(|count| u64::from(count) * seconds)
    });
    let read = read.filter(|seconds| *seconds > 0);
    read.map(Duration::from_secs).ok_or_else(|| "give a time such as 15m, 12h or 30d".to_owned())
}

/// Log directives, tried here so that a bad one is refused with all other mistakes.
pub(super) fn directives(text: &str) -> Result<String, String> {
    telemetry::filter(text).map(|_| text.to_owned()).map_err(|error| {
        format!("{error}; give a level or target=level pairs, such as info,sqlx=warn")
    })
}

/// Parses like the parser within, but never quotes the value when it refuses it.
#[derive(Clone)]
pub(super) struct Unquoted<P>(pub P);

impl<P: TypedValueParser> TypedValueParser for Unquoted<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<P::Value, clap::Error> {
        self.0.parse_ref(command, arg, value).map_err(|mut error| {
            let mask = ContextValue::String(Secret::MASK.to_owned());
            error.insert(ContextKind::InvalidValue, mask);
            error
        })
    }
}
