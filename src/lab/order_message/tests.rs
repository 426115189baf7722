//! What stands on the wire, and that the control ids never meet.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use chrono::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    config::Layers,
    hl7::{message::Message, orm::Orm},
};

fn config() -> Config {
    Config::load(&Layers::new(None, std::iter::empty::<(String, String)>()).unwrap()).unwrap().0
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2024, 3, 15, 12, 0, 0).unwrap()
}

fn order() -> lab_order::Model {
    lab_order::Model {
        id: 42,
        patient_id: 7,
        encounter_id: Some(3),
        test_codes: json!(["CBC", "XYZ"]),
        ordering_provider: "Dr. Jane Smith".into(),
        priority: "S".into(),
        status: "pending".into(),
        placer_order_number: "42".into(),
        filler_order_number: None,
        hl7_message_id: None,
        lis_endpoint_id: Some(1),
        diagnosis_codes: json!(["D64.9"]),
        note: Some("fasting".into()),
        idempotency_key: None,
        request_hash: None,
        status_reason: None,
        created_by: "clinician".into(),
        created_at: noon(),
        sent_at: None,
        acknowledged_at: None,
        resulted_at: None,
        updated_at: noon(),
        source_endpoint_id: None,
        imaging: None,
        scheduled_at: None,
    }
}

fn ordered(position: i32, code: &str, name: Option<&str>, loinc: Option<&str>) -> lab_order_test::Model {
    lab_order_test::Model {
        id: i64::from(position),
        lab_order_id: 42,
        position,
        test_code: code.into(),
        test_name: name.map(str::to_owned),
        code_system: "L".into(),
        loinc_code: loinc.map(str::to_owned),
        placer_order_number: format!("42-{position}"),
        filler_order_number: None,
        status: "ordered".into(),
        updated_at: noon(),
        outside_placer_number: None,
        outside_placer_namespace: None,
    }
}

fn roe() -> patient::Model {
    patient::Model {
        id: 7,
        mrn: "12345".into(),
        last_name: "Roe".into(),
        first_name: "Ann".into(),
        middle_name: None,
        date_of_birth: chrono::NaiveDate::from_ymd_opt(1980, 1, 2),
        gender: "female".into(),
        phone: None,
        email: None,
        address: None,
        restricted: false,
        merged_into_id: None,
        last_event_at: None,
        row_version: 1,
        created_at: noon(),
        updated_at: noon(),
        withdrawn_at: None,
    }
}

fn identifier(authority: &str) -> patient_identifier::Model {
    patient_identifier::Model {
        id: 1,
        patient_id: 7,
        authority: authority.into(),
        id_type: "MR".into(),
        value: "12345".into(),
        active: true,
        created_at: noon(),
    }
}

fn encounter() -> encounter::Model {
    encounter::Model {
        id: 3,
        patient_id: 7,
        class: "O".into(),
        status: "in-progress".into(),
        visit_number: None,
        location: None,
        attending_provider: None,
        started_at: None,
        ended_at: None,
        created_at: noon(),
        updated_at: noon(),
        last_event_at: None,
    }
}

pub(in crate::lab) fn endpoint() -> lis_endpoint::Model {
    lis_endpoint::Model {
        id: 1,
        name: "lab".into(),
        host: Some("lab.example".into()),
        port: Some(2575),
        direction: "outbound".into(),
        enabled: true,
        paused: false,
        is_default: false,
        tls: false,
        allow_plaintext: false,
        client_cert_fingerprint: None,
        allowed_networks: json!([]),
        receiving_application: String::new(),
        receiving_facility: String::new(),
        sending_application: None,
        sending_facility: None,
        order_message: "ORM_O01".into(),
        hl7_version: "2.5.1".into(),
        ack_mode: "auto".into(),
        charset: None,
        time_zone: "Europe/Berlin".into(),
        profile: json!({}),
        code_map: None,
        imported_entry: None,
        last_message_at: None,
        connection_state: "idle".into(),
        connection_detail: None,
        lease_owner: None,
        lease_until: None,
        created_at: noon(),
        updated_at: noon(),
        deleted_at: None,
        heard_to_id: 0,
    }
}

fn sent(
    patient: &patient::Model,
    endpoint: &lis_endpoint::Model,
    identifiers: &[patient_identifier::Model],
) -> Encoded {
    let (order, encounter) = (order(), encounter());
    let tests =
        [ordered(1, "CBC", Some("Complete Blood Count"), Some("58410-2")), ordered(2, "XYZ", None, None)];
    let parts = Parts {
        order: &order,
        tests: &tests,
        catalogue: &[],
        patient,
        identifiers,
        encounter: Some(&encounter),
        endpoint,
    };
    encode(&config(), &parts, OrderAction::New, noon())
}

fn text(encoded: &Encoded) -> String {
    String::from_utf8(encoded.bytes.clone()).unwrap()
}

