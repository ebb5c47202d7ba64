//! `grpc.health.v1`: NOT_SERVING without a database and while draining, per service.

use crate::{committer::Trouble, store::Store};
use proto::v1::{
    admin_service_server::SERVICE_NAME as ADMIN, token_service_server::SERVICE_NAME as TOKEN,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

/// How often the database is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to give one.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports the database's health until the service drains, and then that.
pub async fn run(
    store: Store,
    trouble: Trouble,
    reporter: HealthReporter,
    drain: CancellationToken,
) {
    let mut healthy = true;
    report(&reporter, ServingStatus::Serving).await;
    while !drain.is_cancelled() {
        // Whoever commits finds out first.
        let now_healthy = !trouble.is_there()
            && matches!(tokio::time::timeout(PING_TIMEOUT, store.ping()).await, Ok(Ok(())));
        if now_healthy != healthy && !drain.is_cancelled() {
            healthy = now_healthy;
            if healthy {
                tracing::info!("the database is there again");
                report(&reporter, ServingStatus::Serving).await;
            } else {
                tracing::error!("the database can't be read or written: not serving");
                report(&reporter, ServingStatus::NotServing).await;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(PING_INTERVAL) => {}
            () = drain.cancelled() => {}
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for service in ["", TOKEN, ADMIN] {
        reporter.set_service_status(service, status).await;
    }
}
