//! The settings of token-service. Their comments are the manual that `--help` prints; one struct,
//! so that there is one place to look. How the four layers come together is in `layers`.

mod layers;
mod report;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, FromArgMatches, Parser, Subcommand};
use proto::jwt::Expected;
pub use proto::jwt::{KeySource, NamedSecret, NamedSecrets, Secret};
use serde::Serialize;

use self::layers::Source;
pub use self::report::ConfigError;
pub use self::value::{Catalog, Database, LogFormat, PostgresUrl, Reflection};
use self::value::{
    Unquoted, account_prefix, address, caller_name, collector, directives, lifetime, scope, within,
};
use crate::{
    identity::Scope,
    listener::{self, tls},
};

/// Every setting in effect, each within its bounds.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Settings")]
pub struct Config {
    /// Where to answer gRPC; port 0 takes a free one.
    ///
    /// An address that other machines can reach needs callers to be identified.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051", value_parser = address)]
    pub listen: SocketAddr,

    /// Let callers that nobody has identified reach this service from other machines.
    ///
    /// Whoever can connect can then move tokens: say this only where something in front keeps
    /// strangers out, and prefer `jwt_secrets`, `jwks` or `tls_client_authority`.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    pub insecure: bool,

    /// Certificate of this service and those between it and its authority, a PEM file; with it, and
    /// `tls_key`, only TLS is spoken. Both files are read again when they change.
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// Private key of `tls_certificate`, a PEM file.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Certificates of the authorities that vouch for callers, a PEM file: with it every caller needs
    /// a certificate of theirs (mTLS).
    #[arg(long, value_name = "FILE")]
    pub tls_client_authority: Option<PathBuf>,

    /// What callers may who show a certificate and no token: a TOML file of `[[caller]]` tables, each
    /// with the `name` in the certificate (DNS or URI), `scopes`, and maybe an `account_prefix` that
    /// it is bound to and `on_behalf_of = true`. It is read when the service starts.
    #[arg(long, value_name = "FILE")]
    pub callers: Option<PathBuf>,

    /// Secrets shared with those who make callers' tokens (HS256), `id:secret,id2:secret2`: the first
    /// signs what `token-service token` makes, all verify.
    ///
    /// An id is 1 to 16 of a-z, 0-9 and -; a secret is 32 or more visible characters. Give them by
    /// environment rather than by flag: other users of a machine can read its command lines.
    #[arg(long, value_name = "SECRETS")]
    #[arg(value_parser = Unquoted(NamedSecrets::for_tokens))]
    pub jwt_secrets: Option<NamedSecrets>,

    /// Public keys of those who make callers' tokens (RS256, ES256, EdDSA), a JSON Web Key Set: a
    /// file, or an https URL. It is read again every five minutes, and when a token names a new key.
    #[arg(long, value_name = "FILE|URL")]
    #[arg(value_parser = Unquoted(KeySource::from_str))]
    pub jwks: Option<KeySource>,

    /// Who makes callers' tokens: what their claim `iss` must be.
    #[arg(long, value_name = "NAME", default_value = "token-service")]
    pub jwt_issuer: String,

    /// Whom callers' tokens are for: what must be in their claim `aud`.
    #[arg(long, value_name = "NAME", default_value = "token-service")]
    pub jwt_audience: String,

    /// Where the ledger is kept: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`
    /// (version 15 or newer; schema `ledger`; several services may share it).
    ///
    /// Give a URL with a password by environment rather than by flag: other users of a machine can
    /// read its command lines.
    #[arg(long, value_name = "URL", default_value = "sqlite:data/ledger.db")]
    #[arg(value_parser = Unquoted(Database::from_str))]
    pub database: Database,

    /// Whether a pooler that lends connections for one transaction each, such as PgBouncer in
    /// transaction mode, stands before PostgreSQL: no statement is kept prepared then.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true")]
    #[arg(action = ArgAction::Set, num_args = 0..=1, require_equals = true)]
    pub postgres_pooler: bool,

    /// Connections that read from PostgreSQL.
    #[arg(long, value_name = "CONNECTIONS", default_value = "4")]
    #[arg(value_parser = within::<u32>(1..=1_000))]
    pub postgres_readers_max: u32,

