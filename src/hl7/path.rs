//! `PID-3[1].1`: naming a piece of a message, for rules and for people.

use super::SegmentName;
use super::message::Message;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A place: `SEG[nth]-field[repetition].component.subcomponent`; all but the first two are optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segment: SegmentName,
    nth: u16,
    field: u16,
    repetition: u16,
    component: Option<u16>,
    subcomponent: Option<u16>,
}

/// The text is not a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a path such as PID-3[1].1")]
pub struct BadPath;

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let (segment, rest) = text.split_once('-').ok_or(BadPath)?;
        let (name, nth) = indexed(segment)?;
        let mut parts = rest.split('.');
        let (field, repetition) = indexed(parts.next().ok_or(BadPath)?)?;
        let component = parts.next().map(count).transpose()?;
        let subcomponent = parts.next().map(count).transpose()?;
        if name.len() != 3 || parts.next().is_some() {
            return Err(BadPath);
        }
        let segment = SegmentName::new(name.as_bytes()).ok_or(BadPath)?;
        Ok(Self { segment, nth, field: count(field)?, repetition, component, subcomponent })
    }
}

/// `PID` or `PID[2]`.
fn indexed(text: &str) -> Result<(&str, u16), BadPath> {
    let Some((name, index)) = text.split_once('[') else { return Ok((text, 1)) };
    Ok((name, count(index.strip_suffix(']').ok_or(BadPath)?)?))
}

fn count(text: &str) -> Result<u16, BadPath> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|&n| digits && n > 0).ok_or(BadPath)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = |n: u16| if n == 1 { String::new() } else { format!("[{n}]") };
        write!(f, "{}{}-{}{}", self.segment, index(self.nth), self.field, index(self.repetition))?;
        [self.component, self.subcomponent].into_iter().flatten().try_for_each(|n| write!(f, ".{n}"))
    }
}

impl Path {
    /// What stands there, escapes decoded; none if empty or null. A path to a whole field keeps the
    /// delimiters of its components.
    pub fn get<'m>(&self, message: &'m Message<'_>) -> Option<Cow<'m, str>> {
        let mut segments = message.segments_named(self.segment.as_str());
        let segment = segments.nth(usize::from(self.nth) - 1)?;
        let repetition = segment.field(self.field).repetition(self.repetition);
        let found = match (self.component, self.subcomponent) {
            (None, _) => repetition.text(),
            (Some(c), None) => repetition.component(c).text(),
            (Some(c), Some(s)) => repetition.component(c).subcomponent(s).text(),
        };
        (!found.is_empty() && found != "\"\"").then_some(found)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_finds() {
        let text = "MSH|^~\\&|LAB\rPID|||1^^^A&B~2^^^C||Do\\S\\e\rOBX|1\rOBX|2|\"\"";
        let message = Message::parse(text).unwrap();
        let table = [
            ("MSH-1", Some("|")),
            ("MSH-2", Some("^~\\&")),
            ("PID-3", Some("1^^^A&B")),
            ("PID-3.1", Some("1")),
            ("PID-3[2].4", Some("C")),
            ("PID-3.4.2", Some("B")),
            ("PID-5.1", Some("Do^e")),
            ("OBX[2]-1", Some("2")),
            ("OBX[2]-2", None),
            ("OBX[3]-1", None),
            ("ZZZ-1", None),
        ];
        for (path, found) in table {
            let parsed: Path = path.parse().unwrap();
            assert_eq!(parsed.get(&message).as_deref(), found, "{path}");
            assert_eq!(parsed.to_string(), path);
        }
    }

    #[test]
    fn what_is_no_path() {
        for text in [
            "",
            "PID",
            "PID-",
            "PID-0",
            "PID-x",
            "pid-1",
            "PIDX-1",
            "PID-1[",
            "PID-1[0]",
            "PID-1.1.1.1",
            "PID-+1",
            "PID-99999",
        ] {
            assert_eq!(text.parse::<Path>(), Err(BadPath), "{text}");
        }
    }
}
