//! ORC and OBR: what was ordered and how far it is. Read the same way from orders and results.

use super::Warning;
use super::datatypes::{Coded, EntityId, Provider};
use super::datetime::Timestamp;
use super::message::Segment;
use super::specimen::Specimen;
use std::borrow::Cow;

/// Table 0123 (OBR-25), with later additions.
const REPORT_STATUS: &str = "OISAPFCRXYZMN";

fn own(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

fn time(segment: &Segment<'_>, n: u16) -> Option<Timestamp> {
    segment.value(n).and_then(|text| Timestamp::parse(&text))
}

fn entity(segment: &Segment<'_>, n: u16) -> EntityId {
    EntityId::read(segment.field(n).repetition(1))
}

/// One letter of a status table, whatever its case.
pub(super) fn status_letter(segment: &Segment<'_>, n: u16, table: &str) -> Option<char> {
    let text = segment.value(n)?;
    let mut letters = text.chars();
    let letter = letters.next()?.to_ascii_uppercase();
    (letters.next().is_none() && table.contains(letter)).then_some(letter)
}

/// ORC.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OrderControl {
    /// ORC-1, table 0119.
    pub control: Option<String>,
    /// ORC-2.
    pub placer: EntityId,
    /// ORC-3.
    pub filler: EntityId,
    /// ORC-4.
    pub placer_group: EntityId,
    /// ORC-5, table 0038.
    pub status: Option<String>,
    /// ORC-7.6.
    pub priority: Option<String>,
    /// ORC-8.1.
    pub parent_placer: EntityId,
    /// ORC-8.2.
    pub parent_filler: EntityId,
    /// ORC-9.
    pub transaction_at: Option<Timestamp>,
    /// ORC-12.
    pub provider: Option<Provider>,
    /// ORC-16.
    pub reason: Coded,
}

impl OrderControl {
    /// Reads an ORC.
    pub fn read(orc: &Segment<'_>) -> Self {
        Self {
            control: own(orc.value(1)),
            placer: entity(orc, 2),
            filler: entity(orc, 3),
            placer_group: entity(orc, 4),
            status: own(orc.value(5)),
            priority: own(orc.field(7).component(6).value()),
            parent_placer: EntityId::read_nested(orc.field(8).component(1)),
            parent_filler: EntityId::read_nested(orc.field(8).component(2)),
            transaction_at: time(orc, 9),
            provider: Provider::read_first(orc.field(12)),
            reason: Coded::read(orc.field(16).repetition(1)),
        }
    }
}

/// OBR-26: the observation this order grew out of.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ParentResult {
    /// OBX-3.1 of the parent.
    pub code: Option<String>,
    /// OBX-4 of the parent.
    pub sub_id: Option<String>,
    /// Part of OBX-5 of the parent.
    pub text: Option<String>,
}

/// OBR.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// OBR-2.
    pub placer: EntityId,
    /// OBR-3.
    pub filler: EntityId,
    /// OBR-4.
    pub service: Coded,
    /// OBR-27.6.
    pub priority: Option<String>,
    /// OBR-5, the priority of old senders.
    pub old_priority: Option<String>,
    /// OBR-6.
    pub requested_at: Option<Timestamp>,
    /// OBR-7: start of collection.
    pub observed_at: Option<Timestamp>,
    /// OBR-8.
    pub observed_end: Option<Timestamp>,
    /// OBR-11.
    pub specimen_action: Option<String>,
    /// OBR-13.
    pub clinical_info: Option<String>,
    /// OBR-14.
    pub received_at: Option<Timestamp>,
    /// OBR-15 and what belongs to it, before SPM existed.
    pub specimen: Option<Specimen>,
    /// OBR-16.
    pub provider: Option<Provider>,
    /// OBR-18.1: the placer's own field.
    pub placer_field: Option<String>,
    /// OBR-20.1 and OBR-21.1: the filler's own fields.
    pub filler_fields: [Option<String>; 2],
    /// OBR-22: when the report or its status changed.
    pub reported_at: Option<Timestamp>,
    /// OBR-24, table 0074.
    pub section: Option<String>,
    /// OBR-25, table 0123.
    pub status: Option<char>,
    /// OBR-26.
    pub parent_result: Option<ParentResult>,
    /// OBR-29.1.
    pub parent_placer: EntityId,
    /// OBR-29.2.
    pub parent_filler: EntityId,
    /// OBR-31.
    pub reason: Coded,
    /// OBR-36: when it is to be done.
    pub scheduled_at: Option<Timestamp>,
    /// OBR-32.1: principal result interpreter.
    pub interpreter: Option<String>,
}

