//! Critical results reach people: stream, acknowledgment, escalation, and the record of who saw what.

use std::time::Duration;

use futures::StreamExt;
use pms::{domain::access::Role, store::entity::access_log};
use reqwest::{Method, StatusCode};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows, until},
    lab::{obr, obx, oru},
};

flows!(
    a_critical_result_reaches_the_stream,
    a_stream_resumes_where_it_was,
    of_ten_acknowledgments_one_wins,
    an_alert_nobody_takes_escalates,
    every_look_leaves_a_row,
    the_stream_ends_with_the_service,
);

fn critical(control_id: &str, value: &str) -> String {
    let report = obr("", control_id, "BMP", "20260302080000", "F");
    oru(control_id, "20260302080000", &[&report, &obx(1, "K^Potassium", value, "mmol/L", "HH", "F")])
}

/// A reader of the event stream.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(actor: &Actor, last: Option<&str>) -> Self {
        let mut request = actor.request(Method::GET, "/api/alerts/stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { answer, text: String::new() }
    }

    /// The next event of a kind, with its id.
    async fn next(&mut self, kind: &str) -> (String, Value) {
        loop {
            while let Some((block, rest)) = self.text.clone().split_once("\n\n") {
                rest.clone_into(&mut self.text);
                let line = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                };
                if line("event:") == kind {
                    return (line("id:"), serde_json::from_str(&line("data:")).unwrap());
                }
            }
            let chunk = tokio::time::timeout(crate::app::PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.expect("no event in time").unwrap().expect("the stream ended");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

async fn a_critical_result_reaches_the_stream(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let mut stream = Stream::open(&clinician, None).await;
    app.lab().await.deliver(&critical("C1", "6.8")).await;
    let (_, event) = stream.next("critical_result").await;
    assert_eq!(
        (
            &event["patient_id"],
            &event["test_name"],
            &event["value"],
            &event["units"],
            &event["abnormal_flag"]
        ),
        (&json!(jane), &json!("Potassium"), &json!("6.8"), &json!("mmol/L"), &json!("HH"))
    );
    let path = format!("/api/alerts/{}/acknowledge", event["alert_id"]);
    let done = clinician.post(&path, json!({"note": "Called the ward"})).await;
    assert_eq!(done.status, StatusCode::OK, "{:?}", done.body);
    let (_, acknowledged) = stream.next("alert_acknowledged").await;
    assert_eq!(acknowledged["alert_id"], event["alert_id"]);
    assert_eq!(acknowledged["by"], "clinician");
    drop(stream);
    app.finish().await;
}

async fn a_stream_resumes_where_it_was(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let clinician = app.clinician().await;
    let mut stream = Stream::open(&clinician, None).await;
    let mut lab = app.lab().await;
    lab.deliver(&critical("C1", "6.8")).await;
    let (first, _) = stream.next("critical_result").await;
    drop(stream);
    lab.deliver(&critical("C2", "6.9")).await;
    lab.deliver(&critical("C3", "7.0")).await;
    let mut stream = Stream::open(&clinician, Some(&first)).await;
    let (second, missed) = stream.next("critical_result").await;
    let (third, last) = stream.next("critical_result").await;
    assert_eq!(
        (&missed["value"], &last["value"]),
        (&json!("6.9"), &json!("7.0")),
        "nothing is lost in between"
    );
    let number = |id: &str| id.parse::<i64>().unwrap();
    assert!(number(&first) < number(&second) && number(&second) < number(&third));
    drop(stream);
    app.finish().await;
}

async fn of_ten_acknowledgments_one_wins(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    app.lab().await.deliver(&critical("C1", "6.8")).await;
    let clinician = app.clinician().await;
    let id = clinician.read("/api/alerts").await[0]["id"].clone();
    let path = format!("/api/alerts/{id}/acknowledge");
    let empty = clinician.post(&path, json!({"note": "  "})).await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY, "an empty note is no note");
    let wrong = json!({"note": "told", "read_back": {"value": "8.6", "caller": "A", "receiver": "B", "method": "telephone", "at": "2026-03-02T08:00:00Z"}});
    assert_eq!(
        clinician.post(&path, wrong).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "another value was read back"
    );
    let tries = (0..10).map(|n| clinician.post(&path, json!({"note": format!("seen {n}")})));
    let answers: Vec<StatusCode> =
        futures::stream::iter(tries).buffer_unordered(10).map(|answer| answer.status).collect().await;
    let won = answers.iter().filter(|status| **status == StatusCode::OK).count();
    let lost = answers.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((won, lost), (1, 9), "{answers:?}");
    let late = clinician.post(&path, json!({"note": "me too"})).await;
    assert!(late.body["detail"].as_str().unwrap().contains("clinician"), "who was first: {:?}", late.body);
    let open = clinician.read("/api/lab-results/critical?acknowledged=false").await;
    assert_eq!(open, json!([]));
    app.finish().await;
}

async fn an_alert_nobody_takes_escalates(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ALERT_ESCALATION_SECONDS", "900")]).await;
    app.jane().await;
    let clinician = app.clinician().await;
    let mut stream = Stream::open(&clinician, None).await;
    app.lab().await.deliver(&critical("C1", "6.8")).await;
    let (_, raised) = stream.next("critical_result").await;
    app.clock.advance(Duration::from_secs(899));
    assert_eq!(clinician.read(&format!("/api/alerts/{}", raised["alert_id"])).await["status"], "open");
    app.clock.advance(Duration::from_secs(1));
    // The access token of the clinician has ended with the quarter of an hour.
    let clinician = app.clinician().await;
    let alert = until("escalated", async || {
        let alert = clinician.read(&format!("/api/alerts/{}", raised["alert_id"])).await;
        (alert["status"] == "escalated").then_some(alert)
    })
    .await;
    assert_eq!(alert["escalations"].as_array().unwrap().len(), 1);
    drop(stream);
    app.finish().await;
}

async fn every_look_leaves_a_row(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    app.lab().await.deliver(&critical("C1", "6.8")).await;
    let clinician = app.clinician().await;
    let rows = async || access_log::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    for path in [
        format!("/api/lab-results?patient_id={jane}"),
        "/api/lab-results/critical".into(),
        "/api/alerts".into(),
        format!("/api/patients/{jane}"),
        "/api/patients?mrn=12345".into(),
    ] {
        let before = rows().await.len();
        clinician.read(&path).await;
        let after = rows().await;
        assert!(after.len() > before, "{path} left no row");
        let row = after.last().unwrap();
        assert_eq!(
            (row.username.as_str(), row.outcome.as_str(), row.patient_id),
            ("clinician", "ok", Some(jane)),
            "{path}"
        );
    }
    let officer = app.sign_in(Role::PrivacyOfficer).await;
    assert_eq!(
        officer.get(&format!("/api/lab-results?patient_id={jane}")).await.status,
        StatusCode::FORBIDDEN
    );
    let row = rows().await.pop().unwrap();
    assert_eq!((row.username.as_str(), row.outcome.as_str()), ("privacy_officer", "denied"), "tries too");
    app.finish().await;
}

async fn the_stream_ends_with_the_service(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let clinician = app.clinician().await;
    let mut stream = Stream::open(&clinician, None).await;
    app.restart().await;
    let rest = tokio::time::timeout(crate::app::PATIENCE, async {
        while let Ok(Some(_)) = stream.answer.chunk().await {}
    });
    rest.await.expect("the stream stayed open");
    app.finish().await;
}
