//! Orders of others: a lab that speaks of ours.

use pms::{
    domain::access::Role,
    store::entity::{hl7_message, lab_order_event},
};
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    app::{Actor, Engine, TestApp, flows},
    lab::{FakeLis, Manner, Sender, code, obr, obx, oru},
};

flows!(
    a_lab_takes_ends_and_refuses_tests,
    a_word_on_somebody_elses_order_changes_nothing,
    a_status_without_results_closes_nothing,
    orders_are_answered_in_the_senders_manner,
);

const JANE: &str = "12345^^^MPS_PMS^MR||Doe^Jane||19900315|F";

/// An order message: type, control id, version, PID and the lines after it.
fn message(kind: &str, id: &str, version: &str, pid: &str, lines: &[&str]) -> String {
    let pid = if pid.is_empty() { String::new() } else { format!("PID|1||{pid}\r") };
    format!(
        "MSH|^~\\&|LIS|LAB|PMS_LAB|MPS_PMS|20260302080500+0000||{kind}|{id}|P|{version}\r{pid}{}\r",
        lines.join("\r")
    )
}

fn orm(id: &str, pid: &str, lines: &[&str]) -> String {
    message("ORM^O01^ORM_O01", id, "2.5.1", pid, lines)
}

async fn exchange(lab: &mut Sender, message: &str) -> String {
    String::from_utf8(lab.exchange(message).await).unwrap()
}

/// The ORC segments of an answer.
fn orcs(answer: &str) -> Vec<&str> {
    answer.split('\r').filter(|line| line.starts_with("ORC")).collect()
}

/// An order of ours that its lab has received, with its lab.
async fn sent_order(app: &TestApp, patient: i64, codes: &[&str]) -> (Value, FakeLis) {
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let body = json!({
        "name": format!("Lab {}", lis.port), "host": "127.0.0.1", "port": lis.port, "direction": "outbound",
    });
    let answer = app.sign_in(Role::InterfaceEngineer).await.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let body = json!({
        "patient_id": patient, "test_codes": codes, "ordering_provider": "Dr. Smith", "priority": "R"
    });
    let placed = app.clinician().await.post("/api/lab-orders", body).await;
    assert_eq!(placed.body["status"], "sent", "{:?}", placed.body);
    (placed.body["id"].clone(), lis)
}

async fn order(actor: &Actor, id: &Value) -> Value {
    actor.read(&format!("/api/lab-orders/{id}")).await
}

/// What is stored of the message with a control id.
async fn stored(app: &TestApp, control_id: &str) -> Value {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let row = engineer.read(&format!("/api/hl7/messages?control_id={control_id}")).await[0].clone();
    engineer.read(&format!("/api/hl7/messages/{}", row["id"])).await
}

async fn a_lab_takes_ends_and_refuses_tests(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (id, _lis) = sent_order(&app, jane, &["CBC", "BMP", "TSH"]).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;

    let takes = orm(
        "C1",
        JANE,
        &[
            &format!("ORC|SC|{id}-1^PMS|L1^LIS||IP"),
            &format!("OBR|1|{id}-1^PMS|L1^LIS|CBC|||||||||||||||||||||S"),
            &format!("ORC|UA|{id}-2"),
        ],
    );
    let answer = exchange(&mut lab, &takes).await;
    assert!(answer.contains("|ORR^O02^ORR_O02|") && answer.contains("MSA|AA|C1\r"), "{answer}");
    assert_eq!(orcs(&answer), [format!("ORC|OK|{id}-1^PMS|L1^LIS||IP"), format!("ORC|OK|{id}-2|||DC")]);
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["status"], &seen["tests"][0]["status"]), (&json!("acknowledged"), &json!("in_lab")));
    assert_eq!(seen["tests"][0]["filler_order_number"], "L1");
    assert_eq!(seen["tests"][1]["status"], "rejected");
    let line = seen["timeline"].as_array().unwrap().last().unwrap();
    let row = stored(&app, "C1").await;
    assert_eq!((&line["kind"], &line["actor"]), (&json!("accepted_by_lab"), &json!("lab")));
    assert_eq!(line["hl7_message_id"], row["id"]);
    assert_eq!(
        (&row["status"], &row["patient_id"], &row["lab_order_id"]),
        (&json!("stored"), &json!(jane), &id)
    );

    let before = (app.count::<hl7_message::Entity>().await, app.count::<lab_order_event::Entity>().await);
    assert_eq!(exchange(&mut lab, &takes).await, answer, "the stored bytes");
    let after = (app.count::<hl7_message::Entity>().await, app.count::<lab_order_event::Entity>().await);
    assert_eq!(before, after, "a resend adds no row");

    // No change of status is a line in the history too; a control without meaning for a status as well.
    exchange(&mut lab, &orm("C2", "", &[&format!("ORC|XX|{id}-1|L1")])).await;
    let seen = order(&clinician, &id).await;
    let line = seen["timeline"].as_array().unwrap().last().unwrap();
    assert_eq!((&line["kind"], &line["detail"]), (&json!("told_by_lab"), &json!("XX")));

    // One by one everything ends; a status that was left standing beside it does not matter.
    for (n, control) in [(1, "OC"), (2, "OD"), (3, "CR")] {
        let ends = orm(&format!("E{n}"), JANE, &[&format!("ORC|{control}|{id}-{n}|||IP")]);
        assert_eq!(orcs(&exchange(&mut lab, &ends).await), [format!("ORC|OK|{id}-{n}|||CA")]);
    }
    let seen = order(&clinician, &id).await;
    assert_eq!(seen["status"], "cancelled");
    assert_eq!(seen["timeline"].as_array().unwrap().last().unwrap()["kind"], "cancelled_by_lab");
    app.finish().await;
}

