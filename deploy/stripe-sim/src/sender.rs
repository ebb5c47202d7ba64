//! Carries deliveries to their endpoints: what is due, several at a time, each with a deadline.

use crate::{
    clock,
    deliveries::{self, Parcel},
    server::Shared,
};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Deliveries on their way at a time.
const AT_ONCE_MAX: usize = 16;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing new may be due before we look again by ourselves.
const LOOK: Duration = Duration::from_millis(200);

/// What is read of an answer: nobody looks at it.
const ANSWER_BYTES_MAX: usize = 64 << 10;

type Carrier = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Carries until told to stop, whatever happens to a delivery.
pub(crate) async fn run(shared: Shared, stop: CancellationToken) {
    let Some(carrier) = carrier() else { return };
    while !stop.is_cancelled() {
        let mut watched = JoinSet::new();
        watched.spawn(carry_on(shared.clone(), carrier.clone(), stop.clone()));
        if let Some(Err(error)) = watched.join_next().await {
            tracing::error!(%error, "a webhook couldn't be packed: the next ones go on");
        }
    }
}

async fn carry_on(shared: Shared, carrier: Carrier, stop: CancellationToken) {
    let free = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut tasks = JoinSet::new();
    while !stop.is_cancelled() {
        let most = free.available_permits();
        let machine_now = clock::machine_seconds();
        let parcels = match most {
            0 => Vec::new(),
            most => shared.take(|world| deliveries::take_due(world, most, machine_now)),
        };
        if parcels.is_empty() {
            tokio::select! {
                () = shared.due.notified() => {}
                () = sleep(LOOK) => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                () = stop.cancelled() => {}
            }
            continue;
        }
        for parcel in parcels {
            let (carrier, shared) = (carrier.clone(), shared.clone());
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            tasks.spawn(async move {
                let which = (parcel.id, parcel.generation);
                let answer = carry(&carrier, parcel).await;
                drop(permit);
                shared.with(|world| deliveries::carried(world, which, answer));
            });
        }
    }
}

fn carrier() -> Option<Carrier> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider());
    let connector = match connector {
        Ok(connector) => connector.https_or_http().enable_http1().build(),
        Err(error) => {
            tracing::error!(%error, "webhooks can't be sent: this machine's certificates can't be read");
            return None;
        }
    };
    Some(Client::builder(TokioExecutor::new()).build(connector))
}

/// A status, or why there is none. Redirects aren't followed: whoever answers has to be the endpoint.
async fn carry(carrier: &Carrier, parcel: Parcel) -> Result<u16, String> {
    let mut request = Request::post(&parcel.url)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header(header::ACCEPT, "*/*; q=0.5, application/xml")
        .header(header::CACHE_CONTROL, "no-cache");
    if let Some(signature) = &parcel.signature {
        request = request.header("stripe-signature", signature);
    }
    let request = request.body(Full::from(parcel.body)).map_err(|error| error.to_string())?;
    let answered = timeout(PATIENCE, async {
        let answer = carrier.request(request).await.map_err(|error| describe(&error))?;
        let status = answer.status().as_u16();
        // Read to its end, so that the connection can be used again.
        drop(Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await);
        Ok(status)
    });
    answered.await.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        said = format!("{said}: {deeper}");
        cause = deeper.source();
    }
    said
}
