//! HTTP/2 frame by frame, for what no client does by mistake.

use std::{collections::BTreeSet, io};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
};

/// What a connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The error codes of a stream that was refused before it was looked at, and of one that isn't wanted.
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;

/// The error code of a connection on which too much is going on.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// The most by which a window can be opened.
pub const WINDOW_MAX: u32 = 0x7fff_ffff;

/// Frames that wait until a test looks at them.
const FRAMES_MAX: usize = 100_000;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// RFC 9113, section 6.
    pub kind: u8,
    /// Depend on the kind.
    pub flags: u8,
    /// 0: the connection's.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether nothing more comes on this stream.
    #[must_use]
    pub fn ends(&self, stream: u32) -> bool {
        let last = matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM > 0;
        self.stream == stream && (last || self.kind == RST_STREAM)
    }

    fn bytes(&self) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(self.payload.len()).expect("short").to_be_bytes();
        let head = [&length[..], &[self.kind, self.flags], &self.stream.to_be_bytes()].concat();
        [head, self.payload.clone()].concat()
    }
}

/// Frames that clients send.
pub mod frame {
    use super::{CANCEL, DATA, END_HEADERS, Frame, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE};

    /// A gRPC call of this path, whose body follows.
    #[must_use]
    pub fn headers(stream: u32, path: &str) -> Frame {
        // HPACK: POST and http are in the static table, the others are written out.
        let mut payload = vec![0x83, 0x86];
        for (index, value) in [(4, path), (1, "localhost"), (31, "application/grpc")] {
            literal(&mut payload, index, value);
        }
        Frame { kind: HEADERS, flags: END_HEADERS, stream, payload }
    }

    /// A value of the name at this place of HPACK's static table, not to be remembered.
    fn literal(payload: &mut Vec<u8>, index: u8, value: &str) {
        match index {
            0..15 => payload.push(index),
            _ => payload.extend([15, index - 15]),
        }
        payload.push(u8::try_from(value.len()).expect("short"));
        payload.extend(value.bytes());
    }

    /// A piece of a body, not its last.
    #[must_use]
    pub fn data(stream: u32, bytes: &[u8]) -> Frame {
        Frame { kind: DATA, flags: 0, stream, payload: bytes.to_vec() }
    }

    /// The call isn't wanted any more.
    #[must_use]
    pub fn reset(stream: u32) -> Frame {
        Frame { kind: RST_STREAM, flags: 0, stream, payload: CANCEL.to_be_bytes().to_vec() }
    }

    /// There is room for so many bytes more.
    #[must_use]
    pub fn window_update(stream: u32, bytes: u32) -> Frame {
        Frame { kind: WINDOW_UPDATE, flags: 0, stream, payload: bytes.to_be_bytes().to_vec() }
    }

    /// As the standard has them.
    #[must_use]
    pub fn settings() -> Frame {
        Frame { kind: SETTINGS, flags: 0, stream: 0, payload: Vec::new() }
    }
}

/// A connection. What comes is read at once, so that nobody waits for us to.
#[derive(Debug)]
pub struct Raw {
    sender: OwnedWriteHalf,
    frames: mpsc::Receiver<Frame>,
    _reading: JoinSet<()>,
}

impl Raw {
    /// Connects, and says nothing.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("somebody listens");
        let (mut receiver, sender) = stream.into_split();
        let (tell, frames) = mpsc::channel(FRAMES_MAX);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            while let Some(frame) = read(&mut receiver).await {
                if tell.send(frame).await.is_err() {
                    break;
                }
            }
        });
        Self { sender, frames, _reading: reading }
    }

    /// Connects, and begins as every client does.
    ///
    /// # Panics
    /// If nobody listens.
    pub async fn greet(address: &str) -> Self {
        let mut raw = Self::connect(address).await;
        let hello = [PREFACE.to_vec(), frame::settings().bytes()].concat();
        // Whoever isn't let in finds out when they read.
        drop(raw.sender.write_all(&hello).await);
        raw
    }

    /// Sends frames together.
    ///
    /// # Errors
    /// If the connection was closed.
    pub async fn try_send(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).collect();
        self.sender.write_all(&bytes).await
    }

    /// Sends a frame, if anybody takes it.
    pub async fn send(&mut self, frame: &Frame) {
        drop(self.try_send(std::slice::from_ref(frame)).await);
    }

    /// The next frame; `None`: the connection was closed.
    pub async fn next(&mut self) -> Option<Frame> {
        self.frames.recv().await
    }

    /// Waits until the connection is closed.
    pub async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The error code of the GOAWAY with which the connection is closed, if it is.
    pub async fn goaway(&mut self) -> Option<u32> {
        let mut told = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY
                && let Some(code) = frame.payload.get(4..8).and_then(|code| code.try_into().ok())
            {
                told = Some(u32::from_be_bytes(code));
            }
        }
        told
    }

    /// The streams that are refused until the connection is closed, or there is nothing to refuse.
    pub async fn refused(&mut self) -> BTreeSet<u32> {
        let mut refused = BTreeSet::new();
        while let Some(frame) = self.next().await {
            if frame.kind == RST_STREAM && frame.payload == REFUSED_STREAM.to_be_bytes() {
                refused.insert(frame.stream);
            } else if frame.kind == RST_STREAM || frame.kind == HEADERS {
                // One of those that were let in has waited for its body in vain.
                break;
            }
        }
        refused
    }
}

async fn read(receiver: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    receiver.read_exact(&mut head).await.ok()?;
    let [high, middle, low, kind, flags, stream @ ..] = head;
    let length = u32::from_be_bytes([0, high, middle, low]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    receiver.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
}
