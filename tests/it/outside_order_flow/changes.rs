//! Who ordered through us calls off, changes and asks.

use std::time::Duration;

use pms::domain::access::Role;
use serde_json::{Value, json};

use super::{JANE, exchange, laboratory, message, new, orcs, order, orm, stored};
use crate::{
    ack_flow::endpoint,
    app::{Actor, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, Sender, obr, obx, oru},
};

flows!(
    what_was_never_sent_is_called_off_here,
    what_waits_in_the_queue_is_changed_there,
    a_laboratory_decides_on_what_was_sent,
    what_cannot_be_done_is_answered_so,
    imaging_orders_in_a_layout_of_their_own,
);

/// Sends lines about Jane and answers the ORC segments.
async fn ask(door: &mut Sender, id: &str, lines: &[&str]) -> Vec<String> {
    let answer = exchange(door, &orm(id, JANE, lines)).await;
    assert!(answer.contains(&format!("MSA|AA|{id}\r")), "{answer}");
    orcs(&answer).into_iter().map(str::to_owned).collect()
}

async fn newest(actor: &Actor) -> Value {
    actor.read("/api/lab-orders").await[0]["id"].clone()
}

async fn what_was_never_sent_is_called_off_here(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut door = app.lab().await;
    let clinician = app.clinician().await;
    ask(&mut door, "N1", &[&new("H1^HIS", "CBC", "R"), &new("H2^HIS", "BMP", "R")]).await;
    let id = newest(&clinician).await;
    let status = ask(&mut door, "S1", &["ORC|SS|H1^HIS"]).await;
    assert_eq!(status, [format!("ORC|SR|H1^HIS|{id}-1||SC")]);

    // One test of two.
    let part = ask(&mut door, "C1", &["ORC|CA|H1^HIS|||||||||||||||\rOBR|1|H1^HIS||CBC"]).await;
    assert_eq!(part, [format!("ORC|CR|H1^HIS|{id}-1||CA")]);
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["status"], &seen["tests"][0]["status"]), (&json!("pending"), &json!("cancelled")));
    let line = seen["timeline"].as_array().unwrap().last().unwrap();
    assert_eq!((&line["kind"], &line["actor"]), (&json!("tests_cancelled"), &json!("placer")));
    assert_eq!(line["hl7_message_id"], stored(&app, "C1").await["id"]);

    // A second one, as a whole, without a PID: the number alone is this sender's.
    ask(&mut door, "N2", &[&new("H3", "TSH", "R")]).await;
    let whole = newest(&clinician).await;
    let bare = exchange(&mut door, &orm("C2", "", &["ORC|DC|H3"])).await;
    assert_eq!(orcs(&bare), [format!("ORC|DR|H3|{whole}-1||CA")]);
    assert_eq!(order(&clinician, &whole).await["status"], "cancelled");
    assert_eq!(ask(&mut door, "C3", &["ORC|CA|H3"]).await, [format!("ORC|CR|H3|{whole}-1||CA")], "again");
    let used = exchange(&mut door, &orm("N3", JANE, &[&new("H3", "TSH", "R")])).await;
    assert!(used.contains("MSA|AE|N3|") && used.contains("|205^"), "{used}");

    // What is left goes to the lab, and nothing else.
    let lis = laboratory(&app, &[Manner::Ack("AA")]).await;
    until("sent", async || {
        app.clock.advance(Duration::from_secs(2));
        (order(&clinician, &id).await["status"] == "sent").then_some(())
    })
    .await;
    let sent = lis.received();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains("BMP^BMP panel") && !sent[0].contains("CBC"), "{}", sent[0]);
    app.finish().await;
}

