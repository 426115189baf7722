//! What must not go wrong when results come in: nothing lost behind an AA, nothing in another chart, nobody left with a
//! value that was taken back.

use pms::{
    hl7::frame::wrap,
    security::random_hex,
    store::{
        db,
        entity::{alert_event, critical_alert, hl7_message, lab_result},
        intake::{Rows, save},
    },
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows},
    lab::{answered, code, obr, obx, oru},
};

flows!(
    a_line_that_is_no_segment_is_no_aa,
    a_correction_reaches_the_alert_of_the_preliminary,
    a_final_that_differs_reaches_the_alert_of_the_preliminary,
    a_time_beyond_every_calendar_costs_no_result,
    a_control_id_too_long_gets_the_same_answer_again,
    a_control_id_reused_at_once_is_flagged,
    a_message_with_a_stranger_is_in_nobodys_chart,
    thousands_of_rows_fit_one_transaction,
    a_number_too_long_for_its_index_harms_no_other,
    a_transaction_the_engine_ended_leaves_no_trace_in_the_next,
);

fn potassium(id: &str, sent: &str, status: &str, value: &str) -> String {
    let report = obr("", "F1", "BMP", sent, status);
    oru(id, sent, &[&report, &obx(1, "K^Potassium", value, "mmol/L", "", status)])
}

/// A sender in small letters would have its second patient's results filed under the first, and its results lost.
async fn a_line_that_is_no_segment_is_no_aa(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    app.patient("777", "Roe", "Ann", "1980-01-01").await;
    let mut lab = app.lab().await;
    let report = obr("", "F1", "BMP", "20260302080000", "F");
    let value = obx(1, "K", "4.0", "mmol/L", "", "F");
    let lost = [
        ("S1", "pid|1||777^^^MPS_PMS^MR||Roe^Ann||19800101|F"),
        ("S2", "obx|2|NM|K||6.9|mmol/L||HH|||F"),
        ("S3", "\u{feff}OBX|2|NM|K||6.9|mmol/L||HH|||F"),
        ("S4", "Obr|2||F2|CBC"),
    ];
    for (id, line) in lost {
        let answer =
            lab.exchange(&oru(id, "20260302080000", &[&report, &value, line, &report, &value])).await;
        assert_eq!((code(&answer), answered(&answer)), ("AE".into(), id.into()), "{line}");
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 0);
    lab.deliver(&oru("S5", "20260302080000", &[&report, &value, "printed by the analyser"])).await;
    assert_eq!(app.count::<lab_result::Entity>().await, 1);
    app.finish().await;
}

/// The alerts with their annotations, and the events of corrections.
async fn corrections(app: &TestApp) -> (Vec<Value>, Vec<Value>) {
    let reader = app.ctx().db.reader();
    let alerts = critical_alert::Entity::find().all(reader).await.unwrap();
    let events = alert_event::Entity::find().all(reader).await.unwrap();
    let told = events.into_iter().filter(|event| event.kind == "result_corrected").map(|event| event.payload);
    (alerts.into_iter().map(|alert| alert.annotations).collect(), told.collect())
}

async fn a_correction_reaches_the_alert_of_the_preliminary(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&potassium("1", "20260302080100", "P", "6.9")).await;
    lab.deliver(&potassium("2", "20260302080200", "F", "6.9")).await;
    lab.deliver(&potassium("3", "20260302080300", "C", "4.4")).await;
    let (alerts, told) = corrections(&app).await;
    assert_eq!((alerts.len(), told.len()), (1, 1));
    assert_eq!((&alerts[0][0]["old_value"], &alerts[0][0]["new_value"]), (&json!("6.9"), &json!("4.4")));
    app.finish().await;
}

async fn a_final_that_differs_reaches_the_alert_of_the_preliminary(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    lab.deliver(&potassium("1", "20260302080100", "P", "6.9")).await;
    lab.deliver(&potassium("2", "20260302080200", "F", "4.1")).await;
    let (alerts, told) = corrections(&app).await;
    assert_eq!((alerts.len(), told.len()), (1, 1));
    assert_eq!((&alerts[0][0]["new_value"], &alerts[0][0]["effect"]), (&json!("4.1"), &json!("progress")));
    app.finish().await;
}

async fn a_time_beyond_every_calendar_costs_no_result(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    for (id, time) in [("T1", "00010101000000+1400"), ("T2", "99991231235959-1200")] {
        let report = obr("", id, "BMP", time, "F");
        let value = format!("{}|||{time}", obx(1, "K^Potassium", "6.9", "mmol/L", "HH", "F"));
        lab.deliver(&oru(id, time, &[&report, &value])).await;
    }
    let shown = app.clinician().await.read(&format!("/api/lab-results?patient_id={jane}")).await;
    assert_eq!(shown.as_array().unwrap().len(), 2);
    assert_eq!(app.count::<critical_alert::Entity>().await, 2);
    app.finish().await;
}

