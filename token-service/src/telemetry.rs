//! What the process says about itself while it runs: logs, spans, panics, metrics. Apart from everything
//! that speaks, so that exporters can be added here without touching those.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal};
use std::panic;

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use serde_json::{Map, Value};
use tracing::{Event, Span, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{
    self as log, FmtContext, FormatEvent, FormatFields, FormattedFields,
};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, registry};
use uuid::Uuid;

use crate::config::{Config, LogFormat};

/// What goes elsewhere than to stderr.
#[derive(Debug)]
pub struct Exporters {
    metrics: Option<SdkMeterProvider>,
}

impl Exporters {
    /// Sends what is left.
    pub fn stop(self) {
        if let Some(Err(error)) = self.metrics.map(|metrics| metrics.shutdown()) {
            tracing::warn!(%error, "the last metrics can't be sent");
        }
    }
}

/// Sends every log line and panic of the process to stderr, and metrics to a collector if there is
/// one, as the configuration asks.
///
/// # Errors
///
/// When the process already has a subscriber.
pub fn init(config: &Config) -> Result<Exporters, Box<dyn Error + Send + Sync>> {
    let terminal = io::stderr().is_terminal();
    let lines = log::layer().with_writer(io::stderr);
    let lines = match (config.log_format, terminal) {
        (LogFormat::Text | LogFormat::Auto, true) => lines.boxed(),
        (LogFormat::Text, false) => lines.with_ansi(false).boxed(),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => {
            lines.fmt_fields(JsonFields::new()).event_format(FlatJson).boxed()
        }
    };
    // An exporter of traces is one more layer here.
    registry().with(filter(&config.log)?).with(lines).try_init()?;

    panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        tracing::error!(
            location = panic.location().map(tracing::field::display),
            backtrace = captured.then(|| tracing::field::display(backtrace)),
            "panic: {}",
            panic.payload_as_str().unwrap_or("without a message"),
        );
    }));
    let metrics = config.otlp_endpoint.as_deref().map(metrics).transpose()?;
    Ok(Exporters { metrics })
}

/// Metrics go to the collector at this address, every minute or as the environment's
/// `OTEL_METRIC_EXPORT_INTERVAL` says.
fn metrics(endpoint: &str) -> Result<SdkMeterProvider, Box<dyn Error + Send + Sync>> {
    let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name(env!("CARGO_PKG_NAME")).build();
    let provider = SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_resource(resource)
        .build();
    global::set_meter_provider(provider.clone());
    Ok(provider)
}

/// The filter that `directives` describe. Request spans and panics pass every filter: a line that
/// is logged at all can be traced to its request, and a panic is never silent.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{directives},{}=error", module_path!()))
}

/// The caller's `x-request-id` when that is 1 to 128 visible ASCII characters, else a new one.
#[expect(
    clippy::disallowed_methods,
    reason = "the time in a request's id sorts log lines; nothing is decided by it"
)]
pub fn request_id(headers: &HeaderMap) -> String {
    headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_graphic()))
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// The span around one request: everything logged within carries its [`request_id`] and the
/// `trace_id` of a valid W3C `traceparent`, or a new one.
pub fn request_span(headers: &HeaderMap, method: &str) -> Span {
    let request_id = request_id(headers);
    let trace_id = headers
        .get("traceparent")
        .and_then(|traceparent| trace_id(traceparent.to_str().ok()?))
        .map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
    // At error level, so that a quiet filter keeps the ids of what it still lets through.
    tracing::error_span!("request", request_id, trace_id, rpc.method = method)
}

/// The trace id in a `traceparent`, if the whole of it is as W3C Trace Context level 1 has it.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.split('-');
    let mut hex = |length| {
        let digit = |c| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        fields.next().filter(|field| field.len() == length && field.bytes().all(digit))
    };
    let (version, trace, parent, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let zero = |id: &str| id.bytes().all(|c| c == b'0');
    let known_length = version != "00" || fields.next().is_none();
    (version != "ff" && known_length && !zero(trace) && !zero(parent)).then_some(trace)
}

/// One JSON object a line, the fields of every enclosing span beside the event's own, so that
/// `request_id` is at the top however deep the line was logged.
struct FlatJson;

impl<S, F> FormatEvent<S, F> for FlatJson
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    F: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, F>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut merge = |fields: &str| {
            line.extend(serde_json::from_str::<Map<_, _>>(fields).unwrap_or_default());
        };
        for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<FormattedFields<F>>() {
                merge(fields);
            }
        }
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        merge(&text);

        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let level = event.metadata().level().as_str();
        for (name, value) in
            [("timestamp", &*time), ("level", level), ("target", event.metadata().target())]
        {
            line.insert(name.to_owned(), value.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}
