//! The parts every message of ours shares: MSH, PID, PV1, and how a provider is written.

use super::build::{Writer, version_number};
use super::charset::Charset;
use super::datetime::{format_date, format_dtm};
use super::message::Delimiters;
use chrono::{DateTime, FixedOffset, NaiveDate};

/// A number in digits and capital letters: so that much fits into MSH-10.
pub fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// MSH of a message we send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
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
    /// MSH-7.
    pub time: DateTime<FixedOffset>,
    /// MSH-10; at most 20 characters before version 2.6.
    pub control_id: String,
    /// MSH-11.
    pub processing_id: String,
    /// MSH-12.
    pub version: String,
    /// MSH-15, only where the laboratory speaks enhanced mode.
    pub accept_ack: Option<String>,
    /// MSH-16, in the same case.
    pub application_ack: Option<String>,
    /// MSH-18 and how the text becomes bytes.
    pub charset: Charset,
}

impl Envelope {
    /// Whether the version is at least this one; an unreadable version counts as a new one.
    pub fn at_least(&self, version: (u8, u8, u8)) -> bool {
        version_number(&self.version).is_none_or(|own| own >= version)
    }

    /// Writes MSH. `kind` is MSH-9: code, event, structure; the structure is left out before 2.3.1.
    pub(super) fn write(&self, writer: &mut Writer, kind: [&str; 3]) {
        let kind = if self.at_least((2, 3, 1)) { &kind[..] } else { &kind[..2] };
        let charset = if self.charset == Charset::ASCII { "" } else { self.charset.name() };
        writer
            .header()
            .text(3, &self.sending_application)
            .text(4, &self.sending_facility)
            .text(5, &self.receiving_application)
            .text(6, &self.receiving_facility)
            .text(7, &format_dtm(&self.time))
            .parts(9, kind)
            .text(10, &self.control_id)
            .text(11, &self.processing_id)
            .text(12, &self.version)
            .maybe(15, self.accept_ack.as_deref())
            .maybe(16, self.application_ack.as_deref())
            .text(18, charset)
            .end();
    }
}

/// PID of a message we send.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PersonOut {
    /// PID-3.1: the medical record number, never an internal key.
    pub mrn: String,
    /// PID-3.4.
    pub authority: String,
    /// PID-5.1.
    pub family: String,
    /// PID-5.2.
    pub given: String,
    /// PID-5.3.
    pub middle: String,
    /// PID-7.
    pub birth_date: Option<NaiveDate>,
    /// PID-8.
    pub sex: String,
}

impl PersonOut {
    pub(super) fn write(&self, writer: &mut Writer) {
        let birth = self.birth_date.map(format_date).unwrap_or_default();
        writer
            .segment("PID")
            .text(1, "1")
            .parts(3, &[&self.mrn, "", "", &self.authority, "MR"])
            .parts(5, &[&self.family, &self.given, &self.middle, "", "", "", "L"])
            .text(7, &birth)
            .text(8, &self.sex)
            .end();
    }
}

/// Who orders.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProviderOut {
    /// Identifier, if there is one.
    pub id: String,
    /// Family name.
    pub family: String,
    /// Given name.
    pub given: String,
    /// Further given names.
    pub middle: String,
    /// `Jr.`
    pub suffix: String,
    /// `Dr.`
    pub prefix: String,
}

/// An identifier of a provider is one word with a number in it; a name is not.
fn is_provider_id(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '/' | '_');
    text.len() <= 40 && text.chars().all(plain) && text.contains(|c: char| c.is_ascii_digit())
}

impl ProviderOut {
    /// From what somebody typed. An identifier (`1234567890`) is one; `1234567890^Smith^Jane^Q^Jr.^Dr.` is XCN as it
    /// stands. Anything else is a name, `Dr. Jane Smith` or `Smith, Jane`: titles to the prefix, the last word (or what
    /// stands before the comma) to the family name. Free text in the identifier's place would be taken for an
    /// identifier.
    pub fn from_text(text: &str) -> Self {
        let parts: Vec<&str> = text.trim().split('^').map(str::trim).collect();
        if is_provider_id(parts[0]) && parts.len() <= 6 {
            let part = |n: usize| parts.get(n).copied().unwrap_or_default().to_owned();
            let [id, family, given, middle, suffix, prefix] = [0, 1, 2, 3, 4, 5].map(part);
            return Self { id, family, given, middle, suffix, prefix };
        }
        Self::from_name(text)
    }