    /// Batches that are committed to PostgreSQL at a time, each on a connection of its own; an
    /// account's commands always go by the same one. More than one is for a database on a machine
    /// of its own. SQLite has one.
    #[arg(long, value_name = "COMMITTERS", default_value = "1")]
    #[arg(value_parser = within::<usize>(1..=64))]
    pub committers: usize,

    /// Which catalog prices actions and sets limits: phoenix, landscape, domains, vantage, or the
    /// path of your own TOML file.
    #[arg(long, value_name = "NAME|FILE", default_value = "phoenix")]
    #[arg(value_parser = Catalog::from_str)]
    pub catalog: Catalog,

    /// Keys of the ledger's hash chain, `id:secret,id2:secret2`: the first signs, all verify.
    ///
    /// An id is 1 to 16 of a-z, 0-9 and -; a secret is 16 or more visible characters. Keep every
    /// key that ever signed, or the service refuses to start. Give them by environment rather than
    /// by flag: other users of a machine can read its command lines. Without this setting the keys
    /// are those in `chain_key_file`.
    #[arg(long, value_name = "KEYS")]
    #[arg(value_parser = Unquoted(NamedSecrets::from_str))]
    pub chain_keys: Option<NamedSecrets>,

    /// File of the chain's keys when `chain_keys` gives none; made, for its owner alone to read,
    /// if it is missing.
    #[arg(long, value_name = "FILE", default_value = Config::CHAIN_KEY_FILE)]
    pub chain_key_file: PathBuf,

    /// Commands that may wait for the database; beyond them callers are told UNAVAILABLE.
    #[arg(long, value_name = "COMMANDS", default_value = "8192")]
    #[arg(value_parser = within::<usize>(1_000..=1_000_000))]
    pub queue_capacity_commands: usize,

    /// Commands that commit together at most.
    #[arg(long, value_name = "COMMANDS", default_value = "512")]
    #[arg(value_parser = within::<usize>(1..=10_000))]
    pub batch_commands_max: usize,

    /// Milliseconds a call may take, whatever deadline its caller sets.
    #[arg(long, value_name = "MS", default_value = "30000")]
    #[arg(value_parser = within::<u64>(100..=600_000))]
    pub request_timeout_ms_max: u64,

    /// Milliseconds in which whatever a client begins to send has to come: a connection's first frame,
    /// any frame, a call's headers, a message. Who is slower than that is sent away.
    #[arg(long, value_name = "MS", default_value = "5000")]
    #[arg(value_parser = within::<u64>(100..=600_000))]
    pub receive_timeout_ms: u64,

    /// Connections at a time; more are closed at once.
    #[arg(long, value_name = "CONNECTIONS", default_value = "4096")]
    #[arg(value_parser = within::<usize>(1..=1_000_000))]
    pub connections_max: usize,

    /// Connections at a time from one address; more are closed at once.
    #[arg(long, value_name = "CONNECTIONS", default_value = "1024")]
    #[arg(value_parser = within::<usize>(1..=1_000_000))]
    pub connections_per_address_max: usize,

    /// Bytes of one request.
    #[arg(long, value_name = "BYTES", default_value = "1048576")]
    #[arg(value_parser = within::<usize>(1024..=64 * 1024 * 1024))]
    pub message_bytes_max: usize,

    /// Calls at a time on one connection.
    #[arg(long, value_name = "STREAMS", default_value = "128")]
    #[arg(value_parser = within::<u32>(1..=10_000))]
    pub concurrent_streams_max: u32,

    /// Milliseconds between two looks for lapsed holds and grants.
    #[arg(long, value_name = "MS", default_value = "1000")]
    #[arg(value_parser = within::<u64>(10..=3_600_000))]
    pub sweep_interval_ms: u64,

    /// Milliseconds that accepted calls have to finish after a signal to stop.
    #[arg(long, value_name = "MS", default_value = "20000")]
    #[arg(value_parser = within::<u64>(0..=600_000))]
    pub drain_timeout_ms: u64,

