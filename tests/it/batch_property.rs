//! A batch and the same messages one by one leave the same rows.

use pms::{
    hl7::frame::wrap,
    store::entity::{alert_event, critical_alert, hl7_message, lab_result, review_item},
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use sea_orm::{EntityTrait, QueryOrder};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{answered, code, obr, obx, oru},
};

flows!(a_batch_is_its_messages_one_by_one);

const ROUNDS: u32 = 6;

/// Messages of one or two reports that often meet: few order numbers, few times, every status, some strangers.
fn messages() -> impl Strategy<Value = Vec<String>> {
    let status = prop::sample::select(vec!["P", "F", "C", "U", "X", "D", "W", "I"]);
    let value = prop::sample::select(vec!["4.0", "6.9", "7.1", ""]);
    let report = (0..3u8, 0..4u8, status, value);
    let message = (prop::collection::vec(report, 1..3), 0..4u8, 0..10u8, 0..12u8);
    prop::collection::vec(message, 1..14).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(n, (reports, sent, stranger, repeat))| {
                // Now and then a control id comes twice, with the same content or other.
                let id = if repeat == 0 { "AGAIN".to_owned() } else { format!("M{n}") };
                let lines: Vec<String> = reports
                    .iter()
                    .flat_map(|(filler, changed, status, value)| {
                        let changed = format!("2026030208{changed:02}00");
                        [
                            obr("", &format!("F{filler}"), "BMP", &changed, status),
                            obx(1, "K^Potassium", value, "mmol/L", "", status),
                        ]
                    })
                    .collect();
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let text = oru(&id, &format!("2026030209{sent:02}00"), &lines);
                if stranger == 0 { text.replace("Doe^Jane", "Roe^Ann") } else { text }
            })
            .collect()
    })
}

/// What stays the same however the messages were taken: everything but row ids.
#[derive(Debug, PartialEq)]
#[allow(clippy::type_complexity, reason = "columns side by side, named where they are filled")]
struct Rows {
    messages: Vec<(String, String, Option<String>, i32, i32, i32)>,
    results: Vec<(String, i32, bool, String, Option<String>, bool, bool)>,
    alerts: Vec<(Option<String>, bool, String)>,
    events: Vec<(String, Option<String>)>,
    reviews: usize,
    answers: Vec<(String, String)>,
}

async fn run(engine: Engine, messages: &[String], at_once: bool) -> Rows {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let mut answers = Vec::new();
    if at_once {
        let all: Vec<u8> = messages.iter().flat_map(|message| wrap(message.as_bytes())).collect();
        lab.write(&all).await;
    }
    for message in messages {
        let answer = if at_once { lab.answer().await } else { lab.exchange(message).await };
        answers.push((code(&answer), answered(&answer)));
    }
    let rows = rows(&app, answers).await;
    app.finish().await;
    rows
}

async fn rows(app: &TestApp, answers: Vec<(String, String)>) -> Rows {
    let reader = app.ctx().db.reader();
    let messages =
        hl7_message::Entity::find().order_by_asc(hl7_message::Column::Id).all(reader).await.unwrap();
    let results = lab_result::Entity::find().order_by_asc(lab_result::Column::Id).all(reader).await.unwrap();
    let alerts =
        critical_alert::Entity::find().order_by_asc(critical_alert::Column::Id).all(reader).await.unwrap();
    let events = alert_event::Entity::find().order_by_asc(alert_event::Column::Id).all(reader).await.unwrap();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let mut events: Vec<_> = events
        .iter()
        .map(|row| {
            (row.kind.clone(), text(&row.payload["value"]).or_else(|| text(&row.payload["new_value"])))
        })
        .collect();
    // Within one commit the kinds are written one after the other.
    events.sort();
    Rows {
        messages: messages
            .into_iter()
            .map(|row| {
                (
                    row.message_control_id,
                    row.status,
                    row.ack_status,
                    row.observations_stored,
                    row.observations_in_review,
                    row.duplicates_seen,
                )
            })
            .collect(),
        results: results
            .into_iter()
            .map(|row| {
                (
                    row.result_key,
                    row.version,
                    row.is_current,
                    row.result_status,
                    row.value,
                    row.is_critical,
                    row.retracted,
                )
            })
            .collect(),
        alerts: alerts
            .into_iter()
            .map(|row| {
                (
                    row.value,
                    row.lab_result_id.is_some(),
                    row.annotations.as_array().map_or(0, Vec::len).to_string(),
                )
            })
            .collect(),
        events,
        reviews: review_item::Entity::find().all(reader).await.unwrap().len(),
        answers,
    }
}

async fn a_batch_is_its_messages_one_by_one(engine: Engine) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..ROUNDS {
        let messages = messages().new_tree(&mut runner).unwrap().current();
        let (one_by_one, at_once) = (run(engine, &messages, false).await, run(engine, &messages, true).await);
        assert_eq!(one_by_one, at_once, "{messages:#?}");
    }
}
