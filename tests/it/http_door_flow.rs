//! `POST /api/hl7` and the keys that open it, on both databases.

use pms::{
    domain::access::Role,
    hl7::frame::wrap,
    store::entity::{access_log, api_key, hl7_message, lab_result},
};
use reqwest::{Client, Method, StatusCode, header};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows},
    lab::{answered, code, obr, obx, oru},
};

flows!(
    the_acknowledgment_is_the_answer,
    strangers_are_told_so_in_plain_text,
    only_er7_within_the_cap_is_read,
    a_key_speaks_for_its_endpoint,
    keys_are_shown_once_and_end_at_once,
    both_doors_know_each_others_messages,
);

pub(crate) fn potassium(control_id: &str, value: &str) -> String {
    let report = obr("", control_id, "BMP", "20260302080000", "F");
    oru(control_id, "20260302080000", &[&report, &obx(1, "K^Potassium", value, "mmol/L", "", "F")])
}

/// A machine with a key.
pub(crate) struct Machine {
    client: Client,
    url: String,
    pub(crate) key: String,
}

/// An answer of the door.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
}

impl Machine {
    pub(crate) async fn new(app: &TestApp, endpoint: Option<i64>) -> Self {
        let admin = app.sign_in(Role::Admin).await;
        let body = json!({"name": "City lab", "lis_endpoint_id": endpoint});
        let made = admin.post("/api/api-keys", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        Self::with(app, made.body["key"].as_str().unwrap())
    }

    fn with(app: &TestApp, key: &str) -> Self {
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, url: format!("{}/api/hl7", app.base), key: key.to_owned() }
    }

    async fn post_as(&self, kind: Option<&str>, body: &[u8]) -> Reply {
        let mut request = self.client.post(&self.url).body(body.to_vec());
        if !self.key.is_empty() {
            request = request.header("x-api-key", &self.key);
        }
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let answer = request.send().await.unwrap();
        let kind = answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        Reply {
            status: answer.status(),
            kind: kind.unwrap_or_default(),
            body: answer.bytes().await.unwrap().to_vec(),
        }
    }

    pub(crate) async fn post(&self, body: &[u8]) -> Reply {
        self.post_as(Some("application/hl7-v2"), body).await
    }
}

async fn the_acknowledgment_is_the_answer(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let lab = Machine::new(&app, None).await;
    let first = lab.post(potassium("A", "4.0").as_bytes()).await;
    assert_eq!((first.status, first.kind.as_str()), (StatusCode::OK, "application/hl7-v2"));
    assert_eq!((code(&first.body), answered(&first.body)), ("AA".into(), "A".into()));
    assert_eq!(app.count::<lab_result::Entity>().await, 1);

    app.clock.advance(std::time::Duration::from_mins(1));
    let again = lab.post(potassium("A", "4.0").as_bytes()).await;
    assert_eq!(again.body, first.body, "the stored bytes");
    let framed = lab.post(&wrap(potassium("A", "4.0").as_bytes())).await;
    assert_eq!(framed.body, first.body, "the frame of MLLP is no part of the message");
    assert_eq!(app.count::<lab_result::Entity>().await, 1);

    let refused = lab.post(b"MSH|^~\\&|L|F|P|M|20260302||ZZZ^Z01|B|P|2.5.1\r").await;
    assert_eq!((refused.status, code(&refused.body)), (StatusCode::OK, "AR".into()));
    let garbage = lab.post(b"not a message").await;
    assert_eq!((garbage.status, code(&garbage.body)), (StatusCode::OK, "AE".into()));
    let silent = potassium("C", "4.1").replace("|P|2.5.1\r", "|P|2.5.1|||NE|NE\r");
    let silent = lab.post(silent.as_bytes()).await;
    assert_eq!((silent.status, silent.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(app.count::<lab_result::Entity>().await, 2, "kept all the same");
    assert_eq!(app.count::<hl7_message::Entity>().await, 4);
    app.finish().await;
}

async fn strangers_are_told_so_in_plain_text(engine: Engine) {
    let app = TestApp::start(engine).await;
    let wrong = format!("pms_{}_{}", "0".repeat(12), "0".repeat(48));
    for key in ["", "secret", &wrong] {
        let answer = Machine::with(&app, key).post_as(Some("application/json"), b"{}").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.kind.starts_with("text/plain"), "{}", answer.kind);
        assert_eq!(answer.body, b"Unauthorized: Invalid API key");
    }
    let try_as = async |actor: Actor| {
        let request = actor.request(Method::POST, "/api/hl7").body(potassium("A", "4.0"));
        actor.send(request).await
    };
    let clinician = try_as(app.clinician().await).await;
    assert_eq!(clinician.status, StatusCode::FORBIDDEN);
    assert_eq!(clinician.body, json!({"detail": "Not enough permissions"}));
    assert_eq!(app.count::<hl7_message::Entity>().await, 0);
    let engineer = try_as(app.sign_in(Role::InterfaceEngineer).await).await;
    assert_eq!(engineer.status, StatusCode::OK, "a token will do as well");
    let rows = access_log::Entity::find()
        .filter(access_log::Column::Action.eq("submit_hl7"))
        .all(app.ctx().db.reader())
        .await
        .unwrap();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.outcome.as_str()).collect();
    assert_eq!(outcomes, ["denied", "denied", "denied", "denied", "ok"]);
    app.finish().await;
}

