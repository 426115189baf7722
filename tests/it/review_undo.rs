//! Decisions about held results that turn out to be wrong.

use pms::{
    domain::access::Role,
    store::entity::{hl7_message, lab_report, lab_result, patient_identifier},
};
use reqwest::StatusCode;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    review_cases::ordered,
    review_flow::{books, chart, decide, decided, events, held, newest},
};

flows!(
    a_wrong_link_is_taken_back_and_made_right,
    what_was_shown_before_is_shown_again,
    an_acknowledgment_for_the_wrong_patient_does_not_stand,
    later_results_stand_in_the_way,
    a_patient_made_in_error_is_withdrawn,
    a_patient_who_is_in_use_stays,
    an_order_with_other_results_keeps_them,
    a_confirmation_is_taken_back,
    what_waited_is_filed_after_a_change_of_profile_only_if_it_reads_the_same,
);

async fn a_wrong_link_is_taken_back_and_made_right(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (jane, john) = (app.jane().await, app.patient("777", "Roe", "John", "1980-01-01").await);
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": john })).await;
    let wrong =
        clinician.read(&format!("/api/lab-results?patient_id={john}")).await[0]["id"].as_i64().unwrap();
    app.clock.advance(std::time::Duration::from_mins(1));
    let open = decided(&manager, item, "undo", json!({ "reason": "mixed up" })).await;
    assert_eq!((&open["status"], &open["patient_id"]), (&json!("open"), &Value::Null));
    assert_eq!((&open["resolved_by"], &open["resolution"]), (&Value::Null, &Value::Null));
    let taken_back = &open["history"][0];
    assert_eq!((&taken_back["patient_id"], &taken_back["by"]), (&json!(john), &json!("lab_manager")));
    assert_eq!(taken_back["made"]["results"], json!([wrong]), "what was removed is on record");
    assert_eq!(taken_back["undone"]["reason"], "mixed up");

    assert_eq!(books(&app).await, [(1, 0, 1, 0, "unmatched".into())]);
    assert!(chart(&clinician, john).await.is_empty());
    assert_eq!(clinician.read("/api/lab-results/critical").await, json!([]));
    let alert = &clinician.read("/api/alerts").await[0];
    assert_eq!((&alert["patient_id"], &alert["lab_result_id"]), (&Value::Null, &Value::Null));
    assert_eq!((&alert["status"], &alert["patient"]["mrn"]), (&json!("open"), &json!("99999")));
    let told = events(&app, "result_corrected").await;
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((&told["patient_id"], &told["effect"]), (&json!(john), &json!("retraction")));
    assert_eq!((&told["old_value"], &told["new_value"]), (&json!("6.8"), &Value::Null));
    let kept = clinician.read(&format!("/api/lab-results/{wrong}")).await;
    assert_eq!((&kept["is_current"], &kept["hl7_message_id"]), (&json!(false), &Value::Null));
    assert_eq!(kept["withdrawn_at"], "2026-03-02T08:01:00Z", "what a chart has shown is not denied");
    let reports = lab_report::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert!(reports.iter().all(|row| row.withdrawn_at.is_some()));

    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&clinician, jane).await, ["6.8"]);
    assert_eq!(books(&app).await, [(1, 1, 0, 0, "stored".into())]);
    let critical = clinician.read("/api/lab-results/critical").await;
    assert_eq!((critical.as_array().unwrap().len(), &critical[0]["patient_id"]), (1, &json!(jane)));
    assert_eq!(clinician.read("/api/alerts").await.as_array().unwrap().len(), 1);
    // Back and forth again, to the patient of the mistake: numbers of versions do not collide.
    for patient in [john, jane, john] {
        decided(&manager, item, "undo", Value::Null).await;
        decided(&manager, item, "link", json!({ "patient_id": patient })).await;
    }
    assert_eq!((chart(&clinician, john).await, chart(&clinician, jane).await), (vec!["6.8".into()], vec![]));
    assert_eq!(books(&app).await, [(1, 1, 0, 0, "stored".into())]);
    app.finish().await;
}

