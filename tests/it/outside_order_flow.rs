//! Orders of others: a lab that speaks of ours, a clinic that orders through us.

mod another_laboratory;
mod changes;

use std::time::Duration;

use pms::{
    domain::access::Role,
    hl7::frame::wrap,
    store::entity::{access_log, hl7_message, lab_order, lab_order_event, outbox},
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    app::{Actor, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, Sender, code, obr, obx, oru},
};

flows!(
    a_lab_takes_ends_and_refuses_tests,
    a_word_on_somebody_elses_order_changes_nothing,
    a_status_without_results_closes_nothing,
    orders_are_answered_in_the_senders_manner,
    a_clinic_orders_through_us,
    the_same_order_is_placed_once,
    an_order_for_nobody_certain_is_refused_whole,
    an_order_that_cannot_be_one_is_refused_by_place,
    an_order_never_goes_back,
    results_find_the_order_by_the_clinics_number,
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

/// A lab that takes orders in these manners.
async fn laboratory(app: &TestApp, manners: &[Manner]) -> FakeLis {
    let lis = FakeLis::start(manners).await;
    let body = json!({
        "name": format!("Lab {}", lis.port), "host": "127.0.0.1", "port": lis.port, "direction": "outbound",
    });
    let answer = app.sign_in(Role::InterfaceEngineer).await.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    lis
}

/// An order of ours that its lab has received, with its lab.
async fn sent_order(app: &TestApp, patient: i64, codes: &[&str]) -> (Value, FakeLis) {
    let lis = laboratory(app, &[Manner::Ack("AA")]).await;
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

/// A new order of one test: its number, its code and what else stands in ORC and OBR.
fn new(number: &str, code: &str, priority: &str) -> String {
    format!(
        "ORC|NW|{number}|||||^^^^^{priority}||20260302080400+0000|||7^Smith^Jo^^^Dr.\rOBR|1|{number}||{code}^{code} panel^L"
    )
}

async fn a_clinic_orders_through_us(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = laboratory(&app, &[Manner::Ack("AA")]).await;
    let clinician = app.clinician().await;
    let visit = json!({ "patient_id": jane, "class": "O", "status": "in-progress", "visit_number": "V9" });
    let visit = clinician.post("/api/encounters", visit).await.body["id"].clone();
    let mut his = app.lab().await;
    let lines = [
        "NTE|1||is deaf",
        "PV1|1|O|||||||||||||||||V9",
        &new("H1^HIS", "CBC", "R"),
        "NTE|1|P|fasting",
        "DG1|1||D64.9^Anaemia^I10",
        "ORC|NW|H2^HIS\rTQ1|1||||||||STAT\rOBR|2|H2^HIS||57698-3^Lipids^LN|||||||||tired",
        "DG1|1||840^Sprain^I9",
    ];
    let answer = exchange(&mut his, &message("OML^O21^OML_O21", "N1", "2.5.1", JANE, &lines)).await;
    assert!(answer.contains("|ORL^O22^ORL_O22|") && answer.contains("MSA|AA|N1\r"), "{answer}");
    let list = clinician.read(&format!("/api/lab-orders?patient_id={jane}")).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let id = list[0]["id"].clone();
    assert_eq!(orcs(&answer), [format!("ORC|OK|H1^HIS|{id}-1||SC"), format!("ORC|OK|H2^HIS|{id}-2||SC")]);

    until("sent", async || (order(&clinician, &id).await["status"] == "sent").then_some(())).await;
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["priority"], &seen["ordering_provider"]), (&json!("S"), &json!("Dr. Jo Smith")));
    assert_eq!((&seen["diagnosis_codes"], &seen["encounter_id"]), (&json!(["D64.9"]), &visit));
    assert_eq!(seen["note"], "is deaf\nfasting\nClinical information: tired\nDiagnosis: 840 Sprain (I9)");
    assert_eq!(seen["source"], json!({ "lis_endpoint_id": 0 }));
    assert_eq!(seen["test_codes"], json!(["CBC", "57698-3"]));
    let second = &seen["tests"][1];
    assert_eq!((&second["outside_placer_number"], &second["loinc_code"]), (&json!("H2"), &json!("57698-3")));
    let created = &seen["timeline"][0];
    let row = stored(&app, "N1").await;
    assert_eq!((&created["kind"], &created["hl7_message_id"]), (&json!("created"), &row["id"]));
    assert_eq!((&row["patient_id"], &row["lab_order_id"]), (&json!(jane), &id));
    assert!(row["warnings"].to_string().contains("priorities_differ"), "{}", row["warnings"]);

    let sent = lis.received();
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].contains(&format!("ORC|NW|{id}-1|")) && !sent[0].contains("H1"),
        "our numbers: {}",
        sent[0]
    );
    assert!(
        sent[0].contains("|CBC^CBC panel^L|") && sent[0].contains("|57698-3^Lipids^LN^57698-3^^LN|"),
        "{}",
        sent[0]
    );
    assert!(sent[0].contains("V9^^^^VN") && sent[0].contains("^Smith^Jo^^^Dr."), "{}", sent[0]);
    let log = access_log::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let placed = log.iter().filter(|row| row.action == "place_order" && row.patient_id == Some(jane));
    assert_eq!(placed.count(), 1);
    app.finish().await;
}

