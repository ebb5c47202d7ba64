//! The door: connections are accepted, counted, and ended if they keep us waiting.

use super::whole::Whole;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::HashMap,
    net::IpAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a request's head may take to come, from the first byte of the connection or the end of the last
/// answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// After an error that isn't one connection's (no more file descriptors), so long until the next.
const PAUSE: Duration = Duration::from_millis(50);

/// How long somebody may leave an answer unread, and a stop waits for those who are in the middle of one.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest head.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub connections_max: usize,
    /// From one address.
    pub per_address_max: usize,
}

/// Who is here, by address.
#[derive(Clone, Debug, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place; given back when it is dropped.
struct Place {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    fn place(&self, address: IpAddr, limits: Limits) -> Option<Place> {
        let counts = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.values().sum::<usize>() >= limits.connections_max {
            return None;
        }
        let here = counts.entry(address).or_default();
        if *here >= limits.per_address_max {
            return None;
        }
        *here += 1;
        Some(Place { guests: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = &mut *self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = counts.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Accepts connections until it is told to stop; those that are in the middle of something finish it.
pub async fn accept(
    listener: TcpListener,
    whole: Whole,
    limits: Limits,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let Some(place) = guests.place(address.ip().to_canonical(), limits) else {
                    tracing::debug!(%address, "too many connections");
                    continue;
                };
                connections.spawn(serve(stream, whole.clone(), place, stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, whole: Whole, _place: Place, stop: CancellationToken) {
    // Small answers go out at once.
    stream.set_nodelay(true).ok();
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD_TIMEOUT));
    let service = service_fn(move |request| whole.clone().answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whoever holds us up longer than that is left.
            timeout(UNREAD_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended in the middle");
    }
}
