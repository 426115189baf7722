//! Registrations, visits and merges as an ADT feed tells of them.

use pms::{
    domain::access::Role,
    hl7::frame::wrap,
    store::entity::{encounter, hl7_message, lab_result, patient, patient_merge, review_item},
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    app::{Actor, Engine, TestApp, flows},
    lab::{Sender, code, obr, obx, oru},
};

flows!(
    a_stay_from_registration_to_discharge,
    null_deletes_and_empty_keeps,
    an_older_event_changes_nothing,
    somebody_else_under_a_known_number_waits,
    an_event_named_elsewhere,
    a_merge_moves_everything_and_can_be_undone,
    merges_in_a_chain_and_oddities,
    a_result_finds_the_survivor,
    a_merge_beside_results_leaves_none_behind,
    a_merge_keeps_its_place_among_registrations,
    observations_of_a_registration_are_told,
);

fn adt(event: &str, id: &str, sent: &str, pid: &str, rest: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|CLINIC|PMS_LAB|MPS_PMS|{sent}||ADT^{event}^ADT_A01|{id}|P|2.5.1\rEVN|{event}|{sent}\rPID|1||{pid}\r{rest}"
    )
}

const ANN: &str =
    "700^^^MPS_PMS^MR||Roe^Ann^Q||19800102|F|||1 Main St^^Town||555-1234~^NET^Internet^ann@x.org";
const VISIT: &str =
    "PV1|1|I|W1^12^B||||7^Smith^Jo^^^Dr.||||||||||||V9||||||||||||||||||||||||202603020900+0000\r";

async fn of_mrn(actor: &Actor, mrn: &str) -> Value {
    actor.read(&format!("/api/patients?mrn={mrn}")).await
}

async fn deliver(lab: &mut Sender, messages: &[String]) {
    for message in messages {
        lab.deliver(message).await;
    }
}

async fn a_stay_from_registration_to_discharge(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    let clinician = app.clinician().await;
    lab.deliver(&adt("A01", "1", "20260302090000+0000", ANN, VISIT)).await;
    let ann = of_mrn(&clinician, "700").await;
    assert_eq!(
        (&ann["last_name"], &ann["first_name"], &ann["gender"]),
        (&json!("Roe"), &json!("Ann"), &json!("female"))
    );
    assert_eq!((&ann["date_of_birth"], &ann["phone"]), (&json!("1980-01-02"), &json!("555-1234")));
    assert_eq!((&ann["email"], &ann["address"]), (&json!("ann@x.org"), &json!("1 Main St, Town")));
    let visits = async || clinician.read(&format!("/api/encounters?patient_id={}", ann["id"])).await;
    let list = visits().await;
    assert_eq!(
        (&list[0]["status"], &list[0]["class"], &list[0]["visit_number"]),
        (&json!("in-progress"), &json!("I"), &json!("V9"))
    );
    assert_eq!(
        (&list[0]["location"], &list[0]["attending_provider"]),
        (&json!("W1 12 B"), &json!("Dr. Jo Smith"))
    );
    assert_eq!(list[0]["started_at"], "2026-03-02T09:00:00Z");

    let moved = VISIT.replace("W1^12^B", "W2^1^A");
    lab.deliver(&adt("A02", "2", "20260302100000+0000", ANN, &moved)).await;
    lab.deliver(&adt("A03", "3", "20260302110000+0000", ANN, VISIT)).await;
    let list = visits().await;
    assert_eq!((list.as_array().unwrap().len(), &list[0]["status"]), (1, &json!("finished")));
    assert_eq!(list[0]["ended_at"], "2026-03-02T11:00:00Z");
    lab.deliver(&adt("A13", "4", "20260302120000+0000", ANN, VISIT)).await;
    assert_eq!(
        (&visits().await[0]["status"], &visits().await[0]["ended_at"]),
        (&json!("in-progress"), &Value::Null)
    );
    lab.deliver(&adt("A11", "5", "20260302130000+0000", ANN, VISIT)).await;
    assert_eq!(visits().await[0]["status"], "cancelled");
    assert_eq!(code(&lab.exchange(&adt("A06", "6", "20260302140000+0000", ANN, VISIT)).await), "AR");
    app.finish().await;
}

