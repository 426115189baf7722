use super::*;
use crate::hl7::charset::Charset;
use crate::hl7::escape::decode;
use crate::hl7::message::{Delimiters, Message};
use crate::hl7::orm::Orm;
use chrono::NaiveDate;
use proptest::prelude::*;

/// Every form in which orders are sent.
const FORMS: [(OrderShape, &str); 6] = [
    (OrderShape::OrmO01, "2.3"),
    (OrderShape::OrmO01, "2.3.1"),
    (OrderShape::OrmO01, "2.4"),
    (OrderShape::OrmO01, "2.5"),
    (OrderShape::OrmO01, "2.5.1"),
    (OrderShape::OmlO21, "2.5.1"),
];

pub(in crate::hl7) fn envelope(version: &str) -> Envelope {
    Envelope {
        delimiters: Delimiters::DEFAULT,
        sending_application: "PMS".into(),
        sending_facility: "HOSP".into(),
        receiving_application: "LIS".into(),
        receiving_facility: "LAB".into(),
        time: DateTime::parse_from_rfc3339("2024-03-15T10:30:00+01:00").unwrap(),
        control_id: "C1".into(),
        processing_id: "P".into(),
        version: version.into(),
        accept_ack: None,
        application_ack: None,
        charset: Charset::UTF_8,
    }
}

pub(in crate::hl7) fn order(version: &str) -> OrderMessage {
    OrderMessage {
        shape: OrderShape::OrmO01,
        envelope: envelope(version),
        patient: PersonOut {
            mrn: "777".into(),
            authority: "HOSP".into(),
            family: "Roe".into(),
            given: "Ann".into(),
            middle: String::new(),
            birth_date: NaiveDate::from_ymd_opt(1980, 1, 2),
            sex: "F".into(),
        },
        visit: Some(VisitOut {
            class: "I".into(),
            location: "W1".into(),
            facility: "HOSP".into(),
            visit_number: "V9".into(),
            ..VisitOut::default()
        }),
        action: OrderAction::New,
        placer_group: "G1".into(),
        placer_namespace: "PMS".into(),
        provider: ProviderOut::from_text("Dr. Jane Smith"),
        priority: "S".into(),
        entered_at: DateTime::parse_from_rfc3339("2024-03-15T10:29:00+01:00").unwrap(),
        code_order: CodeOrder::LocalFirst,
        tests: vec![
            TestOut {
                placer: "P1".into(),
                code: "CBC".into(),
                text: "Count".into(),
                system: "L".into(),
                loinc: "58410-2".into(),
                ..TestOut::default()
            },
            TestOut { placer: "P2".into(), code: "K".into(), ..TestOut::default() },
        ],
        diagnoses: vec![DiagnosisOut { code: "D64.9".into(), text: "Anaemia".into(), system: "I10".into() }],
        note: Some("fasting\nplease call".into()),
    }
}

fn in_form((shape, version): (OrderShape, &str)) -> OrderMessage {
    OrderMessage { shape, ..order(version) }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_terminator('\r').collect()
}

#[test]
fn orm_line_by_line() {
    let text = order("2.5.1").build();
    assert_eq!(
        lines(&text)[..7],
        [
            "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||ORM^O01^ORM_O01|C1|P|2.5.1||||||UNICODE UTF-8",
            "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
            "PV1|1|I|W1^^^HOSP||||||||||||||||V9^^^^VN",
            "ORC|NW|P1^PMS||G1^PMS|||^^^^^S||20240315102900+0100|||^Smith^Jane^^^Dr.",
            "OBR|1|P1^PMS||CBC^Count^L^58410-2^^LN||||||||||||^Smith^Jane^^^Dr.|||||||||||^^^^^S",
            "NTE|1|P|fasting\\.br\\please call",
            "DG1|1|I10|D64.9^Anaemia^I10|||W",
        ]
    );
    assert_eq!(lines(&text).len(), 11);
}