async fn only_er7_within_the_cap_is_read(engine: Engine) {
    let app = TestApp::start_with(engine, &[("MAX_MESSAGE_SIZE", "2048")]).await;
    app.jane().await;
    let lab = Machine::new(&app, None).await;
    for kind in [
        "application/json",
        "application/xml",
        "text/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let answer = lab.post_as(Some(kind), potassium("A", "4.0").as_bytes()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["detail"].is_string());
    }
    assert_eq!(app.count::<hl7_message::Entity>().await, 0);
    for (n, kind) in [
        None,
        Some("text/plain; charset=iso-8859-1"),
        Some("application/hl7-v2"),
        Some("x-application/hl7-v2+er7"),
        Some("application/edi-hl7"),
        Some("application/octet-stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = lab.post_as(kind, potassium(&format!("T{n}"), "4.0").as_bytes()).await;
        assert_eq!((answer.status, code(&answer.body)), (StatusCode::OK, "AA".into()), "{kind:?}");
    }
    let sized = |size: usize| {
        let message = potassium(&format!("S{size}"), "4.0");
        let note = format!("NTE|1|L|{}\r", "x".repeat(size - message.len() - 9));
        format!("{message}{note}")
    };
    assert_eq!(lab.post(sized(2048).as_bytes()).await.status, StatusCode::OK);
    let over = lab.post(sized(2049).as_bytes()).await;
    assert_eq!(over.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(over.body, br#"{"detail":"Request body too large"}"#);
    for empty in [b"".as_slice(), b"\r\n", b"\x0b\x1c\r"] {
        assert_eq!(lab.post(empty).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(app.count::<hl7_message::Entity>().await, 7);
    app.finish().await;
}

async fn a_key_speaks_for_its_endpoint(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let endpoint = json!({
        "name": "City lab", "direction": "inbound", "ack_mode": "original",
        "receiving_application": "LAB_LIS", "receiving_facility": "REFERENCE_LAB"
    });
    let endpoint = engineer.post("/api/lis-endpoints", endpoint).await.body["id"].as_i64().unwrap();
    let lab = Machine::new(&app, Some(endpoint)).await;
    let asked = potassium("A", "4.0").replace("|P|2.5.1\r", "|P|2.5.1|||AL|NE\r");
    let answer = lab.post(asked.as_bytes()).await;
    assert_eq!(code(&answer.body), "AA", "the endpoint's profile holds, whatever MSH-15 says");
    let other = potassium("B", "4.0").replace("REFERENCE_LAB", "OTHER_LAB");
    assert_eq!(code(&lab.post(other.as_bytes()).await.body), "AR", "it speaks for no other lab");
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert!(rows.iter().all(|row| row.lis_endpoint_id == endpoint));
    assert_eq!(app.count::<lab_result::Entity>().await, 1);

    let off = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{endpoint}"));
    assert_eq!(engineer.send(off.json(&json!({"enabled": false}))).await.status, StatusCode::OK);
    crate::app::until("the endpoint is off", async || {
        (lab.post(asked.as_bytes()).await.status == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    app.finish().await;
}

async fn keys_are_shown_once_and_end_at_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let admin = app.sign_in(Role::Admin).await;
    let made = admin.post("/api/api-keys", json!({"name": "Analyser"})).await;
    let key = made.body["key"].as_str().unwrap().to_owned();
    let listed = admin.read("/api/api-keys").await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!((&listed[0]["name"], &listed[0]["prefix"]), (&json!("Analyser"), &made.body["prefix"]));
    let secret = key.rsplit('_').next().unwrap();
    assert!(listed[0].get("key").is_none() && !listed.to_string().contains(secret));
    let row = api_key::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert!(!row.key_hash.contains(secret) && row.last_used_at.is_none());

    let lab = Machine::with(&app, &key);
    assert_eq!(lab.post(b"rubbish").await.status, StatusCode::OK);
    assert!(admin.read("/api/api-keys").await[0]["last_used_at"].is_string());
    let end = || admin.request(Method::DELETE, &format!("/api/api-keys/{}", made.body["id"]));
    assert_eq!(admin.send(end()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(admin.send(end()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(lab.post(b"rubbish").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(admin.read("/api/api-keys").await, json!([]));

    let unknown = admin.post("/api/api-keys", json!({"name": "x", "lis_endpoint_id": 999})).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(unknown.body["detail"][0]["loc"], json!(["body", "lis_endpoint_id"]));
    assert_eq!(
        admin.post("/api/api-keys", json!({"name": " "})).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    assert_eq!(engineer.get("/api/api-keys").await.status, StatusCode::FORBIDDEN);
    assert_eq!(engineer.post("/api/api-keys", json!({"name": "x"})).await.status, StatusCode::FORBIDDEN);
    app.finish().await;
}

async fn both_doors_know_each_others_messages(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let by_mllp = app.lab().await.exchange(&potassium("A", "4.0")).await;
    let by_http = Machine::new(&app, None).await.post(potassium("A", "4.0").as_bytes()).await;
    assert_eq!(by_mllp, by_http.body);
    assert_eq!(app.count::<hl7_message::Entity>().await, 1);
    app.finish().await;
}
