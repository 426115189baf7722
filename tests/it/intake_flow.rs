//! Results come in: what the tables and the API show afterwards, on both databases.

use pms::{
    domain::access::Role,
    hl7::frame::wrap,
    store::entity::{alert_event, critical_alert, hl7_message, lab_result, review_item},
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{answered, code, obr, obx, oru},
};

flows!(
    the_guides_message,
    two_frames_in_one_write,
    one_byte_at_a_time,
    a_frame_split_at_its_end,
    a_half_closed_socket,
    noise_between_frames,
    a_frame_over_the_cap,
    a_resend_changes_nothing,
    the_same_id_with_other_content_is_flagged,
    versions_follow_the_lab,
    a_stranger_waits_in_review,
    refusals_say_why_and_nothing_else,
    an_order_number_of_another_patient_is_held,
    enhanced_mode_is_followed,
    pipelined_messages_are_answered_in_order,
    a_message_that_cannot_be_stored_harms_no_other,
    ids_follow_the_order_of_arrival,
);

/// As the setup guide prints it, with LF line ends and the statuses one field early.
const GUIDE: &str = "MSH|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260221120000||ORU^R01|MSG001|P|2.5.1
PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F
OBR|1|ORD001|FIL001|CBC^Complete Blood Count|||20260221110000|||||||||Dr. Smith||||||||F
OBX|1|NM|WBC^White Blood Cells||7.5|10*3/uL|4.5-11.0|N||F
OBX|2|NM|RBC^Red Blood Cells||4.8|10*6/uL|4.2-5.4|N||F
OBX|3|NM|HGB^Hemoglobin||14.2|g/dL|12.0-16.0|N||F
OBX|4|NM|PLT^Platelets||250|10*3/uL|150-400|N||F
OBX|5|NM|K^Potassium||6.8|mEq/L|3.5-5.0|HH||F
";

async fn the_guides_message(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let answer = app.lab().await.exchange(GUIDE).await;
    assert_eq!((code(&answer), answered(&answer)), ("AA".into(), "MSG001".into()));

    let clinician = app.clinician().await;
    let results = clinician.read(&format!("/api/lab-results?patient_id={jane}")).await;
    let shown: Vec<String> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {} {} {}",
                text("test_code"),
                text("value"),
                text("units"),
                text("abnormal_flag"),
                text("result_status"),
                item["is_critical"]
            )
        })
        .collect();
    let mut shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [
            "HGB 14.2 g/dL N F false",
            "K 6.8 mEq/L HH F true",
            "PLT 250 10*3/uL N F false",
            "RBC 4.8 10*6/uL N F false",
            "WBC 7.5 10*3/uL N F false",
        ]
    );

    let critical = clinician.read("/api/lab-results/critical").await;
    assert_eq!(critical.as_array().unwrap().len(), 1);
    assert_eq!((&critical[0]["test_name"], &critical[0]["value"]), (&json!("Potassium"), &json!("6.8")));
    let alert = clinician.read(&format!("/api/alerts/{}", critical[0]["alert_id"])).await;
    assert_eq!(
        alert["patient"],
        json!({"mrn": "12345", "last_name": "Doe", "first_name": "Jane", "date_of_birth": "1990-03-15"})
    );
    let kinds: Vec<&Value> =
        alert["reasons"].as_array().unwrap().iter().map(|reason| &reason["kind"]).collect();
    assert_eq!(kinds, [&json!("lis_flag"), &json!("threshold")], "both voices are kept");

    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let messages = engineer.read("/api/hl7/messages?control_id=MSG001").await;
    let detail = engineer.read(&format!("/api/hl7/messages/{}", messages[0]["id"])).await;
    assert_eq!(detail["observations"], json!({"received": 5, "stored": 5, "in_review": 0, "rejected": 0}));
    let warnings: Vec<&str> = detail["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].as_str().unwrap())
        .collect();
    for expected in ["line_ends", "status_from_obr24", "status_from_obx10"] {
        assert!(warnings.contains(&expected), "{expected} not in {warnings:?}");
    }
    app.finish().await;
}

fn potassium(control_id: &str, filler: &str, value: &str) -> String {
    oru(
        control_id,
        "20260302080000",
        &[&obr("", filler, "BMP", "20260302080000", "F"), &obx(1, "K^Potassium", value, "mmol/L", "", "F")],
    )
}