impl Request {
    /// Reads an OBR; leniencies go to `warnings`.
    pub fn read(obr: &Segment<'_>, warnings: &mut Vec<Warning>) -> Self {
        let parent = obr.field(29);
        let mut service = Coded::read(obr.field(4).repetition(1));
        if service.promote_alternate() {
            warnings.push(Warning::at("code_in_alternate", obr.at(4)));
        }
        let (status, section) = report_status(obr, warnings);
        let provider = Provider::read_first(obr.field(16));
        if provider.as_ref().is_some_and(|provider| provider.free_text.is_some()) {
            warnings.push(Warning::at("provider_free_text", obr.at(16)));
        }
        Self {
            placer: entity(obr, 2),
            filler: entity(obr, 3),
            service,
            priority: own(obr.field(27).component(6).value()),
            old_priority: own(obr.value(5)),
            requested_at: time(obr, 6),
            observed_at: time(obr, 7),
            observed_end: time(obr, 8),
            specimen_action: own(obr.value(11)),
            clinical_info: own(obr.field(13).value()),
            received_at: time(obr, 14),
            specimen: Specimen::read_obr(obr),
            provider,
            placer_field: own(obr.value(18)),
            filler_fields: [own(obr.value(20)), own(obr.value(21))],
            reported_at: time(obr, 22),
            section,
            status,
            parent_result: parent_result(obr),
            parent_placer: EntityId::read_nested(parent.component(1)),
            parent_filler: EntityId::read_nested(parent.component(2)),
            reason: Coded::read(obr.field(31).repetition(1)),
            scheduled_at: time(obr, 36),
            interpreter: interpreter(obr),
        }
    }
}

/// OBR-25, or the status that landed one field early. Section codes have two letters or more, so a
/// single letter of table 0123 in OBR-24 is a status that lost its place.
fn report_status(obr: &Segment<'_>, warnings: &mut Vec<Warning>) -> (Option<char>, Option<String>) {
    let section = own(obr.value(24));
    if obr.value(25).is_none() {
        let moved = status_letter(obr, 24, REPORT_STATUS);
        if moved.is_some() {
            warnings.push(Warning::at("status_from_obr24", obr.at(24)));
            return (moved, None);
        }
        return (None, section);
    }
    let status = status_letter(obr, 25, REPORT_STATUS);
    if status.is_none() {
        warnings.push(Warning::at("status_unknown", obr.at(25)));
    }
    (status, section)
}

fn parent_result(obr: &Segment<'_>) -> Option<ParentResult> {
    let field = obr.field(26);
    let parent = ParentResult {
        code: own(field.component(1).part(1)),
        sub_id: own(field.component(2).value()),
        text: own(field.component(3).value()),
    };
    (parent != ParentResult::default()).then_some(parent)
}

/// OBR-32 is an NDL: its first component is a name with subcomponents, id first.
fn interpreter(obr: &Segment<'_>) -> Option<String> {
    let name = obr.field(32).component(1);
    let parts: Vec<_> = [3, 2].into_iter().filter_map(|n| name.part(n)).collect();
    if parts.is_empty() { own(name.part(1)) } else { Some(parts.join(" ")) }
}

/// NTE: a comment on the segment before it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Note {
    /// NTE-2: `L` laboratory, `P` placer, `O` other.
    pub source: Option<String>,
    /// NTE-3; repetitions are lines.
    pub text: String,
}

impl Note {
    /// Reads an NTE.
    pub fn read(nte: &Segment<'_>) -> Self {
        let lines: Vec<_> = nte.field(3).repetitions().map(|r| r.text()).filter(|t| t != "\"\"").collect();
        let text = lines.join("\n").replace("\r\n", "\n").replace('\r', "\n");
        Self { source: own(nte.value(2)), text }
    }
}

/// DG1: why something was ordered.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// DG1-3.
    pub code: Coded,
    /// DG1-4, in words.
    pub text: Option<String>,
}

impl Diagnosis {
    /// Reads a DG1.
    pub fn read(dg1: &Segment<'_>) -> Self {
        Self { code: Coded::read(dg1.field(3).repetition(1)), text: own(dg1.value(4)) }
    }
}

