//! Bringing a lab in: trying its messages out, and saying what its codes mean.

use pms::{
    domain::access::Role,
    store::entity::{appointment, code_map_change, hl7_message, lab_result, unmapped_code},
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    app::{Actor, Answer, Engine, TestApp, flows},
    lab::{obr, obx, oru},
};

flows!(
    a_preview_says_all_and_stores_nothing,
    a_preview_of_what_is_refused_or_known,
    a_preview_of_an_event_changes_nothing,
    unmapped_codes_are_a_worklist,
    code_maps_keep_their_history,
);

fn report(id: &str, code: &str, value: &str) -> String {
    let lines = [obr("", id, "BMP", "20260302080000", "F"), obx(1, code, value, "mmol/L", "", "F")];
    oru(id, "20260302080000", &lines.iter().map(String::as_str).collect::<Vec<_>>())
}

async fn preview(actor: &Actor, path: &str, message: &str) -> Answer {
    let request = actor.request(reqwest::Method::POST, path).header("content-type", "application/hl7-v2");
    actor.send(request.body(message.to_owned())).await
}

async fn a_preview_says_all_and_stores_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lab = endpoint(&app, "CITY", json!({ "time_zone": "Europe/Berlin" })).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let message = format!("\u{b}{}\u{1c}\r", report("P1", "K^Potassium", "6.9").replace('\r', "\n"));
    let answer = preview(&engineer, &format!("/api/hl7/preview?lis_endpoint_id={lab}"), &message).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let body = answer.body;
    assert_eq!((&body["outcome"], &body["message_control_id"]), (&json!("stored"), &json!("P1")));
    assert_eq!(body["observations"], json!({"received": 1, "stored": 1, "in_review": 0, "rejected": 0}));
    let result = &body["would_store"]["results"][0];
    assert_eq!((&result["value"], &result["loinc_code"]), (&json!("6.9"), &json!("2823-3")));
    assert_eq!((&result["is_critical"], &body["would_store"]["alerts"]), (&json!(true), &json!(1)));
    assert_eq!(body["would_store"]["patient_id"], json!(jane));
    assert!(body["ack"][0].as_str().unwrap().contains("MSA|AA|P1"), "{body}");
    assert!(body["warnings"].to_string().contains("line_ends"), "{body}");
    assert_eq!(body["tree"][1]["fields"][1]["path"], "PID-3");
    assert_eq!(app.count::<hl7_message::Entity>().await + app.count::<lab_result::Entity>().await, 0);

    let clinician = preview(&app.clinician().await, "/api/hl7/preview", &message).await;
    assert_eq!(clinician.status, 403);
    app.finish().await;
}

async fn a_preview_of_what_is_refused_or_known(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let outcome = async |message: &str| {
        let answer = preview(&engineer, "/api/hl7/preview", message).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.body
    };
    let known = report("P1", "K^Potassium", "4.1");
    app.lab().await.deliver(&known).await;
    let body = outcome(&known).await;
    assert_eq!((&body["outcome"], body["duplicate_of"].is_i64()), (&json!("duplicate"), true));
    let body = outcome(&report("P2", "K^Potassium", "4.1").replace("12345", "777")).await;
    assert_eq!(
        (&body["outcome"], &body["would_store"]["review_reason"]),
        (&json!("unmatched"), &json!("unknown_identifier"))
    );
    let body = outcome(&report("P3", "K^Potassium", "4.1").replace("OBR|", "obr|")).await;
    assert_eq!(body["outcome"], "refused");
    assert!(body["ack"][0].as_str().unwrap().contains("MSA|AE|P3"), "{body}");
    assert!(!body["error_detail"].as_str().unwrap().contains("Doe"), "{body}");
    let body = outcome("hello").await;
    assert_eq!((&body["outcome"], &body["tree"]), (&json!("refused"), &Value::Null));
    let two = format!("{known}{known}");
    assert_eq!(preview(&engineer, "/api/hl7/preview", &two).await.status, 422);
    assert_eq!(preview(&engineer, "/api/hl7/preview?lis_endpoint_id=99", &known).await.status, 404);
    assert_eq!(app.count::<hl7_message::Entity>().await, 1);
    app.finish().await;
}

