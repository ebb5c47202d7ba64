//! A call's request while it comes: whoever begins a message finishes it in time.

use super::status;
use crate::limits::Limit;
use http_body::{Frame, SizeHint};
use prost::bytes::{Buf as _, Bytes};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tonic::{Status, body::Body};

/// Whether it is compressed (1), and its length (4).
const HEAD_BYTES: usize = 5;

/// A request's body. A body that stops in the middle of a message ends with DEADLINE_EXCEEDED.
#[derive(Debug)]
pub struct Received {
    body: Body,
    pace: Pace,
    timeout: Duration,
    /// When what was begun is too late; made when it has to be waited for.
    late: Option<Pin<Box<Sleep>>>,
}

impl Received {
    /// Each message of this body has so long.
    #[must_use]
    pub fn new(body: Body, timeout: Duration) -> Self {
        Self { body, pace: Pace::default(), timeout, late: None }
    }
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            if let Some(Ok(frame)) = &frame
                && let Some(bytes) = frame.data_ref()
                && this.pace.read(bytes.clone())
            {
                this.late = None;
            }
            return Poll::Ready(frame);
        }
        if !this.pace.is_midway() {
            return Poll::Pending;
        }
        let late = this.late.get_or_insert_with(|| Box::pin(sleep(this.timeout)));
        ready!(late.as_mut().poll(context));
        Limit::ReceiveTimeout.bites();
        Poll::Ready(Some(Err(status::too_slow().into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where a client stands in what it sends: messages, each behind its head.
#[derive(Debug, Default)]
struct Pace {
    /// Whether a message has come.
    greeted: bool,
    head: [u8; HEAD_BYTES],
    /// Bytes of it that have come.
    head_bytes: usize,
    /// Bytes of the message that are still to come.
    message: usize,
}

impl Pace {
    /// Takes note of what has come. Whether a message was finished with it.
    fn read(&mut self, mut bytes: Bytes) -> bool {
        let mut finished = false;
        while bytes.has_remaining() {
            if self.message > 0 {
                let come = self.message.min(bytes.len());
                bytes.advance(come);
                self.message -= come;
            } else {
                let come = (HEAD_BYTES - self.head_bytes).min(bytes.len());
                let head = self.head.iter_mut().skip(self.head_bytes);
                head.zip(&bytes.split_to(come)).for_each(|(to, from)| *to = *from);
                self.head_bytes += come;
                if self.head_bytes < HEAD_BYTES {
                    break;
                }
                self.head_bytes = 0;
                let [_, length @ ..] = self.head;
                self.message = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            }
            if self.message == 0 {
                self.greeted = true;
                finished = true;
            }
        }
        finished
    }

    fn is_midway(&self) -> bool {
        !self.greeted || self.head_bytes > 0 || self.message > 0
    }
}
