//! The answer to a batch: its acknowledgments in the envelope that it came in.
//!
//! A batch that comes again gets the same bytes, although nothing is stored of the envelope: its time and ids are made of
//! the acknowledgments, and those are stored.

use super::{Part, Reply};
use crate::{
    hl7::batch::{Envelope, Names, header, separator_of, trailer},
    security::{hex, sha256},
};

/// An envelope being filled.
struct Filling<'a> {
    out: Vec<u8>,
    names: Names<'a>,
    time: Vec<u8>,
    seed: [u8; 32],
    /// Separator and acknowledgments of the batch that is open.
    batch: Option<(u8, usize)>,
    batches: usize,
    file: Option<u8>,
}

/// Puts the replies into an envelope that mirrors the sender's.
pub(super) fn build(parts: &[Part], names: Names<'_>) -> Vec<u8> {
    let frames: Vec<&[u8]> =
        parts.iter().filter_map(Part::reply).flat_map(Reply::frames).map(Vec::as_slice).collect();
    let mut filling = Filling {
        out: Vec::new(),
        names,
        time: frames.first().map(|frame| time_of(frame)).unwrap_or_default(),
        seed: sha256(&frames.concat()),
        batch: None,
        batches: 0,
        file: None,
    };
    for part in parts {
        match part {
            Part::Envelope(kind, line) => filling.envelope(*kind, line),
            Part::Replied(reply) => reply.frames().iter().for_each(|frame| filling.message(frame)),
            Part::Waiting(_) => {}
        }
    }
    filling.close_batch();
    filling.close_file();
    filling.out
}

impl Filling<'_> {
    fn envelope(&mut self, kind: Envelope, line: &[u8]) {
        match kind {
            Envelope::FileHeader => {
                self.close_batch();
                self.close_file();
                self.open(kind, line);
                self.file = Some(separator_of(line));
            }
            Envelope::BatchHeader => {
                self.close_batch();
                self.open(kind, line);
                self.batch = Some((separator_of(line), 0));
            }
            Envelope::BatchTrailer => self.close_batch(),
            Envelope::FileTrailer => {
                self.close_batch();
                self.close_file();
            }
        }
    }

    fn open(&mut self, kind: Envelope, line: &[u8]) {
        let place = self.out.len().to_be_bytes();
        let id = hex(&sha256(&[self.seed.as_slice(), &place, line].concat()));
        // 20 characters at most, as for every control id.
        let id = format!("B{}", &id[..19]);
        self.out.extend(header(kind, line, &id, &self.time, self.names));
    }

    fn message(&mut self, frame: &[u8]) {
        self.out.extend(frame);
        if let Some((_, count)) = &mut self.batch {
            *count += 1;
        }
    }

    fn close_batch(&mut self) {
        if let Some((separator, count)) = self.batch.take() {
            self.out.extend(trailer(Envelope::BatchTrailer, separator, count));
            self.batches += 1;
        }
    }

    fn close_file(&mut self) {
        if let Some(separator) = self.file.take() {
            self.out.extend(trailer(Envelope::FileTrailer, separator, self.batches));
            self.batches = 0;
        }
    }
}

/// MSH-7 of an acknowledgment.
fn time_of(frame: &[u8]) -> Vec<u8> {
    let separator = separator_of(frame);
    frame.split(|byte| *byte == separator).nth(6).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names { application: "PMS_LAB", facility: "MPS_PMS" };

    fn ack(id: &str) -> Part {
        let frame = format!("MSH|^~\\&|P|M|L|F|20260302080000||ACK|A{id}|P|2.5\rMSA|AA|{id}\r");
        Part::Replied(Reply::not_now(vec![frame.into_bytes()]))
    }

    fn envelope(kind: Envelope, line: &str) -> Part {
        Part::Envelope(kind, line.as_bytes().to_vec())
    }

    fn lines(parts: &[Part]) -> Vec<String> {
        let text = String::from_utf8_lossy(&build(parts, NAMES)).into_owned();
        // Ids are hashes.
        let short = |line: &str| match line.split_once("||||B") {
            Some((head, tail)) => {
                format!("{head} B{} {}", tail.len(), tail.rsplit('|').next().unwrap_or_default())
            }
            None => {
                line.split('|').next().unwrap_or_default().to_owned()
                    + line.rsplit('|').next().unwrap_or_default()
            }
        };
        text.split_terminator('\r').map(short).collect()
    }

    #[test]
    fn the_answer_mirrors_the_envelope() {
        let parts = [
            envelope(Envelope::FileHeader, "FHS|^~\\&|L|F|P|M|||||F9"),
            envelope(Envelope::BatchHeader, "BHS|^~\\&|L|F|P|M|||||B1"),
            ack("1"),
            ack("2"),
            envelope(Envelope::BatchTrailer, "BTS|2"),
            envelope(Envelope::BatchHeader, "BHS|^~\\&|L|F|P|M|||||B2"),
            envelope(Envelope::FileTrailer, "FTS|2"),
        ];
        let expected = [
            "FHS|^~\\&|P|M|L|F|20260302080000 B22 F9",
            "BHS|^~\\&|P|M|L|F|20260302080000 B22 B1",
            "MSH2.5",
            "MSA1",
            "MSH2.5",
            "MSA2",
            "BTS2",
            "BHS|^~\\&|P|M|L|F|20260302080000 B22 B2",
            "BTS0",
            "FTS2",
        ];
        assert_eq!(lines(&parts), expected);
    }

    #[test]
    fn an_empty_batch_has_an_empty_answer_and_the_same_again() {
        let parts = [envelope(Envelope::BatchHeader, "BHS|^~\\&"), envelope(Envelope::BatchTrailer, "BTS|0")];
        assert_eq!(lines(&parts), ["BHS|^~\\&|PMS_LAB|MPS_PMS||| B20 ", "BTS0"]);
        assert_eq!(build(&parts, NAMES), build(&parts, NAMES));
    }
}