async fn null_deletes_and_empty_keeps(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    lab.deliver(&adt("A28", "1", "20260302090000", ANN, "")).await;
    let pid = "700^^^MPS_PMS^MR||Roe-Doe^Ann||\"\"||||\"\"||\"\"";
    lab.deliver(&adt("A31", "2", "20260302100000", pid, "")).await;
    let ann = of_mrn(&app.clinician().await, "700").await;
    assert_eq!(
        (&ann["last_name"], &ann["middle_name"], &ann["gender"]),
        (&json!("Roe-Doe"), &json!("Q"), &json!("female"))
    );
    for field in ["date_of_birth", "address", "phone", "email"] {
        assert_eq!(ann[field], Value::Null, "{field}");
    }
    assert_eq!(app.count::<encounter::Entity>().await, 0, "a person is no visit");
    app.finish().await;
}

async fn an_older_event_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    let named = |name: &str| ANN.replace("Roe^Ann", &format!("{name}^Ann"));
    let log = [
        adt("A08", "3", "20260302110000", &named("Third"), VISIT),
        adt("A08", "1", "20260302090000", &named("First"), VISIT),
        adt("A08", "2", "20260302100000", &named("Second"), VISIT),
    ];
    deliver(&mut lab, &log).await;
    let clinician = app.clinician().await;
    assert_eq!(of_mrn(&clinician, "700").await["last_name"], "Third");
    deliver(&mut lab, &log).await;
    assert_eq!(of_mrn(&clinician, "700").await["last_name"], "Third");
    let counts = (app.count::<patient::Entity>().await, app.count::<hl7_message::Entity>().await);
    assert_eq!(counts, (1, 3), "a resend adds no row");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let late = engineer.read("/api/hl7/messages?control_id=1").await[0].clone();
    let detail = engineer.read(&format!("/api/hl7/messages/{}", late["id"])).await;
    assert!(detail["warnings"].to_string().contains("older_than_stored"), "{detail}");
    app.finish().await;
}

async fn somebody_else_under_a_known_number_waits(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    lab.deliver(&adt("A28", "1", "20260302090000", ANN, "")).await;
    lab.deliver(&adt("A08", "2", "20260302100000", "700^^^MPS_PMS^MR||Kim^Lee||19990909|M", "")).await;
    lab.deliver(&adt("A08", "3", "20260302100000", "||Kim^Lee||19990909|M", "")).await;
    lab.deliver(&adt("A08", "4", "20260302100000", "701^^^MPS_PMS^MR~700^^^MPS_PMS^MR||Roe^Ann", "")).await;
    let items = review_item::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let reasons: Vec<&str> = items.iter().map(|item| item.reason.as_str()).collect();
    assert_eq!(reasons, ["demographics_contradict", "no_identifier", "identifier_contradicts"]);
    let ann = of_mrn(&app.clinician().await, "700").await;
    assert_eq!((&ann["last_name"], ann["identifiers"].as_array().unwrap().len()), (&json!("Roe"), 1));
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    assert_eq!(engineer.read("/api/hl7/messages?control_id=2").await[0]["status"], "unmatched");

    let manager = app.sign_in(Role::LabManager).await;
    let path = format!("/api/review-queue/{}", items[0].id);
    let item = manager.read(&path).await;
    assert_eq!(
        (&item["reason"], &item["claimed_patient"]["last_name"]),
        (&json!("demographics_contradict"), &json!("Kim"))
    );
    let link = manager.post(&format!("{path}/link"), json!({ "patient_id": ann["id"] })).await;
    assert_eq!(link.status, 409, "{:?}", link.body);
    let reject = manager.post(&format!("{path}/reject"), json!({ "reason": "wrong label" })).await;
    assert_eq!(reject.status, 200, "{:?}", reject.body);
    assert_eq!(engineer.read("/api/hl7/messages?control_id=2").await[0]["status"], "rejected");
    app.finish().await;
}

