//! Orders go out: what the lab saw equals what the database says, on both databases.

use std::time::Duration;

use futures::FutureExt;
use pms::{
    domain::access::Role,
    hl7::{message::Message, orm::Orm},
    store::entity::{delivery_attempt, hl7_message, lab_order, outbox},
};
use reqwest::{Method, StatusCode};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    app::{Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, obr, obx, oru},
    ordering::{becomes, endpoint, order, status},
    scripted_lab::ScriptedLab,
};

flows!(
    an_order_is_sent_and_resulted,
    a_report_may_name_the_order_as_a_whole,
    an_order_reply_takes_the_order,
    whoever_waits_for_an_order_is_woken_by_it,
    the_lab_is_down_and_comes_back,
    a_silent_lab_is_tried_again_with_the_same_bytes,
    a_refusal_is_a_dead_letter_at_once,
    an_answer_to_another_message_is_not_credited,
    an_order_waits_for_its_first_lab,
    the_same_key_is_the_same_order,
    a_wrong_order_is_refused_field_by_field,
    names_cannot_forge_segments,
    an_order_survives_a_restart,
    half_a_request_does_not_hold_up_the_end,
    an_endpoint_is_not_deleted_under_an_order,
);

async fn an_order_is_sent_and_resulted(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC", "BMP"]).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{:?}", placed.body);
    assert_eq!(placed.body["status"], "sent", "the answer waits for the lab's ACK");
    let id = &placed.body["id"];
    assert_eq!(placed.body["placer_order_number"], id.to_string());
    assert_eq!(placed.body["tests"][1]["placer_order_number"], format!("{id}-2"));

    let sent = lis.received();
    assert_eq!(sent.len(), 1);
    check_positions(&sent[0], id);

    let mut lab = app.lab().await;
    let accepted =
        format!("ORC|SC|{id}-1|L1\r{}", obr(&format!("{id}-1"), "L1", "CBC", "20260302080100", "I"));
    lab.deliver(&oru("S1", "20260302080100", &[&accepted])).await;
    assert_eq!(status(&clinician, id).await, "acknowledged");
    for (n, (code, wanted)) in [("CBC", "partial"), ("BMP", "resulted")].into_iter().enumerate() {
        let report = obr(&format!("{id}-{}", n + 1), &format!("L{}", n + 1), code, "20260302081000", "F");
        lab.deliver(&oru(
            &format!("R{n}"),
            "20260302081000",
            &[&report, &obx(1, "X", "1", "mmol/L", "N", "F")],
        ))
        .await;
        assert_eq!(status(&clinician, id).await, wanted);
    }
    let detail = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(detail["results"].as_array().unwrap().len(), 2);
    let steps: Vec<&str> =
        detail["timeline"].as_array().unwrap().iter().filter_map(|step| step["to_status"].as_str()).collect();
    assert_eq!(steps[steps.len() - 4..], ["sent", "acknowledged", "partial", "resulted"]);
    app.finish().await;
}

