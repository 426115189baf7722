//! Each laboratory gets its orders in the form its endpoint asks for, on both databases.

use pms::{
    domain::access::Role,
    hl7::{message::Message, orm::Orm},
    store::entity::hl7_message,
};
use reqwest::StatusCode;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{FakeLis, Manner},
};

flows!(
    every_form_is_sent_and_taken,
    a_cancellation_has_the_form_of_its_order,
    a_laboratory_reads_its_own_codes_names_and_clock,
    what_does_not_fit_the_character_set_is_said,
    a_form_that_does_not_exist_is_refused,
);

/// A laboratory that says AA to everything, and its endpoint with these settings over the usual ones.
async fn lab(app: &TestApp, settings: Value) -> (FakeLis, i64) {
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let mut body = json!({"name": format!("Lab {}", lis.port), "host": "127.0.0.1", "port": lis.port,
        "direction": "outbound"});
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let answer = app.sign_in(Role::InterfaceEngineer).await.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    (lis, answer.body["id"].as_i64().unwrap())
}

/// An order of two tests with everything that can be said of one. Answers it as it stands once it was sent.
async fn order(app: &TestApp, patient: i64, endpoint: i64) -> Value {
    let clinician = app.clinician().await;
    let visit = json!({"patient_id": patient, "class": "I", "status": "in-progress", "location": "W1",
        "visit_number": "V77", "attending_provider": "Dr. Ada Grey"});
    let visit = clinician.post("/api/encounters", visit).await.body["id"].clone();
    let body = json!({"patient_id": patient, "encounter_id": visit, "test_codes": ["CBC", "ODD"],
        "ordering_provider": "Dr. Jane Smith", "priority": "S", "lis_endpoint_id": endpoint,
        "diagnosis_codes": ["D64.9", "E11.9"], "note": "fasting\nplease call"});
    let placed = clinician.post("/api/lab-orders", body).await;
    assert_eq!(
        (placed.status, &placed.body["status"]),
        (StatusCode::CREATED, &json!("sent")),
        "{:?}",
        placed.body
    );
    placed.body
}

/// The fields of the first segment of a kind, as the standard counts them.
fn field(message: &str, segment: &str, n: usize) -> String {
    let line = message.split('\r').find(|line| line.starts_with(segment)).unwrap_or_default();
    let shift = usize::from(segment == "MSH");
    line.split('|').nth(n - shift).unwrap_or_default().to_owned()
}

async fn every_form_is_sent_and_taken(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    for (structure, version) in [
        ("ORM_O01", "2.3"),
        ("ORM_O01", "2.3.1"),
        ("ORM_O01", "2.4"),
        ("ORM_O01", "2.5"),
        ("ORM_O01", "2.5.1"),
        ("OML_O21", "2.5.1"),
    ] {
        let (lis, endpoint) = lab(&app, json!({"order_message": structure, "hl7_version": version})).await;
        let placed = order(&app, jane, endpoint).await;
        let text = lis.received().pop().unwrap();
        let message = Message::parse(&text).unwrap();
        let names: Vec<&str> = message.segments().map(|segment| segment.name()).collect();
        let is_oml = structure == "OML_O21";
        let group: &[&str] = if is_oml {
            &["ORC", "TQ1", "OBR", "NTE", "DG1", "DG1"]
        } else {
            &["ORC", "OBR", "NTE", "DG1", "DG1"]
        };
        assert_eq!(names, [&["MSH", "PID", "PV1"], group, group].concat(), "{structure} {version}");
        check_fields(&text, &placed, structure, version);
        let read = Orm::read(&message).unwrap();
        assert!(read.warnings.is_empty() && message.warnings().is_empty(), "{text}");
        assert!(read.orders().all(|order| order.priority == Some("S")), "{text}");
        let code = if is_oml { "OML" } else { "ORM" };
        let path = format!("/api/hl7/messages?lis_endpoint_id={endpoint}&message_type={code}");
        let logged = engineer.read(&path).await;
        assert_eq!(logged.as_array().unwrap().len(), 1, "{logged}");
        assert_eq!(logged[0]["status"], "sent");
    }
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let oml = rows.iter().find(|row| row.message_type == "OML").unwrap();
    assert_eq!(
        (oml.trigger_event.as_deref(), oml.message_structure.as_deref()),
        (Some("O21"), Some("OML_O21"))
    );
    let mut ids: Vec<&String> = rows.iter().map(|row| &row.message_control_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    app.finish().await;
}

fn check_fields(text: &str, placed: &Value, structure: &str, version: &str) {
    let at = |segment: &str, n: usize| field(text, segment, n);
    let id = &placed["id"];
    let is_oml = structure == "OML_O21";
    let kind = match (is_oml, version) {
        (true, _) => "OML^O21^OML_O21",
        (false, "2.3") => "ORM^O01",
        (false, _) => "ORM^O01^ORM_O01",
    };
    assert_eq!((at("MSH", 9), at("MSH", 12)), (kind.into(), version.into()));
    assert!((1..=20).contains(&at("MSH", 10).len()));
    assert_eq!(at("PID", 3), "12345^^^MPS_PMS^MR");
    assert_eq!((at("PV1", 2), at("PV1", 19)), ("I".into(), "V77^^^^VN".into()));
    assert_eq!(at("PV1", 7), "^Grey^Ada^^^Dr.");
    let number = if is_oml { format!("{id}-1^PMS_LAB") } else { format!("{id}-1") };
    assert_eq!((at("ORC", 2), at("OBR", 2)), (number.clone(), number));
    assert_eq!(at("ORC", 9), "20260302080000+0000");
    assert_eq!((at("ORC", 12), at("OBR", 16)), ("^Smith^Jane^^^Dr.".into(), "^Smith^Jane^^^Dr.".into()));
    assert_eq!(at("OBR", 4), "CBC^Complete Blood Count^L^58410-2^CBC panel - Blood by Automated count^LN");
    assert_eq!(
        (at("NTE", 1), at("NTE", 2), at("NTE", 3)),
        ("1".into(), "P".into(), "fasting\\.br\\please call".into())
    );
    assert_eq!((at("DG1", 1), at("DG1", 2), at("DG1", 3)), ("1".into(), "I10".into(), "D64.9^^I10".into()));
    assert_eq!((at("DG1", 6), at("OBR", 7)), ("W".into(), String::new()));
    let tq = if is_oml { "" } else { "^^^^^S" };
    assert_eq!((at("ORC", 7), at("OBR", 27)), (tq.into(), tq.into()));
    let (priority, requested) = if matches!(version, "2.5" | "2.5.1") {
        (String::new(), String::new())
    } else {
        ("S".into(), "20260302080000+0000".into())
    };
    assert_eq!((at("OBR", 5), at("OBR", 6)), (priority, requested));
    if is_oml {
        assert_eq!((at("TQ1", 7), at("TQ1", 9)), ("20260302080000+0000".into(), "S^Stat^HL70485".into()));
    }
}

async fn a_cancellation_has_the_form_of_its_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (lis, endpoint) = lab(&app, json!({"order_message": "OML_O21"})).await;
    let id = order(&app, jane, endpoint).await["id"].clone();
    let clinician = app.clinician().await;
    let asked = clinician.post(&format!("/api/lab-orders/{id}/cancel"), json!({})).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{:?}", asked.body);
    crate::app::until("cancelled", async || {
        let seen = clinician.read(&format!("/api/lab-orders/{id}")).await;
        (seen["status"] == "cancelled").then_some(())
    })
    .await;
    let text = lis.received().pop().unwrap();
    assert_eq!((field(&text, "MSH", 9), field(&text, "ORC", 1)), ("OML^O21^OML_O21".into(), "CA".into()));
    app.finish().await;
}

