//! Registrations and orders that are run again: taken once they can be, applied once.

use pms::store::entity::{lab_order, patient, review_item};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait};
use serde_json::json;

use super::{last_message, patch, run, table};
use crate::{
    ack_flow::endpoint,
    app::{Engine, TestApp, flows},
    lab::code,
};

flows!(
    a_registration_that_was_refused,
    a_registration_that_waited,
    an_order_for_a_patient_who_is_there_by_now,
    a_sender_who_is_known_by_now,
);

fn adt(id: &str, sender: &str, pid: &str) -> String {
    format!(
        "MSH|^~\\&|{sender}|CLINIC|PMS_LAB|MPS_PMS|20260302080000+0000||ADT^A08^ADT_A01|{id}|P|2.5.1\rEVN|A08|20260302080000+0000\rPID|1||{pid}\r"
    )
}

const ANN: &str = "700^^^MPS_PMS^MR||Roe^Ann||19800102|F";

async fn a_registration_that_was_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    let his = endpoint(&app, "HIS", json!({"profile": {"message_types": ["ORU"]}})).await;
    let mut lab = app.lab().await;
    let sent = adt("A1", "HIS", ANN);
    assert_eq!(code(&lab.exchange(&sent).await), "AR");
    let message = last_message(&app).await;
    patch(&app, his, json!({"profile": {}})).await;
    let taken = run(&app, engine, message.id).await;
    assert_eq!((table(&taken, "patients"), table(&taken, "patient_identifiers")), ((1, 0), (1, 0)));
    assert_eq!(app.count::<patient::Entity>().await, 1);
    assert_eq!(code(&lab.exchange(&sent).await), "AA");
    app.finish().await;
}

async fn a_registration_that_waited(engine: Engine) {
    let app = TestApp::start(engine).await;
    let other = app.patient("700", "Poe", "Eve", "1950-01-01").await;
    app.lab().await.deliver(&adt("A1", "HIS", ANN)).await;
    let message = last_message(&app).await;
    assert_eq!(message.status, "unmatched");
    let waits = run(&app, engine, message.id).await;
    assert_eq!((&waits["changes"], &waits["notes"]), (&json!(false), &json!(["still_waits"])));
    // The chart had the wrong name and date.
    let mended = patient::ActiveModel {
        id: Set(other),
        last_name: Set("Roe".into()),
        first_name: Set("Ann".into()),
        date_of_birth: Set("1980-01-02".parse().ok()),
        ..Default::default()
    };
    let tx = pms::store::db::write(&app.ctx().db, "test").await.unwrap();
    mended.update(&*tx).await.unwrap();
    tx.commit().await.unwrap();
    let taken = run(&app, engine, message.id).await;
    assert_eq!((&taken["status_after"], table(&taken, "review_items")), (&json!("stored"), (0, 1)));
    let item = review_item::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!((item.status.as_str(), item.patient_id), ("linked", Some(other)));
    app.finish().await;
}

async fn an_order_for_a_patient_who_is_there_by_now(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let nw = "MSH|^~\\&|CLINIC|WEST|PMS_LAB|MPS_PMS|20260302080000+0000||ORM^O01^ORM_O01|N1|P|2.5.1\rPID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F\rORC|NW|W1|||||||||||^Smith\rOBR|1|W1||CBC^Complete Blood Count^L\r";
    let mut clinic = app.lab().await;
    assert_eq!(code(&clinic.exchange(nw).await), "AE", "nobody knows her yet");
    let message = last_message(&app).await;
    app.jane().await;
    let placed = run(&app, engine, message.id).await;
    assert_eq!((table(&placed, "lab_orders"), table(&placed, "lab_order_tests")), ((1, 0), (1, 0)));
    assert_eq!(app.count::<lab_order::Entity>().await, 1);
    let answer = String::from_utf8(clinic.exchange(nw).await).unwrap();
    assert!(
        answer.contains("MSA|AA|N1") && answer.contains("ORC|OK|W1"),
        "the clinic's resend is answered by the order: {answer}"
    );
    assert_eq!(app.count::<lab_order::Entity>().await, 1);
    app.finish().await;
}

/// The message was nobody's when it came; by now its sender has an endpoint.
async fn a_sender_who_is_known_by_now(engine: Engine) {
    let app = TestApp::start(engine).await;
    let west = endpoint(&app, "WEST", json!({"profile": {"unsupported": "store"}})).await;
    let mut lab = app.lab().await;
    let sent = adt("A1", "EAST", ANN).replace("ADT^A08^ADT_A01", "MFN^M02^MFN_M02");
    assert_eq!(code(&lab.exchange(&sent).await), "AR");
    let message = last_message(&app).await;
    assert_eq!(message.lis_endpoint_id, 0);
    patch(&app, west, json!({"receiving_application": "EAST"})).await;
    let kept = run(&app, engine, message.id).await;
    assert_eq!(
        (&kept["status_after"], &kept["ack_status_after"]),
        (&json!("ignored"), &json!("AA")),
        "{kept}"
    );
    assert_eq!(last_message(&app).await.lis_endpoint_id, west);
    app.finish().await;
}