async fn what_waits_in_the_queue_is_changed_there(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let body = json!({ "name": "Lab", "host": "127.0.0.1", "port": lis.port, "direction": "outbound" });
    let lab = engineer.post("/api/lis-endpoints", body).await.body["id"].clone();
    assert_eq!(engineer.post(&format!("/api/lis-endpoints/{lab}/pause"), json!({})).await.status, 200);
    let mut door = app.lab().await;
    let clinician = app.clinician().await;
    ask(&mut door, "N1", &[&new("H1", "CBC", "R"), &new("H2", "BMP", "R")]).await;
    let id = newest(&clinician).await;
    app.clock.advance(Duration::from_secs(1));
    let change = ["ORC|XO|H1|||||^^^^^S|||||^Who^Jane^^^Dr.", "ORC|XO|H2", "NTE|1||urgent now"];
    // The note after a bare ORC is the order's.
    let changed = ask(&mut door, "X1", &change).await;
    assert_eq!(changed, [format!("ORC|XR|H1|{id}-1||SC"), format!("ORC|XR|H2|{id}-2||SC")]);
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["priority"], &seen["ordering_provider"]), (&json!("S"), &json!("Dr. Jane Who")));
    assert_eq!(seen["note"], "urgent now");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&mut door, "C1", &["ORC|CA|H1"]).await, [format!("ORC|CR|H1|{id}-1||CA")]);

    // Tests stay what they are, and a change is one of the whole order.
    ask(&mut door, "N2", &[&new("H3", "TSH", "R"), &new("H4", "K", "R")]).await;
    let second = newest(&clinician).await;
    for (message, line, word) in [
        ("X2", "ORC|XO|H3|||||^^^^^S", "part_of_an_order"),
        ("X3", "ORC|XO|H3\rOBR|1|H3||NA", "test_cannot_be_changed"),
    ] {
        assert_eq!(ask(&mut door, message, &[line]).await, [format!("ORC|UX|H3|{second}-1||SC")]);
        assert!(stored(&app, message).await["warnings"].to_string().contains(word), "{word}");
    }
    // Changed and called off in one message: the new message must not go either.
    app.clock.advance(Duration::from_secs(1));
    let both = ["ORC|XO|H3|||||^^^^^S", "ORC|XO|H4|||||^^^^^S", "ORC|CA|H3", "ORC|CA|H4"];
    let both = ask(&mut door, "B1", &both).await;
    assert_eq!(both[2..], [format!("ORC|CR|H3|{second}-1||CA"), format!("ORC|CR|H4|{second}-2||CA")]);
    assert_eq!(order(&clinician, &second).await["status"], "cancelled");

    assert_eq!(engineer.post(&format!("/api/lis-endpoints/{lab}/resume"), json!({})).await.status, 200);
    until("sent", async || {
        app.clock.advance(Duration::from_secs(2));
        (order(&clinician, &id).await["status"] == "sent").then_some(())
    })
    .await;
    let sent = lis.received();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains("BMP") && !sent[0].contains("CBC") && sent[0].contains("^^^^^S"), "{}", sent[0]);
    assert!(sent[0].contains("urgent now") && sent[0].contains("^Who^Jane^^^Dr."), "{}", sent[0]);
    app.finish().await;
}

async fn a_laboratory_decides_on_what_was_sent(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let manners = [Manner::Ack("AA"), Manner::Orr("CR"), Manner::Ack("AA"), Manner::Orr("UC")];
    let lis = laboratory(&app, &manners).await;
    let mut door = app.lab().await;
    let clinician = app.clinician().await;
    for (n, after) in [(1, "CR"), (2, "UC")] {
        let number = format!("H{n}");
        ask(&mut door, &format!("N{n}"), &[&new(&number, "CBC", "R")]).await;
        let id = newest(&clinician).await;
        until("sent", async || (order(&clinician, &id).await["status"] == "sent").then_some(())).await;
        let cancel = format!("ORC|CA|{number}");
        let asked = ask(&mut door, &format!("C{n}"), &[&cancel]).await;
        assert_eq!(asked, [format!("ORC|RR|{number}|{id}-1||SC")], "received; the laboratory decides");
        let told = if after == "CR" { "cancelled_by_lab" } else { "cancellation_refused" };
        until(told, async || {
            order(&clinician, &id).await["timeline"].to_string().contains(told).then_some(())
        })
        .await;
        let status = if after == "CR" { "CA" } else { "SC" };
        let again = ask(&mut door, &format!("D{n}"), &[&cancel]).await;
        assert_eq!(again, [format!("ORC|{after}|{number}|{id}-1||{status}")]);
        let timeline = order(&clinician, &id).await["timeline"].to_string();
        assert!(timeline.contains("called_off_by_placer"), "{timeline}");
    }
    let sent = lis.received();
    assert_eq!(sent.iter().filter(|text| text.contains("ORC|CA|")).count(), 2, "asked once each");
    app.finish().await;
}

