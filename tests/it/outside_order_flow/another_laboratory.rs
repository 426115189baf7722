//! Two laboratories, and a word of the one on an order of the other.

use pms::domain::access::Role;
use serde_json::json;

use super::{JANE, exchange, orcs, order, orm, sent_order, stored};
use crate::{
    app::{Engine, TestApp, flows},
    lab::{FakeLis, Manner},
};

flows!(a_word_on_another_laboratorys_order_needs_its_patient);

/// A laboratory that gets orders of its own mistypes a number: without a patient beside it nothing tells that it is not ours.
async fn a_word_on_another_laboratorys_order_needs_its_patient(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (id, _lis) = sent_order(&app, jane, &["CBC"]).await;
    let other = FakeLis::start(&[Manner::Ack("AA")]).await;
    let body = json!({
        "name": "Other", "host": "127.0.0.1", "port": other.port, "direction": "both",
        "receiving_application": "OTHER", "receiving_facility": "LAB", "allowed_networks": ["127.0.0.0/8"],
    });
    let answer = app.sign_in(Role::InterfaceEngineer).await.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let (mut lab, clinician) = (app.lab().await, app.clinician().await);
    let line = format!("ORC|OC|{id}-1|L1");
    let says = |control_id, pid| orm(control_id, pid, &[&line]).replace("|LIS|LAB|", "|OTHER|LAB|");
    assert_eq!(orcs(&exchange(&mut lab, &says("O1", "")).await), [format!("ORC|UA|{id}-1|L1")]);
    assert_eq!(order(&clinician, &id).await["status"], "sent");
    let warnings = stored(&app, "O1").await["warnings"].to_string();
    assert!(warnings.contains("order_of_another_laboratory"), "{warnings}");
    // With the patient it may be a laboratory that passes on what another one did.
    assert_eq!(orcs(&exchange(&mut lab, &says("O2", JANE)).await), [format!("ORC|OK|{id}-1|L1||CA")]);
    assert_eq!(order(&clinician, &id).await["status"], "cancelled");
    app.finish().await;
}