async fn what_was_shown_before_is_shown_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let own =
        |control: &str, at: &str, value: &str| held(control, "F1", at, value).replace("99999^^^", "12345^^^");
    lab.deliver(&own("OWN", "20260302070000", "6.1")).await;
    lab.deliver(&held("H1", "F1", "20260302080000", "4.2")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&clinician, jane).await, ["4.2"]);
    decided(&manager, item, "undo", Value::Null).await;
    assert_eq!(chart(&clinician, jane).await, ["6.1"]);
    let told = events(&app, "result_corrected").await;
    let values: Vec<_> = told.iter().map(|event| (&event["old_value"], &event["new_value"])).collect();
    assert_eq!(values, [(&json!("6.1"), &json!("4.2")), (&json!("4.2"), &json!("6.1"))]);
    let alert = &clinician.read("/api/alerts").await[0];
    let effects: Vec<&Value> =
        alert["annotations"].as_array().unwrap().iter().map(|note| &note["effect"]).collect();
    assert_eq!(effects, [&json!("correction"), &json!("retraction")], "whoever was called learns of both");
    // The lab goes on as if nothing had been.
    lab.deliver(&own("NEXT", "20260302090000", "5.0")).await;
    assert_eq!(chart(&clinician, jane).await, ["5.0"]);
    let rows = lab_result::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.is_current).count(), 1);
    app.finish().await;
}

async fn an_acknowledgment_for_the_wrong_patient_does_not_stand(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    let alert = clinician.read("/api/alerts").await[0]["id"].as_i64().unwrap();
    let note = json!({ "note": "gave Jane insulin" });
    let taken = clinician.post(&format!("/api/alerts/{alert}/acknowledge"), note).await;
    assert_eq!(taken.status, StatusCode::OK);
    decided(&manager, item, "undo", Value::Null).await;
    let again = clinician.read(&format!("/api/alerts/{alert}")).await;
    assert_eq!((&again["status"], &again["acknowledged_by"]), (&json!("open"), &Value::Null));
    let kept = &again["annotations"].as_array().unwrap().last().unwrap()["acknowledgment"];
    assert_eq!((&kept["by"], &kept["note"]), (&json!("clinician"), &json!("gave Jane insulin")));
    let raised = events(&app, "critical_result").await;
    assert_eq!(
        raised.last().unwrap()["patient_id"],
        Value::Null,
        "nobody has done anything for the right one"
    );
    app.finish().await;
}

async fn later_results_stand_in_the_way(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    lab.deliver(&held("H2", "F1", "20260302090000", "6.2")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let second = newest(&manager).await;
    let first = second - 1;
    decided(&manager, first, "link", json!({ "patient_id": jane })).await;
    decided(&manager, second, "link", json!({ "patient_id": jane })).await;
    let refused = decide(&manager, first, "undo", Value::Null).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body["detail"].as_str().unwrap().contains("undo it first"), "{:?}", refused.body);
    assert_eq!(chart(&clinician, jane).await, ["6.2"], "nothing has changed");
    decided(&manager, second, "undo", Value::Null).await;
    assert_eq!(chart(&clinician, jane).await, ["6.8"]);
    decided(&manager, first, "undo", Value::Null).await;
    assert!(chart(&clinician, jane).await.is_empty());
    // The laboratory says itself whose it is: then the link was right, and what builds on it holds it.
    decided(&manager, first, "link", json!({ "patient_id": jane })).await;
    lab.deliver(&held("OWN", "F1", "20260302100000", "6.8").replace("99999^^^", "12345^^^")).await;
    assert_eq!(decide(&manager, first, "undo", Value::Null).await.status, StatusCode::CONFLICT);
    assert_eq!(chart(&clinician, jane).await, ["6.8"]);
    books(&app).await;
    app.finish().await;
}

async fn a_patient_made_in_error_is_withdrawn(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    let made = decided(&manager, item, "create-patient", Value::Null).await["patient_id"].as_i64().unwrap();
    let open = decided(&manager, item, "undo", Value::Null).await;
    assert_eq!(open["history"][0]["undone"]["patient_withdrawn"], json!(true));
    assert_eq!(clinician.get("/api/patients?mrn=99999").await.status, StatusCode::NOT_FOUND);
    let listed = clinician.read("/api/patients?q=Doe").await;
    let ids: Vec<&Value> = listed.as_array().unwrap().iter().map(|patient| &patient["id"]).collect();
    assert_eq!(ids, [&json!(jane)]);
    let gone = decide(&manager, item, "link", json!({ "patient_id": made })).await;
    assert_eq!(gone.status, StatusCode::CONFLICT, "nobody would see it there");
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&clinician, jane).await, ["6.8"]);
    decided(&manager, item, "undo", Value::Null).await;
    let anew = decided(&manager, item, "create-patient", Value::Null).await;
    assert_ne!(anew["patient_id"], json!(made));
    app.finish().await;
}