async fn two_frames_in_one_write(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let both =
        [wrap(potassium("A", "F1", "4.0").as_bytes()), wrap(potassium("B", "F2", "4.1").as_bytes())].concat();
    lab.write(&both).await;
    assert_eq!((answered(&lab.answer().await), answered(&lab.answer().await)), ("A".into(), "B".into()));
    assert_eq!(app.count::<lab_result::Entity>().await, 2);
    app.finish().await;
}

async fn one_byte_at_a_time(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    for byte in wrap(potassium("A", "F1", "4.0").as_bytes()) {
        lab.write(&[byte]).await;
    }
    assert_eq!(code(&lab.answer().await), "AA");
    app.finish().await;
}

async fn a_frame_split_at_its_end(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let frame = wrap(potassium("A", "F1", "4.0").as_bytes());
    let (head, cr) = frame.split_at(frame.len() - 1);
    lab.write(head).await;
    assert_eq!(answered(&lab.answer().await), "A", "answered at FS, before its CR");
    lab.write(cr).await;
    lab.write(&wrap(potassium("B", "F2", "4.0").as_bytes())).await;
    assert_eq!(answered(&lab.answer().await), "B", "the late CR is no message");
    app.finish().await;
}

async fn a_half_closed_socket(engine: Engine) {
    use tokio::io::AsyncWriteExt;
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    lab.write(&wrap(potassium("A", "F1", "4.0").as_bytes())).await;
    lab.stream.shutdown().await.unwrap();
    assert_eq!(code(&lab.answer().await), "AA");
    assert!(lab.try_answer().await.is_none(), "then the connection ends");
    app.finish().await;
}

async fn noise_between_frames(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    lab.write(b"hello?\r\n\x1c\x00\xff").await;
    assert_eq!(code(&lab.exchange(&potassium("A", "F1", "4.0")).await), "AA");
    lab.write(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(code(&lab.exchange(&potassium("B", "F2", "4.0")).await), "AA");
    app.finish().await;
}

async fn a_frame_over_the_cap(engine: Engine) {
    let app = TestApp::start_with(engine, &[("MAX_MESSAGE_SIZE", "1048576")]).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let sized = |control_id: &str, size: usize| {
        let message = potassium(control_id, "F1", "4.0");
        let note = format!("NTE|1|L|{}\r", "x".repeat(size - message.len() - 9));
        format!("{message}{note}")
    };
    let over = sized("BIG", 1_048_577);
    assert_eq!(over.len(), 1_048_577);
    let answer = lab.exchange(&over).await;
    assert_eq!((code(&answer), answered(&answer)), ("AE".into(), "BIG".into()));
    assert_eq!(app.count::<lab_result::Entity>().await, 0);
    lab.deliver(&sized("FITS", 1_048_576)).await;
    assert_eq!(app.count::<lab_result::Entity>().await, 1);
    assert_eq!(app.count::<hl7_message::Entity>().await, 2, "the refused one left its row");
    app.finish().await;
}

async fn a_resend_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let first = app.lab().await.exchange(GUIDE).await;
    app.clock.advance(std::time::Duration::from_mins(1));
    let again = app.lab().await.exchange(GUIDE).await;
    assert_eq!(first, again, "the stored bytes, time and control id included");
    let frame = wrap(GUIDE.as_bytes());
    let mut lab = app.lab().await;
    lab.write(&[frame.clone(), frame].concat()).await;
    assert_eq!((lab.answer().await, lab.answer().await), (first.clone(), first));
    assert_eq!(app.count::<lab_result::Entity>().await, 5);
    assert_eq!(app.count::<critical_alert::Entity>().await, 1);
    assert_eq!(app.count::<alert_event::Entity>().await, 1);
    let stored = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].duplicates_seen, 3);
    app.finish().await;
}

async fn the_same_id_with_other_content_is_flagged(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&potassium("A", "F1", "4.0")).await;
    lab.deliver(&potassium("A", "F2", "4.2")).await;
    assert_eq!(app.count::<lab_result::Entity>().await, 2);
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let flagged = rows.iter().filter(|row| row.warnings.to_string().contains("control_id_reused")).count();
    assert_eq!((rows.len(), flagged), (2, 1));
    app.finish().await;
}

