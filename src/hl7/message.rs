//! A message as segments, fields, components: borrowed pieces of the text, found by offsets.
//!
//! Parsing makes two vectors and copies no text. Escapes are decoded only when a value is asked for.

pub use super::delimiters::Delimiters;
pub use super::segment::{Component, Field, Repetition, Segment};
use super::{ErrorCode, Fault, Location, SegmentName, Warning};

/// More kinds of segments than the standard has: not a message, and slow to number.
const MAX_KINDS: usize = 256;

pub(super) struct Span {
    pub(super) name: SegmentName,
    /// The how-manieth of its kind, from 1.
    pub(super) nth: u32,
    pub(super) end: u32,
    /// Where its field starts stand in `Message::starts`.
    pub(super) first_field: u32,
    pub(super) last_field: u32,
}

/// A line that is no segment.
#[derive(Clone, Copy)]
pub struct Stray<'a> {
    /// Line of the message, from 1.
    pub line: u32,
    /// What stood there.
    pub text: &'a str,
}

/// A parsed message.
pub struct Message<'a> {
    pub(super) text: &'a str,
    pub(super) delims: Delimiters,
    spans: Vec<Span>,
    pub(super) starts: Vec<u32>,
    strays: Vec<Stray<'a>>,
    warnings: Vec<Warning>,
}

impl<'a> Message<'a> {
    /// Reads one message. Line ends may be CR, LF or CRLF; anything but CR is a warning.
    ///
    /// A line that is no segment is kept: as part of the text it interrupts when that is what it is
    /// (`line_break_in_field`), else among [`Message::strays`] (`not_a_segment`).
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let mut warnings = Vec::new();
        let lead = text.len() - text.trim_start().len();
        if lead > 0 {
            warnings.push(Warning::new("leading_blank"));
        }
        let delims = header_delimiters(&text[lead..], &mut warnings)?;
        let mut parser = Parser {
            message: Self {
                text,
                delims,
                spans: Vec::with_capacity(16),
                starts: Vec::with_capacity(text.len().min(1 << 16) / 5),
                strays: Vec::new(),
                warnings,
            },
            kinds: Vec::with_capacity(16),
            own_end: None,
            strayed: false,
        };
        parser.lines(lead)?;
        Ok(parser.message)
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The delimiters it declared.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delims
    }

    /// The leniencies used on the way: `leading_blank`, `msh2_repaired`, `line_ends`,
    /// `line_break_in_field`, `not_a_segment`.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Lines that belong to no segment.
    pub fn strays(&self) -> &[Stray<'a>] {
        &self.strays
    }

    /// All segments in order; the first is MSH.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.spans.iter().map(|span| Segment::new(self, span))
    }

    /// The segments of one kind.
    pub fn segments_named(&self, name: &str) -> impl Iterator<Item = Segment<'_>> {
        self.segments().filter(move |segment| segment.name() == name)
    }

    /// The first segment of a kind.
    pub fn segment(&self, name: &str) -> Option<Segment<'_>> {
        self.segments_named(name).next()
    }

    /// MSH.
    pub fn header(&self) -> Segment<'_> {
        // `parse` refuses a text that does not start with MSH, so there is a first span.
        Segment::new(self, &self.spans[0])
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} segments)", self.spans.len())
    }
}

fn header_delimiters(text: &str, warnings: &mut Vec<Warning>) -> Result<Delimiters, Fault> {
    let msh = Location::segment(SegmentName::MSH, 1);
    let bytes = text.as_bytes();
    if u32::try_from(bytes.len()).is_err() {
        return Err(Fault::new(ErrorCode::ValueTooLong, "message over 4 GiB"));
    }
    if !bytes.starts_with(b"MSH") {
        return Err(Fault::new(ErrorCode::SegmentSequence, "message does not start with MSH").at(msh));
    }
    let bad = |field| Fault::new(ErrorCode::DataType, "delimiters cannot be used").at(msh.field(field));
    let &separator = bytes.get(3).ok_or_else(|| bad(1))?;
    let rest = &bytes[4..];
    let end = rest.iter().position(|&b| b == separator || b == b'\r' || b == b'\n');
    let encoding = &rest[..end.unwrap_or(rest.len())];
    let (delims, short) = Delimiters::read(separator, encoding).ok_or_else(|| bad(2))?;
    if short {
        warnings.push(Warning::at("msh2_repaired", msh.field(2)));
    }
    Ok(delims)
}

