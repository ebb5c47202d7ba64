//! The door: connections are accepted, counted, and ended if they keep us waiting.
//!
//! Nothing behind it does that: a connection that never sends a byte, or stops in the middle of a
//! frame or of a call's headers, would be kept for ever. Whoever begins to send something has
//! [`Limits::receive_timeout`] to finish it; see [`Pace`] for what that is. Bodies of calls are
//! bounded where they are read, see [`crate::grpc::RequestLayer`].

mod pace;
pub mod tls;

use crate::{identity::PeerNames, limits::Limit};
use futures::Stream;
use pace::Pace;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tls::Tls;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

/// After an error that isn't one connection's (no more file descriptors), so long until the next.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections there may be, and how fast they have to be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub connections_max: usize,
    /// From one address.
    pub connections_per_address_max: usize,
    /// Whoever begins to send something has finished it by then.
    pub receive_timeout: Duration,
}

/// Accepts connections.
pub struct Listener {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    guests: Guests,
    pause: Option<Pin<Box<Sleep>>>,
    /// Those who are shaking hands, each a connection if it comes to that; no more than there may be.
    handshakes: JoinSet<Option<Connection>>,
}

impl Listener {
    /// From this listener, speaking TLS if it is given.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<Arc<Tls>>, limits: Limits) -> Self {
        let (guests, handshakes) = (Guests::default(), JoinSet::new());
        Self { listener, tls, limits, guests, pause: None, handshakes }
    }

    /// Lets somebody in, or has them shake hands first.
    fn admit(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
        let place = self.guests.place(home(address.ip()), &self.limits);
        let place = place.map_err(Limit::bites).ok()?;
        // Small answers go out at once.
        stream.set_nodelay(true).ok()?;
        let receive_timeout = self.limits.receive_timeout;
        let Some(tls) = self.tls.clone() else {
            let (stream, names) = (Either::Left(stream), PeerNames::default());
            return Some(Connection::new(stream, names, receive_timeout, place));
        };
        self.handshakes.spawn(async move {
            match timeout(receive_timeout, tls.accept(stream)).await {
                Ok(Ok((stream, names))) => {
                    let stream = Either::Right(Box::new(stream));
                    Some(Connection::new(stream, names, receive_timeout, place))
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, %address, "no handshake");
                    None
                }
                Err(_) => {
                    Limit::ReceiveTimeout.bites();
                    None
                }
            }
        });
        None
    }
}

impl Stream for Listener {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(Some(shaken)) = self.handshakes.poll_join_next(context) {
                match shaken {
                    Ok(Some(connection)) => return Poll::Ready(Some(Ok(connection))),
                    Ok(None) | Err(_) => continue,
                }
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((stream, address)) => {
                    if let Some(connection) = self.admit(stream, address) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// Where somebody comes from. Of IPv6 whoever has one address has all of its /64.
fn home(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => (address & Ipv6Addr::from_bits(!u128::from(u64::MAX))).into(),
    }
}

/// Who is here, by address.
#[derive(Clone, Debug, Default)]
struct Guests(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
struct Place {
    guests: Guests,
    address: IpAddr,
}

impl Guests {
    fn place(&self, address: IpAddr, limits: &Limits) -> Result<Place, Limit> {
        let counts = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= limits.connections_max {
            return Err(Limit::Connections);
        }
        let here = counts.by_address.entry(address).or_default();
        if *here >= limits.connections_per_address_max {
            return Err(Limit::ConnectionsPerAddress);
        }
        *here += 1;
        counts.all += 1;
        Ok(Place { guests: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let counts = &mut *self.guests.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// A connection that is ended if it stops in the middle of something.
#[derive(Debug)]
pub struct Connection {
    stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    names: PeerNames,
    pace: Pace,
    timeout: Duration,
    /// When what was begun is too late; `None` between two things.
    late: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

impl Connection {
    fn new(
        stream: Either<TcpStream, Box<TlsStream<TcpStream>>>,
        names: PeerNames,
        timeout: Duration,
        place: Place,
    ) -> Self {
        let late = Some(Box::pin(sleep(timeout)));
        Self { stream, names, pace: Pace::default(), timeout, late, _place: place }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            read?;
            let (_, bytes) = buffer.filled().split_at(before);
            let finished = this.pace.read(bytes);
            if !this.pace.is_midway() {
                this.late = None;
            } else if finished || this.late.is_none() {
                // Something else was begun: it has its own time.
                this.late = Some(Box::pin(sleep(this.timeout)));
            }
            return Poll::Ready(Ok(()));
        }
        let Some(late) = &mut this.late else { return Poll::Pending };
        ready!(late.as_mut().poll(context));
        Limit::ReceiveTimeout.bites();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "it stopped in the middle")))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Connected for Connection {
    type ConnectInfo = PeerNames;

    fn connect_info(&self) -> PeerNames {
        self.names.clone()
    }
}
