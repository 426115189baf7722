//! A message that was sent goes out once more: the same bytes, behind what waits, and never to an order's harm.

use pms::{domain::access::Role, store::entity::outbox};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, obr, obx, oru},
    ordering::{becomes, endpoint, kinds, order, set_paused, status},
};

flows!(
    the_same_bytes_go_out_behind_what_waits,
    a_second_copy_takes_nothing_back,
    a_second_copy_may_bring_what_was_lost,
    what_cannot_be_sent_again_says_why,
);

async fn resend(engineer: &Actor, message: &Value) -> crate::app::Answer {
    engineer.post(&format!("/api/hl7/messages/{message}/resend"), json!({})).await
}

async fn the_same_bytes_go_out_behind_what_waits(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "300")]).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let lab = endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let first = order(&clinician, jane, &["CBC"]).await.body;
    becomes(&clinician, &first["id"], "sent").await;
    set_paused(&app, lab, true).await;
    let second = order(&clinician, jane, &["BMP"]).await.body;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let tries = (0..10).map(|_| resend(&engineer, &first["hl7_message_id"]));
    let answers = futures::future::join_all(tries).await;
    let queued: Vec<_> = answers.iter().filter(|answer| answer.status == StatusCode::ACCEPTED).collect();
    assert_eq!((queued.len(), &queued[0].body["status"]), (1, &json!("queued")));
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 202 | 409)));
    assert_eq!(resend(&engineer, &second["hl7_message_id"]).await.status, StatusCode::CONFLICT);
    set_paused(&app, lab, false).await;
    let seen = until("three messages", async || Some(lis.received()).filter(|seen| seen.len() == 3)).await;
    assert_eq!(seen[0], seen[2], "the same bytes and control id");
    assert!(seen[1].contains("BMP"));
    becomes(&clinician, &second["id"], "sent").await;
    until("written down", async || {
        let history = kinds(&clinician, &first["id"]).await;
        (history == ["created", "delivered", "queued_again", "delivered_again"]).then_some(())
    })
    .await;
    assert_eq!(status(&clinician, &first["id"]).await, "sent");
    app.finish().await;
}

async fn a_second_copy_takes_nothing_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Orr("OK"), Manner::Nak("AE", "205"), Manner::Orr("UA")]).await;
    endpoint(&app, lis.port).await;
    let (clinician, engineer) = (app.clinician().await, app.sign_in(Role::InterfaceEngineer).await);
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    assert_eq!(placed["status"], "acknowledged");
    assert_eq!(resend(&engineer, &placed["hl7_message_id"]).await.status, StatusCode::ACCEPTED);
    let letter = until("a dead letter", async || {
        engineer.read("/api/dead-letters").await.as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!((&letter["again"], &letter["code"]), (&json!(true), &json!("205")));
    assert_eq!(status(&clinician, &placed["id"]).await, "acknowledged");
    let message = engineer.read(&format!("/api/hl7/messages/{}", placed["hl7_message_id"])).await;
    assert_eq!(message["status"], "sent", "it did arrive, the first time");
    let retried = engineer.post(&format!("/api/dead-letters/{}/retry", letter["id"]), json!({})).await;
    assert_eq!(retried.status, StatusCode::ACCEPTED);
    until("answered", async || {
        let last = kinds(&clinician, &placed["id"]).await.pop();
        (last.as_deref() == Some("delivered_again")).then_some(())
    })
    .await;
    let order = clinician.read(&format!("/api/lab-orders/{}", placed["id"])).await;
    assert_eq!((&order["status"], &order["tests"][0]["status"]), (&json!("acknowledged"), &json!("in_lab")));
    app.finish().await;
}

/// The lab took the order but its word on it was lost: the second answer brings it.
async fn a_second_copy_may_bring_what_was_lost(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA"), Manner::Orr("OK")]).await;
    endpoint(&app, lis.port).await;
    let (clinician, engineer) = (app.clinician().await, app.sign_in(Role::InterfaceEngineer).await);
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    assert_eq!(placed["status"], "sent");
    assert_eq!(resend(&engineer, &placed["hl7_message_id"]).await.status, StatusCode::ACCEPTED);
    becomes(&clinician, &placed["id"], "acknowledged").await;
    assert_eq!(app.count::<outbox::Entity>().await, 2);
    app.finish().await;
}

async fn what_cannot_be_sent_again_says_why(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "300")]).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let lab = endpoint(&app, lis.port).await;
    let (clinician, engineer) = (app.clinician().await, app.sign_in(Role::InterfaceEngineer).await);
    let mut sender = app.lab().await;
    let lines = [obr("", "F1", "CBC", "20260302070000", "F"), obx(1, "WBC", "5", "10*9/L", "N", "F")];
    sender.deliver(&oru("IN1", "20260302070000", &[&lines[0], &lines[1]])).await;
    let inbound = engineer.read("/api/hl7/messages?direction=inbound").await[0]["id"].clone();
    let refused = resend(&engineer, &inbound).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body["detail"].as_str().unwrap().contains("replayed"));
    assert_eq!(resend(&engineer, &json!(999_999)).await.status, StatusCode::NOT_FOUND);

    set_paused(&app, lab, true).await;
    let unsent = order(&clinician, jane, &["CBC"]).await.body;
    let cancel = async |id: &Value| clinician.post(&format!("/api/lab-orders/{id}/cancel"), json!({})).await;
    assert_eq!(cancel(&unsent["id"]).await.body["status"], "cancelled");
    assert_eq!(resend(&engineer, &unsent["hl7_message_id"]).await.status, StatusCode::CONFLICT);
    set_paused(&app, lab, false).await;
    let sent = order(&clinician, jane, &["CBC"]).await.body;
    becomes(&clinician, &sent["id"], "sent").await;
    cancel(&sent["id"]).await;
    becomes(&clinician, &sent["id"], "cancelled").await;
    assert_eq!(resend(&engineer, &sent["hl7_message_id"]).await.status, StatusCode::CONFLICT);
    assert_eq!(resend(&clinician, &sent["hl7_message_id"]).await.status, StatusCode::FORBIDDEN);
    app.finish().await;
}