    fn from_name(text: &str) -> Self {
        let (head, tail) = text.split_once(',').map_or((text, None), |(h, t)| (h, Some(t)));
        let mut words: Vec<&str> = head.split_whitespace().collect();
        let is_title =
            |w: &&str| w.ends_with('.') || matches!(w.to_ascii_lowercase().as_str(), "dr" | "prof");
        let titles = words.iter().take(words.len().saturating_sub(1)).take_while(|w| is_title(w)).count();
        let prefix = words.drain(..titles).collect::<Vec<_>>().join(" ");
        let (family, given) = match tail {
            Some(tail) => (words.join(" "), tail.split_whitespace().collect::<Vec<_>>().join(" ")),
            None => (words.pop().unwrap_or_default().to_owned(), words.join(" ")),
        };
        Self { family, given, prefix, ..Self::default() }
    }

    pub(super) fn parts(&self) -> [&str; 6] {
        [&self.id, &self.family, &self.given, &self.middle, &self.suffix, &self.prefix]
    }
}

/// PV1 of a message we send.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VisitOut {
    /// PV1-2, table 0004.
    pub class: String,
    /// PV1-3.1.
    pub location: String,
    /// PV1-3.4.
    pub facility: String,
    /// PV1-7.
    pub attending: ProviderOut,
    /// PV1-19.
    pub visit_number: String,
    /// PV1-36, table 0112.
    pub disposition: String,
    /// PV1-44.
    pub admitted_at: Option<DateTime<FixedOffset>>,
    /// PV1-45.
    pub discharged_at: Option<DateTime<FixedOffset>>,
}

impl VisitOut {
    pub(super) fn write(&self, writer: &mut Writer) {
        let kind = if self.visit_number.is_empty() { "" } else { "VN" };
        writer
            .segment("PV1")
            .text(1, "1")
            .text(2, &self.class)
            .parts(3, &[&self.location, "", "", &self.facility])
            .parts(7, &self.attending.parts())
            .parts(19, &[&self.visit_number, "", "", "", kind])
            .text(36, &self.disposition)
            .maybe(44, self.admitted_at.as_ref().map(format_dtm).as_deref())
            .maybe(45, self.discharged_at.as_ref().map(format_dtm).as_deref())
            .end();
    }
}

super::redact_debug!(PersonOut, ProviderOut, VisitOut);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_free_text() {
        let table = [
            ("Dr. Smith", ["Dr.", "", "Smith"]),
            ("Dr. med. Jane Q Smith", ["Dr. med.", "Jane Q", "Smith"]),
            ("Smith, Jane", ["", "Jane", "Smith"]),
            ("van der Berg, A", ["", "A", "van der Berg"]),
            ("Smith", ["", "", "Smith"]),
            ("Dr.", ["", "", "Dr."]),
            ("", ["", "", ""]),
        ];
        for (text, expected) in table {
            let p = ProviderOut::from_text(text);
            assert_eq!([p.prefix.as_str(), &p.given, &p.family], expected, "{text}");
            assert_eq!(p.id, "", "{text}");
        }
    }

    #[test]
    fn identifiers_stand_in_their_place() {
        let table = [
            ("1234567890", ["1234567890", "", "", "", "", ""]),
            (" D-17 ", ["D-17", "", "", "", "", ""]),
            ("D-17^Smith^Jane", ["D-17", "Smith", "Jane", "", "", ""]),
            ("17^Smith^Jane^Q^Jr.^Dr.", ["17", "Smith", "Jane", "Q", "Jr.", "Dr."]),
            ("X|Y^Z", ["", "X|Y^Z", "", "", "", ""]),
            ("17^a^b^c^d^e^f", ["", "17^a^b^c^d^e^f", "", "", "", ""]),
            ("Dr. No 7", ["", "7", "No", "", "", "Dr."]),
        ];
        for (text, expected) in table {
            assert_eq!(ProviderOut::from_text(text).parts(), expected, "{text}");
        }
    }
}