async fn an_event_named_elsewhere(engine: Engine) {
    let app = TestApp::start(engine).await;
    endpoint(&app, "OLD", json!({ "profile": { "adt_default_event": "A08" } })).await;
    let mut lab = app.lab().await;
    let without = |sender: &str, id: &str, evn: &str| {
        format!(
            "MSH|^~\\&|{sender}|C|||20260302||ADT|{id}|P|2.1\r{evn}PID|1||{id}^5^M11||Roe^Ann||19800102|M-\rPV1|1|I\r"
        )
    };
    lab.deliver(&without("NEW", "801", "EVN|A04\r")).await;
    lab.deliver(&without("OLD", "802", "")).await;
    assert_eq!(code(&lab.exchange(&without("NEW", "803", "")).await), "AR");
    let clinician = app.clinician().await;
    assert_eq!(of_mrn(&clinician, "801").await["gender"], "unknown", "`M-` is no statement");
    assert_eq!(of_mrn(&clinician, "802").await["last_name"], "Roe");
    assert_eq!(app.count::<patient::Entity>().await, 2);
    app.finish().await;
}

fn a40(id: &str, survivor: &str, prior: &str) -> String {
    let rest = format!("MRG|{prior}^^^MPS_PMS^MR\r");
    adt("A40", id, "20260302150000", &format!("{survivor}^^^MPS_PMS^MR||Doe^Jane"), &rest)
}

fn potassium(id: &str, mrn: &str) -> String {
    let lines =
        [obr("", id, "BMP", "20260302080000", "F"), obx(1, "K^Potassium", "6.9", "mmol/L", "HH", "F")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    oru(id, "20260302080000", &lines).replace("12345^^^", &format!("{mrn}^^^"))
}

async fn a_merge_moves_everything_and_can_be_undone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let survivor = app.jane().await;
    let prior = app.patient("999", "Doe", "Jane", "1990-03-15").await;
    let mut lab = app.lab().await;
    lab.deliver(&potassium("F1", "999")).await;
    lab.deliver(&a40("M1", "12345", "999")).await;
    lab.deliver(&potassium("F2", "999")).await;
    let clinician = app.clinician().await;
    let results = async |id: i64| {
        clinician.read(&format!("/api/lab-results?patient_id={id}")).await.as_array().unwrap().len()
    };
    assert_eq!((results(survivor).await, results(prior).await), (2, 0), "the later one finds the survivor");
    assert_eq!(of_mrn(&clinician, "999").await["id"], json!(survivor), "the old number still finds");
    assert_eq!(clinician.read(&format!("/api/patients/{prior}")).await["merged_into_id"], json!(survivor));
    let alerts = clinician.read(&format!("/api/alerts?patient_id={survivor}")).await;
    assert_eq!(alerts.as_array().unwrap().len(), 2);

    let manager = app.sign_in(Role::LabManager).await;
    let body = json!({ "merged_patient_id": prior });
    let denied = clinician.post(&format!("/api/patients/{survivor}/unmerge"), body.clone()).await;
    assert_eq!(denied.status, 403);
    let undone = manager.post(&format!("/api/patients/{survivor}/unmerge"), body.clone()).await;
    assert_eq!(undone.status, 200, "{:?}", undone.body);
    assert_eq!((results(survivor).await, results(prior).await), (1, 1), "what came since stays");
    assert_eq!(of_mrn(&clinician, "999").await["id"], json!(prior));
    assert_eq!(manager.post(&format!("/api/patients/{survivor}/unmerge"), body.clone()).await.status, 409);
    let again = manager.post(&format!("/api/patients/{survivor}/merge"), body.clone()).await;
    assert_eq!(again.status, 200, "{:?}", again.body);
    assert_eq!(manager.post(&format!("/api/patients/{survivor}/merge"), body).await.status, 409);
    let itself = manager
        .post(&format!("/api/patients/{survivor}/merge"), json!({ "merged_patient_id": survivor }))
        .await;
    assert_eq!(itself.status, 422);
    app.finish().await;
}

async fn merges_in_a_chain_and_oddities(engine: Engine) {
    let app = TestApp::start(engine).await;
    for mrn in ["1", "2", "12345"] {
        app.patient(mrn, "Doe", "Jane", "1990-03-15").await;
    }
    let mut lab = app.lab().await;
    lab.deliver(&potassium("F1", "1")).await;
    deliver(&mut lab, &[a40("M1", "2", "1"), a40("M2", "12345", "2"), a40("M2", "12345", "2")]).await;
    let clinician = app.clinician().await;
    let id = of_mrn(&clinician, "12345").await["id"].clone();
    for mrn in ["1", "2"] {
        assert_eq!(of_mrn(&clinician, mrn).await["id"], id, "{mrn}");
    }
    // Back again, onto itself, a prior nobody knows, a survivor nobody knows.
    deliver(&mut lab, &[a40("M3", "2", "12345"), a40("M4", "12345", "12345"), a40("M5", "12345", "777")])
        .await;
    assert_eq!(of_mrn(&clinician, "777").await["id"], id, "an alias");
    deliver(&mut lab, &[a40("M6", "900", "12345")]).await;
    let new = of_mrn(&clinician, "900").await;
    assert_eq!(of_mrn(&clinician, "1").await["id"], new["id"], "the whole chain follows");
    let results = clinician.read(&format!("/api/lab-results?patient_id={}", new["id"])).await;
    assert_eq!(results.as_array().unwrap().len(), 1);
    assert_eq!(app.count::<patient_merge::Entity>().await, 3);
    app.finish().await;
}

