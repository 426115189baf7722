//! Files and batches: `[FHS] ([BHS] [MSH …]* [BTS])* [FTS]` (HL7 v2.5.1 §2.10.3), or messages simply put one behind the
//! other. Each message goes its own way; the counts of the trailers are checked, nothing is lost.
//!
//! Everything works on bytes, since every message has its own character set.

mod answer;
mod splitter;

pub use answer::{Names, header, separator_of, trailer};
pub use splitter::Splitter;

use super::{Warning, frame::Frame};

/// Start of an MLLP block, which some senders leave in what they hand in by other ways.
const SB: u8 = 0x0B;
/// End of an MLLP block.
const EB: u8 = 0x1C;
/// End of file, as old systems write it.
const SUB: u8 = 0x1A;

/// A part of what was handed in. The parts together are all of it, blank lines and remains of frames apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message, from its MSH to its last segment.
    Message(Frame),
    /// A segment that holds messages together.
    Envelope(Envelope, Vec<u8>),
    /// Bytes that belong to no message.
    Stray(Frame),
}

/// Which segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// FHS.
    FileHeader,
    /// BHS.
    BatchHeader,
    /// BTS.
    BatchTrailer,
    /// FTS.
    FileTrailer,
}

impl Envelope {
    /// Its three letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::FileHeader => "FHS",
            Self::BatchHeader => "BHS",
            Self::BatchTrailer => "BTS",
            Self::FileTrailer => "FTS",
        }
    }
}

/// What was counted, against what the trailers say.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    messages: u64,
    strays: u64,
    in_batch: u64,
    batches: u64,
    open: bool,
    headed: bool,
    file_open: bool,
    miscounted: bool,
    unclosed: bool,
}

impl Tally {
    /// Counts the whole.
    pub fn of(pieces: &[Piece]) -> Self {
        let mut tally = Self::default();
        for piece in pieces {
            tally.note(piece);
        }
        tally
    }

    /// Counts a part.
    pub fn note(&mut self, piece: &Piece) {
        match piece {
            Piece::Message(_) => {
                self.messages += 1;
                self.in_batch += 1;
            }
            Piece::Stray(_) => self.strays += 1,
            Piece::Envelope(kind, line) => self.envelope(*kind, line),
        }
    }

    fn envelope(&mut self, kind: Envelope, line: &[u8]) {
        match kind {
            Envelope::FileHeader => {
                self.headed = true;
                self.file_open = true;
            }
            Envelope::BatchHeader => {
                self.headed = true;
                self.unclosed |= self.open;
                self.open = true;
                self.in_batch = 0;
            }
            Envelope::BatchTrailer => {
                self.check(line, self.in_batch);
                self.open = false;
                self.in_batch = 0;
                self.batches += 1;
            }
            Envelope::FileTrailer => {
                self.unclosed |= self.open;
                self.check(line, self.batches);
                self.open = false;
                self.file_open = false;
            }
        }
    }

    /// Field 1 of a trailer is the count; empty says nothing.
    fn check(&mut self, trailer: &[u8], counted: u64) {
        let separator = separator_of(trailer);
        let field = trailer.split(|byte| *byte == separator).nth(1).unwrap_or_default();
        let said = std::str::from_utf8(field).ok().map(str::trim);
        self.miscounted |= match said {
            Some("") => false,
            Some(said) => said.parse() != Ok(counted),
            None => true,
        };
    }

    /// Messages, and bytes that belong to none.
    pub fn parcels(&self) -> u64 {
        self.messages + self.strays
    }

    /// Whether this is no batch at all: one message at most, and no header around it.
    pub fn is_plain(&self) -> bool {
        self.messages < 2 && !self.headed
    }

    /// Whether there was a file or batch header.
    pub fn is_headed(&self) -> bool {
        self.headed
    }

    /// What is wrong with the whole: `batch_count` when a trailer says another number, `batch_open` when a header has no
    /// trailer, so that the end may be missing, `batch_stray` when bytes belong to no message.
    pub fn warnings(&self) -> Vec<Warning> {
        let all = [
            (self.miscounted, "batch_count"),
            (self.unclosed || self.open || self.file_open, "batch_open"),
            (self.strays > 0, "batch_stray"),
        ];
        all.into_iter().filter(|(found, _)| *found).map(|(_, code)| Warning::new(code)).collect()
    }
}

