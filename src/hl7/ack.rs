//! Acknowledgements, written and read.
//!
//! An answer repeats the sender's own header and adds codes, places and fixed texts. It has no
//! parameter that could carry a result or a name.

use super::ack_orders::OrderAnswers;
use super::build::{SegmentWriter, Writer, version_number};
use super::charset::{self, Charset};
use super::header::{Header, HeaderPeek};
use super::message::{Message, Segment};
use super::{ErrorCode, Fault, Location, SegmentName, Warning};
use std::borrow::Cow;

/// More than this many ERR segments help nobody.
const MAX_ERRORS: usize = 50;
/// What was left aside is named one by one, as far as an answer can grow.
const MAX_TOLD: usize = 1000;
/// Our version, when the sender's cannot be answered in.
const OUR_VERSION: &str = "2.5.1";

/// MSA-1, table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: the content must be fixed.
    AE,
    /// Application reject: type, version, or a reason unrelated to the content.
    AR,
    /// Commit accept.
    CA,
    /// Commit error.
    CE,
    /// Commit reject.
    CR,
}

impl AckCode {
    /// The two letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// From two letters.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];
        all.into_iter().find(|code| code.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Whether the message was taken.
    pub fn is_accept(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// Whether it says only that the message is here, or not.
    pub fn is_commit(self) -> bool {
        matches!(self, Self::CA | Self::CE | Self::CR)
    }
}

/// An acknowledgement to be written.
#[derive(Clone, Copy, Debug)]
pub struct Ack<'a> {
    /// The header of the message answered.
    pub header: &'a HeaderPeek,
    /// The outcome.
    pub code: AckCode,
    /// MSH-10 of the answer.
    pub control_id: &'a str,
    /// MSH-7 of the answer, a DTM with zone.
    pub time: &'a str,
    /// MSH-3 when the message did not say whom it was for.
    pub application: &'a str,
    /// MSH-4 in the same case.
    pub facility: &'a str,
    /// Why it was not taken, one ERR each.
    pub faults: &'a [Fault],
    /// Leniencies to report; told only to senders of 2.5 and later, as ERR of severity W.
    pub warnings: &'a [Warning],
    /// Parts of an accepted message that were left aside: every sender is told.
    pub told: &'a [Warning],
    /// What is said of each order of an order message; makes it an ORR or ORL.
    pub orders: Option<&'a OrderAnswers>,
}

impl Ack<'_> {
    /// The bytes, in the sender's character set.
    pub fn build(&self) -> Vec<u8> {
        let text = self.text(&self.header.charset);
        let label = self.header.charset.split(char::from(self.header.delimiters.component)).next();
        let charset = label.and_then(|l| l.split(char::from(self.header.delimiters.repetition)).next());
        let encoded = charset.and_then(Charset::parse).map(|c| charset::encode(&text, c));
        match encoded {
            Some(Ok(bytes)) => bytes,
            _ if text.is_ascii() => text.into_bytes(),
            _ => self.text(Charset::UTF_8.name()).into_bytes(),
        }
    }

    fn text(&self, charset: &str) -> String {
        let mut writer = Writer::new(self.header.delimiters);
        self.msh(&mut writer, charset);
        self.msa(&mut writer);
        if self.version() >= (2, 5, 0) {
            self.errors(&mut writer);
        } else {
            self.old_errors(&mut writer);
        }
        if let Some(orders) = self.orders {
            orders.write(&mut writer);
        }
        writer.finish()
    }

    /// The version answered in: the sender's, unless that is what we refuse or cannot read.
    fn version_text(&self) -> String {
        let refused = self.faults.iter().any(|f| f.code == ErrorCode::UnsupportedVersion);
        if refused || version_number(self.header.version_id()).is_none() {
            return OUR_VERSION.to_owned();
        }
        self.header.version.clone()
    }

    fn version(&self) -> (u8, u8, u8) {
        let text = self.version_text();
        let id = text.split(char::from(self.header.delimiters.component)).next();
        id.map(str::trim).and_then(version_number).unwrap_or((2, 5, 1))
    }

    fn msh(&self, writer: &mut Writer, charset: &str) {
        let to = self.header;
        let sep = char::from(to.delimiters.component);
        let (code, event, structure) = match self.orders {
            Some(orders) => orders.kind.message_type(),
            None => ("ACK", to.trigger(), "ACK"),
        };
        let kind = match (event, self.version()) {
            ("", _) => code.to_owned(),
            (event, version) if version < (2, 3, 1) => format!("{code}{sep}{event}"),
            (event, _) => format!("{code}{sep}{event}{sep}{structure}"),
        };
        let msh = writer.header();
        let msh = echo_or(msh, 3, &to.receiving_application, self.application);
        let msh = echo_or(msh, 4, &to.receiving_facility, self.facility);
        msh.verbatim(5, to.sending_application.clone())
            .verbatim(6, to.sending_facility.clone())
            .text(7, self.time)
            .verbatim(9, kind)
            .text(10, self.control_id)
            .verbatim(11, if to.processing_id.is_empty() { "P".to_owned() } else { to.processing_id.clone() })
            .verbatim(12, self.version_text())
            .verbatim(18, charset.to_owned())
            .end();
    }

