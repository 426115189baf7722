//! An order that was refused or given up is corrected and goes out as a new message of the same order.

use pms::{
    domain::access::Role,
    store::entity::{hl7_message, lab_order},
};
use reqwest::{Method, StatusCode};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, obr, obx, oru},
    ordering::{becomes, endpoint, kinds, order, status},
};

flows!(
    a_refused_order_is_corrected,
    a_number_that_the_lab_refused_is_not_used_again,
    a_number_that_the_lab_may_have_is_kept,
    an_order_goes_to_another_lab,
    what_cannot_be_corrected,
    ten_at_once_under_one_key,
);

async fn correct(actor: &Actor, id: &Value, body: Value) -> Answer {
    actor.post(&format!("/api/lab-orders/{id}/resend"), body).await
}

fn control_id(message: &str) -> &str {
    message.split('|').nth(9).unwrap()
}

fn placers(message: &str) -> Vec<&str> {
    let lines = message.split('\r').filter(|line| line.starts_with("ORC|"));
    lines.map(|line| line.split('|').nth(2).unwrap().split('^').next().unwrap()).collect()
}

async fn a_refused_order_is_corrected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Nak("AE", "103"), Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC", "WRONG"]).await.body;
    let id = &placed["id"];
    assert_eq!(placed["status"], "rejected");
    let change = json!({"test_codes": ["CBC", "BMP"], "note": "for Mrs. Doe", "priority": "S"});
    let corrected = correct(&clinician, id, change.clone()).await;
    assert_eq!(corrected.status, StatusCode::ACCEPTED, "{:?}", corrected.body);
    assert_eq!((&corrected.body["id"], &corrected.body["status"]), (id, &json!("pending")));
    assert_eq!(corrected.body["status_reason"], Value::Null);
    becomes(&clinician, id, "sent").await;

    let sent = lis.received();
    assert_ne!(control_id(&sent[0]), control_id(&sent[1]), "a new message");
    assert!(sent[1].contains("Mrs. Doe") && !sent[1].contains("WRONG"), "{}", sent[1]);
    assert_eq!(placers(&sent[0]), [format!("{id}-1"), format!("{id}-2")]);
    assert_eq!(
        placers(&sent[1]),
        [format!("{id}-1"), format!("{id}-3")],
        "what is still wanted keeps its number"
    );
    let messages = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let new = messages.iter().find(|row| row.message_control_id == control_id(&sent[1])).unwrap();
    assert_eq!(json!(new.original_message_id), placed["hl7_message_id"]);

    let detail = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(kinds(&clinician, id).await, ["created", "refused_by_lab", "corrected", "delivered"]);
    let line = &detail["timeline"][2];
    assert_eq!((&line["actor"], &line["detail"]), (&json!("clinician"), &json!("test_codes, note")));
    assert_eq!((&line["from_status"], &line["to_status"]), (&json!("rejected"), &json!("pending")));
    let tests: Vec<&Value> = detail["tests"].as_array().unwrap().iter().map(|test| &test["status"]).collect();
    assert_eq!(tests, ["ordered", "cancelled", "ordered"]);

    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    assert_eq!(
        engineer.read("/api/dead-letters").await,
        json!([]),
        "the letter is settled by the correction"
    );
    let old =
        engineer.post(&format!("/api/hl7/messages/{}/resend", placed["hl7_message_id"]), json!({})).await;
    assert_eq!(old.status, StatusCode::CONFLICT, "it was replaced: {:?}", old.body);
    assert_eq!(correct(&clinician, id, change).await.status, StatusCode::CONFLICT);
    // What was called off here does not keep the order open.
    let mut lab = app.lab().await;
    for (n, test) in ["1", "3"].iter().enumerate() {
        let lines = [
            obr(&format!("{id}-{test}"), &format!("L{n}"), "X", "20260302081000", "F"),
            obx(1, "X", "1", "mmol/L", "N", "F"),
        ];
        lab.deliver(&oru(&format!("R{n}"), "20260302081000", &[&lines[0], &lines[1]])).await;
    }
    assert_eq!(status(&clinician, id).await, "resulted");
    app.finish().await;
}

async fn a_number_that_the_lab_refused_is_not_used_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Orr("UA"), Manner::Orr("OK")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    let id = &placed["id"];
    assert_eq!(placed["status"], "rejected");
    let bare = correct(&clinician, id, json!({})).await;
    assert_eq!(bare.status, StatusCode::CONFLICT, "the lab has these bytes");
    assert!(bare.body["detail"].as_str().unwrap().contains("correct it"));
    let corrected = correct(&clinician, id, json!({"diagnosis_codes": ["D64.9"]})).await;
    assert_eq!(corrected.status, StatusCode::ACCEPTED, "{:?}", corrected.body);
    becomes(&clinician, id, "acknowledged").await;
    assert_eq!(placers(&lis.received()[1]), [format!("{id}-2")]);
    app.finish().await;
}

