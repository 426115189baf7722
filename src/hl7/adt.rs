//! ADT messages: who a patient is, where, and which records were merged.

use super::datatypes::Identifier;
use super::datetime::Timestamp;
use super::header::Header;
use super::message::{Message, Segment};
use super::patient::{Patient, Visit};
use super::{ErrorCode, Fault, Location, SegmentName};
use std::borrow::Cow;

/// An ADT message.
#[derive(Clone, PartialEq)]
pub struct AdtView {
    /// MSH.
    pub header: Header,
    /// MSH-9.2, else EVN-1: older senders name the event only there.
    pub event: Option<String>,
    /// EVN-2.
    pub recorded_at: Option<Timestamp>,
    /// EVN-6.
    pub occurred_at: Option<Timestamp>,
    /// One entry per PID; merges repeat the pair of PID and MRG.
    pub people: Vec<Person>,
}

/// One PID with what follows it.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// PID. Of a merge: the survivor.
    pub patient: Patient,
    /// Fields of PID that were sent as `""`: delete what is stored.
    pub deleted: Vec<Deleted>,
    /// PV1.
    pub visit: Option<Visit>,
    /// MRG-1: the identifiers that are no longer used.
    pub prior_identifiers: Vec<Identifier>,
}

/// A demographic value that HL7 null takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// PID-5.
    Name,
    /// PID-7.
    Birth,
    /// PID-8.
    Sex,
    /// PID-11.
    Address,
    /// PID-13.
    Phone,
    /// PID-18.
    AccountNumber,
}

super::redact_debug!(AdtView, Person);

/// Reads ADT messages.
pub struct Adt;

impl Adt {
    /// Reads a message, or says why it is about nobody.
    pub fn read(message: &Message<'_>) -> Result<AdtView, Fault> {
        let header = Header::read(message);
        let evn = message.segment("EVN");
        let time = |n| evn.and_then(|e| e.value(n)).and_then(|t| Timestamp::parse(&t));
        let event = || evn.and_then(|e| e.value(1)).map(Cow::into_owned);
        let view = AdtView {
            event: header.trigger.clone().or_else(event),
            recorded_at: time(2),
            occurred_at: time(6),
            people: people(message),
            header,
        };
        if view.people.is_empty() {
            let pid = Location::segment(SegmentName::PID, 1);
            return Err(Fault::new(ErrorCode::SegmentSequence, "no patient").at(pid));
        }
        Ok(view)
    }
}

fn people(message: &Message<'_>) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    for segment in message.segments() {
        match (segment.name(), people.last_mut()) {
            ("PID", _) => people.push(person(&segment)),
            ("PV1", Some(person)) => person.visit = Some(Visit::read(&segment)),
            ("MRG", Some(person)) => {
                person.prior_identifiers.extend(Identifier::read_all(segment.field(1)));
            }
            _ => {}
        }
    }
    people
}

fn person(pid: &Segment<'_>) -> Person {
    let nullable = [
        (5, Deleted::Name),
        (7, Deleted::Birth),
        (8, Deleted::Sex),
        (11, Deleted::Address),
        (13, Deleted::Phone),
        (18, Deleted::AccountNumber),
    ];
    let deleted = nullable.into_iter().filter(|(n, _)| pid.field(*n).is_null());
    Person {
        patient: Patient::read(pid),
        deleted: deleted.map(|(_, what)| what).collect(),
        visit: None,
        prior_identifiers: Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AdtView, Fault> {
        Adt::read(&Message::parse(text).unwrap())
    }

    #[test]
    fn a_merge_names_survivor_and_prior() {
        let view = read("MSH|^~\\&|A||||||ADT^A40^ADT_A39|1|P|2.5\rEVN||20240315\rPID|1||9^^^H^MR||Doe^J\rMRG|7^^^H^MR~8\rPID|2||5\rMRG|4").unwrap();
        assert_eq!(view.event.as_deref(), Some("A40"));
        assert_eq!(view.recorded_at.unwrap().text, "20240315");
        let prior = |p: &Person| p.prior_identifiers.iter().filter_map(|i| i.id.clone()).collect::<Vec<_>>();
        assert_eq!(prior(&view.people[0]), ["7", "8"]);
        assert_eq!(prior(&view.people[1]), ["4"]);
        assert_eq!(view.people[0].patient.mrn(None).unwrap().id.as_deref(), Some("9"));
    }

    #[test]
    fn null_is_not_empty() {
        let view = read("MSH|^~\\&|A||||||ADT|1|P|2.1\rEVN|A08\rPID|1||9||Doe^J||\"\"|\rPV1|1|I").unwrap();
        assert_eq!(view.event.as_deref(), Some("A08"));
        assert_eq!(view.people[0].deleted, [Deleted::Birth]);
        assert_eq!(view.people[0].visit.as_ref().unwrap().class.as_deref(), Some("I"));
    }

    #[test]
    fn nobody() {
        let fault = read("MSH|^~\\&|A||||||ADT^A01|1|P|2.3\rEVN|A01").unwrap_err();
        assert_eq!(fault.location.unwrap().to_string(), "PID^1");
    }
}
