//! MLLP framing: `<VT> message <FS><CR>`. A state machine over bytes; it never looks at time.

/// Start of block.
const SB: u8 = 0x0B;
/// End of block.
const EB: u8 = 0x1C;
/// A block of this byte alone says that a block was stored (MLLP release 2). Our answers say so themselves, and it asks for
/// none.
const COMMITTED: u8 = 0x06;
/// What is kept of an oversize message: enough to read its header and refuse it by control id.
const HEAD: usize = 4096;

/// One frame cut from the stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// The bytes between start and end of block.
    Message(Vec<u8>),
    /// A frame over the cap. Only its head was kept.
    Oversize {
        /// The first bytes.
        head: Vec<u8>,
        /// How long it was.
        size: u64,
    },
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(bytes) => write!(f, "Message({} bytes)", bytes.len()),
            Self::Oversize { size, .. } => write!(f, "Oversize({size} bytes)"),
        }
    }
}

enum State {
    Idle,
    /// The end of block was just seen; a CR that follows belongs to it.
    AfterEnd,
    In(Vec<u8>),
    Over {
        head: Vec<u8>,
        size: u64,
    },
}

/// Cuts frames out of a byte stream, however the stream is split into reads.
///
/// A frame is complete at its end-of-block byte: message data may not hold 0x1C, so waiting for the
/// CR would only delay the answer to senders that forget it. The CR is swallowed when it comes.
pub struct Framer {
    max_size: usize,
    state: State,
    noise_bytes: u64,
    truncated_frames: u64,
}

impl Framer {
    /// A framer that keeps at most `max_size` bytes of one message.
    pub fn new(max_size: usize) -> Self {
        Self { max_size, state: State::Idle, noise_bytes: 0, truncated_frames: 0 }
    }

    /// Takes the bytes of one read and appends the frames they complete.
    pub fn push(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Idle | State::AfterEnd => self.between(bytes),
                State::In(_) | State::Over { .. } => self.inside(bytes, frames),
            };
        }
    }

    /// The peer has closed. Returns whether a frame was cut off; without its end of block nobody can
    /// say that a message is whole, so it is counted and never handed out.
    pub fn finish(&mut self) -> bool {
        let cut = self.in_frame();
        self.truncated_frames += u64::from(cut);
        self.state = State::Idle;
        cut
    }

    /// A frame has begun and not ended: the moment not to close the connection.
    pub fn in_frame(&self) -> bool {
        matches!(self.state, State::In(_) | State::Over { .. })
    }

    /// Bytes seen outside frames, line ends apart.
    pub fn noise_bytes(&self) -> u64 {
        self.noise_bytes
    }

    /// Frames that were begun and never ended.
    pub fn truncated_frames(&self) -> u64 {
        self.truncated_frames
    }

    fn between<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let start = bytes.iter().position(|&b| b == SB);
        let noise = &bytes[..start.unwrap_or(bytes.len())];
        self.noise_bytes += noise.iter().filter(|b| !matches!(b, b'\r' | b'\n')).count() as u64;
        let Some(start) = start else {
            self.state = State::Idle;
            return &[];
        };
        self.state = State::In(Vec::new());
        &bytes[start + 1..]
    }

    fn inside<'a>(&mut self, bytes: &'a [u8], frames: &mut Vec<Frame>) -> &'a [u8] {
        let mark = bytes.iter().position(|&b| b == SB || b == EB);
        self.keep(&bytes[..mark.unwrap_or(bytes.len())]);
        let Some(mark) = mark else { return &[] };
        if bytes[mark] == EB {
            self.complete(frames);
        } else {
            self.truncated_frames += 1;
            self.state = State::In(Vec::new());
        }
        &bytes[mark + 1..]
    }

    fn keep(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::In(kept) if kept.len() + bytes.len() <= self.max_size => {
                kept.extend_from_slice(bytes);
            }
            State::In(kept) => {
                let size = (kept.len() + bytes.len()) as u64;
                let mut head = std::mem::take(kept);
                head.extend_from_slice(&bytes[..bytes.len().min(HEAD.saturating_sub(head.len()))]);
                head.truncate(HEAD);
                head.shrink_to_fit();
                self.state = State::Over { head, size };
            }
            State::Over { head, size } => {
                // A small cap can leave the head short of its length.
                head.extend_from_slice(&bytes[..bytes.len().min(HEAD.saturating_sub(head.len()))]);
                *size += bytes.len() as u64;
            }
            State::Idle | State::AfterEnd => {}
        }
    }

    fn complete(&mut self, frames: &mut Vec<Frame>) {
        match std::mem::replace(&mut self.state, State::AfterEnd) {
            State::In(kept) if kept == [COMMITTED] => {}
            State::In(kept) if !kept.is_empty() => frames.push(Frame::Message(kept)),
            State::Over { head, size } => frames.push(Frame::Oversize { head, size }),
            State::In(_) | State::Idle | State::AfterEnd => {}
        }
    }
}

