//! The server that operators reach: its limits, health, reflection, and how it comes to an end.

use super::{Operators, caller::Operator, door::DoorLayer, listener};
use crate::store::Store;
use proto::{
    jwt::Verifier,
    payments::v1::{
        FILE_DESCRIPTOR_SET,
        operator_service_server::{OperatorServiceServer, SERVICE_NAME},
    },
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Bytes of a request.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of an answer: an event with its body, and events that were fetched may be large.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Calls at a time on one connection.
const CALLS_MAX: u32 = 128;

/// Streams that a client may make us reset before it is sent away (the MadeYouReset class).
const LOCAL_RESETS_MAX: usize = 1_024;

/// Calls that a client may give up before we have looked at them (the Rapid Reset class).
const PENDING_RESETS_MAX: usize = 128;

/// Bytes of one call's headers.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// A connection that is silent for so long is asked whether it is still there, and has so long to say so.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the database is asked for a sign of life, and how long it may take to give one.
const PING_INTERVAL: Duration = Duration::from_secs(1);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long calls, and then what they have begun, have to end when the service goes away.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why operators can't be answered.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Reflection can't read the contract: our bug.
    #[error(transparent)]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener failed.
    #[error("operators can't be answered: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Answers operators until it is told to stop; what was begun by then is finished, or given up after
/// [`FAREWELL`]. Without a verifier everybody who can connect is an operator: listen on loopback then.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    operators: Operators,
    verifier: Option<Arc<Verifier<Operator>>>,
    listener: TcpListener,
) -> Result<(), ServeError> {
    let (store, tasks) = (operators.store.clone(), operators.tasks.clone());
    let stop = operators.stop.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let service = OperatorServiceServer::new(operators)
        .max_decoding_message_size(REQUEST_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    // In both of its versions: many clients speak the older one only.
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that clients can show what is in an error.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let router = Server::builder()
        .layer(DoorLayer::new(verifier))
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(service)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let gone = CancellationToken::new();
    let incoming = listener::accept(listener, gone.clone());
    let serving = router.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let served = async {
        let mut serving = pin!(serving);
        let farewell = async {
            stop.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            served = serving.as_mut() => return served,
            () = farewell => {}
        }
        // Streams (of health, of reflection) would go on for ever, and with them what they hold.
        gone.cancel();
        serving.await
    };
    let (served, ()) = tokio::join!(served, report(&store, &reporter, &stop));
    tasks.close();
    if timeout(FAREWELL, tasks.wait()).await.is_err() {
        tracing::warn!(calls = tasks.len(), "operators' calls are given up");
    }
    Ok(served?)
}

/// Says whether the database is there, until the service stops.
async fn report(store: &Store, reporter: &HealthReporter, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let is_there = matches!(timeout(PING_TIMEOUT, store.ping()).await, Ok(Ok(())));
        let status = if is_there { ServingStatus::Serving } else { ServingStatus::NotServing };
        tell(reporter, status).await;
        tokio::select! {
            () = sleep(PING_INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
    tell(reporter, ServingStatus::NotServing).await;
}

async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in ["", SERVICE_NAME] {
        reporter.set_service_status(service, status).await;
    }
}
