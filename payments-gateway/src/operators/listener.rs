//! Operators' connections: so many at a time, each of which says something at once, and none of which stays when
//! the service is gone. Nothing in tonic sees to that.

use futures::{Stream, stream};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Connections at a time; others wait.
const CONNECTIONS_MAX: usize = 256;

/// How long a connection's first byte may take. What comes later is asked for by HTTP/2 itself.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// After an error that isn't one connection's (no more file descriptors), so long until the next.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections, all of which end when `gone` is cancelled.
pub fn accept(
    listener: TcpListener,
    gone: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    stream::unfold((listener, places, gone), async |(listener, places, gone)| {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // Small answers go out at once.
                    stream.set_nodelay(true).ok();
                    let connection = Connection {
                        stream,
                        greeting: Some(Box::pin(sleep(GREETING_TIMEOUT))),
                        gone: Box::pin(gone.clone().cancelled_owned()),
                        _place: place,
                    };
                    return Some((Ok(connection), (listener, places, gone)));
                }
                Err(error) => {
                    tracing::warn!(%error, "can't accept an operator's connection");
                    sleep(PAUSE).await;
                }
            }
        }
    })
}

/// A connection.
pub struct Connection {
    stream: TcpStream,
    /// Over once its first byte is there.
    greeting: Option<Pin<Box<Sleep>>>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gone.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            this.greeting = None;
            return Poll::Ready(read);
        }
        let Some(greeting) = &mut this.greeting else { return Poll::Pending };
        ready!(greeting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use std::pin::pin;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A connection's two ends: ours, and a client's.
    async fn connection(gone: &CancellationToken) -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut accepted = pin!(accept(listener, gone.clone()));
        let (ours, theirs) = tokio::join!(accepted.next(), TcpStream::connect(address));
        (ours.unwrap().unwrap(), theirs.unwrap())
    }

    #[tokio::test]
    async fn a_connection_ends_when_the_service_is_gone_even_in_the_middle() {
        let gone = CancellationToken::new();
        let (mut ours, mut theirs) = connection(&gone).await;
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(ours.read_u8().await.unwrap(), b'x');
        let (read, ()) = tokio::join!(ours.read_u8(), async { gone.cancel() });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test]
    async fn who_says_something_in_time_may_be_silent_afterwards() {
        let gone = CancellationToken::new();
        let (mut ours, mut theirs) = connection(&gone).await;
        assert!(ours.greeting.is_some());
        theirs.write_all(b"x").await.unwrap();
        ours.read_u8().await.unwrap();
        assert!(ours.greeting.is_none());
    }
}