#[test]
fn oml_line_by_line() {
    let text = in_form((OrderShape::OmlO21, "2.5.1")).build();
    assert_eq!(
        lines(&text),
        [
            "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||OML^O21^OML_O21|C1|P|2.5.1||||||UNICODE UTF-8",
            "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
            "PV1|1|I|W1^^^HOSP||||||||||||||||V9^^^^VN",
            "ORC|NW|P1^PMS||G1^PMS|||||20240315102900+0100|||^Smith^Jane^^^Dr.",
            "TQ1|1||||||20240315102900+0100||S^Stat^HL70485",
            "OBR|1|P1^PMS||CBC^Count^L^58410-2^^LN||||||||||||^Smith^Jane^^^Dr.",
            "NTE|1|P|fasting\\.br\\please call",
            "DG1|1|I10|D64.9^Anaemia^I10|||W",
            "ORC|NW|P2^PMS||G1^PMS|||||20240315102900+0100|||^Smith^Jane^^^Dr.",
            "TQ1|1||||||20240315102900+0100||S^Stat^HL70485",
            "OBR|2|P2^PMS||K||||||||||||^Smith^Jane^^^Dr.",
            "NTE|1|P|fasting\\.br\\please call",
            "DG1|1|I10|D64.9^Anaemia^I10|||W",
        ]
    );
}

#[test]
fn an_old_orm_line_by_line() {
    let order = OrderMessage { visit: None, note: None, diagnoses: Vec::new(), ..order("2.3") };
    let text = order.build();
    assert_eq!(
        lines(&text)[..4],
        [
            "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||ORM^O01|C1|P|2.3||||||UNICODE UTF-8",
            "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
            "ORC|NW|P1^PMS||G1^PMS|||^^^^^S||20240315102900+0100|||^Smith^Jane^^^Dr.",
            "OBR|1|P1^PMS||CBC^Count^L^58410-2^^LN|S|20240315102900+0100||||||||||^Smith^Jane^^^Dr.|||||||||||^^^^^S",
        ]
    );
}

#[test]
fn a_cancellation_names_what_the_laboratory_called_it() {
    for form in FORMS {
        let mut order = OrderMessage { action: OrderAction::Cancel, ..in_form(form) };
        order.tests[0].filler = "F1".into();
        let text = order.build();
        assert!(text.contains("\rORC|CA|P1^PMS|F1|"), "{text}");
        // When it was called off, not when it was ordered.
        let orc = lines(&text).into_iter().find(|line| line.starts_with("ORC|")).unwrap();
        assert_eq!(orc.split('|').nth(9), Some("20240315103000+0100"), "{text}");
        assert!(!text.contains("\rTQ1|"), "{text}");
    }
}

#[test]
fn loinc_first_where_there_is_one() {
    let order = OrderMessage { code_order: CodeOrder::LoincFirst, ..order("2.5.1") };
    let text = order.build();
    assert!(text.contains("|58410-2^^LN^CBC^Count^L|") && text.contains("||K||"), "{text}");
}

#[test]
fn shapes_have_the_names_of_their_structures() {
    for name in ["ORM_O01", "OML_O21"] {
        assert_eq!(OrderShape::parse(name).unwrap().message_type()[2], name);
    }
    assert_eq!(OrderShape::parse("ORU_R01"), None);
}

#[test]
fn a_name_outside_the_character_set_is_an_error() {
    let mut order = order("2.5.1");
    order.envelope.charset = Charset::LATIN_1;
    order.patient.family = "Møller".into();
    assert!(order.to_bytes().is_ok());
    order.patient.family = "山田".into();
    assert!(order.to_bytes().is_err());
}