    /// Whether gRPC reflection answers, which grpcurl needs. Where callers are identified it takes
    /// the scope `tokens:admin`.
    #[arg(long, value_name = "SWITCH", default_value = "on")]
    pub reflection: Reflection,

    /// How log lines are written: auto is text on a terminal and JSON elsewhere.
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,

    /// What is logged: a level, or `target=level` pairs such as `info,sqlx=warn`.
    #[arg(long, value_name = "DIRECTIVES", default_value = "info", value_parser = directives)]
    pub log: String,

    /// The collector that metrics are sent to, by OTLP over gRPC, e.g. `http://localhost:4317`; without
    /// it there are none.
    #[arg(long, value_name = "URL", value_parser = Unquoted(collector))]
    pub otlp_endpoint: Option<String>,

    /// Where each of the above came from, by its name.
    #[arg(skip)]
    #[serde(skip)]
    sources: BTreeMap<String, Source>,
}

/// How PostgreSQL is read.
#[derive(Clone, Copy, Debug)]
pub struct PostgresLimits {
    /// Connections.
    pub readers_max: u32,
    /// Whether connections are the service's own, and keep statements prepared.
    pub prepared: bool,
}

/// What the process was asked to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Invocation {
    /// Answer calls until told to stop; what happens without a command.
    Serve,
    /// Print the settings in effect and where each came from, as a file for `--config`.
    Config,
    /// Bring the database's tables up to this version.
    Migrate {
        /// Change nothing; fail if there is something to do.
        #[arg(long)]
        check: bool,
    },
    /// Give the stream of events a new epoch, so that followers start anew: after every restore of a
    /// backup, before the service starts on it.
    NewEpoch,
    /// Print a token for a caller, signed with the first of `jwt_secrets`: for development, and for
    /// services that need nothing better.
    Token(TokenArgs),
    /// Recompute every account from its entries and print what doesn't fit, line by line. Exits with 0
    /// if all fits, 1 if something doesn't, 2 if it couldn't be done.
    Verify(Verify),
    /// Print a signed statement of every account's newest entry, to be kept elsewhere.
    Checkpoint {
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print the keys that tell whether a checkpoint is ours, by the names of their chain keys.
        #[arg(long, conflicts_with = "out")]
        public_key: bool,
    },
    /// Print the whole ledger as JSON Lines, for programs of other people's.
    Export {
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What to verify.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Verify {
    /// Only this account.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<String>,
    /// Hold the ledger against this checkpoint too.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The key that signed the checkpoint, as `checkpoint --public-key` printed it; without it the
    /// one that belongs to the checkpoint's chain key.
    #[arg(long, value_name = "HEX", requires = "checkpoint")]
    pub public_key: Option<String>,
}

/// Whom a token is for.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenArgs {
    /// The caller's name: the actor of its transactions.
    #[arg(long = "for", value_name = "NAME", value_parser = caller_name)]
    pub name: String,
    /// What it may do: tokens:read, tokens:debit, tokens:credit, tokens:transfer, tokens:admin; with
    /// commas between several.
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', required = true)]
    #[arg(value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// Binds it to accounts whose id begins so.
    #[arg(long, value_name = "PREFIX", value_parser = account_prefix)]
    pub account_prefix: Option<String>,
    /// Trusts it to say for whom it acts.
    #[arg(long)]
    pub on_behalf_of: bool,
    /// How long it holds, such as 15m, 12h or 30d.
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = lifetime)]
    pub lifetime: Duration,
}

/// The token ledger, a gRPC service.
///
/// Every setting has one name and four places. The first that speaks wins: a flag
/// (`--batch-commands-max 64`), the environment (`TOKEN_SERVICE_BATCH_COMMANDS_MAX=64`), the TOML
/// file that `--config` names (`batch_commands_max = 64`), the default.
#[derive(Parser)]
#[command(name = "token-service", version)]
#[command(
    after_long_help = "It exits with 64, having done nothing, when the settings make no sense."
)]
struct CommandLine {
    #[command(subcommand)]
    invocation: Option<Invocation>,

    /// TOML file of settings.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Config,
}

impl Config {
    /// Depends on another setting, which no default of clap's can.
    const CHAIN_KEY_FILE: &str = "<database>.keys";

