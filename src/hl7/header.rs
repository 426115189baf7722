//! MSH: who sent what to whom, and how they want to be answered.

use super::datatypes::Hd;
use super::datetime::Timestamp;
use super::message::{Delimiters, Message};
use super::{Location, SegmentName, Warning};
use std::borrow::Cow;

/// MSH as typed values. What is missing is a value; whether that is a fault is decided elsewhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// MSH-3.
    pub sending_application: Hd,
    /// MSH-4.
    pub sending_facility: Hd,
    /// MSH-5.
    pub receiving_application: Hd,
    /// MSH-6.
    pub receiving_facility: Hd,
    /// MSH-7.
    pub message_time: Option<Timestamp>,
    /// MSH-8.
    pub security: Option<String>,
    /// MSH-9.1.
    pub message_code: Option<String>,
    /// MSH-9.2.
    pub trigger: Option<String>,
    /// MSH-9.3.
    pub structure: Option<String>,
    /// MSH-10.
    pub control_id: Option<String>,
    /// MSH-11.1.
    pub processing_id: Option<String>,
    /// MSH-12.1.
    pub version: Option<String>,
    /// MSH-13.
    pub sequence_number: Option<String>,
    /// MSH-14: the message goes on in another one.
    pub continuation: Option<String>,
    /// MSH-15.
    pub accept_ack: Option<String>,
    /// MSH-16.
    pub application_ack: Option<String>,
    /// MSH-18.
    pub charset: Option<String>,
    /// What an answer repeats, as sent.
    pub echo: HeaderPeek,
}

// MSH-8 may be a shared secret.
super::redact_debug!(Header);

impl Header {
    /// Reads MSH.
    pub fn read(message: &Message<'_>) -> Self {
        let msh = message.header();
        let value = |n| msh.value(n).map(Cow::into_owned);
        let kind = |n| msh.field(9).component(n).value().map(Cow::into_owned);
        Self {
            sending_application: Hd::read(msh.field(3)),
            sending_facility: Hd::read(msh.field(4)),
            receiving_application: Hd::read(msh.field(5)),
            receiving_facility: Hd::read(msh.field(6)),
            message_time: msh.value(7).and_then(|t| Timestamp::parse(&t)),
            security: value(8),
            message_code: kind(1),
            trigger: kind(2),
            structure: kind(3),
            control_id: value(10),
            processing_id: value(11),
            version: value(12),
            sequence_number: value(13),
            continuation: value(14),
            accept_ack: value(15),
            application_ack: value(16),
            charset: value(18),
            echo: HeaderPeek::read(message),
        }
    }

    /// Enhanced acknowledgement: at least one of MSH-15 and MSH-16 is valued.
    pub fn is_enhanced(&self) -> bool {
        self.accept_ack.is_some() || self.application_ack.is_some()
    }
}

/// What is missing in a header or odd, and still does not matter to what follows.
pub(super) fn leniencies(header: &Header, warnings: &mut Vec<Warning>) {
    let msh = Location::segment(SegmentName::MSH, 1);
    let version = header.version.as_deref().unwrap_or_default();
    // Before 2.3.1 there was no third component.
    let has_structure = !["2", "2.1", "2.2", "2.3"].contains(&version);
    let expected = match (header.message_code.as_deref(), header.trigger.as_deref()) {
        (Some("ORU"), None | Some("R01")) => "ORU_R01",
        _ => "",
    };
    match header.structure.as_deref() {
        None if has_structure && !expected.is_empty() => {
            warnings.push(Warning::at("structure_missing", msh.field(9)));
        }
        Some(structure) if !expected.is_empty() && structure != expected => {
            warnings.push(Warning::at("structure_unexpected", msh.field(9)));
        }
        _ => {}
    }
    if header.trigger.is_none() {
        warnings.push(Warning::at("event_missing", msh.field(9)));
    }
    if header.version.is_none() {
        warnings.push(Warning::at("version_missing", msh.field(12)));
    }
    if header.message_time.as_ref().is_none_or(|time| time.offset.is_none()) {
        warnings.push(Warning::at("zone_assumed", msh.field(7)));
    }
}

/// The parts of a header that an answer repeats, as they were sent and still escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPeek {
    /// MSH-1 and MSH-2.
    pub delimiters: Delimiters,
    /// MSH-3.
    pub sending_application: String,
    /// MSH-4.
    pub sending_facility: String,
    /// MSH-5.
    pub receiving_application: String,
    /// MSH-6.
    pub receiving_facility: String,
    /// MSH-9.
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-11.
    pub processing_id: String,
    /// MSH-12.
    pub version: String,
    /// MSH-18.
    pub charset: String,
}

impl Default for HeaderPeek {
    fn default() -> Self {
        Self::from_fields(Delimiters::DEFAULT, |_| "")
    }
}

