//! Messages that came in are run again by the rules of today: what was refused or waits is taken, what is stored well does not
//! move.

use std::collections::BTreeMap;

use pms::{
    domain::access::Role,
    sim::generate::{Kind, generate},
    store::entity::{critical_alert, hl7_message, lab_result, message_replay, review_item},
};
use reqwest::{Method, StatusCode};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    all_rows::{all_rows, assert_same},
    app::{Actor, Engine, TestApp, flows},
    lab::{code, obr, obx, oru},
    ordering::{kinds, order, status},
};

mod events;

flows!(
    what_was_refused_is_taken_once_it_can_be,
    a_patient_who_is_there_by_now,
    a_code_that_is_mapped_by_now,
    a_profile_that_reads_otherwise,
    a_profile_that_finds_other_observations,
    an_order_that_is_known_by_now,
    what_is_stored_does_not_move,
    who_may_and_what_cannot_be,
    the_command_does_the_same,
);

/// Rows of all tables but the log of who looked.
async fn rows(app: &TestApp, engine: Engine) -> BTreeMap<String, Vec<String>> {
    let mut rows = all_rows(app, engine).await;
    rows.remove("access_logs");
    rows
}

async fn last_message(app: &TestApp) -> hl7_message::Model {
    let query = hl7_message::Entity::find().order_by_desc(hl7_message::Column::Id);
    query.one(app.ctx().db.reader()).await.unwrap().unwrap()
}