    /// The settings of this process, from its arguments, its environment and the file they name.
    ///
    /// # Errors
    ///
    /// Everything that makes no sense in environment and file at once, or what clap has to say
    /// about the flags; see [`ConfigError::report`].
    pub fn load() -> Result<(Self, Invocation), ConfigError> {
        let named = |(name, value): (OsString, _)| Some((name.into_string().ok()?, value));
        let environment = std::env::vars_os().filter_map(named).collect();
        Self::from_sources(std::env::args_os(), &environment, |path| std::fs::read_to_string(path))
    }

    /// [`Config::load`] of a given world: arguments (the program's name first), environment, files.
    pub fn from_sources(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        environment: &BTreeMap<String, OsString>,
        read_file: impl Fn(&Path) -> io::Result<String>,
    ) -> Result<(Self, Invocation), ConfigError> {
        let flags = layers::manual().try_get_matches_from(arguments)?;
        let CommandLine { invocation, config: file, .. } = CommandLine::from_arg_matches(&flags)?;

        let file = file.or_else(|| environment.get("TOKEN_SERVICE_CONFIG").map(PathBuf::from));
        let (matches, sources) = layers::merge(&flags, environment, file, read_file)?;

        let mut config = Self { sources, ..Self::from_arg_matches(&matches)? };
        if config.chain_key_file == Path::new(Self::CHAIN_KEY_FILE) {
            config.chain_key_file = config.database.beside("keys");
        }
        config.check()?;
        Ok((config, invocation.unwrap_or(Invocation::Serve)))
    }

    /// Batches in flight at a time.
    pub fn lanes(&self) -> usize {
        match self.database {
            Database::Sqlite(_) => 1,
            Database::Postgres(_) => self.committers,
        }
    }

    /// How PostgreSQL is read.
    pub fn postgres_limits(&self) -> PostgresLimits {
        PostgresLimits { readers_max: self.postgres_readers_max, prepared: !self.postgres_pooler }
    }

    /// The files of TLS, if it is to be spoken.
    pub fn tls_files(&self) -> Option<tls::Files> {
        Some(tls::Files {
            certificate: self.tls_certificate.clone()?,
            key: self.tls_key.clone()?,
            client_authority: self.tls_client_authority.clone(),
        })
    }

    /// What connections may do.
    pub fn connection_limits(&self) -> listener::Limits {
        listener::Limits {
            connections_max: self.connections_max,
            connections_per_address_max: self.connections_per_address_max,
            receive_timeout: Duration::from_millis(self.receive_timeout_ms),
        }
    }

    /// Whether callers have to say who they are.
    pub fn identifies_callers(&self) -> bool {
        self.jwt_secrets.is_some() || self.jwks.is_some() || self.tls_client_authority.is_some()
    }

    /// Whether other machines can reach this service.
    pub fn is_reachable(&self) -> bool {
        !self.listen.ip().to_canonical().is_loopback()
    }

    /// Who makes callers' tokens, and for whom.
    pub fn expected_tokens(&self) -> Expected {
        let issuer = Some(self.jwt_issuer.clone());
        Expected { issuer, audience: self.jwt_audience.clone() }
    }

