//! Which part of a message is filed, to which order, and as which version, when a person has said whose it is.

use pms::{domain::access::Role, store::entity::hl7_message};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{obr, obx, oru},
    review_flow::{books, chart, decided, held, newest},
};

flows!(
    only_the_strangers_block_is_filed,
    two_strangers_are_two_items,
    a_repeated_patient_is_one_item,
    another_patients_order_stays_where_it_is,
    an_order_of_the_patient_moves_on,
    a_late_result_covers_nothing_newer,
    where_no_time_tells_what_waited_is_older,
);

async fn only_the_strangers_block_is_filed(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let john = app.patient("777", "Roe", "John", "1980-01-01").await;
    let stranger = "PID|2||88888^^^MPS_PMS^MR||Roe^John||19800101|M";
    let message = oru(
        "M1",
        "20260302080000",
        &[
            &obr("", "F1", "BMP", "20260302080000", "F"),
            &obx(1, "K", "4.0", "mmol/L", "", "F"),
            stranger,
            &obr("", "F2", "BMP", "20260302080000", "F"),
            &obx(1, "K", "4.4", "mmol/L", "", "F"),
            &obx(2, "NA", "140", "mmol/L", "", "F"),
        ],
    );
    app.lab().await.deliver(&message).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    assert_eq!(books(&app).await, [(3, 1, 2, 0, "unmatched".into())]);
    decided(&manager, newest(&manager).await, "link", json!({ "patient_id": john })).await;
    assert_eq!(books(&app).await, [(3, 3, 0, 0, "stored".into())]);
    assert_eq!(chart(&clinician, jane).await, ["4.0"]);
    assert_eq!(chart(&clinician, john).await, ["140", "4.4"]);
    let message = hl7_message::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!(message.patient_id, None, "it is no part of one chart");
    app.finish().await;
}

/// PID lines and a report under each.
fn several(control_id: &str, patients: &[&str]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (number, patient) in patients.iter().enumerate() {
        lines.push(format!("PID|{number}||{patient}"));
        lines.push(obr("", &format!("F{number}"), "BMP", "20260302080000", "F"));
        lines.push(obx(1, "K", &format!("4.{number}"), "mmol/L", "", "F"));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let whole = oru(control_id, "20260302080000", &lines);
    let own = whole.split('\r').find(|line| line.starts_with("PID|1||12345")).unwrap().to_owned();
    whole.replacen(&format!("{own}\r"), "", 1)
}

async fn two_strangers_are_two_items(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (jane, john) = (app.jane().await, app.patient("777", "Roe", "John", "1980-01-01").await);
    let message = several("M1", &["1^^^X||Doe^Jane||19900315", "2^^^X||Roe^John||19800101"]);
    app.lab().await.deliver(&message).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let items = manager.read("/api/review-queue").await;
    assert_eq!(items.as_array().unwrap().len(), 2, "a decision about one says nothing about the other");
    let of = |name: &str| {
        let item = items.as_array().unwrap().iter().find(|item| item["claimed_patient"]["last_name"] == name);
        item.unwrap()["id"].as_i64().unwrap()
    };
    decided(&manager, of("Doe"), "link", json!({ "patient_id": jane })).await;
    assert_eq!(books(&app).await, [(2, 1, 1, 0, "unmatched".into())]);
    decided(&manager, of("Roe"), "reject", json!({ "reason": "not ours" })).await;
    assert_eq!(books(&app).await, [(2, 1, 0, 1, "stored".into())]);
    decided(&manager, of("Roe"), "undo", Value::Null).await;
    decided(&manager, of("Roe"), "link", json!({ "patient_id": john })).await;
    assert_eq!(books(&app).await, [(2, 2, 0, 0, "stored".into())]);
    assert_eq!(
        (chart(&clinician, jane).await, chart(&clinician, john).await),
        (vec!["4.0".into()], vec!["4.1".into()])
    );
    app.finish().await;
}

async fn a_repeated_patient_is_one_item(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let message = several("M1", &["1^^^X||Doe^Jane||19900315", "1^^^X||Doe^Jane||19900315"]);
    app.lab().await.deliver(&message).await;
    let manager = app.sign_in(Role::LabManager).await;
    let items = manager.read("/api/review-queue").await;
    assert_eq!((items.as_array().unwrap().len(), &items[0]["observation_count"]), (1, &json!(2)));
    decided(&manager, newest(&manager).await, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&app.clinician().await, jane).await, ["4.0", "4.1"]);
    app.finish().await;
}

