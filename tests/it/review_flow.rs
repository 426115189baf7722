//! Results that nobody could be found for, and the person who finds out: filing, registering, rejecting.

use pms::{
    domain::access::Role,
    store::entity::{access_log, alert_event, critical_alert, hl7_message, lab_report, lab_result, patient},
};
use reqwest::StatusCode;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Engine, TestApp, flows},
    lab::{obr, obx, oru},
};

flows!(
    a_link_files_what_was_held,
    a_second_link_is_told_who_was_first,
    of_eight_who_link_at_once_one_wins,
    a_patient_is_made_of_what_the_message_states,
    a_patient_who_exists_is_not_made_twice,
    a_message_that_states_too_little_makes_nobody,
    a_rejection_closes_alerts_with_its_reason,
    an_acknowledged_alert_is_not_raised_again,
    candidates_are_looked_up_anew,
    only_the_lab_manager_decides,
    the_list_is_paged,
);

/// A potassium of 6.8 under a number nobody has, with OBR-22 and MSH-7 at `at`.
pub(crate) fn held(control_id: &str, filler: &str, at: &str, value: &str) -> String {
    let flag = if value.starts_with('6') { "HH" } else { "" };
    let lines = [&obr("", filler, "BMP", at, "F"), &obx(1, "K^Potassium", value, "mmol/L", flag, "F")];
    oru(control_id, at, &lines.map(String::as_str)).replace("12345^^^", "99999^^^")
}

/// The newest open item.
pub(crate) async fn newest(manager: &Actor) -> i64 {
    manager.read("/api/review-queue").await[0]["id"].as_i64().unwrap()
}

/// A decision about an item.
pub(crate) async fn decide(manager: &Actor, item: i64, verb: &str, body: Value) -> Answer {
    manager.post(&format!("/api/review-queue/{item}/{verb}"), body).await
}

