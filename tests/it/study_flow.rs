//! Studies in the JSON of imaging systems: ordered, sent where pictures are made, reported, asked for.

use pms::{domain::access::Role, store::entity::lab_order};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{Answer, Engine, TestApp, flows},
    http_door_flow::Machine,
    lab::{FakeLis, Manner, oru},
    ordering::endpoint_with,
};

flows!(
    a_study_goes_out_and_its_report_comes_back,
    the_same_accession_number_is_the_same_study,
    who_is_not_certain_gets_no_study,
    a_system_sees_its_own_studies,
);

fn chest() -> Value {
    json!({ "order": {
        "accessionNumber": "ACC7",
        "patient": { "id": "12345", "name": "Jane Doe", "gender": "F", "dateOfBirth": "1990-03-15" },
        "study": { "code": "CTCHEST", "modality": "CT", "description": "CT Chest", "priority": "STAT" },
        "scheduling": { "aeTitle": "CT1_AE", "scheduledDateTime": "2026-03-03T09:30:00+01:00" },
    } })
}

/// Calls with a key, or with none.
async fn call(app: &TestApp, key: &str, path: &str, body: &Value) -> Answer {
    let request =
        Client::builder().no_proxy().build().unwrap().request(Method::POST, format!("{}{path}", app.base));
    let answer = request.header("x-api-key", key).json(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

async fn pacs(app: &TestApp, lis: &FakeLis) -> i64 {
    let settings = json!({
        "name": "PACS", "hl7_version": "2.3", "time_zone": "Europe/Berlin", "profile": { "order_layout": "medsynapse_2_3" }
    });
    endpoint_with(app, lis.port, settings).await
}

async fn a_study_goes_out_and_its_report_comes_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (lab, pictures) =
        (FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await);
    endpoint_with(&app, lab.port, json!({ "is_default": true })).await;
    pacs(&app, &pictures).await;
    let key = Machine::new(&app, None).await.key;

    let placed = call(&app, &key, "/api/orders", &chest()).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{:?}", placed.body);
    let order = &placed.body["order"];
    assert_eq!((&order["accessionNumber"], &order["status"]), (&json!("ACC7"), &json!("sent")));
    assert_eq!(
        order["study"],
        json!({"id": "CTCHEST", "description": "CT Chest", "modality": "CT", "priority": "S"})
    );
    assert_eq!(order["patient"]["name"], json!({"family": "Doe", "given": "Jane"}));
    let id = &order["id"];
    assert!(lab.received().is_empty(), "a laboratory makes no pictures");
    let sent = pictures.received().remove(0);
    let obr = sent.split('\r').find(|line| line.starts_with("OBR")).unwrap();
    let fields: Vec<&str> = obr.split('|').collect();
    let at = |field: usize| fields.get(field).copied().unwrap_or_default();
    assert_eq!([at(2), at(4), at(5)], ["ACC7", "CTCHEST^CT Chest^L", "S"]);
    assert_eq!([at(21), at(24), at(36)], ["CT1_AE", "CT", "20260303093000+0100"]);
    assert!(sent.contains(&format!("\rORC|NW|{id}-1|")) && sent.contains("|ORM^O01|"), "{sent}");

    // The short form, with nothing but a name; our number is the accession number then.
    let short = json!({ "patientId": 12345, "study": "CT HEAD", "priority": "ROUTINE" });
    let second = call(&app, &key, "/api/orders", &short).await;
    assert_eq!(second.status, StatusCode::CREATED, "{:?}", second.body);
    let own = format!("{}-1", second.body["order"]["id"]);
    assert_eq!(second.body["order"]["accessionNumber"], own);
    assert!(pictures.received()[1].contains(&format!("\rOBR|1|{own}||CT HEAD^CT HEAD^L|R|")));

    let text = |n: u32, value: &str, status: &str| format!("OBX|{n}|TX|GDT^Text||{value}||||||{status}");
    let report = |control: &str, at: &str, status: &str| {
        let lines = [
            format!("OBR|1|ACC7|P1|CTCHEST^CT Chest|||20260303093500|||||||||||||||{at}|||{status}"),
            text(1, "Lungs clear.", status),
            text(2, "No effusion \\T\\ no mass.\\.br\\Normal heart.", status)
                .replace("OBX|2|TX|GDT", "OBX|2|TX|IMP"),
        ];
        oru(control, at, &[&lines[0], &lines[1], &lines[2]])
    };
    let mut door = app.lab().await;
    door.deliver(&report("R1", "20260303100000", "P")).await;
    let clinician = app.clinician().await;
    let results = clinician.read(&format!("/api/lab-results?lab_order_id={id}")).await;
    let path = format!("/api/lab-results/{}/report", results[0]["id"]);
    assert_eq!(clinician.read(&path).await["report"]["result"]["status"], "PRELIMINARY");
    door.deliver(&report("R2", "20260303110000", "F")).await;
    let results = clinician.read(&format!("/api/lab-results?lab_order_id={id}")).await;
    let path = format!("/api/lab-results/{}/report", results[0]["id"]);
    let content = "Lungs clear.\nNo effusion & no mass.\nNormal heart.";
    let expected = json!({
        "accessionNumber": "ACC7",
        "patient": { "id": "12345", "name": { "family": "Doe", "given": "Jane" } },
        "study": { "id": "CTCHEST", "description": "CT Chest" },
        "result": { "status": "FINAL", "content": content },
    });
    assert_eq!(clinician.read(&path).await["report"], expected);

    let query = json!({ "queryType": "patient_studies", "patientId": "12345" });
    let answer = call(&app, &key, "/api/hl7/query", &query).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let studies = answer.body["studies"].as_array().unwrap();
    assert_eq!(studies.len(), 2);
    assert_eq!((&studies[1]["accessionNumber"], &studies[1]["status"]), (&json!("ACC7"), &json!("resulted")));
    assert_eq!(studies[1]["report"], json!({ "status": "FINAL", "content": content }));
    assert!(studies[0].get("report").is_none());
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!((&order["patient_id"], &order["imaging"]["ae_title"]), (&json!(jane), &json!("CT1_AE")));
    app.finish().await;
}

async fn the_same_accession_number_is_the_same_study(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-02").await;
    let pictures = FakeLis::start(&[Manner::Ack("AA")]).await;
    pacs(&app, &pictures).await;
    let key = Machine::new(&app, None).await.key;
    let body = chest();
    let (first, second) =
        tokio::join!(call(&app, &key, "/api/orders", &body), call(&app, &key, "/api/orders", &body));
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body["order"]["id"], second.body["order"]["id"]);
    assert_eq!((app.count::<lab_order::Entity>().await, pictures.received().len()), (1, 1));

    let mut other = chest();
    other["order"]["study"] = json!({ "code": "MRHEAD", "description": "MR Head" });
    let refused = call(&app, &key, "/api/orders", &other).await;
    assert_eq!(
        (refused.status, &refused.body["detail"]),
        (StatusCode::CONFLICT, &json!("This accession number is in use"))
    );
    let mut other = chest();
    other["order"]["patient"] = json!({ "id": "777" });
    assert_eq!(call(&app, &key, "/api/orders", &other).await.status, StatusCode::CONFLICT);

    // Another system has numbers of its own.
    let ris = endpoint_with(&app, 1, json!({ "name": "RIS", "direction": "inbound" })).await;
    let theirs = Machine::new(&app, Some(ris)).await.key;
    let third = call(&app, &theirs, "/api/orders", &chest()).await;
    assert_eq!(third.status, StatusCode::CREATED);
    assert_ne!(third.body["order"]["id"], first.body["order"]["id"]);
    app.finish().await;
}