async fn versions_follow_the_lab(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let steps = [
        ("1", "20260302080100", "P", "6.9"),
        ("2", "20260302080200", "F", "6.9"),
        ("3", "20260302080130", "P", "5.0"),
        ("4", "20260302080300", "C", "4.4"),
        ("5", "20260302080200", "F", "6.9"),
    ];
    for (id, changed, status, value) in steps {
        let report = obr("", "F1", "BMP", changed, status);
        lab.deliver(&oru(id, changed, &[&report, &obx(1, "K^Potassium", value, "mmol/L", "", status)])).await;
    }
    let clinician = app.clinician().await;
    let shown = clinician.read(&format!("/api/lab-results?patient_id={jane}")).await;
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!(
        (&shown[0]["value"], &shown[0]["result_status"], &shown[0]["is_critical"]),
        (&json!("4.4"), &json!("C"), &json!(false))
    );
    let history = clinician.read(&format!("/api/lab-results/{}/history", shown[0]["id"])).await;
    assert_eq!(history.as_array().unwrap().len(), 5, "every version is kept");
    let alerts = clinician.read("/api/alerts").await;
    let alerts = alerts.as_array().unwrap();
    assert_eq!(alerts.len(), 1, "a final that repeats its preliminary alerts nobody twice");
    assert_eq!(alerts[0]["status"], "open", "a correction never closes an alert in silence");
    let rows = alert_event::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let corrected: Vec<&Value> =
        rows.iter().filter(|row| row.kind == "result_corrected").map(|row| &row.payload).collect();
    assert_eq!(corrected.len(), 1);
    assert_eq!((&corrected[0]["old_value"], &corrected[0]["new_value"]), (&json!("6.9"), &json!("4.4")));
    app.finish().await;
}

async fn a_stranger_waits_in_review(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let wrong_name = GUIDE.replace("Doe^Jane", "Smith^Jane").replace("MSG001", "MSG002");
    lab.deliver(&wrong_name).await;
    let unknown = GUIDE.replace("12345^^^MPS_PMS^MR", "99999^^^MPS_PMS^MR").replace("MSG001", "MSG003");
    lab.deliver(&unknown).await;
    assert_eq!(app.count::<lab_result::Entity>().await, 0, "never linked on a guess");
    let items = review_item::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let mut reasons: Vec<&str> = items.iter().map(|item| item.reason.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["name_contradicts", "unknown_identifier"]);
    let alerts = app.clinician().await.read("/api/alerts?status=open").await;
    assert_eq!(
        alerts.as_array().unwrap().len(),
        2,
        "a critical value alerts although nobody knows whose it is"
    );
    assert!(alerts.as_array().unwrap().iter().all(|alert| alert["patient_id"].is_null()));
    assert_eq!(alerts[0]["patient"]["mrn"], "99999");
    app.finish().await;
}

async fn refusals_say_why_and_nothing_else(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let head = |kind: &str, id: &str, version: &str| {
        format!(
            "MSH|^~\\&|L|F|P|M|20260302080000||{kind}|{id}|P|{version}\rPID|1||12345^^^MPS_PMS^MR||SECRETNAME^Jane\r"
        )
    };
    let cases = [
        (head("ZZZ^Z01", "R1", "2.5.1"), "AR", "R1", "200"),
        (head("ORU^R99", "R2", "2.5.1"), "AR", "R2", "201"),
        (head("ORU^R01", "R3", "3.0"), "AR", "R3", "203"),
        (format!("{}OBX|1|NM|K||SECRETVALUE\r", head("ORU^R01", "R4", "2.5.1")), "AE", "R4", "100"),
        (head("ORU^R01", "", "2.5.1"), "AR", "", "101"),
        (format!("{}DSC|next\r", head("ORU^R01", "R5", "2.5.1")), "AE", "R5", "199"),
        ("SECRETNAME is not a message".to_owned(), "AE", "", "100"),
    ];
    let mut lab = app.lab().await;
    for (message, expected, id, error) in &cases {
        let answer = lab.exchange(message).await;
        let text = String::from_utf8(answer.clone()).unwrap();
        assert_eq!((code(&answer).as_str(), answered(&answer).as_str()), (*expected, *id), "{text}");
        assert!(text.contains(&format!("|{error}^")), "{error} in {text}");
        assert!(!text.contains("SECRET"), "{text}");
    }
    // Bytes that are not what MSH-18 says.
    let mut bytes = head("ORU^R01", "R6", "2.5.1||||||UNICODE UTF-8").into_bytes();
    bytes.extend(b"OBR|1\rOBX|1|ST|A||\xff\xfe||||||F\r");
    lab.write(&wrap(&bytes)).await;
    let answer = lab.answer().await;
    assert_eq!((code(&answer), answered(&answer)), ("AE".into(), "R6".into()));
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(rows.len(), cases.len() + 1, "every refused message left its row");
    assert!(rows.iter().all(|row| !row.error_detail.as_deref().unwrap_or_default().contains("SECRET")));
    app.finish().await;
}

