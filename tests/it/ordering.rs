//! What tests of orders share: a laboratory as an endpoint, an order, and where it stands.

use pms::domain::access::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::app::{Actor, Answer, TestApp, until};

/// An endpoint on a port of this machine.
pub(crate) async fn endpoint(app: &TestApp, port: u16) -> i64 {
    endpoint_with(app, port, json!({})).await
}

/// The same with settings of its own.
pub(crate) async fn endpoint_with(app: &TestApp, port: u16, settings: Value) -> i64 {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let mut body = json!({
        "name": format!("Lab {port}"), "host": "127.0.0.1", "port": port, "direction": "outbound",
        "receiving_application": "LIS", "receiving_facility": "LAB",
    });
    for (name, value) in settings.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = engineer.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    answer.body["id"].as_i64().unwrap()
}

/// Stops or goes on sending to an endpoint.
pub(crate) async fn set_paused(app: &TestApp, endpoint: i64, paused: bool) {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let verb = if paused { "pause" } else { "resume" };
    let answer = engineer.post(&format!("/api/lis-endpoints/{endpoint}/{verb}"), json!({})).await;
    assert!(answer.status.is_success(), "{:?}", answer.body);
}

/// Places an order.
pub(crate) async fn order(actor: &Actor, patient: i64, codes: &[&str]) -> Answer {
    let body = json!({
        "patient_id": patient, "test_codes": codes, "ordering_provider": "Dr. Smith", "priority": "S"
    });
    actor.post("/api/lab-orders", body).await
}

/// Where an order stands.
pub(crate) async fn status(actor: &Actor, id: &Value) -> String {
    actor.read(&format!("/api/lab-orders/{id}")).await["status"].as_str().unwrap().to_owned()
}

/// Waits until an order stands somewhere.
pub(crate) async fn becomes(actor: &Actor, id: &Value, wanted: &str) {
    until(wanted, async || (status(actor, id).await == wanted).then_some(())).await;
}

/// What happened to an order, oldest first.
pub(crate) async fn kinds(actor: &Actor, id: &Value) -> Vec<String> {
    let detail = actor.read(&format!("/api/lab-orders/{id}")).await;
    let timeline = detail["timeline"].as_array().unwrap().clone();
    timeline.iter().map(|line| line["kind"].as_str().unwrap().to_owned()).collect()
}