async fn a_control_id_too_long_gets_the_same_answer_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut lab = app.lab().await;
    let message = potassium(&"L".repeat(250), "20260302080100", "F", "4.0");
    let first = lab.exchange(&message).await;
    assert_eq!(code(&first), "AE");
    assert_eq!(lab.exchange(&message).await, first);
    app.finish().await;
}

async fn a_control_id_reused_at_once_is_flagged(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let messages = ["4.0", "4.2"].map(|value| wrap(potassium("A", "20260302080100", "F", value).as_bytes()));
    lab.write(&messages.concat()).await;
    assert_eq!([code(&lab.answer().await), code(&lab.answer().await)], ["AA", "AA"]);
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let flagged = rows.iter().filter(|row| row.warnings.to_string().contains("control_id_reused")).count();
    assert_eq!((rows.len(), flagged), (2, 1));
    app.finish().await;
}

async fn a_message_with_a_stranger_is_in_nobodys_chart(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut lab = app.lab().await;
    let (report, value) =
        (obr("", "F1", "BMP", "20260302080000", "F"), obx(1, "K", "4.0", "mmol/L", "", "F"));
    let again = "PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F";
    let stranger = "PID|2||99999^^^MPS_PMS^MR||Else^Somebody||19700101|F";
    let other = obr("", "F2", "CBC", "20260302080000", "F");
    lab.deliver(&oru("1", "20260302080000", &[&report, &value, stranger, &other, &value])).await;
    lab.deliver(&oru("2", "20260302080001", &[&report, &value, again, &other, &value])).await;
    let rows = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let mut owners: Vec<_> =
        rows.iter().map(|row| (row.message_control_id.as_str(), row.patient_id)).collect();
    owners.sort_unstable();
    assert_eq!(owners, [("1", None), ("2", Some(jane))]);
    app.finish().await;
}

fn event(app: &TestApp) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set("order_status".into()),
        alert_id: Set(None),
        patient_id: Set(None),
        lab_order_id: Set(None),
        payload: Set(json!({})),
        created_at: Set(app.ctx().clock.now()),
        ..Default::default()
    }
}

/// Databases bind some ten thousand values in one statement; a long message must not meet that.
async fn thousands_of_rows_fit_one_transaction(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut tx = db::write(&app.ctx().db, "test").await.unwrap();
    save(&tx, Rows { superseded: (1..=70_000).collect(), ..Rows::default() }).await.unwrap();
    for _ in 0..12_000 {
        tx.emit(event(&app));
    }
    tx.commit().await.unwrap();
    assert_eq!(app.count::<alert_event::Entity>().await, 12_000);
    app.finish().await;
}

/// PostgreSQL refuses an index entry of some thousand characters by an error of its own class.
async fn a_number_too_long_for_its_index_harms_no_other(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let endless = random_hex::<10_000>().unwrap();
    let report = obr("", &endless, "BMP", "20260302080000", "F");
    let odd = oru("ODD", "20260302080000", &[&report, &obx(1, "K", "4.0", "mmol/L", "", "F")]);
    let good = potassium("GOOD", "20260302080000", "F", "4.0");
    lab.write(&[odd, good].map(|message| wrap(message.as_bytes())).concat()).await;
    let answers = [lab.answer().await, lab.answer().await];
    let expected = if engine == Engine::Postgres { "AE" } else { "AA" };
    assert_eq!(answers.map(|answer| code(&answer)), [expected, "AA"]);
    app.finish().await;
}

/// SQLite rolls back by itself when the disk is full. Unless the connection is given up then, later transactions become
/// parts of one that never ends: committed, acknowledged, and gone with the process.
async fn a_transaction_the_engine_ended_leaves_no_trace_in_the_next(engine: Engine) {
    let app = TestApp::start(engine).await;
    let write = || db::write(&app.ctx().db, "test");
    let ended = write().await.unwrap();
    ended.execute_unprepared("ROLLBACK").await.unwrap();
    drop(ended);
    drop(write().await.unwrap());
    let mut tx = write().await.unwrap();
    tx.emit(event(&app));
    tx.commit().await.unwrap();
    assert_eq!(app.count::<alert_event::Entity>().await, 1, "a committed row is there for everybody");
    app.finish().await;
}