/// How a line ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Cr,
    Lf,
    CrLf,
}

struct Parser<'a> {
    message: Message<'a>,
    /// How many segments of each kind so far.
    kinds: Vec<(SegmentName, u32)>,
    /// The end of the first line: what this sender means by "end of segment".
    own_end: Option<LineEnd>,
    /// A line was set apart since the last segment: what follows is no longer next to its text.
    strayed: bool,
}

impl Parser<'_> {
    fn lines(&mut self, lead: usize) -> Result<(), Fault> {
        let text = self.message.text;
        let end = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{1a}').len();
        let mut at = lead;
        let mut number = 1 + text[..lead].matches('\n').count() as u32;
        let mut before = None;
        let mut odd_ends = false;
        while at < end {
            let (stop, ending) = line_end(&text.as_bytes()[..end], at);
            self.line(at, stop, number, before)?;
            number += 1;
            before = ending;
            self.own_end = self.own_end.or(ending);
            odd_ends |= ending.is_some_and(|e| e != LineEnd::Cr);
            at = stop
                + match ending {
                    None => 0,
                    Some(LineEnd::CrLf) => 2,
                    Some(_) => 1,
                };
        }
        if odd_ends || text[end..].contains('\n') {
            self.message.warnings.push(Warning::new("line_ends"));
        }
        Ok(())
    }

    fn line(&mut self, start: usize, end: usize, number: u32, before: Option<LineEnd>) -> Result<(), Fault> {
        let line = &self.message.text[start..end];
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let body = &line.as_bytes()[indent..];
        let name = SegmentName::new(body).filter(|_| self.ends_name(body.get(3)));
        if let Some(name) = name {
            return self.segment(name, start + indent, end);
        }
        if body.is_empty() {
            return Ok(());
        }
        let place = self.message.spans.last().map(|s| Location::segment(s.name, s.nth));
        let code = if self.continues(body, before) {
            self.extend(end);
            "line_break_in_field"
        } else {
            self.strayed = true;
            self.message.strays.push(Stray { line: number, text: line });
            "not_a_segment"
        };
        self.message.warnings.push(Warning { code, location: place });
        Ok(())
    }

    fn ends_name(&self, next: Option<&u8>) -> bool {
        next.is_none_or(|&b| b == self.message.delims.field)
    }

    fn segment(&mut self, name: SegmentName, start: usize, end: usize) -> Result<(), Fault> {
        let nth = self.count(name)?;
        self.strayed = false;
        let place = Location::segment(name, nth);
        if name == SegmentName::MSH && nth > 1 {
            // Reading on would file the second message's results under the first one's patient.
            return Err(Fault::new(ErrorCode::SegmentSequence, "several messages in one").at(place));
        }
        let first_field = self.message.starts.len() as u32;
        self.message.starts.push(start as u32);
        let span = Span { name, nth, end: start as u32, first_field, last_field: first_field };
        self.message.spans.push(span);
        self.extend(end);
        Ok(())
    }

    /// Lets the last segment run on to `end`.
    fn extend(&mut self, end: usize) {
        let Some(span) = self.message.spans.last_mut() else { return };
        let from = span.end as usize;
        let separator = self.message.delims.field;
        let bytes = &self.message.text.as_bytes()[from..end];
        for (i, &b) in bytes.iter().enumerate() {
            if b == separator {
                self.message.starts.push((from + i + 1) as u32);
            }
        }
        span.end = end as u32;
        span.last_field = self.message.starts.len() as u32 - 1;
    }

    fn count(&mut self, name: SegmentName) -> Result<u32, Fault> {
        if let Some((_, count)) = self.kinds.iter_mut().find(|(kind, _)| *kind == name) {
            *count += 1;
            return Ok(*count);
        }
        if self.kinds.len() == MAX_KINDS {
            return Err(Fault::new(ErrorCode::OtherHl7, "too many kinds of segments"));
        }
        self.kinds.push((name, 1));
        Ok(1)
    }

    /// Whether a line that is no segment is the rest of the field before it. Losing the second line
    /// of a finding is the worst that can happen to it, so text fields take such lines in; so does
    /// any field when the line before did not end the way this sender ends segments.
    fn continues(&self, body: &[u8], before: Option<LineEnd>) -> bool {
        let Some(span) = self.message.spans.last() else { return false };
        let apart = self.strayed || (self.ends_name(body.get(3)) && is_known_name(body));
        let field = span.last_field - span.first_field;
        let in_text = matches!((span.name.as_str(), field), ("OBX", 5) | ("NTE", 3));
        let foreign_end = before.is_some() && self.own_end.is_some() && before != self.own_end;
        !apart && (in_text || (foreign_end && field > 0 && span.name != SegmentName::MSH))
    }
}

