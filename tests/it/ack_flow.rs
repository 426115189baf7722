//! Every message is answered as the standard and the sender's profile say.

use pms::{domain::access::Role, hl7::frame::wrap, store::entity::lab_result};
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{Sender, code, obr, obx, oru},
};

flows!(
    what_is_not_acceptable_is_rejected,
    acknowledgment_modes_by_profile,
    versions_are_answered_in_their_own_manner,
    a_strict_profile_refuses_what_others_note,
    leniency_is_told_where_the_profile_asks,
    what_is_not_taken_can_be_kept,
    a_profile_can_turn_away_strangers,
    a_sender_can_be_held_to_its_kinds,
    values_in_other_places_are_found,
    a_profile_that_cannot_be_used_is_refused,
    acknowledgments_are_never_answered,
    observations_are_counted,
);

/// A lab whose messages come from this machine under a name of their own.
pub(crate) async fn endpoint(app: &TestApp, name: &str, settings: Value) -> i64 {
    let mut body = json!({
        "name": name, "direction": "inbound", "receiving_application": name, "allowed_networks": ["127.0.0.0/8"],
    });
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let answer = app.sign_in(Role::InterfaceEngineer).await.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.body["id"].as_i64().unwrap()
}

fn potassium(id: &str, sender: &str) -> String {
    let lines = [obr("", id, "BMP", "20260302080000", "F"), obx(1, "K^Potassium", "4.0", "mmol/L", "N", "F")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    oru(id, "20260302080000", &lines).replace("|LAB_LIS|", &format!("|{sender}|"))
}

async fn answer(lab: &mut Sender, message: &str) -> String {
    String::from_utf8(lab.exchange(message).await).unwrap()
}

async fn what_is_not_acceptable_is_rejected(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let header = "|ORU^R01^ORU_R01|";
    for (change, code, error, place) in [
        ("|MFN^M01|", "AR", "200", "MSH^1^9"),
        ("|ORU^R40|", "AR", "201", "MSH^1^9"),
        ("|SIU^S26|", "AR", "201", "MSH^1^9"),
    ] {
        let text = answer(&mut lab, &potassium("X1", "LAB_LIS").replace(header, change)).await;
        assert!(text.contains(&format!("MSA|{code}|X1|")), "{text}");
        assert!(text.contains(&format!("ERR||{place}|{error}^")), "{text}");
    }
    for (from, to, code, error, place) in [
        ("|P|2.5.1", "|X|2.5.1", "AR", "202", "MSH^1^11"),
        ("|P|2.5.1", "|P|3.0", "AR", "203", "MSH^1^12"),
        ("|X2|P|", "||P|", "AR", "101", "MSH^1^10"),
    ] {
        let text = answer(&mut lab, &potassium("X2", "LAB_LIS").replace(from, to)).await;
        assert!(
            text.contains(&format!("MSA|{code}|")) && text.contains(&format!("ERR||{place}|{error}^")),
            "{text}"
        );
        assert!(!text.contains("Doe") && !text.contains("12345"), "{text}");
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 0);
    app.finish().await;
}

async fn acknowledgment_modes_by_profile(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    for mode in ["auto", "original", "enhanced"] {
        endpoint(&app, mode, json!({ "ack_mode": mode })).await;
    }
    let mut lab = app.lab().await;
    let table: [(&str, &str, &[&str]); 9] = [
        ("auto", "|", &["AA"]),
        ("auto", "AL|NE", &["CA"]),
        ("auto", "NE|AL", &["AA"]),
        ("auto", "AL|AL", &["CA", "AA"]),
        ("auto", "ER|ER", &[]),
        ("original", "AL|NE", &["AA"]),
        ("original", "NE|NE", &["AA"]),
        ("enhanced", "|", &["CA"]),
        ("enhanced", "AL|AL", &["CA", "AA"]),
    ];
    for (number, (mode, fields, expected)) in table.into_iter().enumerate() {
        let message =
            potassium(&format!("M{number}"), mode).replace("|P|2.5.1\r", &format!("|P|2.5.1|||{fields}\r"));
        lab.write(&wrap(message.as_bytes())).await;
        for wanted in expected {
            assert_eq!(code(&lab.answer().await), *wanted, "{mode} {fields}");
        }
    }
    // Bad content under enhanced mode: the letters of a commit acknowledgment, and nothing after it.
    let bad = potassium("BAD", "auto").replace("OBR|", "obr|").replace("|P|2.5.1\r", "|P|2.5.1|||AL|AL\r");
    lab.write(&wrap(bad.as_bytes())).await;
    assert_eq!(code(&lab.answer().await), "CE");
    assert!(
        answer(&mut lab, &potassium("GOOD", "auto")).await.contains("MSA|AA|GOOD"),
        "no late answer to BAD"
    );
    app.finish().await;
}

async fn versions_are_answered_in_their_own_manner(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    for (version, kind, error) in [
        ("2.1", "|ACK^R01|", "ERR|OBX^1^^100&Segment sequence error&HL70357"),
        ("2.3", "|ACK^R01|", "ERR|OBX^1^^100&Segment sequence error&HL70357"),
        ("2.3.1", "|ACK^R01^ACK|", "ERR|OBX^1^^100&Segment sequence error&HL70357"),
        ("2.5.1^USA", "|ACK^R01^ACK|", "ERR||OBX^1|100^Segment sequence error^HL70357|E"),
        ("2.8.2", "|ACK^R01^ACK|", "ERR||OBX^1|100^Segment sequence error^HL70357|E"),
    ] {
        let message = oru(&format!("V{version}"), "20260302080000", &["OBX|1|NM|K||4.0"])
            .replace("|P|2.5.1\r", &format!("|T^T|{version}\r"))
            .replace('|', "$")
            .replace('^', "!");
        let text = answer(&mut lab, &message).await.replace('$', "|").replace('!', "^");
        assert!(text.contains(kind) && text.contains(error), "{version}: {text}");
        assert!(text.contains(&format!("|T^T|{version}")), "MSH-11 and MSH-12 are echoed: {text}");
    }
    app.finish().await;
}

async fn a_strict_profile_refuses_what_others_note(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    endpoint(
        &app,
        "STRICT",
        json!({ "profile": { "strict": true, "versions": ["2.5"], "processing_ids": ["P"] } }),
    )
    .await;
    let mut lab = app.lab().await;
    let sloppy = |sender: &str| potassium(sender, sender).replace("|4.0|", "|high|").replace("|||F\r", "\r");
    assert!(answer(&mut lab, &sloppy("LAB_LIS")).await.contains("MSA|AA|"));
    let text = answer(&mut lab, &sloppy("STRICT")).await;
    assert!(text.contains("MSA|AE|STRICT|"), "{text}");
    assert!(
        text.contains("ERR||OBX^1^11|101^") && text.contains("ERR||OBX^1^5|102^"),
        "one ERR a fault: {text}"
    );
    assert!(answer(&mut lab, &potassium("S1", "STRICT")).await.contains("MSA|AA|"));
    let other = |to: &str| potassium("S2", "STRICT").replace("|P|2.5.1", to);
    assert!(answer(&mut lab, &other("|T|2.5.1")).await.contains("|202^"));
    assert!(answer(&mut lab, &other("|P|2.3")).await.contains("|203^"));
    app.finish().await;
}

async fn leniency_is_told_where_the_profile_asks(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    endpoint(&app, "CURIOUS", json!({ "profile": { "ack_warnings": true } })).await;
    let mut lab = app.lab().await;
    let sloppy = |sender: &str| potassium(sender, sender).replace("|4.0|", "|high|");
    assert!(!answer(&mut lab, &sloppy("LAB_LIS")).await.contains("ERR"));
    let text = answer(&mut lab, &sloppy("CURIOUS")).await;
    assert!(text.contains("MSA|AA|CURIOUS"), "{text}");
    assert!(text.contains("ERR||OBX^1^5|0^Message accepted^HL70357|W|not_a_number"), "{text}");
    app.finish().await;
}

async fn what_is_not_taken_can_be_kept(engine: Engine) {
    let app = TestApp::start(engine).await;
    endpoint(&app, "CHATTY", json!({ "profile": { "unsupported": "store" } })).await;
    let mut lab = app.lab().await;
    let message = potassium("C1", "CHATTY").replace("|ORU^R01^ORU_R01|", "|MFN^M01|");
    let text = answer(&mut lab, &message).await;
    assert!(text.contains("MSA|AA|C1"), "{text}");
    assert!(text.contains("ERR||OBX^1|0^"), "what was not filed is told: {text}");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let row = &engineer.read("/api/hl7/messages?control_id=C1").await[0];
    assert_eq!((&row["status"], &row["ack_status"]), (&json!("ignored"), &json!("AA")));
    app.finish().await;
}

async fn a_profile_can_turn_away_strangers(engine: Engine) {
    let app = TestApp::start(engine).await;
    endpoint(&app, "SURE", json!({ "profile": { "unmatched": "reject" } })).await;
    let mut lab = app.lab().await;
    let text = answer(&mut lab, &potassium("U1", "SURE")).await;
    assert!(text.contains("MSA|AE|U1|") && text.contains("ERR||PID^1^3|204^"), "{text}");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let row = engineer.read("/api/hl7/messages?control_id=U1").await[0].clone();
    assert_eq!(row["status"], "refused");
    let detail = engineer.read(&format!("/api/hl7/messages/{}", row["id"])).await;
    assert_eq!(detail["observations"], json!({"received": 1, "stored": 0, "in_review": 0, "rejected": 1}));
    app.jane().await;
    assert!(answer(&mut lab, &potassium("U2", "SURE")).await.contains("MSA|AA|U2"));
    app.finish().await;
}

async fn a_sender_can_be_held_to_its_kinds(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    endpoint(&app, "BOOKING", json!({ "profile": { "message_types": ["SIU"] } })).await;
    let text = answer(&mut app.lab().await, &potassium("U3", "BOOKING")).await;
    assert!(text.contains("MSA|AR|U3|") && text.contains("ERR||MSH^1^9|200^"), "{text}");
    app.finish().await;
}

async fn values_in_other_places_are_found(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let profile =
        json!({ "positions": { "PID-3": "PID-2", "OBX-5": "OBX-9" }, "default_result_status": "P" });
    endpoint(&app, "ODD", json!({ "profile": profile })).await;
    let message = potassium("O1", "ODD")
        .replace("PID|1||12345^^^MPS_PMS^MR|", "PID|1|12345^^^MPS_PMS^MR||")
        .replace("||4.0|mmol/L||N|||F", "||see there|mmol/L||N|4.0||");
    app.lab().await.deliver(&message).await;
    let results = app.clinician().await.read(&format!("/api/lab-results?patient_id={jane}")).await;
    assert_eq!((&results[0]["value"], &results[0]["result_status"]), (&json!("4.0"), &json!("P")));
    app.finish().await;
}

async fn a_profile_that_cannot_be_used_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let body = json!({ "name": "X", "direction": "inbound", "profile": { "stric": true } });
    let answer = engineer.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.body["detail"][0]["loc"], json!(["body", "profile"]));
    app.finish().await;
}

