//! Cuts what was handed in at each line that begins with a header, however it is split into reads.

use super::{EB, Envelope, Piece, SB, SUB, without_end};
use crate::hl7::frame::Frame;

/// What is kept of an oversize message: enough to read its header and refuse it by control id.
const HEAD: usize = 4096;
/// A line that has not shown what it is after so many bytes is text.
const LONGEST_PROBE: usize = 64;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Message,
    Envelope(Envelope),
}

const MARKS: [(&[u8; 3], Mark); 5] = [
    (b"MSH", Mark::Message),
    (b"FHS", Mark::Envelope(Envelope::FileHeader)),
    (b"BHS", Mark::Envelope(Envelope::BatchHeader)),
    (b"BTS", Mark::Envelope(Envelope::BatchTrailer)),
    (b"FTS", Mark::Envelope(Envelope::FileTrailer)),
];

/// Whether a byte ends a line. The end of an MLLP block does too: the next block may follow without a line end.
pub(super) fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | EB)
}

/// What a whole line begins; its end may be left out.
pub(super) fn mark(line: &[u8]) -> Option<Mark> {
    match verdict(&line[..line.len().min(LONGEST_PROBE)], true) {
        Verdict::Mark(mark) => Some(mark),
        Verdict::Text | Verdict::Undecided => None,
    }
}

enum Verdict {
    Undecided,
    Mark(Mark),
    Text,
}

/// Judges the first bytes of a line; `complete` when no more will come.
fn verdict(line: &[u8], complete: bool) -> Verdict {
    let body = skip_lead(line);
    let undecided = if complete { Verdict::Text } else { Verdict::Undecided };
    let Some(name) = body.get(..3) else {
        let could_be = |name: &[u8]| name.starts_with(body);
        let open = could_be(BYTE_ORDER_MARK) || MARKS.iter().any(|(name, _)| could_be(*name));
        return if open { undecided } else { Verdict::Text };
    };
    let Some((_, mark)) = MARKS.iter().find(|(known, _)| known.as_slice() == name) else {
        return Verdict::Text;
    };
    match body.get(3) {
        Some(separator) if separator.is_ascii_punctuation() => Verdict::Mark(*mark),
        // A trailer may be nothing but its name. A message without separator is none.
        Some(end) if ends_line(*end) && *mark != Mark::Message => Verdict::Mark(*mark),
        None if complete && *mark != Mark::Message => Verdict::Mark(*mark),
        None if !complete => Verdict::Undecided,
        _ => Verdict::Text,
    }
}

fn skip_lead(mut line: &[u8]) -> &[u8] {
    loop {
        match line {
            [first, rest @ ..] if first.is_ascii_whitespace() || matches!(*first, SB | EB | SUB) => {
                line = rest;
            }
            _ => match line.strip_prefix(BYTE_ORDER_MARK) {
                Some(rest) => line = rest,
                None => return line,
            },
        }
    }
}

/// The state between two reads.
pub struct Splitter {
    max_size: usize,
    /// The present line, as long as it has not shown what it is. Empty inside a line that has.
    probe: Vec<u8>,
    at_line_start: bool,
    piece: Option<Mark>,
    kept: Vec<u8>,
    size: u64,
}

impl Splitter {
    /// One that keeps at most `max_size` bytes of one message.
    pub fn new(max_size: usize) -> Self {
        Self { max_size, probe: Vec::new(), at_line_start: true, piece: None, kept: Vec::new(), size: 0 }
    }

    /// Takes the bytes of one read and appends the pieces they complete.
    pub fn push(&mut self, mut bytes: &[u8], pieces: &mut Vec<Piece>) {
        while let [first, rest @ ..] = bytes {
            if self.at_line_start {
                bytes = rest;
                self.probe.push(*first);
                self.judge(ends_line(*first), pieces);
            } else {
                let end = bytes.iter().position(|byte| ends_line(*byte));
                let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                self.keep(line);
                self.at_line_start = end.is_some();
                bytes = rest;
            }
        }
    }

    /// There is no more: appends what is left.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) {
        if !self.probe.is_empty() {
            self.judge(true, pieces);
        }
        self.complete(pieces);
        *self = Self::new(self.max_size);
    }

    fn judge(&mut self, line_ended: bool, pieces: &mut Vec<Piece>) {
        let begun = match verdict(&self.probe, line_ended) {
            Verdict::Undecided if self.probe.len() < LONGEST_PROBE => return,
            Verdict::Undecided | Verdict::Text => None,
            Verdict::Mark(mark) => Some(mark),
        };
        // An envelope is one line; what follows it without a header of its own belongs to nothing.
        if begun.is_some() || matches!(self.piece, Some(Mark::Envelope(_))) {
            self.complete(pieces);
            self.piece = begun;
        }
        let probe = std::mem::take(&mut self.probe);
        self.keep(&probe);
        self.at_line_start = line_ended;
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let room = if self.size > self.max_size as u64 { HEAD } else { usize::MAX };
        if self.kept.len() > room {
            self.kept.truncate(room);
            self.kept.shrink_to_fit();
        }
        let fits = bytes.len().min(room - self.kept.len());
        self.kept.extend_from_slice(&bytes[..fits]);
    }

    fn complete(&mut self, pieces: &mut Vec<Piece>) {
        let (kept, size) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.size));
        let frame = if size > self.max_size as u64 {
            Frame::Oversize { head: kept, size }
        } else {
            Frame::Message(bare(&kept).to_vec())
        };
        match self.piece.take() {
            Some(Mark::Message) => pieces.push(Piece::Message(frame)),
            Some(Mark::Envelope(kind)) => {
                let (Frame::Message(line) | Frame::Oversize { head: line, .. }) = frame;
                pieces.push(Piece::Envelope(kind, skip_lead(&line).trim_ascii_end().to_vec()));
            }
            None if is_blank(&frame) => {}
            None => pieces.push(Piece::Stray(frame)),
        }
    }
}

/// Without the remains of an MLLP frame. Blank lines stay: they are part of the message as it was sent.
fn bare(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !matches!(*byte, SB | EB | SUB)).unwrap_or(bytes.len());
    without_end(&bytes[begin..])
}

fn is_blank(frame: &Frame) -> bool {
    matches!(frame, Frame::Message(bytes) if skip_lead(bytes).is_empty())
}
