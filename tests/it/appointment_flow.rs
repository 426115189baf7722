//! Appointments of a scheduling system: stored, acknowledged, shown as events.

use pms::{domain::access::Role, store::entity::alert_event};
use sea_orm::EntityTrait;
use serde_json::json;

use crate::{
    app::{Engine, TestApp, flows},
    lab::code,
};

flows!(an_appointment_is_booked_moved_and_cancelled, an_appointment_without_a_number_is_refused);

fn siu(id: &str, event: &str, sent: &str, start: &str) -> String {
    format!(
        "MSH|^~\\&|SCHED|CLINIC|PMS_LAB|MPS_PMS|{sent}||SIU^{event}^SIU_S12|{id}|P|2.5.1\r\
         SCH||F9^SCHED|||||CHK^Check-up|BLOOD^Blood draw|||^^30^{start}\rPID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F\r\
         RGS|1\rAIL|1||W1^12\rOBX|1|NM|WT^Weight||70|kg|||||F\r"
    )
}

async fn an_appointment_is_booked_moved_and_cancelled(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&siu("S1", "S12", "20260302080000+0000", "202603050900+0000")).await;
    lab.deliver(&siu("S2", "S13", "20260302090000+0000", "202603061000+0000")).await;
    let late = lab.exchange(&siu("S3", "S14", "20260302083000+0000", "202603010000+0000")).await;
    assert_eq!(code(&late), "AA");
    let resent = lab.exchange(&siu("S2", "S13", "20260302090000+0000", "202603061000+0000")).await;
    assert_eq!(code(&resent), "AA");

    let clinician = app.clinician().await;
    let list = clinician.read(&format!("/api/appointments?patient_id={jane}")).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    let (starts_at, status) = (&list[0]["starts_at"], &list[0]["status"]);
    assert_eq!(
        (starts_at, status),
        (&json!("2026-03-06T10:00:00Z"), &json!("booked")),
        "the older one is late"
    );
    assert_eq!((&list[0]["service"], &list[0]["location"]), (&json!("Blood draw"), &json!("W1 12")));

    lab.deliver(&siu("S4", "S15", "20260302100000+0000", "202603061000+0000")).await;
    let list = clinician.read("/api/appointments").await;
    assert_eq!(list[0]["status"], "cancelled");
    let events = alert_event::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let changes: Vec<_> = events
        .iter()
        .filter(|event| event.kind == "appointment")
        .map(|event| event.payload["change"].clone())
        .collect();
    assert_eq!(changes, [json!("booked"), json!("rescheduled"), json!("cancelled")]);

    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let row = engineer.read("/api/hl7/messages?control_id=S3").await[0].clone();
    assert_eq!((&row["status"], &row["patient_id"]), (&json!("stored"), &json!(jane)));
    let detail = engineer.read(&format!("/api/hl7/messages/{}", row["id"])).await;
    assert!(detail["warnings"].to_string().contains("older_than_stored"), "{detail}");
    assert_eq!(detail["observations"], json!({"received": 1, "stored": 0, "in_review": 0, "rejected": 1}));
    assert!(detail["ack"]["text"].as_str().unwrap().contains("ERR||OBX^1|0^Message accepted"), "{detail}");
    app.finish().await;
}

async fn an_appointment_without_a_number_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    let answer =
        lab.exchange(&siu("S1", "S12", "20260302080000", "202603050900").replace("F9^SCHED", "")).await;
    assert_eq!(code(&answer), "AE");
    let stranger = siu("S2", "S12", "20260302080000", "202603050900");
    lab.deliver(&stranger).await;
    let list = app.clinician().await.read("/api/appointments").await;
    assert_eq!((&list[0]["patient_id"], &list[0]["claimed_patient"]["mrn"]), (&json!(null), &json!("12345")));
    assert_eq!(list[0]["starts_at"], "2026-03-05T09:00:00Z", "the zone of the sender's profile");
    app.finish().await;
}