/// A decision that must be taken.
pub(crate) async fn decided(manager: &Actor, item: i64, verb: &str, body: Value) -> Value {
    let answer = decide(manager, item, verb, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{verb}: {:?}", answer.body);
    answer.body
}

/// Received, stored, in review and rejected of each message, oldest first, with its status. Whatever was decided, they add
/// up, and what is stored are rows.
pub(crate) async fn books(app: &TestApp) -> Vec<(i32, i32, i32, i32, String)> {
    let reader = app.ctx().db.reader();
    let mut books = Vec::new();
    let mut rows = hl7_message::Entity::find().all(reader).await.unwrap();
    rows.sort_by_key(|row| row.id);
    for row in rows {
        let of_message = lab_result::Entity::find().filter(lab_result::Column::Hl7MessageId.eq(row.id));
        let stored = of_message.count(reader).await.unwrap();
        assert_eq!(u64::from(row.observations_stored.unsigned_abs()), stored, "rows of message {}", row.id);
        let sum = row.observations_stored + row.observations_in_review + row.observations_rejected;
        assert_eq!(row.observations_received, sum, "conservation of message {}", row.id);
        books.push((
            row.observations_received,
            row.observations_stored,
            row.observations_in_review,
            row.observations_rejected,
            row.status,
        ));
    }
    books
}

/// Payloads of the events of a kind, oldest first.
pub(crate) async fn events(app: &TestApp, kind: &str) -> Vec<Value> {
    let mut rows = alert_event::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows.into_iter().filter(|row| row.kind == kind).map(|row| row.payload).collect()
}

/// Values of a patient's chart.
pub(crate) async fn chart(actor: &Actor, patient: i64) -> Vec<String> {
    let shown = actor.read(&format!("/api/lab-results?patient_id={patient}")).await;
    let mut values: Vec<String> =
        shown.as_array().unwrap().iter().map(|row| row["value"].as_str().unwrap().to_owned()).collect();
    values.sort();
    values
}

async fn a_link_files_what_was_held(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let item = newest(&manager).await;
    let shown = manager.read(&format!("/api/review-queue/{item}")).await;
    assert_eq!((&shown["reason"], &shown["status"]), (&json!("unknown_identifier"), &json!("open")));
    assert_eq!((&shown["observation_count"], &shown["resolution"]), (&json!(1), &Value::Null));
    let claimed = &shown["claimed_patient"];
    assert_eq!((&claimed["mrn"], &claimed["last_name"]), (&json!("99999"), &json!("Doe")));
    assert_eq!(claimed["identifiers"], json!([{"value": "99999", "authority": "MPS_PMS", "type": "MR"}]));
    let observation = &shown["observations"][0];
    for (name, value) in [
        ("code", "K"),
        ("name", "Potassium"),
        ("value", "6.8"),
        ("units", "mmol/L"),
        ("flag", "HH"),
        ("status", "F"),
    ] {
        assert_eq!(observation[name], value, "{name}");
    }
    let alert = observation["alert_id"].as_i64().unwrap();
    assert!(chart(&clinician, jane).await.is_empty());
    assert_eq!(books(&app).await, [(1, 0, 1, 0, "unmatched".into())]);

    app.clock.advance(std::time::Duration::from_mins(5));
    let linked = decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    assert_eq!((&linked["status"], &linked["patient_id"]), (&json!("linked"), &json!(jane)));
    assert_eq!(
        (&linked["resolved_by"], &linked["resolution"]["action"]),
        (&json!("lab_manager"), &json!("link"))
    );
    assert_eq!(books(&app).await, [(1, 1, 0, 0, "stored".into())]);
    assert_eq!(chart(&clinician, jane).await, ["6.8"]);
    let critical = clinician.read("/api/lab-results/critical").await;
    assert_eq!((&critical[0]["value"], &critical[0]["alert_id"]), (&json!("6.8"), &json!(alert)));
    assert_eq!(app.count::<critical_alert::Entity>().await, 1, "the alert is tied, not raised a second time");
    let alert = clinician.read(&format!("/api/alerts/{alert}")).await;
    assert_eq!((&alert["patient_id"], &alert["status"]), (&json!(jane), &json!("open")));
    assert_eq!(
        (&alert["patient"]["mrn"], &alert["annotations"][0]["effect"]),
        (&json!("12345"), &json!("linked"))
    );
    let raised = events(&app, "critical_result").await;
    let patients: Vec<&Value> = raised.iter().map(|event| &event["patient_id"]).collect();
    assert_eq!(
        patients,
        [&Value::Null, &json!(jane)],
        "it waits still, so it is shown again, with its patient"
    );
    let message = hl7_message::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!(message.patient_id, Some(jane));
    let since = clinician.read("/api/lab-results?since=2026-03-02T08:04:00Z").await;
    assert_eq!(since.as_array().unwrap().len(), 1, "it is new since then in this chart");
    app.finish().await;
}

async fn a_second_link_is_told_who_was_first(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let manager = app.sign_in(Role::LabManager).await;
    let item = newest(&manager).await;
    assert_eq!(decide(&manager, item, "undo", json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(
        decide(&manager, 4711, "link", json!({"patient_id": jane})).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        decide(&manager, item, "link", json!({"patient_id": 4711})).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(decide(&manager, item, "link", json!({})).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    for (verb, body) in [
        ("link", json!({ "patient_id": jane })),
        ("create-patient", Value::Null),
        ("reject", json!({ "reason": "too late" })),
    ] {
        let second = decide(&manager, item, verb, body).await;
        assert_eq!(second.status, StatusCode::CONFLICT, "{verb}");
        let said = second.body["detail"].as_str().unwrap();
        assert!(said.contains("lab_manager") && said.contains("2026-03-02T08:00:00Z"), "{said}");
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 1);
    app.finish().await;
}

async fn of_eight_who_link_at_once_one_wins(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let manager = app.sign_in(Role::LabManager).await;
    let item = newest(&manager).await;
    let tries = (0..8).map(|_| decide(&manager, item, "link", json!({ "patient_id": jane })));
    let mut codes: Vec<u16> =
        futures::future::join_all(tries).await.iter().map(|answer| answer.status.as_u16()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(books(&app).await, [(1, 1, 0, 0, "stored".into())]);
    app.finish().await;
}

async fn a_patient_is_made_of_what_the_message_states(engine: Engine) {
    let app = TestApp::start(engine).await;
    let message = held("H1", "F1", "20260302080000", "6.8")
        .replace("99999^^^MPS_PMS^MR", "99999^^^MPS_PMS^MR~X7^^^ELSEWHERE^PI~A1^^^MPS_PMS^AN");
    app.lab().await.deliver(&message).await;
    let manager = app.sign_in(Role::LabManager).await;
    let made = decided(&manager, newest(&manager).await, "create-patient", Value::Null).await;
    assert_eq!(
        (&made["status"], &made["resolution"]["action"]),
        (&json!("linked"), &json!("create_patient"))
    );
    let clinician = app.clinician().await;
    let patient = clinician.read("/api/patients?mrn=99999").await;
    assert_eq!(patient["id"], made["patient_id"]);
    for (name, value) in
        [("last_name", "Doe"), ("first_name", "Jane"), ("date_of_birth", "1990-03-15"), ("gender", "female")]
    {
        assert_eq!(patient[name], value);
    }
    let identifiers: Vec<_> = patient["identifiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| [&one["value"], &one["authority"], &one["type"]].map(|text| text.as_str().unwrap()))
        .collect();
    assert_eq!(identifiers, [["99999", "MPS_PMS", "MR"], ["X7", "ELSEWHERE", "PI"]]);
    assert_eq!(chart(&clinician, patient["id"].as_i64().unwrap()).await, ["6.8"]);
    // The next one finds its patient by itself.
    app.lab().await.deliver(&held("H2", "F2", "20260302080100", "4.1")).await;
    assert_eq!(books(&app).await.iter().map(|book| book.1).sum::<i32>(), 2);
    app.finish().await;
}

async fn a_patient_who_exists_is_not_made_twice(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let contradicting = held("H1", "F1", "20260302080000", "6.8")
        .replace("99999^^^MPS_PMS^MR", "12345^^^mps_pms^PI")
        .replace("Doe^Jane", "Smith^Jane");
    app.lab().await.deliver(&contradicting).await;
    let manager = app.sign_in(Role::LabManager).await;
    let answer = decide(&manager, newest(&manager).await, "create-patient", Value::Null).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(app.count::<patient::Entity>().await, 1);
    assert_eq!(books(&app).await, [(1, 0, 1, 0, "unmatched".into())]);
    app.finish().await;
}

async fn a_message_that_states_too_little_makes_nobody(engine: Engine) {
    let app = TestApp::start(engine).await;
    let manager = app.sign_in(Role::LabManager).await;
    let whole = held("H1", "F1", "20260302080000", "6.8");
    let numberless = whole.replace("99999^^^MPS_PMS^MR", "");
    let nameless = whole.replace("Doe^Jane", "").replace("|H1|", "|H2|");
    for message in [numberless, nameless] {
        app.lab().await.deliver(&message).await;
        let answer = decide(&manager, newest(&manager).await, "create-patient", Value::Null).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", answer.body);
        assert!(!answer.body.to_string().contains("99999"), "{:?}", answer.body);
    }
    assert_eq!(app.count::<patient::Entity>().await, 0);
    app.finish().await;
}

async fn a_rejection_closes_alerts_with_its_reason(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let manager = app.sign_in(Role::LabManager).await;
    let item = newest(&manager).await;
    let silent = decide(&manager, item, "reject", json!({ "reason": " " })).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    let rejected = decided(&manager, item, "reject", json!({ "reason": "ring trial specimen" })).await;
    assert_eq!(
        (&rejected["status"], &rejected["resolution"]["reason"]),
        (&json!("rejected"), &json!("ring trial specimen"))
    );
    assert_eq!(books(&app).await, [(1, 0, 0, 1, "rejected".into())]);
    let alerts = app.clinician().await.read("/api/alerts").await;
    assert_eq!(
        (&alerts[0]["status"], &alerts[0]["acknowledged_by"]),
        (&json!("resolved"), &json!("lab_manager"))
    );
    assert!(alerts[0]["note"].as_str().unwrap().contains("ring trial specimen"));
    assert_eq!(alerts[0]["annotations"][0]["effect"], "rejected");
    assert_eq!(events(&app, "alert_acknowledged").await.len(), 1, "screens let go of it");

    let open = decided(&manager, item, "undo", json!({ "reason": "it was a patient's after all" })).await;
    assert_eq!((&open["status"], &open["resolution"]), (&json!("open"), &Value::Null));
    assert_eq!(open["history"][0]["undone"]["reason"], "it was a patient's after all");
    assert_eq!(books(&app).await, [(1, 0, 1, 0, "unmatched".into())]);
    let alert = &app.clinician().await.read("/api/alerts").await[0];
    assert_eq!((&alert["status"], &alert["acknowledged_by"]), (&json!("open"), &Value::Null));
    assert_eq!(events(&app, "critical_result").await.len(), 2, "it alarms again");
    app.finish().await;
}

async fn an_acknowledged_alert_is_not_raised_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let (manager, clinician) = (app.sign_in(Role::LabManager).await, app.clinician().await);
    let alert = clinician.read("/api/alerts").await[0]["id"].as_i64().unwrap();
    let note = json!({ "note": "calling the ward" });
    clinician.post(&format!("/api/alerts/{alert}/acknowledge"), note).await;
    app.clock.advance(std::time::Duration::from_mins(1));
    let item = newest(&manager).await;
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    let tied = clinician.read(&format!("/api/alerts/{alert}")).await;
    assert_eq!((&tied["status"], &tied["acknowledged_by"]), (&json!("acknowledged"), &json!("clinician")));
    assert_eq!(tied["patient_id"], json!(jane));
    assert_eq!(events(&app, "critical_result").await.len(), 1);
    assert_eq!(events(&app, "alert_linked").await[0]["patient_id"], json!(jane));
    let done = clinician.read("/api/lab-results/critical?acknowledged=true").await;
    assert_eq!(done[0]["alert_id"], json!(alert));
    decided(&manager, item, "undo", Value::Null).await;
    let alert = clinician.read(&format!("/api/alerts/{alert}")).await;
    assert_eq!(
        alert["status"], "acknowledged",
        "it was taken on while it was nobody's, and is nobody's again"
    );
    app.finish().await;
}

async fn candidates_are_looked_up_anew(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "4.1")).await;
    let manager = app.sign_in(Role::LabManager).await;
    let item = newest(&manager).await;
    let path = format!("/api/review-queue/{item}");
    assert_eq!(manager.read(&path).await["candidates"], json!([]));
    let jane = app.jane().await;
    app.patient("777", "Roe", "John", "1980-01-01").await;
    let shown = manager.read(&path).await;
    let [candidate] = shown["candidates"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&candidate["patient_id"], &candidate["patient"]["mrn"]), (&json!(jane), &json!("12345")));
    assert!(candidate["reasons"].as_array().unwrap().contains(&json!("birth_date_matches")));
    let rows = access_log::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let last = rows.iter().rfind(|row| row.action == "read_review_queue").unwrap();
    assert_eq!((last.patient_id, last.username.as_str()), (Some(jane), "lab_manager"));
    app.finish().await;
}

async fn only_the_lab_manager_decides(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&held("H1", "F1", "20260302080000", "6.8")).await;
    let manager = app.sign_in(Role::LabManager).await;
    let item = newest(&manager).await;
    let rows = async || access_log::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    for role in [Role::Clinician, Role::InterfaceEngineer, Role::PrivacyOfficer, Role::Admin] {
        let actor = app.sign_in(role).await;
        assert_eq!(actor.get("/api/review-queue").await.status, StatusCode::FORBIDDEN, "{role}");
        assert_eq!(actor.get(&format!("/api/review-queue/{item}")).await.status, StatusCode::FORBIDDEN);
        for verb in ["link", "create-patient", "reject", "undo"] {
            let body = json!({ "patient_id": jane, "reason": "no" });
            assert_eq!(decide(&actor, item, verb, body).await.status, StatusCode::FORBIDDEN, "{role} {verb}");
            let row = rows().await.pop().unwrap();
            assert_eq!((row.action.as_str(), row.outcome.as_str()), ("resolve_review", "denied"));
        }
    }
    assert_eq!(app.stranger().get("/api/review-queue").await.status, StatusCode::UNAUTHORIZED);
    decided(&manager, item, "link", json!({ "patient_id": jane })).await;
    let row = rows().await.pop().unwrap();
    assert_eq!((row.action.as_str(), row.patient_id), ("resolve_review", Some(jane)));
    assert_eq!((row.resource_id, row.outcome), (Some(item.to_string()), "ok".into()));
    app.finish().await;
}

async fn the_list_is_paged(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    for number in 0..3 {
        lab.deliver(&held(&format!("H{number}"), &format!("F{number}"), "20260302080000", "4.1")).await;
    }
    let manager = app.sign_in(Role::LabManager).await;
    let first = manager.request(reqwest::Method::GET, "/api/review-queue?limit=2").send().await.unwrap();
    assert_eq!(first.headers()["x-total-count"], "3");
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    assert_eq!(manager.read(next).await.as_array().unwrap().len(), 1);
    assert_eq!(manager.read("/api/review-queue?status=linked").await, json!([]));
    assert_eq!(manager.get("/api/review-queue?status=closed").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.count::<lab_report::Entity>().await, 0);
    app.finish().await;
}