/// After a time-out nobody knows whether the lab has the order: under the same number it can tell that it is the same.
async fn a_number_that_the_lab_may_have_is_kept(engine: Engine) {
    let settings = [("ORDER_SEND_WAIT_MS", "50"), ("RETRY_MAX_ATTEMPTS", "0")];
    let app = TestApp::start_with(engine, &settings).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Close, Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    let id = &placed["id"];
    becomes(&clinician, id, "failed").await;
    let corrected = correct(&clinician, id, json!({"priority": "R", "ordering_provider": "Dr. Jones"})).await;
    assert_eq!(corrected.status, StatusCode::ACCEPTED, "{:?}", corrected.body);
    becomes(&clinician, id, "sent").await;
    let sent = lis.received();
    assert_eq!(placers(&sent[0]), placers(&sent[1]));
    assert_ne!(control_id(&sent[0]), control_id(&sent[1]));
    assert!(sent[1].contains("Jones"));
    app.finish().await;
}

async fn an_order_goes_to_another_lab(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (first, second) =
        (FakeLis::start(&[Manner::Nak("AR", "200")]).await, FakeLis::start(&[Manner::Ack("AA")]).await);
    let (one, two) = (endpoint(&app, first.port).await, endpoint(&app, second.port).await);
    let clinician = app.clinician().await;
    let body = json!({
        "patient_id": jane, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith", "lis_endpoint_id": one
    });
    let placed = clinician.post("/api/lab-orders", body).await.body;
    assert_eq!(placed["status"], "rejected");
    correct(&clinician, &placed["id"], json!({"lis_endpoint_id": two})).await;
    becomes(&clinician, &placed["id"], "sent").await;
    assert_eq!((first.received().len(), second.received().len()), (1, 1));
    let detail = clinician.read(&format!("/api/lab-orders/{}", placed["id"])).await;
    assert_eq!(
        (&detail["lis_endpoint_id"], &detail["timeline"][2]["detail"]),
        (&json!(two), &json!("lis_endpoint_id"))
    );
    app.finish().await;
}

async fn what_cannot_be_corrected(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (jane, eve) = (app.jane().await, app.patient("777", "Poe", "Eve", "1950-01-01").await);
    let lis = FakeLis::start(&[Manner::Nak("AE", "103"), Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let id = order(&clinician, jane, &["CBC"]).await.body["id"].clone();
    let visit = json!({"patient_id": eve, "class": "O", "status": "in-progress"});
    let visit = clinician.post("/api/encounters", visit).await.body["id"].clone();
    let table = [
        (json!({"priority": "X"}), 422),
        (json!({"test_codes": []}), 422),
        (json!({"test_codes": ["A\u{7}"]}), 422),
        (json!({"ordering_provider": ""}), 422),
        (json!({"encounter_id": visit}), 422),
        (json!({"encounter_id": 999_999}), 404),
        (json!({"lis_endpoint_id": 999_999}), 404),
    ];
    for (body, expected) in table {
        let answer = correct(&clinician, &id, body.clone()).await;
        assert_eq!(answer.status.as_u16(), expected, "{body}: {:?}", answer.body);
    }
    assert_eq!(status(&clinician, &id).await, "rejected", "nothing of it was done");
    // What is ordered is a clinician's word; that it goes out once more is not.
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    assert_eq!(correct(&engineer, &id, json!({"priority": "R"})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(correct(&engineer, &id, json!({})).await.status, StatusCode::ACCEPTED);
    becomes(&clinician, &id, "sent").await;
    assert_eq!(correct(&clinician, &id, json!({"priority": "R"})).await.status, StatusCode::CONFLICT);
    app.finish().await;
}

async fn ten_at_once_under_one_key(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let place = async |provider: &str| {
        let body = json!({"patient_id": jane, "test_codes": ["CBC"], "ordering_provider": provider});
        let request = clinician.request(Method::POST, "/api/lab-orders").header("Idempotency-Key", "k-1");
        clinician.send(request.json(&body)).await
    };
    let answers = futures::future::join_all((0..10).map(|_| place("Dr. A"))).await;
    let first = &answers[0].body["id"];
    assert!(answers.iter().all(|answer| answer.status == StatusCode::CREATED && &answer.body["id"] == first));
    let others = futures::future::join_all((0..10).map(|_| place("Dr. B"))).await;
    assert!(others.iter().all(|answer| answer.status == StatusCode::CONFLICT), "the same key, another body");
    assert_eq!(app.count::<lab_order::Entity>().await, 1);
    until("sent once", async || (lis.received().len() == 1).then_some(())).await;
    app.finish().await;
}
