//! Where a client stands in what it sends: in the middle of something, or between two things.
//!
//! Things are HTTP/2's (RFC 9113): the connection's preface with the frame after it, a frame, and a
//! call's headers, which may be several frames. Nothing of it is judged here; that is h2's part.

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`.
const PREFACE_BYTES: usize = 24;

/// Length (3), type, flags, stream (4).
const HEAD_BYTES: usize = 9;

/// The type of the frame that begins a call's headers.
const HEADERS: u8 = 1;

/// The type of the frames that go on with them.
const CONTINUATION: u8 = 9;

/// The flag of the last of these.
const END_HEADERS: u8 = 4;

/// How far a client has got.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// Whether a frame has come since.
    greeted: bool,
    head: [u8; HEAD_BYTES],
    /// Bytes of it that have come.
    head_bytes: usize,
    /// Bytes of the frame's payload that are still to come.
    payload: usize,
    /// Whether a call's headers go on in the next frame.
    in_headers: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            preface: PREFACE_BYTES,
            greeted: false,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            payload: 0,
            in_headers: false,
        }
    }
}

impl Pace {
    /// Takes note of what has come. Whether something was finished with it.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut finished = false;
        while !bytes.is_empty() {
            if self.preface > 0 {
                bytes = skip(bytes, &mut self.preface);
            } else if self.payload > 0 {
                bytes = skip(bytes, &mut self.payload);
                finished |= self.payload == 0 && self.ends();
            } else {
                let missing = HEAD_BYTES - self.head_bytes;
                let (come, rest) = bytes.split_at(missing.min(bytes.len()));
                for (to, from) in self.head.iter_mut().skip(self.head_bytes).zip(come) {
                    *to = *from;
                }
                self.head_bytes += come.len();
                bytes = rest;
                if self.head_bytes == HEAD_BYTES {
                    self.head_bytes = 0;
                    let [high, middle, low, kind, flags, ..] = self.head;
                    let length = u32::from_be_bytes([0, high, middle, low]);
                    self.payload = usize::try_from(length).unwrap_or(usize::MAX);
                    if matches!(kind, HEADERS | CONTINUATION) {
                        self.in_headers = flags & END_HEADERS == 0;
                    }
                    finished |= self.payload == 0 && self.ends();
                }
            }
        }
        finished
    }

    /// Whether it is in the middle of something.
    pub(super) fn is_midway(&self) -> bool {
        !self.greeted || self.head_bytes > 0 || self.payload > 0 || self.in_headers
    }

    /// A frame is over. Whether that finishes something.
    fn ends(&mut self) -> bool {
        self.greeted = true;
        !self.in_headers
    }
}

/// Leaves out as many as are still to come.
fn skip<'b>(bytes: &'b [u8], to_come: &mut usize) -> &'b [u8] {
    let (come, rest) = bytes.split_at((*to_come).min(bytes.len()));
    *to_come -= come.len();
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u8::try_from(payload).expect("short");
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], &vec![7; payload]].concat()
    }

    /// After each byte, whether it is in the middle of something.
    fn midway(bytes: &[u8]) -> Vec<bool> {
        let mut pace = Pace::default();
        let step = |byte| {
            pace.read(std::slice::from_ref(byte));
            pace.is_midway()
        };
        bytes.iter().map(step).collect()
    }

    #[test]
    fn it_is_between_two_things_only_after_whole_ones() {
        let settings = frame(4, 0, 6);
        let call = [frame(HEADERS, 0, 3), frame(CONTINUATION, 0, 0), frame(CONTINUATION, 4, 2)];
        let data = frame(0, 0, 5);
        let all = [PREFACE, &settings, &call.concat(), &data].concat();
        let ends = [
            PREFACE.len() + settings.len(),
            PREFACE.len() + settings.len() + call.concat().len(),
            all.len(),
        ];
        let between: Vec<usize> =
            (1..).zip(midway(&all)).filter(|(_, midway)| !midway).map(|(at, _)| at).collect();
        assert_eq!(between, ends);
        // The same in pieces of any size.
        for size in 1..all.len() {
            let mut pace = Pace::default();
            let finished = all.chunks(size).filter(|piece| pace.read(piece)).count();
            assert!(!pace.is_midway() && (1..=ends.len()).contains(&finished), "{size}");
        }
    }

    #[test]
    fn silence_is_the_middle_of_the_first_thing() {
        assert!(Pace::default().is_midway());
        assert!(midway(PREFACE).iter().all(|midway| *midway));
    }
}