/// Laboratories that keep the group number (ORC-4) alone send it back as the order's.
async fn a_report_may_name_the_order_as_a_whole(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let john = app.patient("777", "Roe", "John", "1970-01-01").await;
    let lis = FakeLis::start(&[Manner::Ack("AA"), Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let hers = order(&clinician, jane, &["CBC", "BMP"]).await.body["id"].clone();
    let his = order(&clinician, john, &["CBC"]).await.body["id"].clone();
    let mut lab = app.lab().await;
    // The number of the report, its code, and where her order stands then. Only her own order and a test of it count.
    for (n, (number, code, wanted)) in
        [(&hers, "UA", "sent"), (&his, "CBC", "sent"), (&hers, "CBC", "partial")].into_iter().enumerate()
    {
        let report = obr(&number.to_string(), &format!("L{n}"), code, "20260302081000", "F");
        let value = obx(1, "X", "1", "mmol/L", "N", "F");
        lab.deliver(&oru(&format!("W{n}"), "20260302081000", &[&report, &value])).await;
        assert_eq!(
            (status(&clinician, &hers).await.as_str(), status(&clinician, &his).await.as_str()),
            (wanted, "sent")
        );
    }
    let results = clinician.read(&format!("/api/lab-results?patient_id={jane}")).await;
    let orders: Vec<&Value> = results.as_array().unwrap().iter().map(|row| &row["lab_order_id"]).collect();
    assert_eq!(orders, [&hers, &Value::Null, &Value::Null], "newest first");
    app.finish().await;
}

/// Every field where the standard has it, by position.
fn check_positions(message: &str, id: &Value) {
    let field = |segment: &str, n: usize| {
        let line = message.split('\r').find(|line| line.starts_with(segment)).unwrap();
        let offset = usize::from(segment == "MSH");
        line.split('|').nth(n - offset).unwrap_or_default().to_owned()
    };
    assert_eq!(field("MSH", 9), "ORM^O01^ORM_O01");
    assert_eq!(
        (field("MSH", 3), field("MSH", 5), field("MSH", 12)),
        ("PMS_LAB".into(), "LIS".into(), "2.5.1".into())
    );
    assert!(field("MSH", 10).len() <= 20);
    assert_eq!(field("PID", 3), "12345^^^MPS_PMS^MR", "the medical record number, not our id");
    assert_eq!(
        (field("PID", 5), field("PID", 7), field("PID", 8)),
        ("Doe^Jane^^^^^L".into(), "19900315".into(), "F".into())
    );
    assert_eq!(
        (field("ORC", 1), field("ORC", 8), field("ORC", 11)),
        ("NW".into(), String::new(), String::new())
    );
    assert!(field("ORC", 2).starts_with(&format!("{id}-1")));
    assert!(field("ORC", 4).starts_with(&id.to_string()));
    assert!(field("ORC", 9).starts_with("20260302"), "transaction time");
    assert!(field("ORC", 12).contains("Smith"), "ordering provider");
    assert_eq!(field("OBR", 4), "CBC^Complete Blood Count^L^58410-2^CBC panel - Blood by Automated count^LN");
    assert_eq!((field("OBR", 7), field("OBR", 24)), (String::new(), String::new()));
    assert!(field("OBR", 27).ends_with("^^^^^S"), "priority");
    assert_eq!(message.matches("\rORC|").count(), 2);
}

async fn an_order_reply_takes_the_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Orr("OK"), Manner::Orr("UA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let taken = order(&clinician, jane, &["CBC"]).await;
    assert_eq!(taken.body["status"], "acknowledged");
    assert!(!taken.body["sent_at"].is_null() && !taken.body["acknowledged_at"].is_null());
    let refused = order(&clinician, jane, &["CBC"]).await;
    assert_eq!(refused.body["status"], "rejected");
    app.finish().await;
}

/// By its own move, as soon as that is on disk, and by nothing else that comes in.
async fn whoever_waits_for_an_order_is_woken_by_it(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "20")]).await;
    let jane = app.jane().await;
    let mut lis = ScriptedLab::start().await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let (placed, asked) = tokio::join!(order(&clinician, jane, &["CBC"]), lis.next());
    let id = &placed.body["id"];
    let mut news = app.ctx().hints.moves.listen();
    let (group, value) = (obr("", "L9", "CBC", "20260302081000", "F"), obx(1, "X", "1", "mmol/L", "N", "F"));
    app.lab().await.deliver(&oru("R9", "20260302081000", &[&group, &value])).await;
    assert!(news.of(id.as_i64().unwrap()).now_or_never().is_none(), "a result of another order");
    asked.say("AA");
    let woken = timeout(Duration::from_secs(20), news.of(id.as_i64().unwrap())).await;
    assert_eq!((woken, status(&clinician, id).await), (Ok(()), "sent".to_owned()));
    app.finish().await;
}

