//! SIU: appointments booked, moved, changed and called off by a scheduling system (chapter 10).

use super::datatypes::{Coded, EntityId, Provider};
use super::datetime::Timestamp;
use super::header::Header;
use super::message::{Message, Segment};
use super::order::Note;
use super::patient::Patient;
use super::{ErrorCode, Fault, Location, SegmentName};
use std::borrow::Cow;

/// An SIU message.
#[derive(Clone, PartialEq)]
pub struct SiuView {
    /// MSH.
    pub header: Header,
    /// PID. Scheduling messages may be about nobody yet.
    pub patient: Option<Patient>,
    /// SCH-1: number given by who asked for the appointment.
    pub placer: EntityId,
    /// SCH-2: number given by the scheduling system.
    pub filler: EntityId,
    /// SCH-7: why the patient comes.
    pub reason: Coded,
    /// SCH-8, else AIS-3: what is done.
    pub service: Coded,
    /// SCH-11.4, else TQ1-7, else the start of the first resource.
    pub starts_at: Option<Timestamp>,
    /// SCH-11.5, else TQ1-8.
    pub ends_at: Option<Timestamp>,
    /// SCH-25, table 0278.
    pub status: Option<String>,
    /// AIL-3: where.
    pub location: Option<String>,
    /// AIP-3: who.
    pub provider: Option<Provider>,
    /// NTE.
    pub notes: Vec<Note>,
}

super::redact_debug!(SiuView);

/// Reads SIU messages.
pub struct Siu;

impl Siu {
    /// Reads a message, or says why it is about no appointment.
    pub fn read(message: &Message<'_>) -> Result<SiuView, Fault> {
        let sch_name = SegmentName::new(b"SCH").unwrap_or(SegmentName::MSH);
        let missing = Fault::new(ErrorCode::SegmentSequence, "no appointment");
        let sch = message.segment("SCH").ok_or(missing.at(Location::segment(sch_name, 1)))?;
        let entity = |n| EntityId::read(sch.field(n).repetition(1));
        let (placer, filler) = (entity(1), entity(2));
        if placer.is_empty() && filler.is_empty() {
            let fault = Fault::new(ErrorCode::RequiredFieldMissing, "an appointment without a number");
            return Err(fault.at(sch.at(2)));
        }
        let service = Coded::read(sch.field(8).repetition(1));
        Ok(SiuView {
            header: Header::read(message),
            patient: message.segment("PID").map(|pid| Patient::read(&pid)),
            placer,
            filler,
            reason: Coded::read(sch.field(7).repetition(1)),
            service: if service.is_empty() { coded(message, "AIS", 3) } else { service },
            starts_at: starts_at(message, &sch),
            ends_at: moment(sch.field(11).component(5).value()).or_else(|| time(message, "TQ1", 8)),
            status: sch.value(25).map(Cow::into_owned),
            location: location(message),
            provider: message.segment("AIP").and_then(|aip| Provider::read_first(aip.field(3))),
            notes: message.segments_named("NTE").map(|nte| Note::read(&nte)).collect(),
        })
    }
}

fn moment(text: Option<Cow<'_, str>>) -> Option<Timestamp> {
    text.and_then(|text| Timestamp::parse(&text))
}

fn time(message: &Message<'_>, segment: &str, field: u16) -> Option<Timestamp> {
    moment(message.segment(segment)?.value(field))
}

fn starts_at(message: &Message<'_>, sch: &Segment<'_>) -> Option<Timestamp> {
    let resources = [("TQ1", 7), ("AIS", 4), ("AIG", 8), ("AIL", 6), ("AIP", 6)];
    let first = || resources.into_iter().find_map(|(segment, field)| time(message, segment, field));
    moment(sch.field(11).component(4).value()).or_else(first)
}

fn coded(message: &Message<'_>, segment: &str, field: u16) -> Coded {
    message.segment(segment).map(|found| Coded::read(found.field(field).repetition(1))).unwrap_or_default()
}

/// AIL-3 is a PL: point of care, room, bed, facility.
fn location(message: &Message<'_>) -> Option<String> {
    let ail = message.segment("AIL")?;
    let place = ail.field(3);
    let parts = (1..=4).filter_map(|n| place.component(n).part(1));
    Some(parts.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<SiuView, Fault> {
        let text = format!("MSH|^~\\&|SCHED|H|||20260301||SIU^S12^SIU_S12|1|P|2.5.1\r{body}");
        Siu::read(&Message::parse(&text).unwrap())
    }

    #[test]
    fn positions() {
        let view = read(
            "SCH|P7^PMS|F9^SCHED|||||CHK^Check-up|BLOOD^Blood draw|30|min|^^30^202603050900^202603050930||||||||||||||Booked\r\
             NTE|1||fasting\rPID|1||12345^^^MPS_PMS^MR||Doe^Jane\rRGS|1\rAIL|1||W1^12^^MPS\rAIP|1||7^Smith^Ann^^^Dr.",
        )
        .unwrap();
        assert_eq!((view.placer.id.as_deref(), view.filler.id.as_deref()), (Some("P7"), Some("F9")));
        assert_eq!((view.reason.display(), view.service.display()), (Some("Check-up"), Some("Blood draw")));
        assert_eq!(view.starts_at.unwrap().text, "202603050900");
        assert_eq!(view.ends_at.unwrap().text, "202603050930");
        assert_eq!(view.status.as_deref(), Some("Booked"));
        assert_eq!(view.location.as_deref(), Some("W1 12 MPS"));
        assert_eq!(view.provider.unwrap().display().as_deref(), Some("Dr. Ann Smith"));
        assert_eq!(view.notes[0].text, "fasting");
        assert_eq!(view.patient.unwrap().family(), Some("Doe"));
    }

    #[test]
    fn later_versions_and_gaps() {
        let view =
            read("SCH||F9\rTQ1|1||||||202603051000|202603051030\rAIS|1||ECG^Electrocardiogram").unwrap();
        assert_eq!(view.starts_at.unwrap().text, "202603051000");
        assert_eq!(view.ends_at.unwrap().text, "202603051030");
        assert_eq!(view.service.display(), Some("Electrocardiogram"));
        assert!(view.patient.is_none() && view.location.is_none());
        assert_eq!(read("PID|1").unwrap_err().location.unwrap().to_string(), "SCH^1");
        assert_eq!(read("SCH|||x").unwrap_err().location.unwrap().to_string(), "SCH^1^2");
    }
}