#[test]
fn a_new_order_line_by_line() {
    let encoded = sent(&roe(), &endpoint(), &[identifier("MPS_PMS")]);
    let id = &encoded.envelope.control_id;
    let text = text(&encoded);
    let lines: Vec<&str> = text.split_terminator('\r').collect();
    assert_eq!(
        lines,
        [
            format!("MSH|^~\\&|PMS_LAB|MPS_PMS|LIS|LAB|20240315130000+0100||ORM^O01^ORM_O01|{id}|P|2.5.1||||||UNICODE UTF-8").as_str(),
            "PID|1||12345^^^MPS_PMS^MR||Roe^Ann^^^^^L||19800102|F",
            "PV1|1|O|^^^MPS_PMS||||^Smith^Jane^^^Dr.||||||||||||3^^^^VN",
            "ORC|NW|42-1||42|||^^^^^S||20240315130000+0100|||^Smith^Jane^^^Dr.",
            "OBR|1|42-1||CBC^Complete Blood Count^L^58410-2^^LN||||||||||||^Smith^Jane^^^Dr.|||||||||||^^^^^S",
            "NTE|1|P|fasting",
            "DG1|1|I10|D64.9^^I10|||W",
            "ORC|NW|42-2||42|||^^^^^S||20240315130000+0100|||^Smith^Jane^^^Dr.",
            "OBR|2|42-2||XYZ^^L||||||||||||^Smith^Jane^^^Dr.|||||||||||^^^^^S",
            "NTE|1|P|fasting",
            "DG1|1|I10|D64.9^^I10|||W",
        ]
    );
}

#[test]
fn the_endpoint_overrides_names_and_asks_for_its_acknowledgment() {
    let endpoint = lis_endpoint::Model {
        sending_application: Some("CLINIC".into()),
        receiving_application: "LABSYS".into(),
        ack_mode: "enhanced".into(),
        profile: json!({"processing_id": "T"}),
        ..endpoint()
    };
    let encoded = sent(&roe(), &endpoint, &[]);
    assert!(text(&encoded).starts_with("MSH|^~\\&|CLINIC|MPS_PMS|LABSYS|LAB|"));
    assert!(text(&encoded).contains("|T|2.5.1|||AL|AL||UNICODE UTF-8\r"));
    let profile = json!({"application_ack": "NE"});
    let encoded = sent(&roe(), &lis_endpoint::Model { profile, ..endpoint }, &[]);
    assert!(text(&encoded).contains("|P|2.5.1|||AL|NE||UNICODE UTF-8\r"));
}

/// With a name space of our numbers, TQ1, and no priority in ORC-7 and OBR-27, as IHE LAB-1 has it.
#[test]
fn an_order_in_oml() {
    let endpoint = lis_endpoint::Model {
        order_message: "OML_O21".into(),
        code_map: Some(json!({"CBC": {"code": "4711", "system": "99CITY"}})),
        profile: json!({"order_codes": "loinc_first", "diagnosis_system": "I10C"}),
        ..endpoint()
    };
    let encoded = sent(&roe(), &endpoint, &[]);
    assert_eq!(encoded.message_type, ["OML", "O21", "OML_O21"]);
    let text = text(&encoded);
    let lines: Vec<&str> = text.split_terminator('\r').collect();
    assert_eq!(
        lines[3..10],
        [
            "ORC|NW|42-1^PMS_LAB||42^PMS_LAB|||||20240315130000+0100|||^Smith^Jane^^^Dr.",
            "TQ1|1||||||20240315130000+0100||S^Stat^HL70485",
            "OBR|1|42-1^PMS_LAB||58410-2^^LN^4711^Complete Blood Count^99CITY||||||||||||^Smith^Jane^^^Dr.",
            "NTE|1|P|fasting",
            "DG1|1|I10C|D64.9^^I10C|||W",
            "ORC|NW|42-2^PMS_LAB||42^PMS_LAB|||||20240315130000+0100|||^Smith^Jane^^^Dr.",
            "TQ1|1||||||20240315130000+0100||S^Stat^HL70485",
        ]
    );
}

#[test]
fn a_study_has_its_own_places() {
    let imaging = json!({
        "accession_number": "ACC7", "modality": "CT", "ae_title": "CT1_AE", "station": "ROOM2", "location": "WEST",
        "scheduled_at": "2026-03-03T08:30:00Z", "procedure_code": "CTCHEST",
    });
    let order = lab_order::Model { imaging: Some(imaging), ..order() };
    let pacs = lis_endpoint::Model {
        hl7_version: "2.3".into(),
        profile: json!({ "order_layout": "medsynapse_2_3" }),
        ..endpoint()
    };
    let tests = [ordered(1, "CTCHEST", Some("CT Chest"), None), ordered(2, "XRKNEE", None, None)];
    let sent = |endpoint| {
        let (patient, catalogue) = (roe(), []);
        let parts = Parts {
            order: &order,
            tests: &tests,
            catalogue: &catalogue,
            patient: &patient,
            identifiers: &[],
            encounter: None,
            endpoint,
        };
        text(&encode(&config(), &parts, OrderAction::New, noon()))
    };
    let obr = |text: &str| -> Vec<String> {
        text.split('\r').filter(|line| line.starts_with("OBR")).map(str::to_owned).collect()
    };
    let by = "^Smith^Jane^^^Dr.";
    assert_eq!(
        obr(&sent(&pacs)),
        [
            format!(
                "OBR|1|ACC7||CTCHEST^CT Chest^L|S|20240315130000+0100||||||||||{by}||ROOM2||WEST|CT1_AE|||CT|||^^^^^S|||||||||20260303093000+0100"
            ),
            // A study of which nothing is said is filed under our number.
            format!("OBR|2|42-2||XRKNEE^^L|S|20240315130000+0100||||||||||{by}|||||||||||^^^^^S"),
        ]
    );
    assert!(sent(&pacs).contains("\rORC|NW|42-1||42|"));
    // Who has no such places gets nothing that it would take for something else.
    let elsewhere = lis_endpoint::Model { hl7_version: "2.3".into(), ..endpoint() };
    assert!(obr(&sent(&elsewhere))[0].starts_with("OBR|1|42-1||") && !sent(&elsewhere).contains("CT1_AE"));
}

