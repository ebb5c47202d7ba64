//! Whole messages, as they came: of HTTP/1.1, and frames of HTTP/2.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};

/// What a frame begins with: its length (3 bytes), kind, flags, stream (4).
const FRAME_HEAD_BYTES: usize = 9;

/// Kinds of frames that may end a stream: DATA is 0.
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// A whole message of HTTP/1.1, as it came; none at the end.
pub(super) async fn message(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut body_bytes = 0;
    loop {
        let begins = message.len();
        if from.read_until(b'\n', &mut message).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&message[begins..]).trim().to_ascii_lowercase();
        if let Some(length) = line.strip_prefix("content-length:") {
            body_bytes = length.trim().parse().expect("a length");
        }
        assert!(!line.starts_with("transfer-encoding"), "bodies here have a length");
        if line.is_empty() {
            break;
        }
    }
    let head_bytes = message.len();
    message.resize(head_bytes + body_bytes, 0);
    from.read_exact(&mut message[head_bytes..]).await?;
    Ok(Some(message))
}

/// A whole frame.
pub(super) async fn frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; FRAME_HEAD_BYTES];
    from.read_exact(&mut frame).await?;
    let bytes = u32::from_be_bytes([0, frame[0], frame[1], frame[2]]);
    let bytes = usize::try_from(bytes).expect("16 MiB at most");
    frame.resize(FRAME_HEAD_BYTES + bytes, 0);
    from.read_exact(&mut frame[FRAME_HEAD_BYTES..]).await?;
    Ok(frame)
}

/// The stream that a frame ends, if it does.
pub(super) fn ended(frame: &[u8]) -> Option<u32> {
    let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    (frame[3] <= HEADERS && frame[4] & END_STREAM != 0).then_some(stream)
}
