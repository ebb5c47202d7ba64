//! Four layers, one answer: flag, environment, file, default. Apart from the settings because it
//! knows none of them: names, bounds and defaults are read off the one definition that clap has,
//! and whatever the layer, clap's own parser of that flag judges the value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory};
use toml::de::{DeTable, DeValue};

use super::{CommandLine, Config, ConfigError};

/// Where the value of a setting came from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The command line.
    Flag,
    /// The environment variable of this name.
    Environment(String),
    /// This line, counted from 1, of the TOML file.
    File(PathBuf, usize),
    /// The service itself.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One layer's word on one setting.
type Given = (OsString, Source);

/// The command line, each flag of it good before and after a command, its help complete.
pub(super) fn manual() -> Command {
    CommandLine::command().mut_args(|arg| {
        let default = arg.get_default_values().iter().map(|value| value.display());
        let default = default.map(|value| format!("[default: {value}] ")).collect::<String>();
        let brief = arg.get_help().cloned().unwrap_or_default();
        let full = arg.get_long_help().cloned().unwrap_or_else(|| brief.clone());
        let variable = variable(arg.get_id().as_str());
        arg.global(true)
            .hide_default_value(true)
            .help(format!("{brief} {default}").trim_end().to_owned())
            .long_help(format!("{full}\n\n{default}[env: {variable}]"))
    })
}

/// The settings alone: every flag of [`Config`] and nothing else.
pub(super) fn settings() -> Command {
    Config::augment_args(Command::new("settings")).no_binary_name(true)
}

/// The first of the four layers that speaks, for every setting, with its source; or everything
/// that is wrong with environment and file. (What is wrong with the flags clap has said by then.)
pub(super) fn merge(
    flags: &ArgMatches,
    environment: &BTreeMap<String, OsString>,
    file: Option<PathBuf>,
    read_file: impl Fn(&Path) -> io::Result<String>,
) -> Result<(ArgMatches, BTreeMap<String, Source>), ConfigError> {
    let settings = settings();
    let mut problems = unknown_variables(&settings, environment);
    let mut file = match file.map(|path| (read_file(&path), path)) {
        Some((Ok(text), path)) => keys(&settings, &path, &text, &mut problems),
        Some((Err(error), path)) => {
            problems.push(format!("{}: cannot be read: {error}", path.display()));
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    };

    let mut line = Vec::new();
    let mut sources = BTreeMap::new();
    for arg in settings.get_arguments() {
        let id = arg.get_id().as_str();
        let Some((value, source)) = flag(flags, id)
            .or_else(|| from_environment(environment, id))
            .or_else(|| file.remove(id))
            .or_else(|| default(arg))
        else {
            continue;
        };
        let mut word = OsString::from(format!("--{}=", id.replace('_', "-")));
        word.push(value);
        if let Err(error) = settings.clone().try_get_matches_from([&word]) {
            problems.push(complaint(error, id, &source));
        }
        line.push(word);
        sources.insert(id.to_owned(), source);
    }
    if problems.is_empty() {
        Ok((settings.try_get_matches_from(line)?, sources))
    } else {
        Err(problems.into())
    }
}

fn flag(flags: &ArgMatches, id: &str) -> Option<Given> {
    let given = flags.value_source(id)? == ValueSource::CommandLine;
    given.then(|| flags.get_raw(id)?.next()).flatten().map(|value| (value.into(), Source::Flag))
}

fn from_environment(environment: &BTreeMap<String, OsString>, id: &str) -> Option<Given> {
    let name = variable(id);
    Some((environment.get(&name)?.clone(), Source::Environment(name)))
}

fn default(arg: &Arg) -> Option<Given> {
    arg.get_default_values().first().map(|value| (value.into(), Source::Default))
}

/// The environment's name for a setting.
fn variable(id: &str) -> String {
    match id {
        "chain_keys" => "LEDGER_CHAIN_KEYS".to_owned(),
        _ => format!("TOKEN_SERVICE_{}", id.to_uppercase()),
    }
}

/// A complaint about each variable that looks like one of ours and is none.
///
/// Kubernetes describes a Service called token-service to its pods in variables that look so too,
/// `TOKEN_SERVICE_SERVICE_HOST` and `TOKEN_SERVICE_PORT…`; within a pod these are not for us.
fn unknown_variables(settings: &Command, environment: &BTreeMap<String, OsString>) -> Vec<String> {
    let pod = environment.contains_key("KUBERNETES_SERVICE_HOST");
    let link = |name: &str| pod && (name.ends_with("_SERVICE_HOST") || name.contains("_PORT"));
    let ours = |name: &str| name.starts_with("TOKEN_SERVICE_") || name.starts_with("LEDGER_CHAIN_");
    let known = |name: &str| {
        name == "TOKEN_SERVICE_CONFIG"
            || settings.get_arguments().any(|arg| variable(arg.get_id().as_str()) == name)
    };
    let unknowns = environment.keys().filter(|name| ours(name) && !known(name) && !link(name));
    unknowns
        .map(|name| {
            let id = name.trim_start_matches("TOKEN_SERVICE_").trim_start_matches("LEDGER_");
            unknown(settings, "environment", name, &id.to_lowercase(), variable)
        })
        .collect()
}

/// The settings in the file, as text; what is not one becomes a problem.
fn keys(
    settings: &Command,
    path: &Path,
    text: &str,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Given> {
    let line = |offset| 1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let at = Source::File(path.to_owned(), line(error.span().unwrap_or_default().start));
            problems.push(format!("{at}: {}", error.message()));
            return BTreeMap::new();
        }
    };

    let mut given = BTreeMap::new();
    for (key, value) in table {
        let at = Source::File(path.to_owned(), line(key.span().start));
        let key = key.into_inner();
        if !settings.get_arguments().any(|arg| arg.get_id() == &*key) {
            problems.push(unknown(settings, &at.to_string(), &key, &key, str::to_owned));
            continue;
        }
        let value = match value.into_inner() {
            DeValue::String(text) => text.into_owned(),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Boolean(switch) => switch.to_string(),
            other => {
                problems.push(format!("{at}: {key} cannot be a TOML {}", other.type_str()));
                continue;
            }
        };
        given.insert(key.into_owned(), (value.into(), at));
    }
    given
}

/// There is no such setting, but perhaps one whose name in that layer is similar.
fn unknown(
    settings: &Command,
    place: &str,
    name: &str,
    id: &str,
    spell: impl Fn(&str) -> String,
) -> String {
    let likeness = |other: &&str| strsim::jaro_winkler(id, other);
    let ids = settings.get_arguments().map(|arg| arg.get_id().as_str());
    let closest = ids.max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match closest.filter(|other| likeness(other) > 0.8) {
        Some(other) => format!("{place}: no setting {name}; did you mean {}?", spell(other)),
        None => format!("{place}: no setting {name}"),
    }
}

/// clap's words about a value, on one line that begins with the place it was given.
fn complaint(mut error: clap::Error, id: &str, source: &Source) -> String {
    error.insert(ContextKind::InvalidArg, ContextValue::String(id.to_owned()));
    let words = error.to_string();
    let words = words.trim_start_matches("error: ").lines().map(str::trim);
    let words = words.take_while(|line| !line.starts_with("For more information"));
    let words = words.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    format!("{source}: {words}")
}
