//! Senders that put a value in another field than the standard does.
//!
//! The message is written anew with each such value copied to where it belongs, so that everything behind reads
//! standard positions only. The bytes as received stay as they are; this is a view of them.

use std::str::FromStr;

use super::SegmentName;
use super::message::{Message, Segment};

/// A field or a component: `OBX-11`, `PID-3.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    segment: SegmentName,
    field: u16,
    component: Option<u16>,
}

/// Why a list of positions cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPosition {
    /// Not a position.
    #[error("positions must be fields or components, such as OBX-11 or PID-3.1")]
    Unreadable,
    /// A value cannot move to another segment: they do not come in pairs.
    #[error("a value can be moved within its segment only")]
    OtherSegment,
    /// The header says how to read the rest.
    #[error("fields of MSH, BHS and FHS cannot be moved")]
    Header,
}

/// Where a sender puts what the standard has elsewhere: pairs of the standard's place and the sender's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions(Vec<(Position, Position)>);

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let (name, rest) = text.split_once('-').ok_or(BadPosition::Unreadable)?;
        let segment = SegmentName::new(name.as_bytes()).filter(|_| name.len() == 3);
        let segment = segment.ok_or(BadPosition::Unreadable)?;
        if segment.defines_delimiters() {
            return Err(BadPosition::Header);
        }
        let (field, component) =
            rest.split_once('.').map_or((rest, None), |(field, part)| (field, Some(part)));
        Ok(Self { segment, field: number(field)?, component: component.map(number).transpose()? })
    }
}

/// A field or component number; no segment has more than a few dozen.
fn number(text: &str) -> Result<u16, BadPosition> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|n| digits && (1..=200).contains(n)).ok_or(BadPosition::Unreadable)
}

impl Positions {
    /// From pairs of a standard position and the sender's.
    pub fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadPosition> {
        let pair = |(to, from): (&str, &str)| {
            let (to, from): (Position, Position) = (to.parse()?, from.parse()?);
            if to.segment == from.segment { Ok((to, from)) } else { Err(BadPosition::OtherSegment) }
        };
        pairs.into_iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// Nothing stands elsewhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message with every value where the standard has it. A value that the sender leaves out moves nothing.
    pub fn apply(&self, message: &Message<'_>) -> String {
        let mut text = String::with_capacity(message.text().len() + 64);
        for segment in message.segments() {
            self.segment(message, &segment, &mut text);
            text.push('\r');
        }
        text
    }

    fn segment(&self, message: &Message<'_>, segment: &Segment<'_>, text: &mut String) {
        let moves: Vec<_> = self.0.iter().filter(|(to, _)| to.segment == segment.kind()).collect();
        if moves.is_empty() {
            text.push_str(segment.raw());
            return;
        }
        let delims = message.delimiters();
        let (field, component) = (char::from(delims.field), char::from(delims.component));
        let mut fields: Vec<String> = segment.raw().split(field).map(str::to_owned).collect();
        for (to, from) in moves {
            let source = segment.field(from.field);
            let value = match from.component {
                None => source.raw(),
                Some(n) => source.repetition(1).component(n).raw(),
            };
            if !value.is_empty() {
                let target = part_mut(&mut fields, usize::from(to.field));
                *target = match to.component {
                    None => value.to_owned(),
                    Some(n) => with_component(target, usize::from(n), value, component),
                };
            }
        }
        text.push_str(&fields.join(&field.to_string()));
    }
}

fn part_mut(parts: &mut Vec<String>, index: usize) -> &mut String {
    if parts.len() <= index {
        parts.resize(index + 1, String::new());
    }
    &mut parts[index]
}

fn with_component(field: &str, n: usize, value: &str, separator: char) -> String {
    let mut parts: Vec<String> = field.split(separator).map(str::to_owned).collect();
    value.clone_into(part_mut(&mut parts, n - 1));
    parts.join(&separator.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn applied(pairs: &[(&str, &str)], body: &str) -> String {
        let text = format!("MSH|^~\\&|A\r{body}");
        let positions = Positions::read(pairs.iter().copied()).unwrap();
        let moved = positions.apply(&Message::parse(&text).unwrap());
        moved.strip_prefix("MSH|^~\\&|A\r").unwrap().trim_end().to_owned()
    }

    #[test]
    fn values_move_within_their_segment() {
        assert_eq!(applied(&[("OBX-11", "OBX-10")], "OBX|1|NM|K||5|||||P"), "OBX|1|NM|K||5|||||P|P");
        assert_eq!(applied(&[("PID-3", "PID-2")], "PID|1|77^^^H^MR||"), "PID|1|77^^^H^MR|77^^^H^MR|");
        assert_eq!(applied(&[("PID-5.2", "PID-6.1")], "PID|||1||Doe|Jane^X"), "PID|||1||Doe^Jane|Jane^X");
        assert_eq!(applied(&[("OBR-25", "OBR-24.2")], "OBR|1"), "OBR|1", "nothing sent, nothing moved");
        assert_eq!(applied(&[("OBX-11", "OBX-10")], "OBR|1||||||||||x"), "OBR|1||||||||||x");
    }

    #[test]
    fn several_moves_read_what_was_sent() {
        let swapped = applied(&[("OBR-2", "OBR-3"), ("OBR-3", "OBR-2")], "OBR|1|P|F|x");
        assert_eq!(swapped, "OBR|1|F|P|x");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (to, from, error) in [
            ("OBX-11", "OBR-25", BadPosition::OtherSegment),
            ("MSH-10", "MSH-13", BadPosition::Header),
            ("OBX", "OBX-3", BadPosition::Unreadable),
            ("OBX-0", "OBX-3", BadPosition::Unreadable),
            ("OBX-1.2.3", "OBX-3", BadPosition::Unreadable),
            ("OBX-+1", "OBX-3", BadPosition::Unreadable),
        ] {
            assert_eq!(Positions::read([(to, from)]), Err(error), "{to} {from}");
        }
    }
}
