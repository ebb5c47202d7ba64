//! What a service says about its health.

use crate::process::Process;
use proto::v1::token_service_server::SERVICE_NAME;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Streaming;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

/// How long it may take to notice.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows the health of a service.
#[derive(Debug)]
pub struct Health {
    seen: Streaming<HealthCheckResponse>,
}

impl Health {
    /// Follows the health of `token.v1.TokenService`.
    ///
    /// # Panics
    /// If the process doesn't answer.
    pub async fn of(process: &Process) -> Self {
        let request = HealthCheckRequest { service: SERVICE_NAME.to_owned() };
        let mut client = HealthClient::new(process.channel().await);
        let seen = client.watch(request).await.expect("a stream");
        Self { seen: seen.into_inner() }
    }

    /// Waits until it is this.
    ///
    /// # Panics
    /// If it isn't for a minute, or the service is gone.
    pub async fn becomes(&mut self, status: ServingStatus) {
        let waited = timeout(PATIENCE, async {
            loop {
                let answer = self.seen.message().await.expect("it goes on");
                if answer.expect("it goes on").status() == status {
                    return;
                }
            }
        });
        waited.await.unwrap_or_else(|_| panic!("its health doesn't become {status:?}"));
    }
}