async fn a_word_on_somebody_elses_order_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-02").await;
    let (id, _lis) = sent_order(&app, jane, &["CBC"]).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;
    let cancelled = format!("ORC|OC|{id}-1|L1");
    let table: [(&str, &str, &[&str], &str); 6] = [
        ("W1", "777^^^MPS_PMS^MR||Roe^Ann||19800102|F", &[&cancelled], "order_of_another_patient"),
        ("W2", "888^^^ELSEWHERE^MR||Doe^Jane||19900315|F", &[&cancelled], "patient_not_certain"),
        ("W3", JANE, &["ORC|OC|999-1|L1"], "order_unknown"),
        ("W4", JANE, &["ORC|OC||L1"], "order_number_missing"),
        ("W5", JANE, &[&cancelled, "OBR|1|999-2"], "order_numbers_differ"),
        ("W6", JANE, &[&cancelled.replace("OC", "ZZ")], "order_control_not_taken"),
    ];
    for (control_id, pid, lines, word) in table {
        let answer = exchange(&mut lab, &orm(control_id, pid, lines)).await;
        assert_eq!(code(answer.as_bytes()), "AA");
        assert!(answer.contains("\rORC|UA|"), "{answer}");
        assert!(!answer.contains("Doe") && !answer.contains("Roe"), "{answer}");
        let row = stored(&app, control_id).await;
        assert!(row["warnings"].to_string().contains(word), "{word}: {}", row["warnings"]);
        assert_eq!((&row["patient_id"], &row["lab_order_id"]), (&json!(null), &json!(null)));
    }
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["status"], &seen["tests"][0]["status"]), (&json!("sent"), &json!("ordered")));
    assert!(!seen["timeline"].to_string().contains("_by_lab"), "{}", seen["timeline"]);
    app.finish().await;
}

async fn a_status_without_results_closes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (id, _lis) = sent_order(&app, jane, &["CBC"]).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;
    let placer = format!("{id}-1");
    let done = orm(
        "F1",
        JANE,
        &[&format!("ORC|SC|{placer}|L1||CM"), &obr(&placer, "L1", "CBC", "20260302080400", "F")],
    );
    assert_eq!(orcs(&exchange(&mut lab, &done).await), [format!("ORC|OK|{placer}|L1||IP")]);
    assert_eq!(order(&clinician, &id).await["status"], "acknowledged");
    assert!(stored(&app, "F1").await["warnings"].to_string().contains("results_not_here_yet"));
    let report = [obr(&placer, "L1", "CBC", "20260302080600", "F"), obx(1, "K", "4", "mmol/L", "N", "F")];
    let report: Vec<&str> = report.iter().map(String::as_str).collect();
    lab.deliver(&oru("R1", "20260302080600", &report)).await;
    // What comes late takes nothing back.
    let late = orm("F2", JANE, &[&format!("ORC|OC|{placer}|L1||CA")]);
    assert_eq!(orcs(&exchange(&mut lab, &late).await), [format!("ORC|OK|{placer}|L1||CM")]);
    assert_eq!(order(&clinician, &id).await["status"], "resulted");
    app.finish().await;
}

async fn orders_are_answered_in_the_senders_manner(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    endpoint(&app, "PLAIN", json!({ "profile": { "order_response": "ack" } })).await;
    let mut lab = app.lab().await;
    let orc = ["ORC|SC|1-1"];
    for (n, kind, version, expected) in [
        (1, "ORM^O01", "2.3", "|ORR^O02|"),
        (2, "ORM^O01", "2.3.1", "|ORR^O02^ORR_O02|"),
        (3, "OML^O21^OML_O21", "2.5.1", "|ORL^O22^ORL_O22|"),
        (4, "ORM", "2.2", "|ORR^O02|"),
    ] {
        let answer = exchange(&mut lab, &message(kind, &format!("V{n}"), version, JANE, &orc)).await;
        assert!(answer.contains(expected) && answer.ends_with("\rORC|UA|1-1\r"), "{answer}");
    }
    let plain = exchange(&mut lab, &orm("P1", JANE, &orc).replace("|LIS|", "|PLAIN|")).await;
    assert!(plain.contains("|ACK^O01^ACK|") && !plain.contains("ORC"), "{plain}");

    let both = orm("B1", JANE, &orc).replace("|P|2.5.1", "|P|2.5.1|||AL|AL");
    let commit = exchange(&mut lab, &both).await;
    assert!(commit.contains("|ACK^O01^ACK|") && commit.ends_with("MSA|CA|B1\r"), "{commit}");
    let application = String::from_utf8(lab.answer().await).unwrap();
    assert!(
        application.contains("|ORR^O02^ORR_O02|") && application.contains("MSA|AA|B1\r"),
        "{application}"
    );

    let weight = orm("O1", JANE, &[orc[0], "OBR|1|1-1||K", "OBX|1|NM|WT^Weight||70|kg|||||F"]);
    let answer = exchange(&mut lab, &weight).await;
    assert!(answer.contains("ERR||OBX^1|0^Message accepted"), "{answer}");
    for (n, kind, error) in [(1, "ORM^O02", "201"), (2, "OML^O33", "201"), (3, "OMG^O19", "200")] {
        let answer = exchange(&mut lab, &message(kind, &format!("X{n}"), "2.5.1", JANE, &orc)).await;
        assert!(
            answer.contains(&format!("MSA|AR|X{n}|")) && answer.contains(&format!("|{error}^")),
            "{answer}"
        );
    }
    let nothing = exchange(&mut lab, &orm("N1", JANE, &["NTE|1||none"])).await;
    assert!(nothing.contains("MSA|AE|N1|") && nothing.contains("ERR||OBR^1|100^"), "{nothing}");
    app.finish().await;
}