async fn the_same_order_is_placed_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-02").await;
    let lis = laboratory(&app, &[Manner::Ack("AA")]).await;
    let mut his = app.lab().await;
    let first = orm("N1", JANE, &[&new("H1^HIS", "CBC", "R")]);
    let answer = exchange(&mut his, &first).await;
    assert_eq!(exchange(&mut his, &first).await, answer, "the very bytes");
    let again =
        exchange(&mut his, &orm("N2", JANE, &[&new("H1^HIS", "CBC", "R"), &new("H2", "BMP", "R")])).await;
    assert!(again.contains("MSA|AA|N2\r"), "{again}");
    assert_eq!(app.count::<lab_order::Entity>().await, 2, "the one test that is new");
    assert!(stored(&app, "N2").await["warnings"].to_string().contains("order_here_already"));

    // Eight connections at once, each with a control id of its own.
    let mut senders = Vec::new();
    for _ in 0..8 {
        senders.push(app.lab().await);
    }
    for (n, sender) in senders.iter_mut().enumerate() {
        let text = orm(&format!("P{n}"), JANE, &[&new("H3", "TSH", "R")]);
        sender.write(&wrap(text.as_bytes())).await;
    }
    let mut numbers = Vec::new();
    for sender in &mut senders {
        let answer = String::from_utf8(sender.answer().await).unwrap();
        numbers.push(orcs(&answer)[0].split('|').nth(3).unwrap().to_owned());
    }
    numbers.dedup();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    assert_eq!(app.count::<lab_order::Entity>().await, 3);

    // The number stands for that test of that patient, for this giver, until the order has ended.
    let ann = "777^^^MPS_PMS^MR||Roe^Ann||19800102|F";
    for (id, pid, number, code) in
        [("D1", JANE, "H1^HIS", "BMP"), ("D2", ann, "H1^HIS", "CBC"), ("D3", JANE, "H1", "K")]
    {
        let answer = exchange(&mut his, &orm(id, pid, &[&new(number, code, "R")])).await;
        assert!(
            answer.contains(&format!("MSA|AE|{id}|")) && answer.contains("ERR||OBR^1^2|205^"),
            "{answer}"
        );
        assert!(orcs(&answer)[0].starts_with("ORC|UA|H1"), "{answer}");
    }
    let twice = exchange(&mut his, &orm("D4", JANE, &[&new("H9", "K", "R"), &new("H9", "NA", "R")])).await;
    assert!(twice.contains("ERR||OBR^2^2|205^"), "{twice}");
    let other = exchange(&mut his, &orm("D5", ann, &[&new("H1^OTHER", "CBC", "R")])).await;
    assert!(other.contains("MSA|AA|D5\r"), "{other}");
    assert_eq!(app.count::<lab_order::Entity>().await, 4);
    until("all sent", async || (lis.received().len() == 4).then_some(())).await;
    until("all settled", async || {
        let rows = outbox::Entity::find().all(app.ctx().db.reader()).await.unwrap();
        rows.iter().all(|row| row.status == "sent").then_some(())
    })
    .await;
    app.finish().await;
}

async fn an_order_for_nobody_certain_is_refused_whole(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut his = app.lab().await;
    let stranger = "PID|2||999^^^MPS_PMS^MR||Kim^Lee||19990909|M";
    for (id, pid, lines) in [
        ("U1", "999^^^MPS_PMS^MR||Kim^Lee||19990909|M", vec![new("H1", "CBC", "R")]),
        ("U2", "12345^^^MPS_PMS^MR||Kim^Lee||19990909|M", vec![new("H1", "CBC", "R")]),
        ("U3", "", vec![new("H1", "CBC", "R")]),
        ("U4", JANE, vec![new("H1", "CBC", "R"), stranger.to_owned(), new("H2", "CBC", "R")]),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = exchange(&mut his, &orm(id, pid, &lines)).await;
        assert!(answer.contains(&format!("MSA|AE|{id}|")), "{answer}");
        let place = if id == "U4" { "PID^2^3" } else { "PID^1^3" };
        assert!(answer.contains(&format!("ERR||{place}|204^")), "{answer}");
        assert!(
            !orcs(&answer).is_empty() && orcs(&answer).iter().all(|orc| orc.starts_with("ORC|UA|H")),
            "{answer}"
        );
        assert!(!answer.contains("Kim") && !answer.contains("Doe"), "{answer}");
        assert_eq!(stored(&app, id).await["status"], "refused");
    }
    assert_eq!(app.count::<lab_order::Entity>().await, 0);
    app.finish().await;
}

