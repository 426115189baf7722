//! Whatever the text: no panic, no character lost between the segments, and all views can be taken.

#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use pms::hl7::{
    adt::Adt,
    batch::{self, Piece, Splitter},
    frame::Frame,
    header::Header,
    message::Message,
    orm::Orm,
    oru::Oru,
    path::Path,
    segment::Segment,
    siu::Siu,
    tree::tree,
};

fuzz_target!(|input: &[u8]| {
    pieces(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(message) = Message::parse(text) else { return };
    nothing_is_lost(&message);
    for segment in message.segments() {
        fields_are_the_segment(&segment, char::from(message.delimiters().field));
    }
    views(&message);
});

/// What is handed in as a whole is cut at its messages, and in the same places however it is read.
fn pieces(input: &[u8]) {
    let pieces = batch::pieces(input);
    let (mut splitter, mut again) = (Splitter::new(usize::MAX), Vec::new());
    for read in input.chunks(7) {
        splitter.push(read, &mut again);
    }
    splitter.finish(&mut again);
    assert!(pieces == again, "a split changes the pieces");
    for piece in &pieces {
        if let Piece::Message(Frame::Message(message)) = piece {
            assert!(message.windows(3).any(|name| name == b"MSH"));
            let inner = batch::pieces(message);
            assert!(matches!(inner.as_slice(), [Piece::Message(_)]), "a message is one message");
        }
    }
}

fn views(message: &Message<'_>) {
    let nodes = tree(message);
    assert_eq!(nodes.len(), message.segments().count());
    let _ = Header::read(message);
    let _ = (Orm::read(message), Adt::read(message), Siu::read(message));
    if let Ok(view) = Oru::read(message) {
        let stored = view.observations().count();
        assert_eq!(stored, message.segments_named("OBX").count(), "an observation is lost");
    }
    for path in ["MSH-9", "PID-3[2].4.2", "OBX[3]-5"] {
        if let Ok(path) = path.parse::<Path>() {
            path.get(message);
        }
    }
}

/// What stands in no segment and is no stray line is white space.
fn nothing_is_lost(message: &Message<'_>) {
    let text = message.text();
    let mut places: Vec<Range<usize>> = message
        .segments()
        .map(|segment| segment.raw())
        .chain(message.strays().iter().map(|stray| stray.text))
        .map(|piece| offset(text, piece)..offset(text, piece) + piece.len())
        .collect();
    places.sort_by_key(|place| place.start);
    let mut at = 0;
    for place in places {
        assert!(place.start >= at, "two pieces share text");
        blank(&text[at..place.start]);
        at = place.end;
    }
    blank(&text[at..]);
}

fn offset(text: &str, piece: &str) -> usize {
    piece.as_ptr().addr() - text.as_ptr().addr()
}

fn blank(text: &str) {
    assert!(text.chars().all(|c| c.is_whitespace() || c == '\u{1a}'), "text is lost: {text:?}");
}

fn fields_are_the_segment(segment: &Segment<'_>, separator: char) {
    // The first field of MSH and its kin is the separator itself.
    let shift = u16::from(segment.kind().defines_delimiters());
    let mut rebuilt = segment.name().to_owned();
    for n in 1 + shift..=segment.field_count() {
        rebuilt.push(separator);
        let field = segment.field(n);
        rebuilt.push_str(field.raw());
        let _ = (field.value(), field.text(), field.is_null());
        for repetition in field.repetitions() {
            let _ = repetition.has_unknown_escape();
            for component in repetition.components() {
                let _ = component.subcomponents().map(|sub| sub.text()).count();
            }
        }
    }
    assert_eq!(rebuilt, segment.raw());
}