/// Puts a message into a frame.
pub fn wrap(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 3);
    framed.push(SB);
    framed.extend_from_slice(message);
    framed.extend_from_slice(&[EB, b'\r']);
    framed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(framer: &mut Framer, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        framer.push(bytes, &mut frames);
        frames
    }

    fn message(bytes: &[u8]) -> Frame {
        Frame::Message(bytes.to_vec())
    }

    #[test]
    fn tolerated_streams() {
        type Row = (&'static [u8], &'static [&'static [u8]], u64, u64);
        let table: &[Row] = &[
            (b"\x0bA\x1c\r", &[b"A"], 0, 0),
            (b"\x0bA\x1c\r\x0bB\x1c\r", &[b"A", b"B"], 0, 0),
            (b"\x0bA\x1c\x0bB\x1c", &[b"A", b"B"], 0, 0),
            (b"\x0bA\x1c\n\x0bB\x1c\r\n", &[b"A", b"B"], 0, 0),
            (b"xy\x0bA\x1cz", &[b"A"], 3, 0),
            (b"\x0bA\x0bB\x1c\r", &[b"B"], 0, 1),
            (b"\x0b\x1c\r\x0bB\x1c\r", &[b"B"], 0, 0),
            (b"\x1c\r", &[], 1, 0),
            (b"\x0b\x06\x1c\r\x0bB\x1c\r", &[b"B"], 0, 0),
            (b"\x0b\x15\x1c\r", &[b"\x15"], 0, 0),
        ];
        for (bytes, frames, noise, truncated) in table {
            let mut framer = Framer::new(10);
            let expected: Vec<_> = frames.iter().map(|f| message(f)).collect();
            assert_eq!(run(&mut framer, bytes), expected, "{bytes:?}");
            assert_eq!((framer.noise_bytes(), framer.truncated_frames()), (*noise, *truncated), "{bytes:?}");
        }
    }

    #[test]
    fn the_cap_is_inclusive() {
        let mut framer = Framer::new(3);
        assert_eq!(run(&mut framer, b"\x0bABC\x1c\r"), [message(b"ABC")]);
        let over = Frame::Oversize { head: b"ABCD".to_vec(), size: 4 };
        assert!(run(&mut framer, b"\x0bABCD\x1c\r") == [over]);
        assert_eq!(run(&mut framer, b"\x0bE\x1c\r"), [message(b"E")]);
    }

    #[test]
    fn only_the_head_of_an_oversize_frame_is_kept() {
        let mut framer = Framer::new(10_000);
        let frames = run(&mut framer, &wrap(&vec![b'x'; 50_000]));
        let [Frame::Oversize { head, size }] = frames.as_slice() else { panic!("one oversize frame") };
        assert_eq!((head.len(), *size), (HEAD, 50_000));
    }

    #[test]
    fn a_frame_without_end_is_truncated_at_eof() {
        let mut framer = Framer::new(10);
        run(&mut framer, b"\x0bA");
        assert!(framer.in_frame());
        assert!(framer.finish());
        assert_eq!(framer.truncated_frames(), 1);
        run(&mut framer, b"\x0bA\x1c");
        assert!(!framer.finish());
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(SB), Just(EB), Just(b'\r'), any::<u8>()];
        proptest::collection::vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(bytes in stream(), cuts in proptest::collection::vec(0usize..200, 0..20)) {
            let mut whole = Framer::new(20);
            let expected = run(&mut whole, &bytes);
            let mut parts = Framer::new(20);
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut frames = Vec::new();
            for pair in cuts.windows(2) {
                parts.push(&bytes[pair[0]..pair[1]], &mut frames);
            }
            prop_assert!(frames == expected);
            prop_assert_eq!(parts.noise_bytes(), whole.noise_bytes());
            prop_assert_eq!(parts.truncated_frames(), whole.truncated_frames());
        }

        #[test]
        fn wrapped_messages_come_back(bodies in proptest::collection::vec("[ -~\r]{1,15}", 0..5)) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|b| wrap(b.as_bytes())).collect();
            let expected: Vec<_> = bodies.iter().map(|b| message(b.as_bytes())).collect();
            prop_assert!(run(&mut Framer::new(20), &bytes) == expected);
        }
    }
}
