//! The answer to a batch: its acknowledgments in the envelope that it came in.
//!
//! A batch that comes again gets the same bytes, although nothing is stored of the envelope: its time and ids are made of
//! the first acknowledgment, which is stored, and of what was handed in.

use super::{Part, Reply};
use crate::{
    hl7::batch::{Envelope, Names, header, separator_of, trailer},
    security::{hex, sha256},
};

/// Bytes of envelopes that wait for the first acknowledgment, at most; then they go without its time.
const EARLY: usize = 1 << 20;

/// An envelope being filled. It can be taken away part by part, so that the answer to a long batch is never held as a whole.
pub(super) struct Filling<'a> {
    out: Vec<u8>,
    /// Bytes that were taken away.
    taken: usize,
    names: Names<'a>,
    /// SHA-256 of what is answered.
    input: [u8; 32],
    /// Time and seed of the ids, once known.
    begun: Option<(Vec<u8>, [u8; 32])>,
    /// Envelopes that came before the first acknowledgment.
    early: Vec<(Envelope, Vec<u8>)>,
    /// Separator and acknowledgments of the batch that is open.
    batch: Option<(u8, usize)>,
    batches: usize,
    file: Option<u8>,
}

/// Puts the replies into an envelope that mirrors the sender's. An answer that is not the last word gets ids that no later
/// one has.
pub(super) fn build(parts: &[Part], names: Names<'_>, input: [u8; 32]) -> Vec<u8> {
    let mut filling = Filling::new(names, input);
    let replies = || parts.iter().filter_map(Part::reply);
    if !replies().all(Reply::is_settled) {
        let frames: Vec<&[u8]> = replies().flat_map(Reply::frames).map(Vec::as_slice).collect();
        let time = frames.first().map(|frame| time_of(frame)).unwrap_or_default();
        filling.begun = Some((time, sha256(&frames.concat())));
    }
    for part in parts {
        filling.add(part);
    }
    filling.finish()
}

impl<'a> Filling<'a> {
    /// For the answer to what has this SHA-256.
    pub(super) fn new(names: Names<'a>, input: [u8; 32]) -> Self {
        Self {
            out: Vec::new(),
            taken: 0,
            names,
            input,
            begun: None,
            early: Vec::new(),
            batch: None,
            batches: 0,
            file: None,
        }
    }

    /// The next part.
    pub(super) fn add(&mut self, part: &Part) {
        match part {
            Part::Envelope(kind, line) if self.begun.is_none() => {
                self.early.push((*kind, line.clone()));
                if self.early.iter().map(|(_, line)| line.len()).sum::<usize>() > EARLY {
                    self.begin(&[]);
                }
            }
            Part::Envelope(kind, line) => self.envelope(*kind, line),
            Part::Replied(reply) => reply.frames().iter().for_each(|frame| self.message(frame)),
            Part::Waiting(_) => {}
        }
    }

    /// What is ready so far, once.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.taken += self.out.len();
        std::mem::take(&mut self.out)
    }

    /// The rest.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.begin(&[]);
        self.close_batch();
        self.close_file();
        self.out
    }

    fn begin(&mut self, first: &[u8]) {
        if self.begun.is_none() {
            self.begun = Some((time_of(first), sha256(&[first, &self.input].concat())));
            for (kind, line) in std::mem::take(&mut self.early) {
                self.envelope(kind, &line);
            }
        }
    }

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
        let Some((time, seed)) = &self.begun else { return };
        let place = (self.taken + self.out.len()).to_be_bytes();
        let id = hex(&sha256(&[seed.as_slice(), &place, line].concat()));
        // 20 characters at most, as for every control id.
        let id = format!("B{}", &id[..19]);
        self.out.extend(header(kind, line, &id, time, self.names));
    }

    fn message(&mut self, frame: &[u8]) {
        self.begin(frame);
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
    const INPUT: [u8; 32] = [7; 32];

    fn ack(id: &str) -> Part {
        let frame = format!("MSH|^~\\&|P|M|L|F|20260302080000||ACK|A{id}|P|2.5\rMSA|AA|{id}\r");
        Part::Replied(Reply::not_now(vec![frame.into_bytes()]))
    }

    fn envelope(kind: Envelope, line: &str) -> Part {
        Part::Envelope(kind, line.as_bytes().to_vec())
    }

    fn lines(parts: &[Part]) -> Vec<String> {
        let text = String::from_utf8_lossy(&build(parts, NAMES, INPUT)).into_owned();
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
        assert_eq!(build(&parts, NAMES, INPUT), build(&parts, NAMES, INPUT));
    }

    fn settled(id: &str) -> Part {
        match ack(id) {
            Part::Replied(reply) => Part::Replied(Reply::refuse(reply.frames().to_vec())),
            other => other,
        }
    }

    #[test]
    fn taken_away_in_parts_it_is_the_same() {
        let parts = [
            envelope(Envelope::FileHeader, "FHS|^~\\&|L|F|P|M|||||F9"),
            envelope(Envelope::BatchHeader, "BHS|^~\\&|L|F|P|M|||||B1"),
            settled("1"),
            settled("2"),
            envelope(Envelope::BatchHeader, "BHS|^~\\&|L|F|P|M|||||B2"),
            settled("3"),
        ];
        let (mut filling, mut taken) = (Filling::new(NAMES, INPUT), Vec::new());
        for part in &parts {
            filling.add(part);
            taken.extend(filling.take());
        }
        taken.extend(filling.finish());
        assert_eq!(taken, build(&parts, NAMES, INPUT));
        assert_ne!(taken, build(&parts, NAMES, [8; 32]), "other input, other ids");
    }

    #[test]
    fn an_answer_that_is_not_the_last_word_has_ids_of_its_own() {
        let head = || envelope(Envelope::BatchHeader, "BHS|^~\\&|L|F|P|M|||||B1");
        let first_line = |parts: &[Part]| {
            String::from_utf8(build(parts, NAMES, INPUT))
                .unwrap_or_default()
                .split('\r')
                .next()
                .map(str::to_owned)
        };
        let last = first_line(&[head(), settled("1"), settled("2")]);
        assert_ne!(first_line(&[head(), settled("1"), ack("2")]), last);
    }

    #[test]
    fn envelopes_without_end_are_not_held() {
        let mut filling = Filling::new(NAMES, INPUT);
        let line = format!("BHS|^~\\&|{}", "x".repeat(1000));
        let written: usize = (0..2 * EARLY / 1000)
            .map(|_| {
                filling.add(&envelope(Envelope::BatchHeader, &line));
                filling.take().len()
            })
            .sum();
        assert!(written > EARLY && filling.early.is_empty());
    }
}