#[test]
fn the_record_number_keeps_its_authority() {
    let of = |identifiers: &[_]| text(&sent(&roe(), &endpoint(), identifiers));
    assert!(of(&[]).contains("|12345^^^MPS_PMS^MR|"));
    assert!(of(&[identifier("CITY")]).contains("|12345^^^CITY^MR|"));
    assert!(of(&[identifier("CITY"), identifier("MPS_PMS")]).contains("|12345^^^MPS_PMS^MR|"));
}

#[test]
fn a_name_outside_the_labs_character_set_is_sent_in_utf_8() {
    let latin = lis_endpoint::Model { charset: Some("8859/1".into()), ..endpoint() };
    let fits = sent(&patient::Model { last_name: "Møller".into(), ..roe() }, &latin, &[]);
    assert!(!fits.charset_replaced && String::from_utf8(fits.bytes).is_err());
    let not = sent(&patient::Model { last_name: "山田".into(), ..roe() }, &latin, &[]);
    assert!(not.charset_replaced);
    assert!(text(&not).contains("山田") && text(&not).contains("|UNICODE UTF-8\r"));
}

#[test]
fn control_ids_differ_by_order_by_purpose_and_fit() {
    let mut seen = HashSet::new();
    for order in [1, 35, 36, 1_000_000, u64::from(u32::MAX), (1 << 48) - 1] {
        for letter in ['O', 'C', 'T'] {
            let id = control_id(letter, noon(), order);
            assert!(id.len() <= 20 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
            assert!(seen.insert(id));
        }
    }
}

#[test]
fn a_trial_has_the_form_of_an_order_and_says_what_it_is() {
    let lab = lis_endpoint::Model {
        code_map: Some(json!({"ODD": {"code": "9", "text": "Odd"}})),
        profile: json!({"processing_id": "P"}),
        ..endpoint()
    };
    let trial = encode_trial(&config(), &lab, &[], (noon(), (1 << 48) - 1));
    let text = text(&trial);
    let orm = Message::parse(&text).unwrap();
    assert_eq!(Orm::read(&orm).unwrap().orders().count(), 1);
    assert!(text.contains("|T|2.") && text.contains("||PMS-TEST^^^MPS_PMS^MR||TEST^PMS^"), "{text}");
    let id = &trial.envelope.control_id;
    assert!(id.starts_with('T') && text.contains(&format!("ORC|NW|{id}-1||{id}|")), "{text}");
    assert!(text.contains("|9^Odd^L|"), "{text}");
    // Without a code of its own, what can be ordered first; without anything, something.
    let none = |catalogue: &[test_catalog::Model]| {
        let trial = encode_trial(&config(), &endpoint(), catalogue, (noon(), 1));
        String::from_utf8(trial.bytes).unwrap()
    };
    let entry = |code: &str, active| test_catalog::Model {
        id: 1,
        code: code.into(),
        name: "Name".into(),
        loinc_code: None,
        loinc_name: None,
        members: json!([]),
        active,
        created_at: noon(),
        updated_at: noon(),
    };
    assert!(none(&[entry("OLD", false), entry("NEW", true)]).contains("|NEW^Name^L|"));
    assert!(none(&[]).contains("|TEST^^L|"));
}

proptest! {
    #[test]
    fn no_clock_makes_the_same_id_twice(a in 1u64..1_000_000_000, b in 1u64..1_000_000_000, ms in 0i64..4_000_000_000_000, shift in -100_000i64..100_000) {
        let at = |ms| DateTime::from_timestamp_millis(ms).unwrap();
        let first = control_id('O', at(ms), a);
        let second = control_id('O', at((ms + shift).max(0)), b);
        prop_assert_eq!(first == second, a == b && (ms + shift).max(0) == ms);
        prop_assert!(first.len() <= 20);
    }

    #[test]
    fn names_never_add_a_segment(name in r"[a-zé|^~\\&\r\n\x1b]{1,12}") {
        let encoded = sent(&patient::Model { last_name: name, ..roe() }, &endpoint(), &[]);
        let text = text(&encoded);
        prop_assert_eq!(text.matches('\r').count(), 11);
        let view = Orm::read(&Message::parse(&text).unwrap()).unwrap();
        prop_assert_eq!(view.orders().count(), 2);
    }
}