async fn replay(engineer: &Actor, message: i64, dry_run: bool) -> Value {
    let answer =
        engineer.post(&format!("/api/hl7/messages/{message}/replay?dry_run={dry_run}"), json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer.body
}

/// A dry run that writes nothing, the run itself, and one more that changes nothing. Answers the dry run.
async fn run(app: &TestApp, engine: Engine, message: i64) -> Value {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let before = rows(app, engine).await;
    let dry = replay(&engineer, message, true).await;
    assert_same(&before, &rows(app, engine).await);
    let done = replay(&engineer, message, false).await;
    for same in ["changes", "status_before", "status_after", "ack_status_after", "tables", "events"] {
        assert_eq!(dry[same], done[same], "{same}");
    }
    assert_eq!((&dry["applied"], &done["applied"]), (&json!(false), &done["changes"]));
    let after = rows(app, engine).await;
    let again = replay(&engineer, message, false).await;
    assert_eq!((&again["changes"], &again["rows"]), (&json!(false), &json!([])), "{again}");
    assert_same(&after, &rows(app, engine).await);
    dry
}

fn table(replayed: &Value, name: &str) -> (i64, i64) {
    let tables = replayed["tables"].as_array().unwrap();
    let found = tables.iter().find(|table| table["table"] == name);
    found.map_or((0, 0), |table| (table["inserted"].as_i64().unwrap(), table["changed"].as_i64().unwrap()))
}

async fn patch(app: &TestApp, endpoint: i64, change: Value) {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let request = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{endpoint}")).json(&change);
    let answer = engineer.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

fn report(id: &str, observation: &str) -> String {
    oru(id, "20260302080000", &[&obr("", id, "BMP", "20260302080000", "F"), observation])
}

async fn alerts(app: &TestApp) -> Vec<critical_alert::Model> {
    let query = critical_alert::Entity::find().order_by_asc(critical_alert::Column::Id);
    query.all(app.ctx().db.reader()).await.unwrap()
}

async fn what_was_refused_is_taken_once_it_can_be(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lab_id = endpoint(&app, "LAB_LIS", json!({"profile": {"strict": true}})).await;
    let mut lab = app.lab().await;
    // No status: a fault for a strict profile.
    let sent = report("R1", "OBX|1|NM|K^Potassium||6.9|mmol/L||HH|||");
    let refusal = lab.exchange(&sent).await;
    assert_eq!(code(&refusal), "AE");
    let message = last_message(&app).await;
    assert_eq!(message.status, "refused");

    let still = run(&app, engine, message.id).await;
    assert_eq!((&still["changes"], &still["status_after"]), (&json!(false), &json!("refused")));
    assert!(still["refusal"].as_str().unwrap().contains("OBX"), "codes and places: {still}");
    assert_eq!(lab.exchange(&sent).await, refusal, "a resend gets the refusal as long as it stands");

    patch(&app, lab_id, json!({"profile": {"strict": false, "default_result_status": "F"}})).await;
    let taken = run(&app, engine, message.id).await;
    assert_eq!((&taken["status_before"], &taken["status_after"]), (&json!("refused"), &json!("stored")));
    assert_eq!((&taken["ack_status_before"], &taken["ack_status_after"]), (&json!("AE"), &json!("AA")));
    assert_eq!((table(&taken, "lab_results"), table(&taken, "hl7_messages")), ((1, 0), (0, 1)));
    assert_eq!((table(&taken, "critical_alerts"), &taken["events"]), ((1, 0), &json!(1)));
    assert_eq!(code(&lab.exchange(&sent).await), "AA", "a resend gets the new outcome");
    let stored = lab_result::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!((stored.patient_id, stored.hl7_message_id), (jane, Some(message.id)));
    assert_eq!((stored.value.as_deref(), stored.result_status.as_str()), (Some("6.9"), "F"));
    assert_eq!(alerts(&app).await.len(), 1, "raised once");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let detail = engineer.read(&format!("/api/hl7/messages/{}", message.id)).await;
    assert_eq!(detail["observations"], json!({"received": 1, "stored": 1, "in_review": 0, "rejected": 0}));
    let past = &detail["replays"][0];
    assert_eq!((&past["by"], &past["status_before"]), (&json!("interface_engineer"), &json!("refused")));
    assert!(past["ack_text_before"].as_str().unwrap().contains("MSA|AE|R1"), "{past}");
    assert_eq!(app.count::<message_replay::Entity>().await, 1);
    app.finish().await;
}

async fn a_patient_who_is_there_by_now(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    lab.deliver(&report("U1", &obx(1, "K^Potassium", "6.9", "mmol/L", "HH", "F"))).await;
    let message = last_message(&app).await;
    assert_eq!((message.status.as_str(), alerts(&app).await.len()), ("unmatched", 1));
    let waits = run(&app, engine, message.id).await;
    assert_eq!((&waits["changes"], &waits["notes"]), (&json!(false), &json!(["still_waits"])));

    let jane = app.jane().await;
    let linked = run(&app, engine, message.id).await;
    assert_eq!((&linked["status_after"], table(&linked, "review_items")), (&json!("stored"), (0, 1)));
    assert_eq!((table(&linked, "lab_results"), table(&linked, "critical_alerts")), ((1, 0), (0, 1)));
    let raised = alerts(&app).await;
    assert_eq!((raised.len(), raised[0].patient_id), (1, Some(jane)), "the alert is hers, and there is one");
    let item = review_item::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!((item.status.as_str(), item.resolved_by.as_deref()), ("linked", Some("interface_engineer")));
    let manager = app.sign_in(Role::LabManager).await;
    let undone = manager.post(&format!("/api/review-queue/{}/undo", item.id), json!({})).await;
    assert_eq!(undone.status, StatusCode::OK, "a person can still take it back: {:?}", undone.body);
    app.finish().await;
}

async fn a_code_that_is_mapped_by_now(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let lab_id = endpoint(&app, "LAB_LIS", json!({})).await;
    app.lab().await.deliver(&report("M1", &obx(1, "KALI^Kalium^L", "6.9", "mmol/L", "", "F"))).await;
    let message = last_message(&app).await;
    assert!(alerts(&app).await.is_empty(), "nobody knew what KALI is");
    let map = async |loinc: &str| {
        let engineer = app.sign_in(Role::InterfaceEngineer).await;
        let entry = json!({"entries": [
            {"lis_endpoint_id": lab_id, "local_code": "KALI", "loinc_code": loinc, "name": "Kalium"}
        ]});
        let answer = engineer.send(engineer.request(Method::PUT, "/api/code-maps").json(&entry)).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    };
    map("2823-3").await;
    let mapped = run(&app, engine, message.id).await;
    assert_eq!((table(&mapped, "lab_results"), table(&mapped, "critical_alerts")), ((0, 1), (1, 0)));
    let row = &mapped["rows"].as_array().unwrap().iter().find(|row| row["table"] == "lab_results").unwrap()["columns"];
    let columns: Vec<&str> = row.as_array().unwrap().iter().map(|c| c["column"].as_str().unwrap()).collect();
    assert!(columns.contains(&"loinc_code") && columns.contains(&"is_critical"), "{columns:?}");
    assert!(
        !columns.contains(&"value") && !columns.contains(&"version"),
        "the lab said nothing new: {columns:?}"
    );
    assert_eq!(alerts(&app).await.len(), 1);
    // Mapped by mistake: the alert stays, and says so; mapped right again, it is not raised a second time.
    map("2345-7").await;
    run(&app, engine, message.id).await;
    assert_eq!((alerts(&app).await.len(), alerts(&app).await[0].status.as_str()), (1, "open"));
    assert_eq!(alerts(&app).await[0].annotations[0]["is_critical"], false);
    map("2823-3").await;
    run(&app, engine, message.id).await;
    assert_eq!(alerts(&app).await.len(), 1);
    assert_eq!(alerts(&app).await[0].annotations[1]["is_critical"], true);
    app.finish().await;
}

async fn a_profile_that_reads_otherwise(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let lab_id = endpoint(&app, "LAB_LIS", json!({})).await;
    // The number stands in OBX-13, of all places.
    app.lab().await.deliver(&report("V1", "OBX|1|NM|K^Potassium||4.1|mmol/L|||||F||6.9")).await;
    let message = last_message(&app).await;
    patch(&app, lab_id, json!({"profile": {"positions": {"OBX-5": "OBX-13"}}})).await;
    let read = run(&app, engine, message.id).await;
    assert_eq!((table(&read, "lab_results"), table(&read, "critical_alerts")), ((1, 1), (1, 0)));
    let query = lab_result::Entity::find().order_by_asc(lab_result::Column::Id);
    let versions = query.all(app.ctx().db.reader()).await.unwrap();
    let shown: Vec<_> =
        versions.iter().map(|row| (row.version, row.value.as_deref().unwrap(), row.is_current)).collect();
    assert_eq!(shown, [(1, "4.1", false), (2, "6.9", true)], "what readers saw stays in the history");
    assert!(versions[1].is_correction && versions[1].is_critical);
    assert_eq!(read["events"], 2, "the alert, and the correction for those who saw the old value");
    app.finish().await;
}

async fn a_profile_that_finds_other_observations(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let lab_id = endpoint(&app, "LAB_LIS", json!({})).await;
    app.lab().await.deliver(&report("V1", "OBX|1|NM|K^Potassium||4.1|mmol/L|||||F||NA^Sodium")).await;
    let message = last_message(&app).await;
    patch(&app, lab_id, json!({"profile": {"positions": {"OBX-3": "OBX-13"}}})).await;
    let read = run(&app, engine, message.id).await;
    assert_eq!((&read["changes"], &read["notes"]), (&json!(false), &json!(["reads_otherwise"])));
    app.finish().await;
}

async fn an_order_that_is_known_by_now(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "10")]).await;
    app.leaves_work();
    let jane = app.jane().await;
    let lines = [obr("1-1", "L1", "BMP", "20260302080000", "F"), obx(1, "K", "4.1", "mmol/L", "N", "F")];
    app.lab().await.deliver(&oru("O1", "20260302080000", &[&lines[0], &lines[1]])).await;
    let message = last_message(&app).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["BMP"]).await.body;
    assert_eq!((&placed["id"], status(&clinician, &placed["id"]).await), (&json!(1), "pending".into()));
    let tied = run(&app, engine, message.id).await;
    assert_eq!((table(&tied, "lab_results"), table(&tied, "lab_reports")), ((0, 1), (0, 1)));
    assert_eq!((table(&tied, "lab_orders"), table(&tied, "lab_order_tests")), ((0, 1), (0, 1)));
    assert_eq!(status(&clinician, &placed["id"]).await, "resulted");
    assert_eq!(kinds(&clinician, &placed["id"]).await, ["created", "results"]);
    app.finish().await;
}