async fn who_is_not_certain_gets_no_study(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let key = Machine::new(&app, None).await.key;
    let with = |field: &str, value: Value| {
        let mut body = chest();
        body["order"]["patient"][field] = value;
        body
    };
    for (body, status) in [
        (with("id", json!("99999")), StatusCode::NOT_FOUND),
        (with("name", json!("Jane Roe")), StatusCode::CONFLICT),
        (with("name", json!({ "family": "Roe", "given": "Jane" })), StatusCode::CONFLICT),
        (with("dateOfBirth", json!("1990-03-16")), StatusCode::CONFLICT),
        (json!({ "order": { "patient": { "id": "12345" } } }), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "patientId": "12345", "study": "CT", "priority": "URGENT" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({ "study": "CT" }), StatusCode::UNPROCESSABLE_ENTITY),
        (json!([]), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = call(&app, &key, "/api/orders", &body).await;
        assert_eq!(answer.status, status, "{body}: {:?}", answer.body);
        // The refused value itself stands under `input` of a 422, as its sender sent it; nothing of the chart does.
        assert!(!answer.body.to_string().contains("1990-03-15"), "{:?}", answer.body);
    }
    assert_eq!(app.count::<lab_order::Entity>().await, 0);
    let stranger = call(&app, "wrong", "/api/orders", &chest()).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.body, json!("Unauthorized: Invalid API key"));
    let officer = app.sign_in(Role::PrivacyOfficer).await;
    assert_eq!(officer.post("/api/orders", chest()).await.status, StatusCode::FORBIDDEN);
    app.finish().await;
}

async fn a_system_sees_its_own_studies(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "0")]).await;
    app.leaves_work();
    app.jane().await;
    let ris = endpoint_with(&app, 1, json!({ "name": "RIS", "direction": "inbound" })).await;
    let other = endpoint_with(&app, 2, json!({ "name": "Other", "direction": "inbound" })).await;
    let [ris, other] = [Machine::new(&app, Some(ris)).await.key, Machine::new(&app, Some(other)).await.key];
    let clinician = app.clinician().await;
    assert_eq!(call(&app, &ris, "/api/orders", &chest()).await.status, StatusCode::CREATED);
    let own = json!({ "patientId": "12345", "study": { "description": "MR Head", "modality": "MR" } });
    assert_eq!(clinician.post("/api/orders", own).await.status, StatusCode::CREATED);
    let query = json!({ "queryType": "patient_studies", "patientId": "12345" });
    let seen = |answer: Answer| answer.body["studies"].as_array().map_or(0, Vec::len);
    assert_eq!(seen(call(&app, &ris, "/api/hl7/query", &query).await), 1);
    assert_eq!(seen(call(&app, &other, "/api/hl7/query", &query).await), 0);
    assert_eq!(seen(clinician.post("/api/hl7/query", query).await), 2);
    let other = json!({ "queryType": "worklist", "patientId": "12345" });
    assert_eq!(clinician.post("/api/hl7/query", other).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    app.finish().await;
}