    fn msa(&self, writer: &mut Writer) {
        let first = self.faults.first().map(|f| f.code);
        let msa = writer.segment("MSA").text(1, self.code.as_str());
        let msa = msa.verbatim(2, self.header.control_id.clone());
        let msa = msa.text(3, first.map_or("", ErrorCode::text));
        // MSA-6 is kept for compatibility only from 2.5 on.
        let msa = match first {
            Some(code) if self.version() < (2, 5, 0) => {
                msa.parts(6, &[&code.number().to_string(), code.text(), "HL70357"])
            }
            _ => msa,
        };
        msa.end();
    }

    /// One ERR per fault or warning: place, code, severity.
    fn errors(&self, writer: &mut Writer) {
        for fault in self.faults.iter().take(MAX_ERRORS) {
            err(writer, fault.location, fault.code).text(4, "E").end();
        }
        let warnings = self.told.iter().take(MAX_TOLD).chain(self.warnings.iter().take(MAX_ERRORS));
        for warning in warnings {
            err(writer, warning.location, ErrorCode::Accepted).text(4, "W").text(5, warning.code).end();
        }
    }

    /// Before 2.5: one ERR whose first field repeats, the code being its fourth component.
    fn old_errors(&self, writer: &mut Writer) {
        let delims = self.header.delimiters;
        let sep = char::from(delims.component).to_string();
        let sub = char::from(delims.subcomponent);
        let old = |(location, code): (Option<Location>, ErrorCode)| {
            let mut parts = location.map(|l| l.parts()).unwrap_or_default();
            parts.resize(3, String::new());
            parts.push(format!("{}{sub}{}{sub}HL70357", code.number(), code.text()));
            parts.join(&sep)
        };
        let faults = self.faults.iter().take(MAX_ERRORS).map(|fault| (fault.location, fault.code));
        let told = self.told.iter().take(MAX_TOLD).map(|part| (part.location, ErrorCode::Accepted));
        let all: Vec<String> = faults.chain(told).map(old).collect();
        if !all.is_empty() {
            let joined = all.join(&char::from(delims.repetition).to_string());
            writer.segment("ERR").verbatim(1, joined).end();
        }
    }
}

fn echo_or<'w>(msh: SegmentWriter<'w>, n: usize, echo: &str, own: &str) -> SegmentWriter<'w> {
    if echo.is_empty() { msh.text(n, own) } else { msh.verbatim(n, echo.to_owned()) }
}

fn err(writer: &mut Writer, location: Option<Location>, code: ErrorCode) -> SegmentWriter<'_> {
    let parts = location.map(|l| l.parts()).unwrap_or_default();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let number = code.number().to_string();
    writer.segment("ERR").parts(2, &parts).parts(3, &[&number, code.text(), "HL70357"])
}

/// An answer to one of our messages: ACK, ORR or ORL.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-2: which message it answers.
    pub acknowledged_id: Option<String>,
    /// MSH-9.1.
    pub message_code: Option<String>,
    /// MSH-10 of the answer.
    pub control_id: Option<String>,
    /// ERR-3.1, or ERR-1.4.1, or MSA-6.1.
    pub error_codes: Vec<String>,
    /// MSA-3. May hold whatever the laboratory likes.
    pub text: Option<String>,
    /// One per ORC.
    pub orders: Vec<ReplyOrder>,
}

/// What a reply says about one order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReplyOrder {
    /// ORC-1, table 0119: `OK`, `NA`, `UA` …
    pub control: Option<String>,
    /// ORC-2.1.
    pub placer: Option<String>,
    /// ORC-3.1.
    pub filler: Option<String>,
    /// ORC-5, table 0038.
    pub status: Option<String>,
}

super::redact_debug!(Reply, ReplyOrder);

