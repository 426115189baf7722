//! Batches and concatenated messages, by MLLP and by HTTP, on both databases.

use pms::{
    hl7::frame::wrap,
    store::entity::{hl7_message, lab_result},
};
use reqwest::StatusCode;
use sea_orm::{EntityTrait, QueryOrder};

use crate::{
    app::{Engine, TestApp, flows},
    http_door_flow::{Machine, potassium},
    lab::{answered, code},
};

flows!(
    a_batch_gets_a_batch_of_acknowledgments,
    wrong_counts_are_recorded_and_harm_nothing,
    a_bad_message_harms_no_other,
    messages_in_a_row_are_answered_one_by_one,
    an_empty_batch_is_answered,
    a_thousand_messages_and_another_sender,
    half_a_message_is_refused,
);

fn batch(messages: &[String], count: &str) -> String {
    format!(
        "FHS|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260302||||F7\rBHS|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260302||||B7\r{}BTS|{count}\rFTS|1\r",
        messages.concat()
    )
}

/// What each line of an answer begins with, and MSA in full.
fn shape(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let short = |line: &str| match &line[..3] {
        "MSA" | "BTS" | "FTS" => line.split('|').take(3).collect::<Vec<_>>().join("|"),
        "FHS" | "BHS" => format!("{} {}", &line[..3], line.rsplit('|').next().unwrap()),
        name => name.to_owned(),
    };
    text.split_terminator('\r').map(short).collect()
}

async fn rows(app: &TestApp) -> Vec<hl7_message::Model> {
    let query = hl7_message::Entity::find().order_by_asc(hl7_message::Column::Id);
    query.all(app.ctx().db.reader()).await.unwrap()
}

fn has(row: &hl7_message::Model, code: &str) -> bool {
    row.warnings.as_array().unwrap().iter().any(|warning| warning["code"] == code)
}

async fn a_batch_gets_a_batch_of_acknowledgments(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let file = batch(&[potassium("A", "4.0"), potassium("B", "4.1")], "2");
    let mut lab = app.lab().await;
    let first = lab.exchange(&file).await;
    let expected = ["FHS F7", "BHS B7", "MSH", "MSA|AA|A", "MSH", "MSA|AA|B", "BTS|2", "FTS|1"];
    assert_eq!(shape(&first), expected);
    let stored = rows(&app).await;
    assert_eq!(stored.len(), 2);
    let only_the_zone = serde_json::json!([{"code": "zone_assumed", "location": "MSH^1^7"}]);
    assert!(stored.iter().all(|row| row.warnings == only_the_zone), "{:?}", stored[0].warnings);

    app.clock.advance(std::time::Duration::from_mins(5));
    assert_eq!(lab.exchange(&file).await, first, "the same again");
    let by_http = Machine::new(&app, None).await.post(file.as_bytes()).await;
    assert_eq!((by_http.status, &by_http.body), (StatusCode::OK, &first));
    assert_eq!(app.count::<lab_result::Entity>().await, 2);
    assert_eq!(app.count::<hl7_message::Entity>().await, 2);
    app.finish().await;
}

async fn wrong_counts_are_recorded_and_harm_nothing(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let file = batch(&[potassium("A", "4.0"), potassium("B", "4.1")], "3");
    let answer = app.lab().await.exchange(&file).await;
    assert_eq!(shape(&answer)[6], "BTS|2");
    let stored = rows(&app).await;
    assert!(stored.len() == 2 && stored.iter().all(|row| has(row, "batch_count")));

    let cut = file
        .replace("BTS|3\r", "")
        .replace("FTS|1\r", "")
        .replace("|A|P|", "|C|P|")
        .replace("|B|P|", "|D|P|");
    app.lab().await.exchange(&cut).await;
    assert!(rows(&app).await[2..].iter().all(|row| has(row, "batch_open")));
    app.finish().await;
}