async fn an_order_number_of_another_patient_is_held(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    app.jane().await;
    let john = app.patient("777", "Roe", "John", "1980-01-01").await;
    let order = json!({"patient_id": john, "test_codes": ["BMP"], "ordering_provider": "Dr. Smith"});
    let placed = app.clinician().await.post("/api/lab-orders", order).await;
    let placer = placed.body["tests"][0]["placer_order_number"].as_str().unwrap().to_owned();
    let report = obr(&placer, "F1", "BMP", "20260302080000", "F");
    app.lab()
        .await
        .deliver(&oru("X", "20260302080000", &[&report, &obx(1, "K", "4.0", "mmol/L", "", "F")]))
        .await;
    assert_eq!(app.count::<lab_result::Entity>().await, 0);
    let items = review_item::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(items[0].reason, "order_of_another_patient");
    app.finish().await;
}

async fn enhanced_mode_is_followed(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let asking = |id: &str, fields: &str| {
        potassium(id, id, "4.0").replace("|P|2.5.1\r", &format!("|P|2.5.1|||{fields}\r"))
    };
    let commit = lab.exchange(&asking("E1", "AL|NE")).await;
    assert_eq!((code(&commit), answered(&commit)), ("CA".into(), "E1".into()));
    let first = lab.exchange(&asking("E2", "AL|AL")).await;
    let second = lab.answer().await;
    assert_eq!((code(&first), code(&second)), ("CA".into(), "AA".into()));
    lab.write(&wrap(asking("E3", "NE|NE").as_bytes())).await;
    assert_eq!(answered(&lab.exchange(&asking("E4", "NE|AL")).await), "E4", "E3 got no answer");
    assert_eq!(app.count::<lab_result::Entity>().await, 4, "and was stored");
    app.finish().await;
}

async fn pipelined_messages_are_answered_in_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let ids: Vec<String> = (0..60).map(|n| format!("P{n}")).collect();
    let all: Vec<u8> = ids.iter().flat_map(|id| wrap(potassium(id, id, "4.0").as_bytes())).collect();
    lab.write(&all).await;
    for id in &ids {
        assert_eq!(&answered(&lab.answer().await), id);
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 60);
    app.finish().await;
}

async fn a_message_that_cannot_be_stored_harms_no_other(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    // Text far beyond any column and a code of 3,000 characters; neither may be cut, and neither may take others along.
    let long = "c".repeat(3000);
    let odd = oru(
        "ODD",
        "20260302080000",
        &[&obr("", "F9", &long, "20260302080000", "F"), &obx(1, &long, "1", &long, &long, "F")],
    );
    let good = potassium("GOOD", "F1", "4.0");
    lab.write(
        &[wrap(good.as_bytes()), wrap(odd.as_bytes()), wrap(potassium("ALSO", "F2", "4.0").as_bytes())]
            .concat(),
    )
    .await;
    let answers = [lab.answer().await, lab.answer().await, lab.answer().await];
    assert_eq!((code(&answers[0]), code(&answers[2])), ("AA".into(), "AA".into()));
    assert_eq!(answered(&answers[1]), "ODD");
    assert_eq!(app.count::<hl7_message::Entity>().await, 3);
    app.finish().await;
}

/// Lists are newest first by id, so a later message must not get a smaller one, whichever worker takes it.
async fn ids_follow_the_order_of_arrival(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    for number in 0..8 {
        // Of several patients, most unknown, so that all workers have something to do; each value is critical.
        let (id, mrn) = (format!("N{number}"), if number % 3 == 0 { 12345 } else { 90_000 + number });
        lab.deliver(&potassium(&id, &id, "7.5").replace("12345^^^", &format!("{mrn}^^^"))).await;
    }
    let reader = app.ctx().db.reader();
    let mut messages = hl7_message::Entity::find().all(reader).await.unwrap();
    messages.sort_by_key(|row| row.id);
    let arrived: Vec<&str> = messages.iter().map(|row| row.message_control_id.as_str()).collect();
    assert_eq!(arrived, ["N0", "N1", "N2", "N3", "N4", "N5", "N6", "N7"]);
    let mut alerts = critical_alert::Entity::find().all(reader).await.unwrap();
    alerts.sort_by_key(|row| row.id);
    let of_messages: Vec<Option<i64>> = alerts.iter().map(|row| row.hl7_message_id).collect();
    assert_eq!(of_messages, messages.iter().map(|row| Some(row.id)).collect::<Vec<_>>());
    app.finish().await;
}