async fn the_lab_is_down_and_comes_back(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    let jane = app.jane().await;
    let port = FakeLis::start(&[Manner::Silence]).await.port;
    endpoint(&app, port).await;
    let clinician = app.clinician().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let placed = order(&clinician, jane, &["CBC"]).await;
        assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("pending")));
        ids.push(placed.body["id"].clone());
    }
    // A night goes by: nothing is given up, because nothing was ever sent.
    for _ in 0..20 {
        app.clock.advance(Duration::from_mins(30));
    }
    let rows = outbox::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert!(rows.iter().all(|row| row.status == "queued" && row.attempts == 0), "waiting uses up no try");
    let lis = FakeLis::start_at(port, &[Manner::Ack("AA")]).await;
    // The token of the evening has ended.
    let clinician = app.clinician().await;
    for id in &ids {
        until("sent", async || {
            app.clock.advance(Duration::from_secs(2));
            (status(&clinician, id).await == "sent").then_some(())
        })
        .await;
    }
    let order_of =
        |text: &String| text.split("ORC|NW|").nth(1).unwrap().split('-').next().unwrap().to_owned();
    let seen: Vec<String> = lis.received().iter().map(order_of).collect();
    let placed: Vec<String> = ids.iter().map(Value::to_string).collect();
    assert_eq!(seen, placed, "in the order they were placed, each once");
    app.finish().await;
}

async fn a_silent_lab_is_tried_again_with_the_same_bytes(engine: Engine) {
    let settings = [("ORDER_SEND_WAIT_MS", "50"), ("ACK_TIMEOUT_SECONDS", "1")];
    let app = TestApp::start_with(engine, &settings).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Silence, Manner::Close, Manner::Garbage, Manner::Close]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await;
    until("given up", async || {
        // One second a look: a retry is due after 5, 15 and 45.
        app.clock.advance(Duration::from_secs(1));
        (status(&clinician, &placed.body["id"]).await == "failed").then_some(())
    })
    .await;
    let sent = lis.received();
    assert_eq!(sent.len(), 4, "one try and three retries");
    assert!(sent.iter().all(|bytes| *bytes == sent[0]), "the same bytes and control id each time");
    let outcomes: Vec<String> = delivery_attempt::Entity::find()
        .all(app.ctx().db.reader())
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.outcome)
        .collect();
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    app.finish().await;
}

async fn a_refusal_is_a_dead_letter_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Nak("AE", "101"), Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let refused = order(&clinician, jane, &["CBC"]).await;
    assert_eq!(refused.body["status"], "rejected", "{:?}", refused.body);
    assert!(refused.body["status_reason"].as_str().unwrap().contains("101"));
    let row = &outbox::Entity::find().all(app.ctx().db.reader()).await.unwrap()[0];
    assert_eq!((row.status.as_str(), row.attempts), ("dead", 1));
    assert_eq!(
        order(&clinician, jane, &["CBC"]).await.body["status"],
        "sent",
        "the next order is not held up"
    );
    app.finish().await;
}

async fn an_answer_to_another_message_is_not_credited(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::WrongId, Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await;
    until("one try", async || (app.count::<delivery_attempt::Entity>().await == 1).then_some(())).await;
    assert_eq!(status(&clinician, &placed.body["id"]).await, "pending");
    until("sent", async || {
        app.clock.advance(Duration::from_secs(2));
        (status(&clinician, &placed.body["id"]).await == "sent").then_some(())
    })
    .await;
    app.finish().await;
}

async fn an_order_waits_for_its_first_lab(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await;
    assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("pending")));
    assert!(placed.body["lis_endpoint_id"].is_null());
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    becomes(&clinician, &placed.body["id"], "sent").await;
    app.finish().await;
}

async fn the_same_key_is_the_same_order(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    app.leaves_work();
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let place = async |provider: &str| {
        let body = json!({"patient_id": jane, "test_codes": ["CBC"], "ordering_provider": provider});
        let request =
            clinician.request(Method::POST, "/api/lab-orders").header("Idempotency-Key", "k-1").json(&body);
        clinician.send(request).await
    };
    let (first, second) = tokio::join!(place("Dr. A"), place("Dr. A"));
    assert_eq!(first.body["id"], second.body["id"]);
    assert_eq!(place("Dr. B").await.status, StatusCode::CONFLICT, "the same key with another body");
    assert_eq!(app.count::<lab_order::Entity>().await, 1);
    app.finish().await;
}