super::redact_debug!(Diagnosis, OrderControl, ParentResult, Request, Note);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;

    /// A segment with its fields named by number.
    fn line(name: &str, fields: &[(usize, &str)]) -> String {
        let last = fields.iter().map(|(n, _)| *n).max().unwrap_or(0);
        let at = |n| fields.iter().find(|(m, _)| *m == n).map_or("", |(_, v)| v);
        let fields: Vec<&str> = (1..=last).map(at).collect();
        format!("MSH|^~\\&|A\r{name}|{}", fields.join("|"))
    }

    fn request(fields: &[(usize, &str)]) -> (Request, Vec<&'static str>) {
        let text = line("OBR", fields);
        let message = Message::parse(&text).unwrap();
        let mut warnings = Vec::new();
        let request = Request::read(&message.segment("OBR").unwrap(), &mut warnings);
        (request, warnings.into_iter().map(|w| w.code).collect())
    }

    #[test]
    fn obr_positions() {
        let (obr, warnings) = request(&[
            (2, "P1^PMS"),
            (3, "F1"),
            (4, "CBC^Count^L"),
            (7, "202403150800"),
            (11, "G"),
            (14, "202403150900"),
            (15, "BLD&Blood^x"),
            (16, "Dr. Smith"),
            (22, "202403151000"),
            (24, "HM"),
            (25, "f"),
            (26, "600-7&Micro^2^coli"),
            (27, "^^^^^S"),
            (29, "P0&PMS^F0&LAB"),
            (32, "7&Roe&Jo"),
        ]);
        assert_eq!(warnings, ["provider_free_text"]);
        assert_eq!(obr.placer.id.as_deref(), Some("P1"));
        assert_eq!(obr.placer.namespace.as_deref(), Some("PMS"));
        assert_eq!(obr.filler.id.as_deref(), Some("F1"));
        assert_eq!(obr.service.display(), Some("Count"));
        assert_eq!(obr.observed_at.unwrap().text, "202403150800");
        assert_eq!(obr.received_at.unwrap().text, "202403150900");
        assert_eq!(obr.specimen.unwrap().kind.code.as_deref(), Some("BLD"));
        assert_eq!(obr.provider.unwrap().display().as_deref(), Some("Dr. Smith"));
        assert_eq!((obr.section.as_deref(), obr.status), (Some("HM"), Some('F')));
        assert_eq!(obr.parent_result.unwrap().sub_id.as_deref(), Some("2"));
        assert_eq!(obr.priority.as_deref(), Some("S"));
        assert_eq!(obr.parent_placer.id.as_deref(), Some("P0"));
        assert_eq!(obr.parent_filler.namespace.as_deref(), Some("LAB"));
        assert_eq!(obr.interpreter.as_deref(), Some("Jo Roe"));
        assert_eq!(obr.specimen_action.as_deref(), Some("G"));
    }

    #[test]
    fn a_status_in_the_section_is_taken() {
        let (obr, warnings) = request(&[(24, "F")]);
        assert_eq!((obr.status, obr.section, warnings), (Some('F'), None, vec!["status_from_obr24"]));
        let (obr, warnings) = request(&[(24, "HM")]);
        assert_eq!((obr.status, obr.section.as_deref(), warnings.len()), (None, Some("HM"), 0));
        let (obr, warnings) = request(&[(24, "F"), (25, "final")]);
        assert_eq!((obr.status, warnings), (None, vec!["status_unknown"]));
    }

    #[test]
    fn orc_positions() {
        let text = line(
            "ORC",
            &[
                (1, "NW"),
                (2, "P"),
                (3, "F"),
                (4, "G"),
                (5, "IP"),
                (7, "^^^^^A"),
                (8, "P0&x^F0&y"),
                (9, "2024"),
                (12, "1^X"),
            ],
        );
        let message = Message::parse(&text).unwrap();
        let orc = OrderControl::read(&message.segment("ORC").unwrap());
        assert_eq!(
            (orc.control.as_deref(), orc.status.as_deref(), orc.priority.as_deref()),
            (Some("NW"), Some("IP"), Some("A"))
        );
        assert_eq!(orc.placer_group.id.as_deref(), Some("G"));
        assert!(orc.transaction_at.is_some() && orc.provider.is_some());
        assert_eq!(
            (orc.parent_placer.id.as_deref(), orc.parent_filler.id.as_deref()),
            (Some("P0"), Some("F0"))
        );
    }
}