async fn a_bad_message_harms_no_other(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let bad = "MSH|^~\\&|L|F|P|M|20260302||ORU^R01|BAD|P|2.5.1\rOBX|1|NM|K||4\r".to_owned();
    let lost = "OBX|9|NM|K||SECRET\r".to_owned();
    let file = batch(&[lost, potassium("A", "4.0"), bad, potassium("B", "4.1")], "3");
    let answer = Machine::new(&app, None).await.post(file.as_bytes()).await;
    let outcomes: Vec<String> =
        shape(&answer.body).into_iter().filter(|line| line.starts_with("MSA")).collect();
    assert_eq!(outcomes, ["MSA|AE|", "MSA|AA|A", "MSA|AE|BAD", "MSA|AA|B"]);
    assert!(!String::from_utf8_lossy(&answer.body).contains("SECRET"));
    let stored = rows(&app).await;
    assert_eq!(stored.len(), 4, "bytes that belong to no message are kept as well");
    assert!(stored.iter().all(|row| has(row, "batch_stray") && !has(row, "batch_count")));
    assert_eq!(app.count::<lab_result::Entity>().await, 2);
    app.finish().await;
}

async fn messages_in_a_row_are_answered_one_by_one(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let row = [potassium("A", "4.0"), potassium("B", "4.1"), potassium("C", "4.2")].concat();
    let mut lab = app.lab().await;
    lab.write(&[wrap(row.as_bytes()), wrap(potassium("D", "4.3").as_bytes())].concat()).await;
    for id in ["A", "B", "C", "D"] {
        let answer = lab.answer().await;
        assert_eq!((code(&answer), answered(&answer)), ("AA".into(), id.into()));
    }
    let by_http = Machine::new(&app, None).await.post(row.replace('\r', "\n").as_bytes()).await;
    assert_eq!(
        shape(&by_http.body),
        ["MSH", "MSA|AA|A", "MSH", "MSA|AA|B", "MSH", "MSA|AA|C"],
        "one behind the other"
    );
    app.finish().await;
}

async fn an_empty_batch_is_answered(engine: Engine) {
    let app = TestApp::start(engine).await;
    let answer = app.lab().await.exchange("BHS|^~\\&|L|F|P|M|20260302||||B0\rBTS|0\r").await;
    assert_eq!(shape(&answer), ["BHS B0", "BTS|0"]);
    assert_eq!(app.count::<hl7_message::Entity>().await, 0);
    app.finish().await;
}

async fn a_thousand_messages_and_another_sender(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let messages: Vec<String> = (0..1000).map(|n| potassium(&format!("T{n}"), "4.0")).collect();
    let file = batch(&messages, "1000");
    let lab = Machine::new(&app, None).await;
    let mut other = app.lab().await;
    let (answer, between) = tokio::join!(lab.post(file.as_bytes()), async {
        // The long batch has begun, and is not over, when the other's message is answered.
        crate::app::until("the batch has begun", async || {
            (app.count::<hl7_message::Entity>().await > 0).then_some(())
        })
        .await;
        other.deliver(&potassium("BETWEEN", "4.0")).await;
        app.count::<hl7_message::Entity>().await
    });
    assert!(between < 1001, "the other sender waited for the whole batch");
    let accepted = shape(&answer.body).iter().filter(|line| line.starts_with("MSA|AA|T")).count();
    assert_eq!(accepted, 1000);
    assert_eq!(app.count::<lab_result::Entity>().await, 1001);
    app.finish().await;
}

async fn half_a_message_is_refused(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut lab = app.lab().await;
    let kinds = ["ORU^R01", "SIU^S12"];
    for (n, kind) in kinds.into_iter().enumerate() {
        let whole = potassium(&format!("H{n}"), "4.0").replace("ORU^R01^ORU_R01", kind);
        let pointer = whole.replace("|P|2.5.1\r", "|P|2.5.1||NEXT\r");
        let answer = lab.exchange(&pointer).await;
        assert_eq!(code(&answer), "AE", "{kind}");
        assert!(String::from_utf8_lossy(&answer).contains("MSH^1^14"), "{kind}");
        let continued = lab.exchange(&format!("{whole}DSC|NEXT|F\r")).await;
        assert_eq!(code(&continued), "AE", "{kind}");
        assert!(String::from_utf8_lossy(&continued).contains("DSC^1^1"), "{kind}");
    }
    assert_eq!(app.count::<lab_result::Entity>().await, 0);
    app.finish().await;
}
