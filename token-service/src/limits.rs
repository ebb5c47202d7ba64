//! The limits that callers run into, counted where they bite. Those of HTTP/2 alone (calls at a time,
//! resets, bytes of headers) are kept by h2, which counts nothing.

use opentelemetry::{KeyValue, global, metrics::Counter};
use std::sync::LazyLock;

/// How often limits were reached, by the name of their setting.
static REACHED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let meter = global::meter("token-service");
    let counter = meter.u64_counter("token_service.limits.reached");
    counter.with_description("Times that a limit was reached, by its setting").build()
});

/// A limit that is a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Connections in all.
    Connections,
    /// Connections from one address.
    ConnectionsPerAddress,
    /// The time in which whatever was begun to be sent has to come.
    ReceiveTimeout,
    /// Bytes of a request.
    MessageBytes,
    /// The time that a call may take.
    RequestTimeout,
    /// Commands that wait.
    QueueCapacity,
}

impl Limit {
    /// The setting.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Connections => "connections_max",
            Self::ConnectionsPerAddress => "connections_per_address_max",
            Self::ReceiveTimeout => "receive_timeout_ms",
            Self::MessageBytes => "message_bytes_max",
            Self::RequestTimeout => "request_timeout_ms_max",
            Self::QueueCapacity => "queue_capacity_commands",
        }
    }

    /// Counts that it was reached.
    pub fn bites(self) {
        tracing::debug!(limit = self.setting(), "a limit was reached");
        REACHED.add(1, &[KeyValue::new("limit", self.setting())]);
    }
}