async fn acknowledgments_are_never_answered(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let ack = "MSH|^~\\&|LAB_LIS|L|PMS_LAB|MPS_PMS|20260302080000||ACK^R01^ACK|A1|P|2.5.1\rMSA|AE|nobody\r";
    lab.write(&wrap(ack.as_bytes())).await;
    let text = answer(&mut lab, &potassium("N1", "LAB_LIS")).await;
    assert!(text.contains("MSA|AA|N1"), "the next answer is that of the next message: {text}");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let row = &engineer.read("/api/hl7/messages?control_id=A1").await[0];
    assert_eq!((&row["status"], &row["ack_status"]), (&json!("logged"), &Value::Null));
    app.finish().await;
}

async fn observations_are_counted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let value = |text: &str, outcome: &str| {
        let name = format!("pms_observations_total{{outcome=\"{outcome}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap_or_default()
    };
    let metrics = async || {
        let answer = app.stranger().get("/metrics").await.body.as_str().unwrap_or_default().to_owned();
        ["received", "stored", "in_review", "rejected"].map(|outcome| value(&answer, outcome))
    };
    app.jane().await;
    let mut lab = app.lab().await;
    let before = metrics().await;
    lab.deliver(&potassium("K1", "LAB_LIS")).await;
    lab.deliver(&potassium("K2", "LAB_LIS").replace("12345", "99")).await;
    lab.exchange(&potassium("K3", "LAB_LIS").replace("|R01", "|R99").replace("^R01^", "^R99^")).await;
    let after = metrics().await;
    // Other tests of this process count as well, so only what must have been added can be said.
    let added: Vec<u64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert!(added[0] >= 3 && added[1..].iter().all(|count| *count >= 1), "{added:?}");
    app.finish().await;
}