impl Reply {
    /// Reads an answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let decoded = charset::decode(bytes, Some(Charset::LATIN_1))?;
        let message = Message::parse(&decoded.text)?;
        let header = Header::read(&message);
        let place = Location::segment(SegmentName::MSA, 1);
        let missing = Fault::new(ErrorCode::SegmentSequence, "an answer without MSA").at(place);
        let msa = message.segment("MSA").ok_or(missing)?;
        let unknown = Fault::new(ErrorCode::TableValueNotFound, "not an acknowledgement code");
        let code = msa.value(1).and_then(|c| AckCode::parse(&c)).ok_or(unknown.at(place.field(1)))?;
        Ok(Self {
            code,
            acknowledged_id: own(msa.value(2)),
            message_code: header.message_code,
            control_id: header.control_id,
            error_codes: error_codes(&message, &msa),
            text: own(msa.value(3)),
            orders: message.segments_named("ORC").map(|orc| ReplyOrder::read(&orc)).collect(),
        })
    }

    /// Whether an unchanged resend is pointless although the answer is a reject: the type, event,
    /// processing id or version is not acceptable there.
    pub fn is_final_reject(&self) -> bool {
        self.error_codes.iter().any(|code| matches!(code.as_str(), "200" | "201" | "202" | "203"))
    }
}

/// An answer as it may be kept in the clear: MSH, and of MSA, ERR and ORC the fields that hold codes and numbers only.
/// A laboratory may repeat the patient in its answer, or name one in a free text.
pub fn codes_only(bytes: &[u8]) -> Vec<u8> {
    let separator = bytes.get(3).copied().unwrap_or(b'|');
    let mut kept = Vec::new();
    for segment in bytes.split(|byte| matches!(byte, b'\r' | b'\n')) {
        let fields = match segment.get(..3) {
            Some(b"MSH") => usize::MAX,
            Some(b"MSA") => 2,
            Some(b"ERR") => 4,
            Some(b"ORC") => 5,
            _ => continue,
        };
        let parts: Vec<&[u8]> =
            segment.split(|byte| *byte == separator).take(fields.saturating_add(1)).collect();
        kept.extend(parts.join(&separator));
        kept.push(b'\r');
    }
    kept
}

impl ReplyOrder {
    fn read(orc: &Segment<'_>) -> Self {
        let value = |n| own(orc.value(n));
        Self { control: value(1), placer: value(2), filler: value(3), status: value(5) }
    }
}