async fn a_result_finds_the_survivor(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    app.patient("999", "Doe", "Jane", "1990-03-15").await;
    let mut lab = app.lab().await;
    // One order number for both: two results that are one patient's when the charts are one.
    lab.deliver(&potassium("SAME", "999")).await;
    lab.deliver(&potassium("SAME", "12345")).await;
    lab.deliver(&a40("M1", "12345", "999")).await;
    let clinician = app.clinician().await;
    let id = of_mrn(&clinician, "12345").await["id"].clone();
    let results = clinician.read(&format!("/api/lab-results?patient_id={id}")).await;
    assert_eq!(results.as_array().unwrap().len(), 1, "one is current: {results}");
    assert_eq!(app.count::<lab_result::Entity>().await, 2, "and nothing is forgotten");
    app.finish().await;
}

async fn a_merge_beside_results_leaves_none_behind(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let gone = app.patient("999", "Doe", "Jane", "1990-03-15").await;
    let (mut results, mut feed) = (app.lab().await, app.lab().await);
    let ids: Vec<String> = (0..40).map(|n| format!("R{n}")).collect();
    let all: Vec<u8> = ids.iter().flat_map(|id| wrap(potassium(id, "999").as_bytes())).collect();
    results.write(&all).await;
    feed.deliver(&a40("M1", "12345", "999")).await;
    for _ in &ids {
        assert_eq!(code(&results.answer().await), "AA");
    }
    let rows = lab_result::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.patient_id != gone), "a result was left in the chart that went");
    app.finish().await;
}

async fn observations_of_a_registration_are_told(engine: Engine) {
    let app = TestApp::start(engine).await;
    let message =
        adt("A04", "W1", "20260302090000", ANN, &format!("{VISIT}OBX|1|NM|WT^Weight||70|kg|||||F\r"));
    let answer = String::from_utf8(app.lab().await.exchange(&message).await).unwrap();
    assert!(answer.contains("MSA|AA|W1") && answer.contains("ERR||OBX^1|0^"), "{answer}");
    assert_eq!(app.count::<patient::Entity>().await, 1);
    app.finish().await;
}

/// Patients take turns side by side, and a merge is about two of them.
async fn a_merge_keeps_its_place_among_registrations(engine: Engine) {
    const PAIRS: usize = 25;
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    let mut all = Vec::new();
    for n in 0..PAIRS {
        let sent = format!("202603020900{n:02}+0000");
        let prior = format!("{}^^^MPS_PMS^MR||Roe^Ann||19800102|F", 700 + n);
        let survivor = format!("{}^^^MPS_PMS^MR||Roe^Ann||19800102|F", 901 + n);
        let merge = format!("MRG|{}^^^MPS_PMS^MR\r", 700 + n);
        all.extend(wrap(adt("A01", &format!("A{n}"), &sent, &prior, "").as_bytes()));
        all.extend(wrap(adt("A01", &format!("B{n}"), &sent, &survivor, "").as_bytes()));
        all.extend(wrap(adt("A40", &format!("M{n}"), &sent, &survivor, &merge).as_bytes()));
    }
    lab.write(&all).await;
    for _ in 0..3 * PAIRS {
        assert_eq!(code(&lab.answer().await), "AA");
    }
    let reader = app.ctx().db.reader();
    let people = patient::Entity::find().all(reader).await.unwrap();
    let merged: Vec<&str> =
        people.iter().filter(|row| row.merged_into_id.is_some()).map(|row| row.mrn.as_str()).collect();
    assert_eq!((people.len(), merged.len()), (2 * PAIRS, PAIRS), "{merged:?}");
    app.finish().await;
}