    /// What no setting can know about itself alone.
    fn check(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if self.is_reachable() && !self.insecure && !self.identifies_callers() {
            problems.push(format!(
                "{}: listen is {}, which other machines can reach, and callers are not identified; \
                 set jwt_secrets, jwks or tls_client_authority, or listen on 127.0.0.1, or say \
                 --insecure if something in front keeps strangers out",
                self.sources["listen"], self.listen,
            ));
        }
        let given = |id: &str| self.sources.contains_key(id);
        let needs = [
            ("tls_certificate", "tls_key"),
            ("tls_key", "tls_certificate"),
            ("tls_client_authority", "tls_certificate"),
            ("callers", "tls_client_authority"),
        ];
        for (id, needed) in needs {
            if given(id) && !given(needed) {
                problems.push(format!("{}: {id} needs {needed} too", self.sources[id]));
            }
        }
        let tokens = given("jwt_secrets") || given("jwks");
        if given("tls_client_authority") && !given("callers") && !tokens {
            problems.push(format!(
                "{}: tls_client_authority needs callers, or nobody may do anything",
                self.sources["tls_client_authority"],
            ));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of a world written as words: `--flag`, `NAME=value`, and the file's lines.
    fn read(words: &[&str], file: &str) -> Result<Config, ConfigError> {
        let variable = |word: &&str| !word.starts_with('-');
        let environment = words.iter().copied().filter(variable).filter_map(|w| w.split_once('='));
        let environment = environment.map(|(name, value)| (name.into(), value.into())).collect();
        let flags = words.iter().copied().filter(|word| !variable(word));
        let arguments = ["token-service", "--config=x.toml"].into_iter().chain(flags);
        Config::from_sources(arguments, &environment, |_| Ok(file.into())).map(|(config, _)| config)
    }

    #[test]
    fn the_first_layer_that_speaks_wins_and_is_named() {
        let (flag, variable) = ("--batch-commands-max=1", "TOKEN_SERVICE_BATCH_COMMANDS_MAX=2");
        let line = "batch_commands_max = 3";
        for (words, file, expected) in [
            (&[flag, variable][..], line, "1 # flag"),
            (&[variable], line, "2 # environment TOKEN_SERVICE_BATCH_COMMANDS_MAX"),
            (&[], line, "3 # x.toml:1"),
            (&[], "", "512 # default"),
        ] {
            let config = read(words, file).expect(expected);
            let source = &config.sources["batch_commands_max"];
            assert_eq!(format!("{} # {source}", config.batch_commands_max), expected);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_place_and_what_to_do() {
        for (words, file, expected) in [
            (&[][..], "\nlistn = 1", "x.toml:2: no setting listn; did you mean listen?"),
            (&[], "log = 1 2", "x.toml:1: "),
            (&[], "[log]", "x.toml:1: log cannot be a TOML table"),
            (&[], "sweep_interval_ms = 1", "give a whole number from 10 to 3600000"),
            (&["TOKEN_SERVICE_CHAIN_KEYS=a"], "", "did you mean LEDGER_CHAIN_KEYS?"),
            (&["TOKEN_SERVICE_PORT=1"], "", "environment: no setting TOKEN_SERVICE_PORT"),
            (&["TOKEN_SERVICE_DATABASE=postgres://a:hush@b:c/d"], "", "escaped as in any URL"),
            (&["TOKEN_SERVICE_DATABASE=postgres://b/c?password=hush"], "", "before the @"),
            (&["TOKEN_SERVICE_DATABASE=postgres://a:1/hush@b/c"], "", "as %2F"),
            (&["LEDGER_CHAIN_KEYS=a:hush"], "", "the secret of key 1 must be 16 or more"),
            (&["--chain-keys=hush"], "", "key 1 must be id:secret"),
            (&["--listn=1"], "", "'--listen'"),
            (&["--log=a=b=c"], "", "give a level or target=level pairs"),
            (&["--listen=[::]:1"], "", "flag: listen is [::]:1, which other machines can reach"),
        ] {
            let error = read(words, file).expect_err(expected);
            let text = error.to_string();
            assert_eq!(error.exit_code(), 64);
            assert!(text.contains(expected) && !text.contains("hush"), "{expected}: {text}");
        }
    }

    #[test]
    fn what_config_prints_can_be_given_back_and_tells_no_secret() {
        let (keys, pod) = ("LEDGER_CHAIN_KEYS=a:0123456789abcdef", "KUBERNETES_SERVICE_HOST=::");
        let words = [keys, pod, "TOKEN_SERVICE_PORT=tcp://10.0.0.1:1", "--log-format=json"];
        let printed = read(&words, "insecure = true").expect("sense").to_toml();
        assert!(printed.contains("\n# chain_keys ") && !printed.contains("0123456789abcdef"));
        let values = |text: &str| {
            text.lines().map(|line| line.split("  #").next().map(str::to_owned)).collect::<Vec<_>>()
        };
        let again = read(&[keys], &printed).expect("still sense").to_toml();
        assert_eq!(values(&again), values(&printed));
    }
}
