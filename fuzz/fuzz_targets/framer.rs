//! Any split of a stream gives the same frames, within the cap, and every byte is in a frame or counted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pms::hl7::frame::{Frame, Framer, wrap};

fuzz_target!(|input: &[u8]| {
    let [cap, cuts, stream @ ..] = input else { return };
    let cap = usize::from(*cap);
    let cuts = usize::from(*cuts).min(stream.len());
    let (cuts, stream) = stream.split_at(cuts);
    let (whole, frames) = run(cap, std::iter::once(stream));
    let (split, same) = run(cap, pieces(stream, cuts).into_iter());
    assert!(frames == same, "a split changes the frames");
    assert_eq!(whole.noise_bytes(), split.noise_bytes());
    assert_eq!(whole.truncated_frames(), split.truncated_frames());
    let mut kept = 0;
    for frame in &frames {
        kept += check(frame, cap);
    }
    assert!(kept + whole.noise_bytes() <= stream.len() as u64, "more came out than went in");
    sent_and_received(stream);
});

fn run<'a>(cap: usize, reads: impl Iterator<Item = &'a [u8]>) -> (Framer, Vec<Frame>) {
    let mut framer = Framer::new(cap);
    let mut frames = Vec::new();
    for read in reads {
        framer.push(read, &mut frames);
    }
    (framer, frames)
}

/// The stream in pieces of the lengths given, the last one being the rest.
fn pieces<'a>(mut stream: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, rest) = stream.split_at(usize::from(*length).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}

fn check(frame: &Frame, cap: usize) -> u64 {
    match frame {
        Frame::Message(bytes) => {
            assert!(!bytes.is_empty() && bytes.len() <= cap);
            assert!(!bytes.iter().any(|byte| matches!(byte, 0x0b | 0x1c)));
            bytes.len() as u64
        }
        Frame::Oversize { head, size } => {
            assert!(*size > cap as u64 && head.len() as u64 <= *size);
            *size
        }
    }
}

/// What `wrap` sends arrives as it was, whatever stood on the line before.
fn sent_and_received(bytes: &[u8]) {
    let message: Vec<u8> = bytes.iter().copied().filter(|byte| !matches!(byte, 0x0b | 0x1c)).collect();
    let sent = wrap(&message);
    let (_, frames) = run(usize::MAX, [bytes, &[0x1c], &sent].into_iter());
    match frames.last() {
        Some(Frame::Message(arrived)) if !message.is_empty() => assert_eq!(*arrived, message),
        _ => assert!(message.is_empty()),
    }
}