async fn a_preview_of_an_event_changes_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let message = "MSH|^~\\&|SCHED|C|||20260302||SIU^S12|S1|P|2.5.1\rSCH||F9||||||||||^^^202603050900\r";
    let body = preview(&engineer, "/api/hl7/preview", message).await.body;
    let stored = &body["would_store"];
    assert_eq!(
        (&stored["event"], &stored["event_detail"]),
        (&json!("appointment"), &json!("booked")),
        "{body}"
    );
    assert_eq!(app.count::<appointment::Entity>().await + app.count::<hl7_message::Entity>().await, 0);
    app.lab().await.deliver(message).await;
    assert_eq!(app.count::<appointment::Entity>().await, 1);
    app.finish().await;
}

async fn unmapped_codes_are_a_worklist(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lab_id = endpoint(&app, "LAB_LIS", json!({})).await;
    let mut lab = app.lab().await;
    lab.deliver(&report("U1", "KALI^Kalium^L", "4.1")).await;
    lab.deliver(&report("U2", "KALI^Kalium^L", "4.2")).await;
    lab.deliver(&report("U3", "K^Potassium", "4.3")).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let list = engineer.read("/api/code-maps/unmapped").await;
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    assert_eq!((&list[0]["local_code"], &list[0]["local_system"]), (&json!("KALI"), &json!("L")));
    assert_eq!((&list[0]["name"], &list[0]["lis_endpoint_id"]), (&json!("Kalium"), &json!(lab_id)));

    let entry = json!({"entries": [
        {"lis_endpoint_id": lab_id, "local_code": "KALI", "loinc_code": "2823-3", "name": "Kalium"}
    ]});
    let answer = engineer.send(engineer.request(reqwest::Method::PUT, "/api/code-maps").json(&entry)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body[0]["loinc_code"]),
        (200, &json!("2823-3")),
        "{:?}",
        answer.body
    );
    assert_eq!(app.count::<unmapped_code::Entity>().await, 0);
    assert_eq!(
        engineer.read(&format!("/api/code-maps?lis_endpoint_id={lab_id}")).await[0]["local_code"],
        "KALI"
    );

    // The worker looks the maps up again every few seconds; until then a result still comes without.
    let clinician = app.clinician().await;
    let path = format!("/api/lab-results?patient_id={jane}&test_code=2823-3");
    let mut number = 4;
    crate::app::until("a result with the mapped code", async || {
        number += 1;
        lab.deliver(&report(&format!("U{number}"), "KALI^Kalium^L", "6.9")).await;
        let results = clinician.read(&path).await;
        let critical = results.as_array().unwrap().iter().any(|item| item["test_code"] == "KALI");
        critical.then_some(())
    })
    .await;
    app.finish().await;
}

async fn code_maps_keep_their_history(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let put = async |entry: Value| {
        let body = json!({ "entries": [entry] });
        engineer.send(engineer.request(reqwest::Method::PUT, "/api/code-maps").json(&body)).await
    };
    let first = put(json!({"local_code": "NA1", "loinc_code": "2951-2"})).await;
    assert_eq!((first.status.as_u16(), &first.body[0]["lis_endpoint_id"]), (200, &json!(0)));
    put(json!({"local_code": "NA1", "loinc_code": "2951-2"})).await;
    put(json!({"local_code": "NA1", "loinc_code": "2947-0"})).await;
    assert_eq!(put(json!({"local_code": "NA1", "loinc_code": null})).await.body, json!([]));
    let changes = code_map_change::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let told: Vec<_> =
        changes.iter().map(|row| (row.version, row.loinc_code.as_deref(), row.changed_by.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, Some("2951-2"), "interface_engineer"),
            (2, Some("2947-0"), "interface_engineer"),
            (3, None, "interface_engineer")
        ]
    );
    for (entry, status) in [
        (json!({"local_code": "NA1", "loinc_code": "2951-3"}), 422),
        (json!({"local_code": " ", "loinc_code": "2951-2"}), 422),
        (json!({"local_code": "NA1", "loinc_code": "2951-2", "lis_endpoint_id": 77}), 404),
    ] {
        assert_eq!(put(entry.clone()).await.status, status, "{entry}");
    }
    let clinician = app.clinician().await;
    let body = json!({"entries": [{"local_code": "X", "loinc_code": "2951-2"}]});
    let answer = clinician.send(clinician.request(reqwest::Method::PUT, "/api/code-maps").json(&body)).await;
    assert_eq!(answer.status, 403);
    app.finish().await;
}
