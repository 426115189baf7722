//! Orders that name no laboratory go to the one that does their tests, and never to one that does not.

use pms::store::entity::lab_order;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows, until},
    lab::{FakeLis, Manner},
    ordering::{becomes, endpoint_with, order},
};

flows!(
    an_order_goes_to_the_lab_of_its_tests,
    tests_of_two_labs_are_told_apart,
    who_waits_for_a_lab_holds_up_nobody,
    five_labs_at_once_and_a_dead_one,
);

/// A laboratory that does some tests.
async fn lab_of(app: &TestApp, lis: &FakeLis, tests: &[&str], settings: Value) -> i64 {
    let mut all = json!({ "profile": { "order_tests": tests } });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    endpoint_with(app, lis.port, all).await
}

async fn an_order_goes_to_the_lab_of_its_tests(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let [general, micro] =
        [FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await];
    let general_id = lab_of(&app, &general, &[], json!({ "is_default": true })).await;
    let micro_id = lab_of(&app, &micro, &["CULT", "GRAM"], json!({})).await;
    let clinician = app.clinician().await;
    for (codes, lab) in [
        (&["CULT"][..], micro_id),
        (&["GRAM", "CULT"][..], micro_id),
        (&["CBC"][..], general_id),
        (&["CBC", "CULT"][..], general_id),
    ] {
        let placed = order(&clinician, jane, codes).await;
        assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("sent")));
        assert_eq!(placed.body["lis_endpoint_id"], lab, "{codes:?}");
    }
    assert_eq!([general.received().len(), micro.received().len()], [2, 2]);
    // Whoever names a laboratory has decided.
    let body = json!({
        "patient_id": jane, "test_codes": ["CULT"], "ordering_provider": "Dr. Smith", "lis_endpoint_id": general_id
    });
    let placed = clinician.post("/api/lab-orders", body).await;
    assert_eq!(placed.body["lis_endpoint_id"], general_id);
    assert_eq!(general.received().len(), 3);
    app.finish().await;
}

async fn tests_of_two_labs_are_told_apart(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let [city, micro] =
        [FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await];
    lab_of(&app, &city, &["CBC", "BMP"], json!({ "is_default": true })).await;
    lab_of(&app, &micro, &["CULT"], json!({})).await;
    let clinician = app.clinician().await;
    for (codes, said) in
        [(["CBC", "CULT"], "no laboratory does all"), (["CBC", "ZZTOP"], "a test among them")]
    {
        let refused = order(&clinician, jane, &codes).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let detail = &refused.body["detail"][0];
        assert_eq!(detail["loc"], json!(["body", "test_codes"]), "{detail}");
        assert!(detail["msg"].as_str().unwrap().contains(said), "{detail}");
        assert!(!refused.body.to_string().contains("ZZTOP"));
    }
    assert_eq!(app.count::<lab_order::Entity>().await, 0, "a refused order leaves nothing");
    assert_eq!(order(&clinician, jane, &["BMP", "CBC"]).await.body["status"], "sent");
    app.finish().await;
}

async fn who_waits_for_a_lab_holds_up_nobody(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    app.leaves_work();
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    // Before there is any laboratory, everything waits.
    let cultures = order(&clinician, jane, &["CULT"]).await.body;
    let blood = order(&clinician, jane, &["CBC"]).await.body;
    let city = FakeLis::start(&[Manner::Ack("AA")]).await;
    lab_of(&app, &city, &["CBC"], json!({})).await;
    becomes(&clinician, &blood["id"], "sent").await;
    let waiting = clinician.read(&format!("/api/lab-orders/{}", cultures["id"])).await;
    assert_eq!((&waiting["status"], &waiting["lis_endpoint_id"]), (&json!("pending"), &Value::Null));
    let micro = FakeLis::start(&[Manner::Ack("AA")]).await;
    lab_of(&app, &micro, &["CULT"], json!({})).await;
    becomes(&clinician, &cultures["id"], "sent").await;
    assert_eq!([city.received().len(), micro.received().len()], [1, 1]);
    app.finish().await;
}

/// Each laboratory has a loop of its own: what one does not answer delays nobody else.
async fn five_labs_at_once_and_a_dead_one(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "0")]).await;
    app.leaves_work();
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let dead = FakeLis::start(&[Manner::Silence]).await;
    lab_of(&app, &dead, &["DEAD"], json!({})).await;
    let mut labs = Vec::new();
    for n in 0..5 {
        let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
        lab_of(&app, &lis, &[&format!("T{n}")], json!({})).await;
        labs.push(lis);
    }
    let lost = order(&clinician, jane, &["DEAD"]).await.body;
    until("the silent laboratory has it", async || (dead.received().len() == 1).then_some(())).await;
    let mut placed = Vec::new();
    for round in 0..4 {
        for n in 0..5 {
            let answer = order(&clinician, jane, &[&format!("T{n}")]).await;
            assert_eq!(answer.status, StatusCode::CREATED, "round {round}");
            placed.push(answer.body["id"].clone());
        }
    }
    for id in &placed {
        becomes(&clinician, id, "sent").await;
    }
    assert!(labs.iter().all(|lis| lis.received().len() == 4));
    let lost = clinician.read(&format!("/api/lab-orders/{}", lost["id"])).await;
    assert_eq!(lost["status"], "pending");
    app.finish().await;
}