async fn what_cannot_be_done_is_answered_so(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-02").await;
    endpoint(&app, "OTHER", json!({})).await;
    let _lis = laboratory(&app, &[Manner::Ack("AA")]).await;
    let mut door = app.lab().await;
    let clinician = app.clinician().await;
    ask(&mut door, "N1", &[&new("H1^HIS", "CBC", "R"), &new("H2^HIS", "BMP", "R")]).await;
    ask(&mut door, "N2", &[&new("H1^ANNEX", "TSH", "R")]).await;
    let annex = newest(&clinician).await;
    let id = json!(annex.as_i64().unwrap() - 1);
    for order_id in [&id, &annex] {
        until("sent", async || (order(&clinician, order_id).await["status"] == "sent").then_some(())).await;
    }
    let own = json!({
        "patient_id": jane, "test_codes": ["K"], "ordering_provider": "Dr. Smith", "priority": "R"
    });
    let own = clinician.post("/api/lab-orders", own).await.body["id"].clone();
    let table: [(&str, String, String, &str); 9] = [
        ("W1", "ORC|CA|H2".into(), format!("ORC|UC|H2|{id}-2||SC"), "part_of_an_order"),
        ("W2", "ORC|XO|H2|||||^^^^^S".into(), format!("ORC|UX|H2|{id}-2||SC"), "part_of_an_order"),
        ("W3", "ORC|CA|H1".into(), "ORC|UC|H1".into(), "order_number_ambiguous"),
        ("W4", format!("ORC|CA|{own}-1"), format!("ORC|UC|{own}-1"), "order_unknown"),
        ("W5", "ORC|DC|H9".into(), "ORC|UD|H9".into(), "order_unknown"),
        ("W6", "ORC|SS|H9".into(), "ORC|UA|H9".into(), "order_unknown"),
        ("W7", "ORC|HD|H2".into(), "ORC|UH|H2".into(), "order_control_not_done"),
        ("W8", "ORC|RL|H2".into(), "ORC|UR|H2".into(), "order_control_not_done"),
        ("W9", "ORC|XO|H1^ANNEX|||||^^^^^S".into(), String::new(), "order_sent_already"),
    ];
    for (message, line, expected, word) in table {
        let answer = ask(&mut door, message, &[&line]).await;
        assert!(expected.is_empty() || answer == [expected.clone()], "{message}: {answer:?}");
        assert!(stored(&app, message).await["warnings"].to_string().contains(word), "{message} {word}");
    }
    let replaced = ask(&mut door, "R1", &["ORC|RP|H1^ANNEX", "ORC|RO|H7\rOBR|1|H7||K"]).await;
    assert!(replaced[0].starts_with("ORC|UM|H1^ANNEX|") && replaced[1] == "ORC|UA|H7", "{replaced:?}");

    let all = ["ORC|CA|H1^HIS", "ORC|CA|H2^HIS"];
    let ann = orm("P1", "777^^^MPS_PMS^MR||Roe^Ann||19800102|F", &all);
    let answer = exchange(&mut door, &ann).await;
    assert_eq!(orcs(&answer), ["ORC|UC|H1^HIS", "ORC|UC|H2^HIS"], "not hers");
    let elsewhere = orm("P2", JANE, &all).replace("|LIS|", "|OTHER|");
    assert_eq!(
        orcs(&exchange(&mut door, &elsewhere).await),
        ["ORC|UC|H1^HIS", "ORC|UC|H2^HIS"],
        "not theirs"
    );

    for (n, code) in [(1, "CBC"), (2, "BMP")] {
        let report =
            [obr(&format!("{id}-{n}"), "F", code, "20260302080600", "F"), obx(1, code, "4", "x", "N", "F")];
        let report: Vec<&str> = report.iter().map(String::as_str).collect();
        door.deliver(&oru(&format!("R-{n}"), "20260302080600", &report)).await;
    }
    let late = ask(&mut door, "L1", &all).await;
    assert_eq!(late, [format!("ORC|UC|H1^HIS|{id}-1||CM"), format!("ORC|UC|H2^HIS|{id}-2||CM")]);
    assert_eq!(order(&clinician, &id).await["status"], "resulted");
    app.finish().await;
}

async fn imaging_orders_in_a_layout_of_their_own(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let profile = json!({ "order_layout": "medsynapse_2_3" });
    endpoint(&app, "RIS", json!({ "profile": profile, "time_zone": "Europe/Berlin" })).await;
    let mut door = app.lab().await;
    let clinician = app.clinician().await;
    let lines = |start: &str| {
        let obr = format!(
            "OBR|1|ACC7||CTCHEST^CT Chest|STAT|||||||||||||ROOM2||WEST|CT1_AE|||CT||||||||||||{start}"
        );
        ["ORC|NW|R1|||||||20260302080000".to_owned(), obr]
    };
    let send = async |door: &mut Sender, id: &str, lines: &[String]| {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let text = message("ORM^O01", id, "2.3", JANE, &lines).replace("|LIS|", "|RIS|");
        // Without a zone of its own: the endpoint's holds.
        exchange(door, &text.replacen("+0000", "", 1)).await
    };
    let answer = send(&mut door, "I1", &lines("20260303093000")).await;
    let id = newest(&clinician).await;
    assert!(
        answer.contains("|ORR^O02|") && answer.ends_with(&format!("\rORC|OK|R1|{id}-1||SC\r")),
        "{answer}"
    );
    let seen = order(&clinician, &id).await;
    assert_eq!((&seen["priority"], &seen["tests"][0]["outside_placer_number"]), (&json!("S"), &json!("R1")));
    let expected = json!({
        "accession_number": "ACC7", "procedure_code": "CTCHEST", "procedure": "CT Chest", "modality": "CT",
        "priority": "STAT", "order_status": "NW", "ae_title": "CT1_AE", "station": "ROOM2", "location": "WEST",
        "scheduled_at": "2026-03-03T08:30:00Z", "scheduled_at_text": "20260303093000",
    });
    assert_eq!(seen["imaging"], expected);
    let mut moved = lines("20260304100000");
    moved[0] = moved[0].replace("|NW|", "|XO|");
    assert!(send(&mut door, "I2", &moved).await.contains("\rORC|XR|R1|"));
    assert_eq!(order(&clinician, &id).await["imaging"]["scheduled_at"], "2026-03-04T09:00:00Z");

    // Nobody else's OBR-24 is a modality, and two numbers are two orders.
    ask(&mut door, "I3", &["ORC|NW|R2", "OBR|1|R2||CTCHEST||||||||||||||||||||CT"]).await;
    let plain = newest(&clinician).await;
    assert_eq!(order(&clinician, &plain).await["imaging"], json!(null));
    app.finish().await;
}