/// Every kind of message that the generator makes, and results in all their turns.
async fn what_is_stored_does_not_move(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "10")]).await;
    app.leaves_work();
    app.jane().await;
    let mut lab = app.lab().await;
    let all = [Kind::Orm, Kind::Oru, Kind::AdtA01, Kind::AdtA08, Kind::AdtA40];
    for message in generate(&all, 15, 7, crate::app::start_of_time()) {
        lab.exchange(&String::from_utf8(message).unwrap()).await;
    }
    let potassium = |value: &str, status: &str| obx(1, "K^Potassium", value, "mmol/L", "HH", status);
    for (id, status, value) in
        [("1", "P", "6.7"), ("2", "F", "6.9"), ("3", "C", "5.0"), ("4", "F", ""), ("5", "W", "")]
    {
        let lines = [obr("", "F1", "BMP", "20260302080000", status), potassium(value, status)];
        lab.deliver(&oru(&format!("T{id}"), &format!("2026030208{id}000"), &[&lines[0], &lines[1]])).await;
    }
    lab.deliver(&report("S1", "OBX|1|SN|GLU||>^400|mg/dL||HH|||F")).await;
    lab.deliver(&report("X1", "OBX|1|TX|NOTE||one~two||||||F\rOBX|2|CE|ORG||112283007^E. coli^SCT||||||F"))
        .await;
    lab.deliver(&report("D1", "OBX|1|ED|PDF||LAB^application^pdf^Base64^JVBERi0xLjQK||||||F")).await;
    lab.exchange("MSH|^~\\&|LAB|L|PMS|M|20260302||ZZZ^Z01|Z1|P|2.5.1\r").await;
    let messages = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert!(messages.len() > 20, "{}", messages.len());
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let inbound: Vec<_> = messages.iter().filter(|row| row.direction == "inbound").collect();
    // Orders that came before their patients were registered are taken now, and results that name them are tied.
    for message in inbound.iter().chain(&inbound) {
        let replayed = replay(&engineer, message.id, false).await;
        assert!(
            replayed["changes"] == false
                || message.status != "stored"
                || table(&replayed, "lab_reports").1 > 0
        );
    }
    let before = rows(&app, engine).await;
    for message in inbound.iter().chain(&inbound) {
        let replayed = replay(&engineer, message.id, false).await;
        assert_eq!(replayed["changes"], false, "{} {replayed}", message.message_type);
    }
    assert_same(&before, &rows(&app, engine).await);
    app.finish().await;
}

