//! What the process says about itself while it runs: one line a happening, to stderr.

use crate::config::{Config, LogFormat};
use std::io::{self, IsTerminal as _};
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Sends every log line of the process to stderr, as the settings ask.
///
/// # Errors
/// The directives make no sense, or the process has a subscriber already.
pub fn init(config: &Config) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::builder().parse(&config.log)?;
    let terminal = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match (config.log_format, terminal) {
        (LogFormat::Text | LogFormat::Auto, true) => lines.boxed(),
        (LogFormat::Text, false) => lines.with_ansi(false).boxed(),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}