/// A text's name, how it is put in, and the positions where it must come back.
type Text = (&'static str, fn(&mut OrderMessage, &str), &'static [&'static str]);

/// Every text of an order.
const TEXTS: [Text; 21] = [
    ("sending application", |o, t| o.envelope.sending_application = t.into(), &["MSH-3.1"]),
    ("receiving facility", |o, t| o.envelope.receiving_facility = t.into(), &["MSH-6.1"]),
    ("mrn", |o, t| o.patient.mrn = t.into(), &["PID-3.1"]),
    ("authority", |o, t| o.patient.authority = t.into(), &["PID-3.4"]),
    ("family", |o, t| o.patient.family = t.into(), &["PID-5.1"]),
    ("given", |o, t| o.patient.given = t.into(), &["PID-5.2"]),
    ("middle", |o, t| o.patient.middle = t.into(), &["PID-5.3"]),
    ("location", |o, t| visit(o).location = t.into(), &["PV1-3.1"]),
    ("visit number", |o, t| visit(o).visit_number = t.into(), &["PV1-19.1"]),
    ("attending", |o, t| visit(o).attending.family = t.into(), &["PV1-7.2"]),
    ("placer", |o, t| o.tests[0].placer = t.into(), &["ORC-2.1", "OBR-2.1"]),
    ("filler", |o, t| o.tests[0].filler = t.into(), &["ORC-3.1", "OBR-3.1"]),
    ("name space", |o, t| o.placer_namespace = t.into(), &["ORC-2.2", "ORC-4.2", "OBR-2.2"]),
    ("provider id", |o, t| o.provider.id = t.into(), &["ORC-12.1", "OBR-16.1"]),
    ("provider", |o, t| o.provider.family = t.into(), &["ORC-12.2", "OBR-16.2"]),
    ("code", |o, t| o.tests[0].code = t.into(), &["OBR-4.1"]),
    ("test", |o, t| o.tests[0].text = t.into(), &["OBR-4.2"]),
    ("system", |o, t| o.tests[0].system = t.into(), &["OBR-4.3"]),
    ("loinc name", |o, t| o.tests[0].loinc_text = t.into(), &["OBR-4.5"]),
    ("diagnosis", |o, t| o.diagnoses[0].code = t.into(), &["DG1-3.1"]),
    ("diagnosis text", |o, t| o.diagnoses[0].text = t.into(), &["DG1-3.2"]),
];

fn visit(order: &mut OrderMessage) -> &mut VisitOut {
    order.visit.as_mut().unwrap()
}

/// The first segment of a kind, a field, a component, with escapes decoded.
pub(in crate::hl7) fn at(message: &Message<'_>, position: &str) -> String {
    let (segment, rest) = position.split_once('-').unwrap();
    let (field, component) = rest.split_once('.').unwrap();
    let field = message.segment(segment).unwrap().field(field.parse().unwrap());
    let component = field.component(component.parse().unwrap());
    decode(component.raw(), &Delimiters::DEFAULT).into_owned()
}

/// In a line of text a line end is a blank.
pub(in crate::hl7) fn one_line(text: &str) -> String {
    text.replace("\r\n", "\n").replace(['\r', '\n', '\0'], " ")
}

fn segment_names(text: &str) -> Vec<String> {
    let message = Message::parse(text).unwrap();
    message.segments().map(|segment| segment.name().to_owned()).collect()
}

proptest! {
    #[test]
    fn any_text_comes_back_and_forges_nothing(
        text in r#"[a-zé山|^~\\&#"\r\n\x1b\x0b\x1c\x00 ]{1,24}|\r(OBX|MSH)\|1\|NM\|K\|\|9|"""#,
    ) {
        for form in FORMS {
            let expected = segment_names(&in_form(form).build());
            for (name, set, positions) in TEXTS {
                let mut order = in_form(form);
                set(&mut order, &text);
                let bytes = order.to_bytes().unwrap();
                prop_assert!(!bytes.iter().any(|byte| matches!(byte, 0x0b | 0x1c | b'\n' | 0)));
                let built = String::from_utf8(bytes).unwrap();
                prop_assert_eq!(segment_names(&built), expected.clone(), "{} in {:?}", name, form);
                let message = Message::parse(&built).unwrap();
                for position in positions {
                    prop_assert_eq!(at(&message, position), one_line(&text), "{} in {:?}", name, form);
                }
                prop_assert_eq!(Orm::read(&message).unwrap().orders().count(), 2);
            }
        }
    }

    #[test]
    fn a_note_keeps_its_lines(text in r"[a-z山|^~\\&\r\n]{0,40}") {
        for form in FORMS {
            let order = OrderMessage { note: Some(format!("note {text} end")), ..in_form(form) };
            let built = order.build();
            let view = Orm::read(&Message::parse(&built).unwrap()).unwrap();
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(&view.patients[0].groups[0].notes[0].text, &format!("note {lines} end"));
        }
    }

    #[test]
    fn what_is_written_is_read(priority in "[SAR]", code in "[A-Z]{1,8}") {
        for form in FORMS {
            let mut order = OrderMessage { priority: priority.clone(), ..in_form(form) };
            order.tests[0].code.clone_from(&code);
            let built = order.build();
            let view = Orm::read(&Message::parse(&built).unwrap()).unwrap();
            prop_assert_eq!(&view.warnings, &[]);
            let first = view.orders().next().unwrap();
            prop_assert_eq!((first.control, first.priority), (Some("NW"), Some(priority.as_str())));
            prop_assert_eq!(first.service.code.as_deref(), Some(code.as_str()));
            prop_assert_eq!(view.patients[0].groups[0].diagnoses.len(), 1);
        }
    }
}