async fn a_patient_who_is_in_use_stays(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    lab.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "create-patient", Value::Null).await;
    lab.deliver(&held("H2", "F2", "20260302081000", "4.1")).await;
    let open = decided(&manager, item, "undo", Value::Null).await;
    assert_eq!(open["history"][0]["undone"]["patient_withdrawn"], json!(false));
    let patient = clinician.read("/api/patients?mrn=99999").await["id"].as_i64().unwrap();
    assert_eq!(chart(&clinician, patient).await, ["4.1"], "only what was decided is taken back");
    assert_eq!(app.count::<patient_identifier::Entity>().await, 1);
    app.finish().await;
}

async fn an_order_with_other_results_keeps_them(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let jane = app.jane().await;
    let (order, placer) = ordered(&app, jane).await;
    let report = |control: &str, filler: &str, mrn: &str| {
        held(control, filler, "20260302080000", "4.1")
            .replace("OBR|1||", &format!("OBR|1|{placer}|"))
            .replace("99999^^^", &format!("{mrn}^^^"))
    };
    let mut lab = app.lab().await;
    lab.deliver(&report("H1", "F1", "99999")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    lab.deliver(&report("OWN", "F2", "12345")).await;
    decided(&manager, item, "undo", Value::Null).await;
    let kept = clinician.read(&format!("/api/lab-orders/{order}")).await;
    assert_eq!((&kept["status"], &kept["tests"][0]["status"]), (&json!("resulted"), &json!("done")));
    assert_eq!(kept["results"].as_array().unwrap().len(), 1);
    app.finish().await;
}

async fn a_confirmation_is_taken_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let own =
        |control: &str, at: &str, value: &str| held(control, "F1", at, value).replace("99999^^^", "12345^^^");
    lab.deliver(&own("OWN", "20260302070000", "4.2")).await;
    lab.deliver(&held("H1", "F1", "20260302100000", "4.2")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    decided(&manager, item, "undo", Value::Null).await;
    // Older than the confirmation, newer than what it confirmed.
    lab.deliver(&own("NEXT", "20260302090000", "4.9")).await;
    assert_eq!(chart(&clinician, jane).await, ["4.9"], "a stamp that was never Jane's holds nothing back");
    app.finish().await;
}

async fn what_waited_is_filed_after_a_change_of_profile_only_if_it_reads_the_same(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let endpoint = json!({
        "name": "lab", "host": "127.0.0.1", "port": 2576, "direction": "inbound", "allowed_networks": ["127.0.0.0/8"],
        "receiving_application": "LAB_LIS", "receiving_facility": "REFERENCE_LAB",
    });
    let endpoint = engineer.post("/api/lis-endpoints", endpoint).await;
    assert_eq!(endpoint.status, StatusCode::CREATED, "{:?}", endpoint.body);
    let path = format!("/api/lis-endpoints/{}", endpoint.body["id"]);
    // The directory of senders is looked up again after a while.
    let mut app = app;
    app.restart().await;
    let (engineer, manager) =
        (app.sign_in(Role::InterfaceEngineer).await, app.sign_in(Role::LabManager).await);
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(json!(rows[0].lis_endpoint_id), endpoint.body["id"]);
    let item = newest(&manager).await;
    let set = async |profile: Value| {
        let request = engineer.request(reqwest::Method::PATCH, &path).json(&json!({ "profile": profile }));
        let answer = engineer.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    };
    set(json!({ "positions": { "PID-5": "PID-3" } })).await;
    let differs = decide(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(differs.status, StatusCode::CONFLICT, "another name than the one that was shown");
    assert_eq!(manager.read(&format!("/api/review-queue/{item}")).await["observations"], Value::Null);
    set(json!({ "strict": true, "versions": ["2.3"], "processing_ids": ["T"] })).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(
        chart(&app.clinician().await, jane).await,
        ["6.8"],
        "what was accepted once is not refused later"
    );
    app.finish().await;
}
