//! What went wrong and where, in terms that may be logged and sent: codes, places and fixed texts.

use std::fmt;

/// The codes of table 0357 we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// 0: no error; carries warnings in an accepting answer.
    Accepted,
    /// 100: segments missing or out of order.
    SegmentSequence,
    /// 101: a required field is empty.
    RequiredFieldMissing,
    /// 102: bytes or text that are not of the field's type.
    DataType,
    /// 103: a code that its table does not hold.
    TableValueNotFound,
    /// 104: longer than we take.
    ValueTooLong,
    /// 199: any other fault of the message.
    OtherHl7,
    /// 200: MSH-9.1 is not one of ours.
    UnsupportedMessageType,
    /// 201: MSH-9.2 is not one of ours.
    UnsupportedEvent,
    /// 202: MSH-11 is not accepted here.
    UnsupportedProcessingId,
    /// 203: MSH-12 is not accepted here.
    UnsupportedVersion,
    /// 204: a patient, order or other key we do not know.
    UnknownKey,
    /// 205: a key that exists already.
    DuplicateKey,
    /// 206: the record is locked.
    RecordLocked,
    /// 207: our own failure; the same message may be sent again.
    Internal,
}

impl ErrorCode {
    /// The number in table 0357.
    pub fn number(self) -> u16 {
        match self {
            Self::Accepted => 0,
            Self::SegmentSequence => 100,
            Self::RequiredFieldMissing => 101,
            Self::DataType => 102,
            Self::TableValueNotFound => 103,
            Self::ValueTooLong => 104,
            Self::OtherHl7 => 199,
            Self::UnsupportedMessageType => 200,
            Self::UnsupportedEvent => 201,
            Self::UnsupportedProcessingId => 202,
            Self::UnsupportedVersion => 203,
            Self::UnknownKey => 204,
            Self::DuplicateKey => 205,
            Self::RecordLocked => 206,
            Self::Internal => 207,
        }
    }

    /// The text of table 0357.
    pub fn text(self) -> &'static str {
        match self {
            Self::Accepted => "Message accepted",
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::ValueTooLong => "Value too long",
            Self::OtherHl7 => "Other HL7 error",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEvent => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::Internal => "Application internal error",
        }
    }
}

/// A message that cannot be taken. Holds no content of the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {} ({reason}){}", code.number(), code.text(), At(*location))]
pub struct Fault {
    /// Why, as table 0357 says it.
    pub code: ErrorCode,
    /// Where, if a place can be named.
    pub location: Option<Location>,
    /// A fixed sentence for whoever reads the log.
    pub reason: &'static str,
}

impl Fault {
    /// A fault without a place.
    pub fn new(code: ErrorCode, reason: &'static str) -> Self {
        Self { code, location: None, reason }
    }

    /// The same fault with its place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }
}

/// Writes ` at PID^1^3`, or nothing.
struct At(Option<Location>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |location| write!(f, " at {location}"))
    }
}

/// A leniency that was used. Holds no content of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable word, such as `status_from_obx10`.
    pub code: &'static str,
    /// Where, if a place can be named.
    pub location: Option<Location>,
}

impl Warning {
    /// A warning about the message as a whole.
    pub fn new(code: &'static str) -> Self {
        Self { code, location: None }
    }

    /// A warning about one place.
    pub fn at(code: &'static str, location: Location) -> Self {
        Self { code, location: Some(location) }
    }
}

/// Three characters, `[A-Z][A-Z0-9]{2}`; nothing else can be built.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName([u8; 3]);

impl SegmentName {
    /// Message header.
    pub const MSH: Self = Self(*b"MSH");
    /// Patient identification.
    pub const PID: Self = Self(*b"PID");
    /// Observation request.
    pub const OBR: Self = Self(*b"OBR");
    /// Message acknowledgement.
    pub const MSA: Self = Self(*b"MSA");

    /// The name at the start of a line, if it is one.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let [a, b, c] = *bytes.first_chunk::<3>()?;
        let tail = |x: u8| x.is_ascii_uppercase() || x.is_ascii_digit();
        (a.is_ascii_uppercase() && tail(b) && tail(c)).then_some(Self([a, b, c]))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// MSH, BHS and FHS define delimiters: their fields 1 and 2 are not split.
    pub fn defines_delimiters(self) -> bool {
        matches!(&self.0, b"MSH" | b"BHS" | b"FHS")
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a message as ERL names it; all counts start at 1, 0 means "not named".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// Segment kind.
    pub segment: SegmentName,
    /// The how-manieth segment of that kind.
    pub sequence: u32,
    /// Field.
    pub field: u16,
    /// Repetition of the field.
    pub repetition: u16,
    /// Component.
    pub component: u16,
    /// Subcomponent.
    pub subcomponent: u16,
}

impl Location {
    /// A whole segment.
    pub fn segment(segment: SegmentName, sequence: u32) -> Self {
        Self { segment, sequence, field: 0, repetition: 0, component: 0, subcomponent: 0 }
    }

    /// A field of the segment.
    #[must_use]
    pub fn field(mut self, field: u16) -> Self {
        self.field = field;
        self
    }

    /// A component of the field's first repetition.
    #[must_use]
    pub fn component(mut self, component: u16) -> Self {
        self.repetition = self.repetition.max(1);
        self.component = component;
        self
    }

    /// The parts in order, without the unnamed ones at the end.
    pub fn parts(&self) -> Vec<String> {
        let mut parts = vec![self.segment.to_string(), self.sequence.to_string()];
        for part in [self.field, self.repetition, self.component, self.subcomponent] {
            parts.push(if part == 0 { String::new() } else { part.to_string() });
        }
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        parts
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join("^"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_prints_as_erl() {
        let obx = Location::segment(SegmentName(*b"OBX"), 3);
        assert_eq!(obx.to_string(), "OBX^3");
        assert_eq!(obx.field(11).to_string(), "OBX^3^11");
        assert_eq!(obx.field(3).component(4).to_string(), "OBX^3^3^1^4");
    }

    #[test]
    fn fault_text_names_code_and_place() {
        let fault = Fault::new(ErrorCode::RequiredFieldMissing, "no control id").at(Location::segment(
            SegmentName::MSH,
            1,
        )
        .field(10));
        assert_eq!(fault.to_string(), "101 Required field missing (no control id) at MSH^1^10");
    }

    #[test]
    fn segment_names() {
        for good in ["MSH", "PV1", "ZZZ", "Z01"] {
            assert!(SegmentName::new(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "PI", "pid", "1PV", "P D", "é1"] {
            assert!(SegmentName::new(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