async fn an_order_that_cannot_be_one_is_refused_by_place(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut his = app.lab().await;
    let long = new(&"9".repeat(101), "CBC", "R");
    for (id, line, place) in [
        ("R1", new("", "CBC", "R"), "OBR^1^2|101"),
        ("R2", long, "OBR^1^2|102"),
        ("R3", "ORC|NW|H1".to_owned(), "OBR^1^4|101"),
        ("R4", new("H1", "CBC", "R").replace("OBR|1|H1", "OBR|1|H2"), "OBR^1^2|199"),
        ("R5", new("H1", &"c".repeat(51), "R"), "OBR^1^4|104"),
    ] {
        let answer = exchange(&mut his, &orm(id, JANE, &[&line])).await;
        assert!(
            answer.contains(&format!("MSA|AE|{id}|")) && answer.contains(&format!("ERR||{place}^")),
            "{id} {answer}"
        );
    }
    assert_eq!(app.count::<lab_order::Entity>().await, 0);
    // Results beside a new order are no orders; one more OBR without an ORC is one more test.
    let lines = [
        &new("H1", "CBC", "R"),
        "OBR|2|H2||BMP",
        "OBR|3|OLD|OLD|TSH|||||||||||||||||||||F",
        "OBX|1|NM|TSH||2|||||F",
        "ORC|PR|OLDER\rOBR|1|OLDER||K",
    ];
    let lines: Vec<&str> = lines.iter().map(|line| line as &str).collect();
    let answer = exchange(&mut his, &orm("R6", JANE, &lines)).await;
    assert_eq!(orcs(&answer).len(), 2, "{answer}");
    assert!(stored(&app, "R6").await["warnings"].to_string().contains("previous_results_not_filed"));
    let list = app.clinician().await.read("/api/lab-orders").await;
    assert_eq!((&list[0]["test_codes"], &list[0]["status"]), (&json!(["CBC", "BMP"]), &json!("pending")));
    app.finish().await;
}

async fn an_order_never_goes_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let his = FakeLis::start(&[Manner::Ack("AA")]).await;
    let id = endpoint(
        &app,
        "HIS",
        json!({ "direction": "both", "host": "127.0.0.1", "port": his.port, "is_default": true }),
    )
    .await;
    let mut door = app.lab().await;
    let text = orm("N1", JANE, &[&new("H1", "CBC", "R")]).replace("|LIS|", "|HIS|");
    assert!(exchange(&mut door, &text).await.contains("MSA|AA|N1\r"));
    let clinician = app.clinician().await;
    let waiting = clinician.read("/api/lab-orders").await[0].clone();
    assert_eq!((&waiting["status"], &waiting["lis_endpoint_id"]), (&json!("pending"), &json!(null)));
    assert_eq!(waiting["source"], json!({ "lis_endpoint_id": id }));
    // Our own order behind it goes there, and is not held up by it.
    let body = json!({
        "patient_id": waiting["patient_id"], "test_codes": ["K"], "ordering_provider": "Dr. Smith", "priority": "R"
    });
    assert_eq!(clinician.post("/api/lab-orders", body).await.body["status"], "sent");
    // A lab beside it takes what waited.
    let lis = laboratory(&app, &[Manner::Ack("AA")]).await;
    until("routed", async || {
        app.clock.advance(Duration::from_secs(2));
        (order(&clinician, &waiting["id"]).await["status"] == "sent").then_some(())
    })
    .await;
    assert_eq!((his.received().len(), lis.received().len()), (1, 1));
    let timeline = order(&clinician, &waiting["id"]).await["timeline"].to_string();
    assert!(timeline.contains("routed"), "{timeline}");
    app.finish().await;
}

async fn results_find_the_order_by_the_clinics_number(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-02").await;
    endpoint(&app, "HIS2", json!({})).await;
    let mut door = app.lab().await;
    // Two clinics count alike, each for a patient of its own.
    exchange(&mut door, &orm("N1", JANE, &[&new("H1", "CBC", "R")])).await;
    let ann = orm("N2", "777^^^MPS_PMS^MR||Roe^Ann||19800102|F", &[&new("H1", "CBC", "R")]);
    assert!(exchange(&mut door, &ann.replace("|LIS|", "|HIS2|")).await.contains("MSA|AA|N2\r"));
    let report = [obr("H1", "F1", "CBC", "20260302080600", "F"), obx(1, "K", "4", "mmol/L", "N", "F")];
    let report: Vec<&str> = report.iter().map(String::as_str).collect();
    door.deliver(&oru("R1", "20260302080600", &report)).await;
    let clinician = app.clinician().await;
    for order in clinician.read("/api/lab-orders").await.as_array().unwrap() {
        let expected = if order["patient_id"] == json!(jane) { "resulted" } else { "pending" };
        assert_eq!(order["status"], expected, "{order}");
    }
    let results = clinician.read(&format!("/api/lab-results?patient_id={jane}")).await;
    assert!(!results[0]["lab_order_id"].is_null(), "{results}");
    app.finish().await;
}