fn own(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

/// The codes, wherever the answer's version puts them. Severity W and I are no errors.
fn error_codes(message: &Message<'_>, msa: &Segment<'_>) -> Vec<String> {
    let mut codes = Vec::new();
    for err in message.segments_named("ERR") {
        if err.value(4).is_some_and(|severity| matches!(&*severity, "W" | "I")) {
            continue;
        }
        codes.extend(own(err.value(3)));
        codes.extend(err.field(1).repetitions().filter_map(|r| own(r.component(4).part(1))));
    }
    if codes.is_empty() {
        codes.extend(own(msa.value(6)));
    }
    codes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::header::peek_header;
    use proptest::prelude::*;

    fn header(version: &str) -> HeaderPeek {
        let text = format!("MSH|^~\\&|LIS|LAB|PMS^1.2^ISO||20240315||ORU^R01^ORU_R01|C\\T\\1|T|{version}");
        peek_header(text.as_bytes()).unwrap()
    }

    fn missing_status() -> Fault {
        let obx = SegmentName::new(b"OBX").unwrap();
        Fault::new(ErrorCode::RequiredFieldMissing, "no status").at(Location::segment(obx, 3).field(11))
    }

    fn build(header: &HeaderPeek, code: AckCode, faults: &[Fault], warnings: &[Warning]) -> String {
        let ack = Ack {
            header,
            code,
            control_id: "A1",
            time: "20240315103000+0000",
            application: "OURS",
            facility: "HOSP",
            faults,
            warnings,
            told: &[],
            orders: None,
        };
        String::from_utf8(ack.build()).unwrap()
    }

    #[test]
    fn accept_swaps_and_echoes() {
        assert_eq!(
            build(&header("2.5.1^USA"), AckCode::AA, &[], &[]),
            "MSH|^~\\&|PMS^1.2^ISO|HOSP|LIS|LAB|20240315103000+0000||ACK^R01^ACK|A1|T|2.5.1^USA\rMSA|AA|C\\T\\1\r"
        );
    }

    #[test]
    fn errors_by_version() {
        let faults = [missing_status()];
        let table = [
            ("2.3", "ACK^R01|", "ERR|OBX^3^11^101&Required field missing&HL70357\r"),
            ("2.3.1", "ACK^R01^ACK|", "ERR|OBX^3^11^101&Required field missing&HL70357\r"),
            ("2.4", "ACK^R01^ACK|", "ERR|OBX^3^11^101&Required field missing&HL70357\r"),
            ("2.5", "ACK^R01^ACK|", "ERR||OBX^3^11|101^Required field missing^HL70357|E\r"),
            ("2.8.2", "ACK^R01^ACK|", "ERR||OBX^3^11|101^Required field missing^HL70357|E\r"),
            ("", "ACK^R01^ACK|", "ERR||OBX^3^11|101^Required field missing^HL70357|E\r"),
        ];
        for (version, kind, err) in table {
            let text = build(&header(version), AckCode::AE, &faults, &[]);
            assert!(text.contains(kind) && text.ends_with(err), "{version}: {text}");
            let reply = Reply::parse(text.as_bytes()).unwrap();
            assert_eq!((reply.code, reply.error_codes), (AckCode::AE, vec!["101".to_owned()]));
            assert_eq!(reply.acknowledged_id.as_deref(), Some("C&1"));
        }
    }

    #[test]
    fn a_refused_version_is_answered_in_ours() {
        let fault = Fault::new(ErrorCode::UnsupportedVersion, "version");
        let text = build(&header("2.1"), AckCode::AR, &[fault], &[]);
        assert!(text.contains("|T|2.5.1\r"));
        assert!(Reply::parse(text.as_bytes()).unwrap().is_final_reject());
    }

    #[test]
    fn warnings_are_told_to_newer_senders() {
        let warnings = [Warning::new("line_ends")];
        let text = build(&header("2.5.1"), AckCode::AA, &[], &warnings);
        assert!(text.ends_with("ERR|||0^Message accepted^HL70357|W|line_ends\r"));
        assert_eq!(Reply::parse(text.as_bytes()).unwrap().error_codes, [""; 0]);
        assert!(!build(&header("2.3"), AckCode::AA, &[], &warnings).contains("ERR"));
    }

    #[test]
    fn the_answer_is_in_the_senders_character_set() {
        let mut header = header("2.5");
        header.sending_facility = "Köln".to_owned();
        for (label, bytes) in
            [("8859/1", b"K\xf6ln".as_slice()), ("", "Köln".as_bytes()), ("ASCII", "Köln".as_bytes())]
        {
            header.charset = label.to_owned();
            let ack = Ack {
                header: &header,
                code: AckCode::AA,
                control_id: "1",
                time: "2024",
                application: "",
                facility: "",
                faults: &[],
                warnings: &[],
                told: &[],
                orders: None,
            };
            let built = ack.build();
            assert!(built.windows(bytes.len()).any(|w| w == bytes), "{label}");
            assert!(Reply::parse(&built).is_ok());
        }
    }

    #[test]
    fn replies_of_all_kinds() {
        let orr =
            "MSH|^~\\&|LAB|L|P|H|2024||ORR^O02|9|P|2.3\rMSA|aa|P1||||203\rORC|OK|P1^PMS|F1||IP\rORC|UA|P2\r";
        let reply = Reply::parse(orr.as_bytes()).unwrap();
        assert_eq!((reply.message_code.as_deref(), reply.code), (Some("ORR"), AckCode::AA));
        assert_eq!(reply.error_codes, ["203"]);
        assert_eq!(reply.orders.len(), 2);
        assert_eq!(reply.orders[0].filler.as_deref(), Some("F1"));
        assert_eq!(reply.orders[0].status.as_deref(), Some("IP"));
        assert_eq!(reply.orders[1].control.as_deref(), Some("UA"));
        assert!(Reply::parse(b"MSH|^~\\&|LAB").is_err());
        assert!(Reply::parse(b"MSH|^~\\&|LAB\rMSA|ZZ|1").is_err());
    }

    #[test]
    fn what_is_kept_of_an_answer_names_nobody() {
        let orr = b"MSH|^~\\&|LAB|L|P|H|2024||ORR^O02|9|P|2.3\rMSA|AE|P1|Roe is unknown\rERR||PID^1|204|E||||Roe\nPID|1||777||Roe\rORC|UA|P2|F2|G|CA||x|||Roe\r";
        let kept = String::from_utf8(codes_only(orr)).unwrap();
        assert!(!kept.contains("Roe") && !kept.contains("777"), "{kept}");
        assert!(kept.ends_with("\rMSA|AE|P1\rERR||PID^1|204|E\rORC|UA|P2|F2|G|CA\r"), "{kept}");
        assert_eq!(Reply::parse(kept.as_bytes()).unwrap().error_codes, ["204"]);
        assert_eq!(codes_only(b""), b"");
    }

    proptest! {
        #[test]
        fn an_answer_to_anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..120), msh_2 in r"[|^~\\&#.!x]{0,6}") {
            let bytes = [b"MSH|", msh_2.as_bytes(), b"|", &bytes].concat();
            if let Some(header) = peek_header(&bytes) {
                let text = build(&header, AckCode::AR, &[missing_status()], &[Warning::new("line_ends")]);
                let reply = Reply::parse(text.as_bytes()).unwrap();
                prop_assert_eq!(reply.code, AckCode::AR);
                prop_assert!(text.chars().filter(|&c| c == '\r').count() <= 4);
            }
        }
    }
}