async fn who_may_and_what_cannot_be(engine: Engine) {
    let mut app =
        TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "10"), ("MAX_MESSAGE_SIZE", "65536")]).await;
    app.leaves_work();
    let jane = app.jane().await;
    let lis = crate::lab::FakeLis::start(&[crate::lab::Manner::Ack("AA")]).await;
    crate::ordering::endpoint(&app, lis.port).await;
    let placed = order(&app.clinician().await, jane, &["BMP"]).await.body;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let path = |message: &Value| format!("/api/hl7/messages/{message}/replay");
    let sent = engineer.post(&path(&placed["hl7_message_id"]), json!({})).await;
    assert_eq!(sent.status, StatusCode::CONFLICT);
    assert!(sent.body["detail"].as_str().unwrap().contains("sent again"), "{:?}", sent.body);
    assert_eq!(engineer.post(&path(&json!(999_999)), json!({})).await.status, StatusCode::NOT_FOUND);
    let long = "x".repeat(70_000);
    assert_eq!(code(&app.lab().await.exchange(&report("L1", &format!("NTE|1||{long}"))).await), "AE");
    let head = last_message(&app).await.id;
    assert_eq!(engineer.post(&path(&json!(head)), json!({})).await.status, StatusCode::CONFLICT);
    for role in [Role::Clinician, Role::LabManager, Role::PrivacyOfficer, Role::Admin] {
        let other = app.sign_in(role).await;
        assert_eq!(other.post(&path(&json!(head)), json!({})).await.status, StatusCode::FORBIDDEN, "{role}");
    }
    assert_eq!(app.stranger().post(&path(&json!(head)), json!({})).await.status, StatusCode::UNAUTHORIZED);
    app.finish().await;
}

/// `pms messages replay`, another process on the same database.
async fn the_command_does_the_same(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.lab().await.deliver(&report("U1", &obx(1, "K^Potassium", "4.1", "mmol/L", "N", "F"))).await;
    let message = last_message(&app).await.id.to_string();
    app.jane().await;
    let command = async |dry_run: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pms"));
        command.args(["messages", "replay", &message]).args(dry_run);
        command.env_clear().envs(app.settings().iter().cloned());
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let before = rows(&app, engine).await;
    let dry = command(&["--dry-run"]).await;
    assert!(dry.starts_with(&format!("message {message}: would change (unmatched -> stored)\n")), "{dry}");
    assert!(dry.contains("lab_results: 1 inserted, 0 changed, 0 unchanged\n"), "{dry}");
    assert!(!dry.contains("Doe") && !dry.contains("4.1"), "columns, never their values: {dry}");
    assert_same(&before, &rows(&app, engine).await);
    let done = command(&[]).await;
    assert!(done.starts_with(&format!("message {message}: changed (unmatched -> stored)\n")), "{done}");
    let again = command(&[]).await;
    assert!(
        again.starts_with(&format!("message {message}: nothing changes (stored -> stored)\n")),
        "{again}"
    );
    assert_eq!(app.count::<lab_result::Entity>().await, 1);
    app.finish().await;
}
