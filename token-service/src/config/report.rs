//! The settings as people read them back: those in effect, as a file, and those that make no
//! sense, as a list. Apart from the reading, which prints nothing.

use std::fmt;
use std::process::ExitCode;

use super::{Config, Secret, layers};

impl Config {
    /// The settings in effect as a TOML file, each with a comment that says where it came from.
    ///
    /// What holds a secret, or isn't set, stands as a comment, so that the file can be used as it
    /// is.
    pub fn to_toml(&self) -> String {
        let values = toml::Table::try_from(self).expect("every setting is text, number or switch");
        let row = |arg: &clap::Arg| {
            let id = arg.get_id().as_str();
            let value = values.get(id).map_or_else(|| "not set".to_owned(), toml::Value::to_string);
            let comment =
                if value.contains(Secret::MASK) || value == "not set" { "# " } else { "" };
            let source = self.sources.get(id).map(|source| format!("# {source}"));
            (format!("{comment}{id}"), value, source.unwrap_or_default())
        };
        let rows = layers::settings().get_arguments().map(row).collect::<Vec<_>>();
        let name_width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
        let value_width = rows.iter().map(|(_, value, _)| value.len()).max().unwrap_or_default();

        let mut text = String::new();
        for (name, value, source) in rows {
            let line = format!("{name:name_width$} = {value:value_width$}  {source}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// clap has the word: a command line that it cannot read, or `--help` or `--version`.
    CommandLine(clap::Error),
    /// Everything that is wrong, a sentence each that begins with the place.
    Settings(Vec<String>),
}

impl ConfigError {
    /// EX_USAGE: nothing was tried, and trying again will not help.
    pub const EXIT_CODE: u8 = 64;

    /// 64, or 0 when all that was asked for was help or the version.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::CommandLine(answer) if !answer.use_stderr() => 0,
            Self::CommandLine(_) | Self::Settings(_) => Self::EXIT_CODE,
        }
    }

    /// Prints it (help and version to stdout, the rest to stderr) and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            // A reader that has gone away is no reason to fail.
            Self::CommandLine(answer) => drop(answer.print()),
            Self::Settings(_) => eprint!("{self}"),
        }
        ExitCode::from(self.exit_code())
    }
}

impl From<clap::Error> for ConfigError {
    fn from(error: clap::Error) -> Self {
        Self::CommandLine(error)
    }
}

impl From<Vec<String>> for ConfigError {
    fn from(problems: Vec<String>) -> Self {
        Self::Settings(problems)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(error) => error.fmt(f),
            Self::Settings(problems) => {
                writeln!(f, "error: the settings make no sense; --help explains them all")?;
                problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}