impl HeaderPeek {
    /// From a parsed message.
    pub fn read(message: &Message<'_>) -> Self {
        let msh = message.header();
        Self::from_fields(*message.delimiters(), |n| msh.field(n).raw())
    }

    /// MSH-9.2, if it is safe to repeat.
    pub fn trigger(&self) -> &str {
        let trigger = self.message_type.split(char::from(self.delimiters.component)).nth(1);
        trigger.unwrap_or_default().trim()
    }

    /// MSH-12.1.
    pub fn version_id(&self) -> &str {
        let version = self.version.split(char::from(self.delimiters.component)).next();
        version.unwrap_or_default().trim()
    }

    fn from_fields<'f>(delimiters: Delimiters, field: impl Fn(u16) -> &'f str) -> Self {
        let safe = |n| {
            let raw = field(n);
            if raw.contains(char::is_control) { String::new() } else { raw.to_owned() }
        };
        Self {
            delimiters,
            sending_application: safe(3),
            sending_facility: safe(4),
            receiving_application: safe(5),
            receiving_facility: safe(6),
            message_type: safe(9),
            control_id: safe(10),
            processing_id: safe(11),
            version: safe(12),
            charset: safe(18),
        }
    }
}

/// Reads what an answer needs from bytes that could not be decoded, parsed or kept whole, so that a
/// refusal still names the control id. Fields that are not UTF-8 count as empty.
pub fn peek_header(bytes: &[u8]) -> Option<HeaderPeek> {
    let narrow: Vec<u8>;
    let bytes = if super::charset::is_wide(bytes) {
        // Refused whatever it says, but by its control id: a header is ASCII, so its zeros and its mark can go.
        narrow = bytes.iter().take(8192).copied().filter(|byte| !matches!(byte, 0 | 0xFE | 0xFF)).collect();
        narrow.as_slice()
    } else {
        bytes
    };
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next()?;
    let (b"MSH", &[separator, ..]) = line.split_at_checked(3)? else { return None };
    let fields: Vec<&str> = line
        .split(|&b| b == separator)
        .take(18)
        .map(|field| std::str::from_utf8(field).unwrap_or_default())
        .collect();
    let field = |n: u16| fields.get(usize::from(n) - 1).copied().unwrap_or_default();
    let (delimiters, _) = Delimiters::read(separator, field(2).as_bytes())?;
    Some(HeaderPeek::from_fields(delimiters, field))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "MSH|^~\\&|LAB^1.2^ISO|^2.16^ISO|PMS|HOSP|20240315103000+0100|s|ORU^R01^ORU_R01|C\\T\\1|T^A|2.5.1^USA|7||AL|NE||UNICODE UTF-8";

    #[test]
    fn every_field_in_its_place() {
        let header = Header::read(&Message::parse(TEXT).unwrap());
        assert_eq!(header.sending_application.key(), Some("LAB"));
        assert_eq!(header.sending_facility.key(), Some("2.16"));
        assert_eq!(header.message_code.as_deref(), Some("ORU"));
        assert_eq!(header.trigger.as_deref(), Some("R01"));
        assert_eq!(header.structure.as_deref(), Some("ORU_R01"));
        assert_eq!(header.control_id.as_deref(), Some("C&1"));
        assert_eq!(header.processing_id.as_deref(), Some("T"));
        assert_eq!(header.version.as_deref(), Some("2.5.1"));
        assert_eq!(header.sequence_number.as_deref(), Some("7"));
        assert_eq!(
            (header.accept_ack.as_deref(), header.application_ack.as_deref()),
            (Some("AL"), Some("NE"))
        );
        assert_eq!(header.charset.as_deref(), Some("UNICODE UTF-8"));
        assert_eq!(header.echo.control_id, "C\\T\\1");
        assert_eq!(header.echo.trigger(), "R01");
        assert!(header.is_enhanced());
    }

    #[test]
    fn a_peek_sees_what_the_parser_sees() {
        let header = Header::read(&Message::parse(TEXT).unwrap());
        assert_eq!(peek_header(TEXT.as_bytes()), Some(header.echo));
        let broken = [&TEXT.as_bytes()[..40], b"\xff", &TEXT.as_bytes()[40..], b"\rPID|\xff"].concat();
        assert_eq!(peek_header(&broken).unwrap().control_id, "C\\T\\1");
        let wide: Vec<u8> = TEXT.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(peek_header(&wide).unwrap().control_id, "C\\T\\1");
        assert_eq!(peek_header(b"PID|1"), None);
        assert_eq!(peek_header(b"MSH"), None);
        assert_eq!(peek_header(b"MSH|").unwrap().control_id, "");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_peeked(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            peek_header(&bytes);
            peek_header(&[b"MSH|^~\\&".as_slice(), &bytes].concat());
        }
    }
}