/// An order, and the number of its test.
pub(crate) async fn ordered(app: &TestApp, patient: i64) -> (i64, String) {
    let order = json!({"patient_id": patient, "test_codes": ["BMP"], "ordering_provider": "Dr. Smith"});
    let placed = app.clinician().await.post("/api/lab-orders", order).await;
    let placer = placed.body["tests"][0]["placer_order_number"].as_str().unwrap().to_owned();
    (placed.body["id"].as_i64().unwrap(), placer)
}

async fn another_patients_order_stays_where_it_is(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let (jane, john) = (app.jane().await, app.patient("777", "Roe", "John", "1980-01-01").await);
    let (order, placer) = ordered(&app, john).await;
    let lines = [&obr(&placer, "F1", "BMP", "20260302080000", "F"), &obx(1, "K", "4.0", "mmol/L", "", "F")];
    app.lab().await.deliver(&oru("X", "20260302080000", &lines.map(String::as_str))).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    let shown = manager.read(&format!("/api/review-queue/{item}")).await;
    let who: Vec<&Value> =
        shown["candidates"].as_array().unwrap().iter().map(|candidate| &candidate["patient_id"]).collect();
    assert_eq!(who, [&json!(jane), &json!(john)], "who is named, and whose order it is");
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    let result = &clinician.read(&format!("/api/lab-results?patient_id={jane}")).await[0];
    assert_eq!((&result["value"], &result["lab_order_id"]), (&json!("4.0"), &Value::Null));
    assert_eq!(clinician.read(&format!("/api/lab-orders/{order}")).await["status"], "pending");
    decided(&manager, item, "undo", Value::Null).await;
    decided(&manager, item, "link", json!({ "patient_id": john })).await;
    let of_john = clinician.read(&format!("/api/lab-orders/{order}")).await;
    assert_eq!((&of_john["status"], of_john["results"].as_array().unwrap().len()), (&json!("resulted"), 1));
    app.finish().await;
}

async fn an_order_of_the_patient_moves_on(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let jane = app.jane().await;
    let (order, placer) = ordered(&app, jane).await;
    let lines = [&obr(&placer, "F1", "BMP", "20260302080000", "F"), &obx(1, "K", "4.0", "mmol/L", "", "F")];
    let message = oru("X", "20260302080000", &lines.map(String::as_str)).replace("12345^^^", "99999^^^");
    app.lab().await.deliver(&message).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    let moved = clinician.read(&format!("/api/lab-orders/{order}")).await;
    assert_eq!((&moved["status"], &moved["tests"][0]["status"]), (&json!("resulted"), &json!("done")));
    let actor = moved["timeline"].as_array().unwrap().last().unwrap()["actor"].clone();
    assert_eq!(actor, "lab_manager", "a person filed it");
    decided(&manager, item, "undo", Value::Null).await;
    let back = clinician.read(&format!("/api/lab-orders/{order}")).await;
    assert_eq!((&back["status"], &back["tests"][0]["status"]), (&json!("pending"), &json!("ordered")));
    assert_eq!(back["results"], json!([]));
    assert_eq!(back["timeline"].as_array().unwrap().last().unwrap()["kind"], "results_withdrawn");
    app.finish().await;
}

async fn a_late_result_covers_nothing_newer(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&held("OLD", "F1", "20260302080000", "6.8")).await;
    lab.deliver(&held("NEW", "F1", "20260302090000", "4.2").replace("99999^^^", "12345^^^")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&clinician, jane).await, ["4.2"]);
    let shown = clinician.read(&format!("/api/lab-results?patient_id={jane}")).await;
    let history = clinician.read(&format!("/api/lab-results/{}/history", shown[0]["id"])).await;
    assert_eq!(history.as_array().unwrap().len(), 2, "and is kept");
    let alert = &clinician.read("/api/alerts?status=open").await[0];
    assert_eq!(alert["patient_id"], json!(jane), "somebody still has to look at it");
    assert_eq!(alert["annotations"][0]["is_current"], json!(false));
    assert_eq!(books(&app).await.iter().map(|book| book.1).collect::<Vec<_>>(), [1, 1]);
    app.finish().await;
}

async fn where_no_time_tells_what_waited_is_older(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&held("OLD", "F1", "20260302080000", "4.9")).await;
    lab.deliver(&held("NEW", "F1", "20260302080000", "4.2").replace("99999^^^", "12345^^^")).await;
    let manager = app.sign_in(Role::LabManager).await;
    decided(&manager, newest(&manager).await, "link", json!({ "patient_id": jane })).await;
    assert_eq!(chart(&app.clinician().await, jane).await, ["4.2"], "it came first, though it was filed last");
    app.finish().await;
}
