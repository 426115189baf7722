//! News that are refused or not taken: they are dead letters without an order, and are handled like any other.

use std::time::Duration;

use super::{Engine, TestApp, finish, is_sent, json, line, queued, subscriber, until, visit};
use crate::{
    app::flows,
    ordering::endpoint_with,
    scripted_lab::{Received, ScriptedLab, answer},
};
use pms::{domain::access::Role, hl7::frame::wrap};
use reqwest::StatusCode;
use serde_json::Value;

flows!(
    refused_news_are_tried_again,
    refused_news_are_put_aside,
    news_that_went_out_go_out_once_more,
    the_application_may_refuse_what_its_system_took,
    a_message_that_is_not_answered_is_tried_again,
);

/// A discharge of Jane, as it reaches the ward.
async fn discharged(app: &TestApp, ward: &mut ScriptedLab) -> Received {
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let visit = visit(&clinician, jane).await;
    finish(&clinician, visit).await;
    ward.next().await
}

async fn letter(app: &TestApp) -> Value {
    let manager = app.sign_in(Role::LabManager).await;
    let first = async || manager.read("/api/dead-letters").await.as_array().unwrap().first().cloned();
    until("a dead letter", first).await
}

async fn refused_news_are_tried_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ward = ScriptedLab::start().await;
    let endpoint = subscriber(&app, ward.port, &["ADT_A03"]).await;
    let told = discharged(&app, &mut ward).await;
    told.say("AE");
    let letter = letter(&app).await;
    assert_eq!((&letter["kind"], &letter["lab_order_id"]), (&json!("discharge"), &Value::Null));
    assert_eq!((&letter["lis_endpoint_id"], &letter["ack_status"]), (&json!(endpoint), &json!("AE")));
    assert_eq!(letter["category"], "content_refused");
    let manager = app.sign_in(Role::LabManager).await;
    let path = format!("/api/dead-letters/{}", letter["id"]);
    let detail = manager.read(&path).await;
    assert_eq!((&detail["order_status"], &detail["tries"][0]["outcome"]), (&Value::Null, &json!("refused")));
    let retried = manager.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!(
        (retried.status, &retried.body["status"], &retried.body["lab_order_id"]),
        (StatusCode::ACCEPTED, &json!("queued"), &Value::Null)
    );
    let again = ward.next().await;
    assert_eq!(again.text, told.text, "the same bytes");
    again.say("AA");
    is_sent(&app, &again).await;
    assert_eq!(manager.read("/api/dead-letters").await, json!([]));
    app.finish().await;
}

async fn refused_news_are_put_aside(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    discharged(&app, &mut ward).await.say("AE");
    let path = format!("/api/dead-letters/{}/discard", letter(&app).await["id"]);
    let manager = app.sign_in(Role::LabManager).await;
    let discarded = manager.post(&path, json!({"reason": "told by telephone"})).await;
    assert_eq!((discarded.status, &discarded.body["status"]), (StatusCode::OK, &json!("discarded")));
    assert_eq!(discarded.body["lab_order_id"], Value::Null);
    assert_eq!(manager.read("/api/dead-letters").await, json!([]));
    assert_eq!(ward.seen().len(), 1);
    app.finish().await;
}

async fn news_that_went_out_go_out_once_more(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    let told = discharged(&app, &mut ward).await;
    told.say("AA");
    is_sent(&app, &told).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let message = queued(&app, "discharge").await[0].hl7_message_id;
    let path = format!("/api/hl7/messages/{message}/resend");
    let resent = engineer.post(&path, json!({})).await;
    assert_eq!((resent.status, &resent.body["status"]), (StatusCode::ACCEPTED, &json!("queued")));
    let again = ward.next().await;
    assert_eq!(again.text, told.text, "the same bytes and control id");
    // A ward that has it already may well refuse a second copy.
    again.say("AE");
    let letter = letter(&app).await;
    assert_eq!((&letter["again"], &letter["lab_order_id"]), (&json!(true), &Value::Null));
    let log = engineer.read(&format!("/api/hl7/messages/{message}")).await;
    assert_eq!(log["status"], "sent", "it did arrive, the first time");
    assert_eq!(engineer.post(&path, json!({})).await.status, StatusCode::ACCEPTED);
    let third = ward.next().await;
    third.say("AA");
    until("three times", async || {
        let rows = queued(&app, "discharge").await;
        rows.iter().all(|row| row.status == "sent").then_some(rows.len() == 2)
    })
    .await;
    app.finish().await;
}

async fn the_application_may_refuse_what_its_system_took(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ward = ScriptedLab::start().await;
    let settings = json!({"ack_mode": "enhanced", "profile": {"publish": ["ADT_A03"]}});
    endpoint_with(&app, ward.port, settings).await;
    let told = discharged(&app, &mut ward).await;
    assert_eq!(line(&told, "MSH")[14..16], ["AL", "AL"]);
    told.say("CA");
    is_sent(&app, &told).await;
    told.write(&wrap(answer("AE", &told.control_id(), "").as_bytes()));
    let letter = letter(&app).await;
    assert_eq!((&letter["kind"], &letter["lab_order_id"]), (&json!("discharge"), &Value::Null));
    app.finish().await;
}

async fn a_message_that_is_not_answered_is_tried_again(engine: Engine) {
    let app = TestApp::start_with(engine, &[("RETRY_BACKOFF_SECONDS", "5")]).await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    let told = discharged(&app, &mut ward).await;
    told.say("AR");
    until("a try", async || queued(&app, "discharge").await[0].last_code.clone()).await;
    app.clock.advance(Duration::from_secs(10));
    let again = ward.next().await;
    assert_eq!(again.text, told.text);
    again.say("AA");
    is_sent(&app, &again).await;
    app.finish().await;
}
