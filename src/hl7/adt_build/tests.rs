use super::*;
use crate::hl7::adt::{Adt, AdtView};
use crate::hl7::message::Message;
use crate::hl7::order_build::tests::{at, one_line, order};
use crate::hl7::outbound::ProviderOut;
use proptest::prelude::*;

const VERSIONS: [&str; 6] = ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.8"];

fn time(text: &str) -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339(text).unwrap()
}

fn discharge(version: &str) -> AdtMessage {
    let order = order(version);
    let visit = VisitOut {
        attending: ProviderOut::from_text("17^Grey^Ada"),
        disposition: "01".into(),
        admitted_at: Some(time("2024-03-10T08:00:00+01:00")),
        discharged_at: Some(time("2024-03-15T10:00:00+01:00")),
        ..order.visit.unwrap()
    };
    AdtMessage {
        envelope: order.envelope,
        event: AdtEvent::A03,
        occurred_at: visit.discharged_at,
        patient: order.patient,
        visit: Some(visit),
        prior_mrn: None,
    }
}

fn read(text: &str) -> AdtView {
    Adt::read(&Message::parse(text).unwrap()).unwrap()
}

#[test]
fn events_come_back_as_written() {
    let order = order("2.5.1");
    for (event, name) in [(AdtEvent::A01, "A01"), (AdtEvent::A08, "A08"), (AdtEvent::A40, "A40")] {
        let prior_mrn = (event == AdtEvent::A40).then(|| "77|6".to_owned());
        let (envelope, patient) = (order.envelope.clone(), order.patient.clone());
        let visit = order.visit.clone();
        let text = AdtMessage { envelope, event, occurred_at: None, patient, visit, prior_mrn }.build();
        assert!(Message::parse(&text).unwrap().warnings().is_empty());
        let view = read(&text);
        assert_eq!(view.event.as_deref(), Some(name));
        assert!(view.recorded_at.is_some() && view.occurred_at.is_none());
        let [person] = view.people.as_slice() else { panic!("one patient") };
        assert_eq!(person.patient.mrn(Some("HOSP")).unwrap().id.as_deref(), Some("777"));
        assert_eq!(person.visit.as_ref().unwrap().class.as_deref(), Some("I"));
        let prior = person.prior_identifiers.first().and_then(|prior| prior.id.as_deref());
        assert_eq!(prior, (event == AdtEvent::A40).then_some("77|6"));
    }
}

#[test]
fn a_discharge_line_by_line() {
    let text = discharge("2.5.1").build();
    assert_eq!(
        text.split_terminator('\r').collect::<Vec<_>>(),
        [
            "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||ADT^A03^ADT_A03|C1|P|2.5.1||||||UNICODE UTF-8",
            "EVN|A03|20240315103000+0100||||20240315100000+0100",
            "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
            "PV1|1|I|W1^^^HOSP||||17^Grey^Ada||||||||||||V9^^^^VN|||||||||||||||||01||||||||20240310080000+0100|20240315100000+0100",
        ]
    );
}

#[test]
fn an_old_receiver_gets_no_field_that_it_does_not_know() {
    let text = discharge("2.3").build();
    assert!(text.contains("||ADT^A03|C1|P|2.3|"), "{text}");
    let text = discharge("2.2").build();
    assert!(text.contains("\rEVN|A03|20240315103000+0100\r"), "{text}");
}

#[test]
fn a_discharge_is_read_back() {
    for version in VERSIONS {
        let view = read(&discharge(version).build());
        assert_eq!(view.event.as_deref(), Some("A03"));
        assert_eq!(view.occurred_at.unwrap().text, "20240315100000+0100", "{version}");
        let visit = view.people[0].visit.clone().unwrap();
        assert_eq!(visit.visit_number.unwrap().id.as_deref(), Some("V9"));
        assert_eq!(visit.attending.unwrap().id.as_deref(), Some("17"));
        assert_eq!(visit.discharge_disposition.as_deref(), Some("01"));
        let times = [visit.admitted_at, visit.discharged_at].map(|time| time.unwrap().text);
        assert_eq!(times, ["20240310080000+0100", "20240315100000+0100"]);
    }
}

/// A text's name, how it is put in, and where it must come back.
type Text = (&'static str, fn(&mut AdtMessage, &str), &'static str);

const TEXTS: [Text; 14] = [
    ("receiving application", |m, t| m.envelope.receiving_application = t.into(), "MSH-5.1"),
    ("mrn", |m, t| m.patient.mrn = t.into(), "PID-3.1"),
    ("authority", |m, t| m.patient.authority = t.into(), "PID-3.4"),
    ("family", |m, t| m.patient.family = t.into(), "PID-5.1"),
    ("given", |m, t| m.patient.given = t.into(), "PID-5.2"),
    ("middle", |m, t| m.patient.middle = t.into(), "PID-5.3"),
    ("class", |m, t| visit(m).class = t.into(), "PV1-2.1"),
    ("location", |m, t| visit(m).location = t.into(), "PV1-3.1"),
    ("facility", |m, t| visit(m).facility = t.into(), "PV1-3.4"),
    ("attending id", |m, t| visit(m).attending.id = t.into(), "PV1-7.1"),
    ("attending", |m, t| visit(m).attending.family = t.into(), "PV1-7.2"),
    ("attending prefix", |m, t| visit(m).attending.prefix = t.into(), "PV1-7.6"),
    ("visit number", |m, t| visit(m).visit_number = t.into(), "PV1-19.1"),
    ("disposition", |m, t| visit(m).disposition = t.into(), "PV1-36.1"),
];

fn visit(message: &mut AdtMessage) -> &mut VisitOut {
    message.visit.as_mut().unwrap()
}

proptest! {
    #[test]
    fn any_text_comes_back_and_forges_nothing(
        text in r#"[a-zé山|^~\\&#"\r\n\x1b\x0b\x1c\x00 ]{1,24}|\r(OBX|MSH)\|1\|NM\|K\|\|9|"""#,
    ) {
        for version in ["2.3", "2.5.1"] {
            for (name, set, position) in TEXTS {
                let mut message = discharge(version);
                set(&mut message, &text);
                let bytes = message.to_bytes().unwrap();
                prop_assert!(!bytes.iter().any(|byte| matches!(byte, 0x0b | 0x1c | b'\n' | 0)));
                let built = String::from_utf8(bytes).unwrap();
                let parsed = Message::parse(&built).unwrap();
                let names: Vec<_> = parsed.segments().map(|segment| segment.name().to_owned()).collect();
                prop_assert_eq!(names, ["MSH", "EVN", "PID", "PV1"], "{}", name);
                prop_assert_eq!(at(&parsed, position), one_line(&text), "{}", name);
                prop_assert_eq!(read(&built).people.len(), 1);
            }
        }
    }
}