async fn a_wrong_order_is_refused_field_by_field(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let nothing = clinician.post("/api/lab-orders", json!({})).await;
    let missing: Vec<&Value> =
        nothing.body["detail"].as_array().unwrap().iter().map(|p| &p["loc"][1]).collect();
    assert_eq!(missing, ["patient_id", "test_codes", "ordering_provider"]);
    let nobody = order(&clinician, 999_999, &["CBC"]).await;
    assert_eq!((nobody.status, &nobody.body["detail"]), (StatusCode::NOT_FOUND, &json!("Patient not found")));
    let none = order(&clinician, jane, &[]).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.stranger().post("/api/lab-orders", json!({})).await.status, StatusCode::UNAUTHORIZED);
    let officer = app.sign_in(Role::PrivacyOfficer).await;
    assert_eq!(order(&officer, jane, &["CBC"]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.count::<lab_order::Entity>().await, 0);
    app.finish().await;
}

async fn names_cannot_forge_segments(engine: Engine) {
    let app = TestApp::start(engine).await;
    let nasty = app.patient("M|1^2", "O'Neil|^~\\&", "Ann&B", "1970-01-01").await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let body = json!({"patient_id": nasty, "test_codes": ["A^B|C"], "ordering_provider": "X|Y^Z"});
    let placed = app.clinician().await.post("/api/lab-orders", body).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{:?}", placed.body);
    let with_cr =
        json!({"patient_id": nasty, "test_codes": ["CBC"], "ordering_provider": "X\rOBX|1|NM|K||9"});
    let refused = app.clinician().await.post("/api/lab-orders", with_cr).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let sent = lis.received();
    let message = Message::parse(&sent[0]).unwrap();
    let names: Vec<&str> = message.segments().map(|segment| segment.name()).collect();
    assert_eq!(names, ["MSH", "PID", "ORC", "OBR"]);
    let read = Orm::read(&message).unwrap();
    let patient = read.patients[0].patient.as_ref().unwrap();
    assert_eq!((patient.family(), patient.given()), (Some("O'Neil|^~\\&"), Some("Ann&B")));
    assert_eq!(patient.identifiers[0].id.as_deref(), Some("M|1^2"));
    app.finish().await;
}

async fn an_order_survives_a_restart(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    let jane = app.jane().await;
    let port = FakeLis::start(&[Manner::Silence]).await.port;
    endpoint(&app, port).await;
    let placed = order(&app.clinician().await, jane, &["CBC"]).await;
    app.restart().await;
    let lis = FakeLis::start_at(port, &[Manner::Ack("AA")]).await;
    let clinician = app.clinician().await;
    until("sent", async || {
        app.clock.advance(Duration::from_mins(1));
        (status(&clinician, &placed.body["id"]).await == "sent").then_some(())
    })
    .await;
    let stored = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(stored[0].message_control_id, lis.received()[0].split('|').nth(9).unwrap());
    app.finish().await;
}

/// A client that never sends the rest of its request must not turn a stop into a failure.
async fn half_a_request_does_not_hold_up_the_end(engine: Engine) {
    let app = TestApp::start(engine).await;
    let address = app.stranger().base.trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /healthz HTTP/1.1\r\nHost: pms\r\n").await.unwrap();
    // Answered after it was accepted, on a later connection.
    assert_eq!(app.stranger().get("/healthz").await.status, StatusCode::OK);
    app.finish().await;
}

/// No message may be queued for an endpoint whose deletion counted none.
async fn an_endpoint_is_not_deleted_under_an_order(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (engineer, clinician) = (app.sign_in(Role::InterfaceEngineer).await, app.clinician().await);
    let patient = app.jane().await;
    for round in 0..20 {
        let body = json!({"name": format!("lab {round}"), "host": "127.0.0.1", "port": 1, "direction": "outbound",
            "paused": true});
        let id = engineer.post("/api/lis-endpoints", body).await.body["id"].as_i64().unwrap();
        let deletion = engineer.request(Method::DELETE, &format!("/api/lis-endpoints/{id}"));
        let orders = async {
            let order = json!({"patient_id": patient, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith",
                "lis_endpoint_id": id});
            clinician.post("/api/lab-orders", order).await.status
        };
        let (deleted, ordered) = tokio::join!(engineer.send(deletion), orders);
        let deleted = deleted.status == StatusCode::NO_CONTENT;
        assert_ne!(deleted, ordered == StatusCode::CREATED, "round {round}: {ordered}");
    }
    let mut app = app;
    app.leaves_work();
    app.finish().await;
}