/// The parts of what is in memory as a whole, however long they are.
pub fn pieces(bytes: &[u8]) -> Vec<Piece> {
    let (mut splitter, mut pieces) = (Splitter::new(usize::MAX), Vec::new());
    splitter.push(bytes, &mut pieces);
    splitter.finish(&mut pieces);
    pieces
}

/// Whether this is no batch at all: one message at most, and nothing around it. Looks without copying.
pub fn is_plain(bytes: &[u8]) -> bool {
    let mut messages = 0;
    for line in bytes.split(|byte| splitter::ends_line(*byte)) {
        match splitter::mark(line) {
            Some(splitter::Mark::Message) => messages += 1,
            Some(splitter::Mark::Envelope(Envelope::FileHeader | Envelope::BatchHeader)) => return false,
            Some(splitter::Mark::Envelope(_)) | None => {}
        }
    }
    messages < 2
}

/// Takes the frame of MLLP off what was handed in by another way, if it is there.
pub fn unframe(bytes: &[u8]) -> &[u8] {
    let body = bytes.trim_ascii_start();
    let body = body.strip_prefix(&[SB]).unwrap_or(bytes);
    without_end(body)
}

/// Without the end of an MLLP block or of a file, and what stands behind it.
fn without_end(bytes: &[u8]) -> &[u8] {
    let beyond = |byte: &u8| byte.is_ascii_whitespace() || matches!(*byte, SB | EB | SUB);
    let tail = bytes.iter().rev().take_while(|byte| beyond(byte)).count();
    let (head, tail) = bytes.split_at(bytes.len() - tail);
    let end = tail.iter().position(|byte| matches!(*byte, SB | EB | SUB)).unwrap_or(tail.len());
    &bytes[..head.len() + end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(bytes: &[u8]) -> (Vec<Piece>, Tally) {
        let (mut splitter, mut pieces) = (Splitter::new(100), Vec::new());
        splitter.push(bytes, &mut pieces);
        splitter.finish(&mut pieces);
        let tally = Tally::of(&pieces);
        (pieces, tally)
    }

    fn shape(bytes: &[u8]) -> String {
        let of = |piece: &Piece| match piece {
            Piece::Message(Frame::Message(bytes)) => String::from_utf8_lossy(bytes).trim_end().to_owned(),
            Piece::Stray(Frame::Message(bytes)) => format!("?{}", String::from_utf8_lossy(bytes).trim()),
            Piece::Envelope(kind, _) => kind.name().to_owned(),
            Piece::Message(oversize) | Piece::Stray(oversize) => format!("{oversize:?}"),
        };
        counted(bytes).0.iter().map(of).collect::<Vec<_>>().join(" ")
    }

    fn codes(bytes: &[u8]) -> Vec<&'static str> {
        counted(bytes).1.warnings().iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn envelopes_and_bare_files() {
        let table: [(&[u8], &str); 9] = [
            (
                b"FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\rMSH|2\rBTS|2\rFTS|1\r",
                "FHS BHS MSH|1\rPID|1 MSH|2 BTS FTS",
            ),
            (b"\r\nMSH|1\nPID|1\n\nMSH|2\n", "MSH|1\nPID|1 MSH|2"),
            (b"\xEF\xBB\xBFMSH|1\r MSH|2", "\u{feff}MSH|1  MSH|2"),
            (
                b"\x0bMSH|1\rPID|1\r\x1c\r\x0bMSH|2\x1c\x0bMSH|3\r\x1c\r",
                "\u{b}MSH|1\rPID|1 \u{b}MSH|2 \u{b}MSH|3",
            ),
            (b"hello\rMSH|1\rBTS\rworld\r", "?hello MSH|1 BTS ?world"),
            (b"BHS|^~\\&\r\n\r\nBTS|0\x1a", "BHS BTS"),
            (b"MSHX\rMSH1\rM", "?MSHX\rMSH1\rM"),
            (b"", ""),
            (b"MSH|1\rOBX|1|FT|A||MSH|2\rNTE|MSH", "MSH|1\rOBX|1|FT|A||MSH|2\rNTE|MSH"),
        ];
        for (bytes, expected) in table {
            assert_eq!(
                shape(bytes).replace(['\u{b}', '\u{feff}'], ""),
                expected.replace(['\u{b}', '\u{feff}'], ""),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn wrong_counts_and_lost_bytes_are_told() {
        let table: [(&[u8], &[&str]); 10] = [
            (b"BHS|x\rMSH|1\rBTS|1\r", &[]),
            (b"BHS|x\rMSH|1\rBTS|2\r", &["batch_count"]),
            (b"BHS|x\rMSH|1\rBTS|\rFTS|9", &["batch_count"]),
            (b"BHS|x\rMSH|1\rBTS|one", &["batch_count"]),
            (b"BHS|x\rMSH|1\rBTS", &[]),
            (b"BHS|x\rMSH|1\r", &["batch_open"]),
            (b"FHS|x\rBHS|x\rMSH|1\rBTS|1\r", &["batch_open"]),
            (b"BHS|x\rBHS|x\rMSH|1\rBTS|1\r", &["batch_open"]),
            (b"hello\rMSH|1", &["batch_stray"]),
            (b"BHS|x\rBTS|0\r", &[]),
        ];
        for (bytes, expected) in table {
            assert_eq!(codes(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn one_message_is_no_batch() {
        let table: [(&[u8], bool); 7] = [
            (b"MSH|1\rPID|1\r", true),
            (b"\r\n\xEF\xBB\xBFMSH|1", true),
            (b"rubbish", true),
            (b"MSH|1\rBTS|1", true),
            (b"MSH|1\nMSH|2", false),
            (b"BHS|1\rBTS|0", false),
            (b"FHS|1\rMSH|1", false),
        ];
        for (bytes, plain) in table {
            assert_eq!(is_plain(bytes), plain, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn frames_come_off() {
        let table: [(&[u8], &[u8]); 6] = [
            (b"MSH|1\r", b"MSH|1\r"),
            (b"\x0bMSH|1\r\x1c\r", b"MSH|1\r"),
            (b"\r\n\x0bMSH|1\x1c", b"MSH|1"),
            (b"MSH|1\r\x1c\r\n", b"MSH|1\r"),
            (b" MSH|1", b" MSH|1"),
            (b"\x0b\x1c\r", b""),
        ];
        for (framed, bare) in table {
            assert_eq!(unframe(framed), bare, "{framed:?}");
        }
    }

    #[test]
    fn a_message_over_the_cap_leaves_the_others_whole() {
        let long = [b"MSH|1\r".as_slice(), &[b'x'; 200], b"\rMSH|2\r"].concat();
        let (pieces, _) = counted(&long);
        let [Piece::Message(Frame::Oversize { head, size }), Piece::Message(Frame::Message(second))] =
            pieces.as_slice()
        else {
            panic!("{pieces:?}")
        };
        assert_eq!((head.len(), *size, second.as_slice()), (207, 207, b"MSH|2\r".as_slice()));
    }

    fn file() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"MSH|".to_vec()),
            Just(b"\rMSH|".to_vec()),
            Just(b"\nBHS|".to_vec()),
            Just(b"\rBTS|1".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\x1c\r\x0b".to_vec()),
            Just(b"\xEF\xBB\xBF".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..6),
        ];
        proptest::collection::vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    fn content(bytes: &[u8]) -> Vec<u8> {
        // Byte order marks go with the blanks around them.
        let counts =
            |byte: &&u8| !byte.is_ascii_whitespace() && !matches!(**byte, SB | EB | SUB | 0xEF | 0xBB | 0xBF);
        bytes.iter().filter(counts).copied().collect()
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_pieces(bytes in file(), cut in 0usize..100) {
            let cut = cut.min(bytes.len());
            let (mut splitter, mut parts) = (Splitter::new(100), Vec::new());
            splitter.push(&bytes[..cut], &mut parts);
            splitter.push(&bytes[cut..], &mut parts);
            splitter.finish(&mut parts);
            prop_assert_eq!(parts, counted(&bytes).0);
        }

        #[test]
        fn nothing_is_lost(bytes in file()) {
            let (mut splitter, mut parts) = (Splitter::new(100_000), Vec::new());
            splitter.push(&bytes, &mut parts);
            splitter.finish(&mut parts);
            let all: Vec<u8> = parts.iter().flat_map(|piece| match piece {
                Piece::Message(Frame::Message(bytes)) | Piece::Stray(Frame::Message(bytes)) | Piece::Envelope(_, bytes) => bytes.clone(),
                _ => Vec::new(),
            }).collect();
            prop_assert_eq!(content(&all), content(&bytes));
        }

        #[test]
        fn plain_is_what_splits_into_one(bytes in file()) {
            let (parts, tally) = counted(&bytes);
            let messages = parts.iter().filter(|piece| matches!(piece, Piece::Message(_))).count();
            prop_assert_eq!(is_plain(&bytes), messages < 2 && !tally.is_headed());
            prop_assert_eq!(is_plain(&bytes), tally.is_plain());
        }
    }
}