/// A segment written in small letters: not taken as one, but no part of a text either.
fn is_known_name(body: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [b"MSH", b"PID", b"PV1", b"ORC", b"OBR", b"OBX", b"NTE", b"SPM", b"DSC"];
    let is = |name: &[u8]| NAMES.iter().any(|known| known.eq_ignore_ascii_case(name));
    body.get(..3).is_some_and(is)
}

/// Where the line that starts at `at` ends, and how.
fn line_end(bytes: &[u8], at: usize) -> (usize, Option<LineEnd>) {
    let Some(length) = bytes[at..].iter().position(|&b| b == b'\r' || b == b'\n') else {
        return (bytes.len(), None);
    };
    let stop = at + length;
    let ending = match (bytes[stop], bytes.get(stop + 1)) {
        (b'\n', _) => LineEnd::Lf,
        (_, Some(b'\n')) => LineEnd::CrLf,
        _ => LineEnd::Cr,
    };
    (stop, Some(ending))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MSH: &str = r"MSH|^~\&|LAB|H||PMS|20240101||ORU^R01|7|P|2.5.1";

    fn parse(text: &str) -> Message<'_> {
        Message::parse(text).unwrap()
    }

    fn codes(message: &Message<'_>) -> Vec<&'static str> {
        message.warnings().iter().map(|w| w.code).collect()
    }

    #[test]
    fn msh_is_numbered_from_its_separator() {
        let message = parse(MSH);
        let msh = message.header();
        assert_eq!(msh.field(1).raw(), "|");
        assert_eq!(msh.field(2).text(), r"^~\&");
        assert_eq!(msh.field(2).component(1).text(), r"^~\&");
        assert_eq!(msh.field(9).component(2).text(), "R01");
        assert_eq!(msh.field(12).raw(), "2.5.1");
        assert!(msh.field(13).is_empty() && msh.field(0).is_empty());
        assert_eq!(msh.field_count(), 12);
    }

    #[test]
    fn own_delimiters() {
        let message = parse("MSH$%*!@$LAB\rPID$$$1%2@3*4!S!5");
        let pid = message.segment("PID").unwrap();
        let ids: Vec<_> = pid.field(3).repetitions().map(|r| r.component(1).text().into_owned()).collect();
        assert_eq!(ids, ["1", "4%5"]);
        assert_eq!(pid.field(3).component(2).subcomponent(2).text(), "3");
    }

    #[test]
    fn line_ends_of_all_kinds() {
        for (end, odd) in [("\r", false), ("\n", true), ("\r\n", true)] {
            let text = format!("{MSH}{end}PID|1{end}{end}OBX|1{end}");
            let message = parse(&text);
            let names: Vec<_> = message.segments().map(|s| s.name().to_owned()).collect();
            assert_eq!(names, ["MSH", "PID", "OBX"]);
            assert_eq!(codes(&message).contains(&"line_ends"), odd);
        }
    }

    #[test]
    fn segments_are_counted_by_kind() {
        let text = format!("{MSH}\rOBX|1\rNTE|1\rOBX|2");
        let message = parse(&text);
        let last = message.segments_named("OBX").last().unwrap();
        assert_eq!((last.index_of_kind(), last.field(1).raw()), (2, "2"));
        assert_eq!(last.at(5).to_string(), "OBX^2^5");
    }

    #[test]
    fn a_broken_line_stays_in_its_text() {
        let text = format!("{MSH}\rOBX|1|TX|c||no\n\nchange|||||F\rOBX|2|TX|c||one\rtwo|||||F\rOBX|3");
        let message = parse(&text);
        let obx: Vec<_> = message.segments_named("OBX").collect();
        assert_eq!(obx.len(), 3);
        assert_eq!((obx[0].field(5).raw(), obx[0].field(10).raw()), ("no\n\nchange", "F"));
        assert_eq!((obx[1].field(5).raw(), obx[1].field(10).raw()), ("one\rtwo", "F"));
        assert_eq!(codes(&message), ["line_break_in_field", "line_break_in_field", "line_ends"]);
    }

    #[test]
    fn a_stray_line_is_kept_apart() {
        let text = format!("{MSH}\rPID|1||5\rgarbage\robx|1|NM\rOBX|1");
        let message = parse(&text);
        let strays: Vec<_> = message.strays().iter().map(|s| (s.line, s.text)).collect();
        assert_eq!(strays, [(3, "garbage"), (4, "obx|1|NM")]);
        assert_eq!(codes(&message), ["not_a_segment"; 2]);
        assert_eq!(message.segment("PID").unwrap().field(3).raw(), "5");
    }

    #[test]
    fn what_is_no_message() {
        for (text, place) in [
            ("", "MSH^1"),
            ("PID|1", "MSH^1"),
            ("MSH", "MSH^1^1"),
            ("MSH|^^^^|A", "MSH^1^2"),
            ("MSHA^~\\&A", "MSH^1^1"),
        ] {
            let fault = Message::parse(text).unwrap_err();
            let shown = fault.location.unwrap().to_string();
            assert!(shown == place || shown == "MSH^1^2", "{text} {shown}");
        }
        let two = format!("{MSH}\rPID|1\r{MSH}\rPID|2");
        assert_eq!(Message::parse(&two).unwrap_err().location.unwrap().to_string(), "MSH^2");
    }

    #[test]
    fn short_header_and_blank_lines_are_tolerated() {
        let message = parse("\r\n MSH|^~|LAB\r  PID|1\r\n \r\n");
        assert_eq!(message.segments().count(), 2);
        assert_eq!(codes(&message), ["leading_blank", "msh2_repaired", "line_ends"]);
        assert_eq!(message.delimiters(), &Delimiters::DEFAULT);
    }

    #[test]
    fn null_and_empty_differ() {
        let text = format!("{MSH}\rPID|\"\"||");
        let message = parse(&text);
        let pid = message.segment("PID").unwrap();
        assert!(pid.field(1).is_null() && !pid.field(1).is_empty());
        assert!(pid.field(2).is_empty() && !pid.field(2).is_null());
        assert_eq!(pid.field(1).value(), None);
    }

    proptest! {
        #[test]
        fn fields_put_together_are_the_segment(tail in r"[A-Z0-9|^~\\&\r\n é]{0,120}") {
            let text = format!("{MSH}\r{tail}");
            let Ok(message) = Message::parse(&text) else { return Ok(()) };
            for segment in message.segments().skip(1) {
                let fields: Vec<_> = (1..=segment.field_count()).map(|n| segment.field(n).raw()).collect();
                let joined = [vec![segment.name()], fields].concat().join("|");
                prop_assert_eq!(joined, segment.raw());
            }
            let solid = |s: &str| s.chars().filter(|c| !c.is_whitespace()).count();
            let seen: usize = message.segments().map(|s| solid(s.raw())).sum();
            let apart: usize = message.strays().iter().map(|s| solid(s.text)).sum();
            prop_assert_eq!(seen + apart, solid(&text), "nothing is lost");
        }
    }
}
