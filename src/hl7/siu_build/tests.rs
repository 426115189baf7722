use super::*;
use crate::hl7::message::Message;
use crate::hl7::order_build::tests::{at, one_line, order};
use crate::hl7::siu::{Siu, SiuView};
use proptest::prelude::*;

const VERSIONS: [&str; 6] = ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6"];

fn number(id: &str, namespace: &str) -> EntityId {
    EntityId { id: Some(id.into()), namespace: Some(namespace.into()), ..EntityId::default() }
}

fn booking(version: &str) -> BookingMessage {
    let order = order(version);
    BookingMessage {
        envelope: order.envelope,
        placer: number("P7", "WARD"),
        filler: number("F9", "SCHED"),
        reason: "Check-up".into(),
        service: "Blood draw".into(),
        starts_at: "20240320090000+0100".into(),
        ends_at: DateTime::parse_from_rfc3339("2024-03-20T09:30:00+01:00").ok(),
        minutes: Some(30),
        notes: vec!["fasting\nbring | the card".into()],
        patient: Some(order.patient),
        location: "W1 12".into(),
        provider: Some(ProviderOut::from_text("Dr. Ann Smith")),
    }
}

fn read(text: &str) -> SiuView {
    Siu::read(&Message::parse(text).unwrap()).unwrap()
}

fn names(message: &Message<'_>) -> Vec<String> {
    message.segments().map(|segment| segment.name().to_owned()).collect()
}

#[test]
fn a_booking_line_by_line() {
    let text = booking("2.5.1").build();
    assert_eq!(
        text.split_terminator('\r').collect::<Vec<_>>(),
        [
            "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||SIU^S12^SIU_S12|C1|P|2.5.1||||||UNICODE UTF-8",
            "SCH|P7^WARD|F9^SCHED||||BOOKED^Appointment booked^L|^Check-up|^Blood draw|30|min|^^M30^20240320090000+0100^20240320093000+0100|||||PMS||||PMS|||||Booked^^HL70278",
            "TQ1|1||||||20240320090000+0100|20240320093000+0100",
            "NTE|1||fasting\\.br\\bring \\F\\ the card",
            "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
            "RGS|1",
            "AIS|1||^Blood draw|20240320090000+0100|||30|min",
            "AIL|1||W1 12|^Location||20240320090000+0100|||30|min",
            "AIP|1||^Smith^Ann^^^Dr.|^Provider||20240320090000+0100|||30|min",
        ]
    );
}

#[test]
fn times_stand_where_the_version_has_them() {
    for version in VERSIONS {
        let text = booking(version).build();
        assert_eq!(text.contains("\rTQ1|"), ["2.5", "2.5.1", "2.6"].contains(&version), "{version}");
        assert_eq!(text.contains("^^M30^"), version != "2.6", "{version}");
    }
}

#[test]
fn what_is_written_is_read() {
    for version in VERSIONS {
        let sent = booking(version);
        let text = sent.build();
        assert!(Message::parse(&text).unwrap().warnings().is_empty(), "{version}");
        let view = read(&text);
        assert!(view.placer == sent.placer && view.filler == sent.filler, "{version}");
        assert_eq!((view.reason.display(), view.service.display()), (Some("Check-up"), Some("Blood draw")));
        assert_eq!(view.starts_at.unwrap().text, sent.starts_at);
        assert_eq!(view.ends_at.unwrap().text, "20240320093000+0100");
        assert_eq!(view.status.as_deref(), Some("Booked"));
        assert_eq!(view.location.as_deref(), Some("W1 12"));
        assert_eq!(view.provider.unwrap().display().as_deref(), Some("Dr. Ann Smith"));
        assert_eq!(view.notes[0].text, sent.notes[0]);
        assert_eq!(view.patient.unwrap().mrn(None).unwrap().id.as_deref(), Some("777"));
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = BookingMessage {
        placer: EntityId::default(),
        reason: String::new(),
        service: String::new(),
        starts_at: "20240320".into(),
        ends_at: None,
        minutes: None,
        notes: Vec::new(),
        patient: None,
        location: String::new(),
        provider: None,
        ..booking("2.4")
    };
    let text = bare.build();
    let lines: Vec<&str> = text.split_terminator('\r').collect();
    let sch =
        "SCH||F9^SCHED||||BOOKED^Appointment booked^L|||||^^^20240320|||||PMS||||PMS|||||Booked^^HL70278";
    assert_eq!(lines[1..], [sch, "RGS|1"]);
    let view = read(&text);
    assert_eq!(view.starts_at.unwrap().text, "20240320");
    assert!(view.patient.is_none() && view.placer.is_empty());
}

/// A text's name, how it is put in, and the positions where it must come back.
type Text = (&'static str, fn(&mut BookingMessage, &str), &'static [&'static str]);

const TEXTS: [Text; 13] = [
    ("sending application", |m, t| m.envelope.sending_application = t.into(), &["MSH-3.1", "SCH-16.1"]),
    ("placer", |m, t| m.placer.id = Some(t.into()), &["SCH-1.1"]),
    ("filler", |m, t| m.filler.id = Some(t.into()), &["SCH-2.1"]),
    ("name space", |m, t| m.filler.namespace = Some(t.into()), &["SCH-2.2"]),
    ("universal id", |m, t| m.filler.universal_id = Some(t.into()), &["SCH-2.3"]),
    ("reason", |m, t| m.reason = t.into(), &["SCH-7.2"]),
    ("service", |m, t| m.service = t.into(), &["SCH-8.2", "AIS-3.2"]),
    ("begin", |m, t| m.starts_at = t.into(), &["SCH-11.4", "AIS-4.1", "AIL-6.1", "AIP-6.1"]),
    ("mrn", |m, t| patient(m).mrn = t.into(), &["PID-3.1"]),
    ("family", |m, t| patient(m).family = t.into(), &["PID-5.1"]),
    ("location", |m, t| m.location = t.into(), &["AIL-3.1"]),
    ("provider id", |m, t| provider(m).id = t.into(), &["AIP-3.1"]),
    ("provider", |m, t| provider(m).family = t.into(), &["AIP-3.2"]),
];

fn patient(message: &mut BookingMessage) -> &mut PersonOut {
    message.patient.as_mut().unwrap()
}

fn provider(message: &mut BookingMessage) -> &mut ProviderOut {
    message.provider.as_mut().unwrap()
}

proptest! {
    #[test]
    fn any_text_comes_back_and_forges_nothing(
        text in r#"[a-zé山|^~\\&#"\r\n\x1b\x0b\x1c\x00 ]{1,24}|\r(OBX|MSH)\|1\|NM\|K\|\|9|"""#,
    ) {
        for version in ["2.3", "2.5.1"] {
            let plain = booking(version).build();
            let expected = names(&Message::parse(&plain).unwrap());
            for (name, set, positions) in TEXTS {
                let mut message = booking(version);
                set(&mut message, &text);
                let built = message.build();
                prop_assert!(!built.bytes().any(|byte| matches!(byte, 0x0b | 0x1c | b'\n' | 0)));
                let parsed = Message::parse(&built).unwrap();
                prop_assert_eq!(names(&parsed), expected.clone(), "{}", name);
                for position in positions {
                    prop_assert_eq!(at(&parsed, position), one_line(&text), "{} at {}", name, position);
                }
            }
        }
    }

    #[test]
    fn notes_keep_their_lines(text in r"[a-z山|^~\\&\r\n]{0,40}") {
        let message = BookingMessage { notes: vec![format!("note {text} end")], ..booking("2.5.1") };
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(&read(&message.build()).notes[0].text, &format!("note {lines} end"));
    }
}