async fn a_laboratory_reads_its_own_codes_names_and_clock(engine: Engine) {
    let app = TestApp::start(engine).await;
    let rene = app.patient("777", "Müller", "René", "1970-01-01").await;
    let settings = json!({
        "receiving_application": "CITYLIS", "receiving_facility": "CITY", "sending_application": "CLINIC",
        "sending_facility": "NORTH", "time_zone": "America/New_York", "charset": "8859/1", "ack_mode": "enhanced",
        "code_map": {"CBC": {"code": "4711", "text": "Blutbild", "system": "99CITY"}, "ODD": "O-1"},
        "profile": {"order_codes": "loinc_first", "processing_id": "T", "diagnosis_system": "I9C"},
    });
    let (lis, endpoint) = lab(&app, settings.clone()).await;
    let stored = app.sign_in(Role::Admin).await.read(&format!("/api/lis-endpoints/{endpoint}")).await;
    assert_eq!(stored["code_map"], settings["code_map"]);
    order(&app, rene, endpoint).await;
    let bytes = lis.received_bytes().pop().unwrap();
    assert!(bytes.windows(6).any(|part| part == b"M\xfcller"), "in the laboratory's character set");
    let text: String = bytes.into_iter().map(char::from).collect();
    let at = |segment: &str, n: usize| field(&text, segment, n);
    assert_eq!([3, 4, 5, 6].map(|n| at("MSH", n)), ["CLINIC", "NORTH", "CITYLIS", "CITY"]);
    assert_eq!([11, 15, 16, 18].map(|n| at("MSH", n)), ["T", "AL", "AL", "8859/1"]);
    assert_eq!((at("MSH", 7), at("ORC", 9)), ("20260302030000-0500".into(), "20260302030000-0500".into()));
    assert_eq!(at("OBR", 4), "58410-2^CBC panel - Blood by Automated count^LN^4711^Blutbild^99CITY");
    assert!(text.contains("||O-1^^L|"), "{text}");
    assert_eq!(at("DG1", 3), "D64.9^^I9C");
    app.finish().await;
}

async fn what_does_not_fit_the_character_set_is_said(engine: Engine) {
    let app = TestApp::start(engine).await;
    let yamada = app.patient("778", "山田", "Ann", "1970-01-01").await;
    let (lis, endpoint) = lab(&app, json!({"charset": "8859/1"})).await;
    order(&app, yamada, endpoint).await;
    let text = lis.received().pop().unwrap();
    assert_eq!(field(&text, "MSH", 18), "UNICODE UTF-8");
    assert!(field(&text, "PID", 5).starts_with("山田^"));
    let row = &hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap()[0];
    assert_eq!(row.warnings, json!([{"code": "charset_replaced"}]));
    app.finish().await;
}

async fn a_form_that_does_not_exist_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    for (settings, field) in [
        (json!({"order_message": "OML_O21", "hl7_version": "2.3"}), "order_message"),
        (json!({"order_message": "RDE_O11"}), "order_message"),
        (json!({"code_map": {"CBC": 5}}), "code_map"),
        (json!({"code_map": ["CBC"]}), "code_map"),
        (json!({"profile": {"order_codes": "both"}}), "profile"),
        (json!({"profile": {"processing_id": "Q"}}), "profile"),
    ] {
        let mut body = json!({"name": "Lab", "host": "127.0.0.1", "port": 9, "direction": "outbound"});
        body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let answer = engineer.post("/api/lis-endpoints", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{settings}");
        assert_eq!(answer.body["detail"][0]["loc"], json!(["body", field]), "{settings}");
    }
    app.finish().await;
}
