//! News that other systems asked for: the end of a visit and a new appointment go out once, to all who subscribe and to nobody else.

mod giving_up;

use std::time::Duration;

use pms::{
    domain::access::Role,
    store::entity::{access_log, hl7_message, outbox},
};
use reqwest::{Method, StatusCode};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner},
    ordering::{endpoint_with, order},
    scripted_lab::{Received, ScriptedLab},
};

flows!(
    a_discharge_here_goes_to_who_asked_for_it,
    a_discharge_elsewhere_goes_on_but_never_back,
    a_discharge_is_published_once_and_again_after_it_was_cancelled,
    two_who_end_a_visit_at_once_end_it_once,
    news_wait_in_order_with_orders,
    a_booking_is_passed_on,
    a_booking_for_somebody_unknown_names_nobody,
    an_event_that_waited_is_published_when_it_is_taken,
    only_who_is_sent_to_can_subscribe,
);

const ADMITTED: &str = "2026-03-01T07:00:00Z";

/// An endpoint that is sent to and asks for news.
async fn subscriber(app: &TestApp, port: u16, news: &[&str]) -> i64 {
    endpoint_with(app, port, json!({"profile": {"publish": news}, "time_zone": "Europe/Berlin"})).await
}

/// One that sends too, under a name of its own.
async fn partner(app: &TestApp, port: u16, name: &str) -> i64 {
    let settings = json!({
        "direction": "both", "receiving_application": name, "receiving_facility": "CLINIC",
        "allowed_networks": ["127.0.0.0/8"], "profile": {"publish": ["ADT_A03", "SIU_S12"]},
    });
    endpoint_with(app, port, settings).await
}

/// A visit of a patient.
async fn visit(actor: &Actor, patient: i64) -> i64 {
    let body = json!({
        "patient_id": patient, "class": "I", "visit_number": "V|7", "location": "W1 & 12",
        "attending_provider": "17^Grey^Ada", "started_at": ADMITTED,
    });
    let answer = actor.post("/api/encounters", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    answer.body["id"].as_i64().unwrap()
}

async fn change(actor: &Actor, visit: i64, body: Value) -> Answer {
    let request = actor.request(Method::PATCH, &format!("/api/encounters/{visit}")).json(&body);
    let answer = actor.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    answer
}

async fn finish(actor: &Actor, visit: i64) {
    change(actor, visit, json!({"status": "finished", "ended_at": "2026-03-02T07:30:00Z"})).await;
}

fn adt(event: &str, id: &str, sender: &str, sent: &str) -> String {
    format!(
        "MSH|^~\\&|{sender}|CLINIC|PMS_LAB|MPS_PMS|{sent}||ADT^{event}^ADT_A03|{id}|P|2.5.1\rEVN|{event}|{sent}\r\
         PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F\rPV1|1|I|W1^12^B||||7^Smith^Jo^^^Dr.||||||||||||V9|||||||||||||||||01\r"
    )
}

fn siu(id: &str, event: &str, sender: &str, pid: &str) -> String {
    format!(
        "MSH|^~\\&|{sender}|CLINIC|PMS_LAB|MPS_PMS|20260302080000+0000||SIU^{event}^SIU_S12|{id}|P|2.5.1\r\
         SCH|P4^WARD|F9^{sender}|||||CHK^Check-up|BLOOD^Blood \\T\\ draw|||^^30^202603050900+0000^202603050930+0000\r\
         NTE|1||fasting\r{pid}RGS|1\rAIL|1||W1^12\rAIP|1||7^Smith^Ann^^^Dr.\r"
    )
}

const JANE: &str = "PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F\r";

/// Segments of a message that came, each with its fields.
fn line(message: &Received, segment: &str) -> Vec<String> {
    let found = message.text.split('\r').find(|line| line.split('|').next() == Some(segment));
    found.unwrap_or_else(|| panic!("no {segment}: {}", message.text)).split('|').map(str::to_owned).collect()
}

/// The messages of a kind in the queue, whatever became of them.
async fn queued(app: &TestApp, kind: &str) -> Vec<outbox::Model> {
    let rows = outbox::Entity::find().filter(outbox::Column::Kind.eq(kind));
    rows.all(app.ctx().db.reader()).await.unwrap()
}

/// The log says that a message was taken.
async fn is_sent(app: &TestApp, message: &Received) {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let path = format!("/api/hl7/messages?direction=outbound&control_id={}", message.control_id());
    until("taken", async || (engineer.read(&path).await[0]["status"] == "sent").then_some(())).await;
}

async fn a_discharge_here_goes_to_who_asked_for_it(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.patient("12345", "D|oe^", "Jane~山", "1990-03-15").await;
    let (mut ward, other) = (ScriptedLab::start().await, ScriptedLab::start().await);
    let endpoint = subscriber(&app, ward.port, &["ADT_A03"]).await;
    subscriber(&app, other.port, &["SIU_S12"]).await;
    endpoint_with(&app, other.port, json!({"name": "asks for nothing"})).await;
    let clinician = app.clinician().await;
    let visit = visit(&clinician, jane).await;
    change(&clinician, visit, json!({"location": "W1 & 12"})).await;
    finish(&clinician, visit).await;

    let told = ward.next().await;
    let msh = line(&told, "MSH");
    assert_eq!(msh[2..6], ["PMS_LAB", "MPS_PMS", "LIS", "LAB"]);
    assert_eq!((msh[6].as_str(), msh[8].as_str()), ("20260302090000+0100", "ADT^A03^ADT_A03"));
    assert!(msh[9].starts_with('P') && msh[9].len() <= 20, "{}", msh[9]);
    assert_eq!((msh[11].as_str(), msh[17].as_str()), ("2.5.1", "UNICODE UTF-8"));
    assert_eq!(line(&told, "EVN")[1..], ["A03", "20260302090000+0100", "", "", "", "20260302083000+0100"]);
    assert_eq!(
        line(&told, "PID")[3..],
        ["12345^^^MPS_PMS^MR", "", "D\\F\\oe\\S\\^Jane\\R\\山^^^^^L", "", "19900315", "F"]
    );
    let pv1 = line(&told, "PV1");
    assert_eq!((pv1[2].as_str(), pv1[3].as_str()), ("I", "W1 \\T\\ 12^^^MPS_PMS"));
    assert_eq!((pv1[7].as_str(), pv1[19].as_str()), ("17^Grey^Ada", "V\\F\\7^^^^VN"));
    assert_eq!(pv1[44..], ["20260301080000+0100", "20260302083000+0100"]);
    told.say("AA");
    is_sent(&app, &told).await;

    change(&clinician, visit, json!({"status": "finished", "location": "W2"})).await;
    let rows = queued(&app, "discharge").await;
    assert_eq!(
        (rows.len(), app.count::<outbox::Entity>().await),
        (1, 1),
        "nothing for the others, nothing twice"
    );
    assert_eq!((rows[0].lis_endpoint_id, rows[0].lab_order_id), (endpoint, None));
    assert!(other.seen().is_empty());
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let log = engineer.read(&format!("/api/hl7/messages?patient_id={jane}")).await;
    assert_eq!(log.as_array().unwrap().len(), 1);
    assert_eq!((&log[0]["message_type"], &log[0]["trigger_event"]), (&json!("ADT"), &json!("A03")));
    assert_eq!((&log[0]["patient_id"], &log[0]["lab_order_id"]), (&json!(jane), &Value::Null));
    let logged = access_log::Entity::find()
        .filter(access_log::Column::Action.eq("publish_message"))
        .filter(access_log::Column::PatientId.eq(jane))
        .count(app.ctx().db.reader());
    assert_eq!(logged.await.unwrap(), 1);
    app.finish().await;
}

async fn a_discharge_elsewhere_goes_on_but_never_back(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let (his, mut ward) = (ScriptedLab::start().await, ScriptedLab::start().await);
    partner(&app, his.port, "HIS").await;
    let endpoint = partner(&app, ward.port, "WARD").await;
    let mut sender = app.lab().await;
    sender.deliver(&adt("A01", "1", "HIS", "20260301080000+0000")).await;
    sender.deliver(&adt("A03", "2", "HIS", "20260302070000+0000")).await;
    let told = ward.next().await;
    let pv1 = line(&told, "PV1");
    assert_eq!((pv1[3].as_str(), pv1[7].as_str()), ("W1 12 B^^^MPS_PMS", "^Smith^Jo^^^Dr."));
    assert_eq!((pv1[19].as_str(), pv1[36].as_str()), ("V9^^^^VN", "01"));
    assert_eq!(pv1[44..], ["20260301080000+0000", "20260302070000+0000"]);
    assert_eq!(line(&told, "EVN")[6], "20260302070000+0000");
    told.say("AA");
    is_sent(&app, &told).await;
    let rows = queued(&app, "discharge").await;
    assert_eq!(rows.iter().map(|row| row.lis_endpoint_id).collect::<Vec<_>>(), [endpoint]);
    let sent = hl7_message::Entity::find_by_id(rows[0].hl7_message_id).one(app.ctx().db.reader()).await;
    let cause = hl7_message::Entity::find()
        .filter(hl7_message::Column::Direction.eq("inbound"))
        .filter(hl7_message::Column::MessageControlId.eq("2"))
        .one(app.ctx().db.reader());
    let cause = cause.await.unwrap().unwrap();
    assert_eq!(sent.unwrap().unwrap().original_message_id, Some(cause.id), "it says whose news it is");
    assert!(his.seen().is_empty());
    app.finish().await;
}

async fn a_discharge_is_published_once_and_again_after_it_was_cancelled(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    let mut sender = app.lab().await;
    let log = [
        ("A03", "1", "20260302070000+0000"),
        ("A03", "1", "20260302070000+0000"),
        ("A03", "2", "20260302070100+0000"),
        ("A08", "3", "20260302070200+0000"),
        ("A13", "4", "20260302070300+0000"),
        // Told late: it was before the cancellation.
        ("A03", "5", "20260302070130+0000"),
        ("A03", "6", "20260302070400+0000"),
        ("A03", "7", "20260302070500+0000"),
    ];
    for (event, id, sent) in log {
        sender.deliver(&adt(event, id, "HIS", sent)).await;
    }
    for occurred in ["20260302080000+0100", "20260302080400+0100"] {
        let told = ward.next().await;
        assert_eq!(line(&told, "EVN")[6], occurred);
        told.say("AA");
        is_sent(&app, &told).await;
    }
    assert_eq!(queued(&app, "discharge").await.len(), 2);
    // What the feed has ended the clinic does not end again; what the clinic opens anew it does.
    let clinician = app.clinician().await;
    let visit = clinician.read("/api/encounters").await[0]["id"].as_i64().unwrap();
    finish(&clinician, visit).await;
    assert_eq!(queued(&app, "discharge").await.len(), 2);
    change(&clinician, visit, json!({"status": "in-progress", "ended_at": null})).await;
    change(&clinician, visit, json!({"status": "finished"})).await;
    let told = ward.next().await;
    assert_eq!(line(&told, "PV1")[45], "20260302090000+0100", "when nobody says when, it is now");
    told.say("AA");
    is_sent(&app, &told).await;
    app.finish().await;
}

async fn two_who_end_a_visit_at_once_end_it_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    let clinician = app.clinician().await;
    let visit = visit(&clinician, jane).await;
    let tries = (0..8).map(|_| finish(&clinician, visit));
    futures::future::join_all(tries).await;
    let told = ward.next().await;
    told.say("AA");
    is_sent(&app, &told).await;
    assert_eq!(queued(&app, "discharge").await.len(), 1);
    app.finish().await;
}

async fn news_wait_in_order_with_orders(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50")]).await;
    let jane = app.jane().await;
    let port = FakeLis::start(&[Manner::Silence]).await.port;
    subscriber(&app, port, &["ADT_A03", "SIU_S12"]).await;
    let clinician = app.clinician().await;
    let visit = visit(&clinician, jane).await;
    assert_eq!(order(&clinician, jane, &["CBC"]).await.status, StatusCode::CREATED);
    finish(&clinician, visit).await;
    assert_eq!(order(&clinician, jane, &["BMP"]).await.status, StatusCode::CREATED);
    app.lab().await.deliver(&siu("1", "S12", "SCHED", JANE)).await;
    let rows = outbox::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert!(rows.len() == 4 && rows.iter().all(|row| row.status == "queued" && row.attempts == 0));
    let ward = FakeLis::start_at(port, &[Manner::Ack("AA")]).await;
    until("all taken", async || {
        app.clock.advance(Duration::from_secs(2));
        let sent = outbox::Entity::find().filter(outbox::Column::Status.eq("sent"));
        (sent.count(app.ctx().db.reader()).await.unwrap() == 4).then_some(())
    })
    .await;
    let kinds: Vec<_> =
        ward.received().iter().map(|text| text.split('|').nth(8).unwrap().to_owned()).collect();
    assert_eq!(kinds, ["ORM^O01^ORM_O01", "ADT^A03^ADT_A03", "ORM^O01^ORM_O01", "SIU^S12^SIU_S12"]);
    app.finish().await;
}

async fn a_booking_is_passed_on(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (sched, mut ward) = (ScriptedLab::start().await, ScriptedLab::start().await);
    partner(&app, sched.port, "SCHED").await;
    subscriber(&app, ward.port, &["SIU_S12"]).await;
    let mut sender = app.lab().await;
    let booked = siu("1", "S12", "SCHED", JANE);
    sender.deliver(&booked).await;
    sender.deliver(&booked).await;
    let told = ward.next().await;
    assert_eq!(line(&told, "MSH")[8], "SIU^S12^SIU_S12");
    let sch = line(&told, "SCH");
    assert_eq!((sch[1].as_str(), sch[2].as_str()), ("P4^WARD", "F9^SCHED"));
    assert_eq!((sch[7].as_str(), sch[8].as_str()), ("^Check-up", "^Blood \\T\\ draw"));
    let times = ("20260305100000+0100", "20260305103000+0100");
    assert_eq!(sch[9..12], ["30", "min", &format!("^^M30^{}^{}", times.0, times.1)]);
    assert_eq!(sch[25], "Booked^^HL70278");
    assert_eq!(line(&told, "TQ1")[7..], [times.0, times.1]);
    assert_eq!(line(&told, "NTE")[3], "fasting");
    assert_eq!(line(&told, "PID")[3], "12345^^^MPS_PMS^MR");
    assert_eq!(line(&told, "AIL")[3], "W1 12");
    assert_eq!(line(&told, "AIP")[3], "^Smith^Ann^^^Dr.");
    told.say("AA");
    is_sent(&app, &told).await;
    // A change is no booking, not even one of an appointment that nobody told of before.
    for (id, event) in [("2", "S13"), ("3", "S15"), ("4", "S12")] {
        sender.deliver(&siu(id, event, "SCHED", JANE)).await;
    }
    sender.deliver(&siu("5", "S13", "SCHED", JANE).replace("F9", "F10")).await;
    let rows = queued(&app, "booking").await;
    assert_eq!(rows.len(), 1, "to the subscriber, once, and not back");
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let log = engineer.read(&format!("/api/hl7/messages?direction=outbound&patient_id={jane}")).await;
    assert_eq!(log[0]["id"], json!(rows[0].hl7_message_id));
    app.finish().await;
}

async fn a_booking_for_somebody_unknown_names_nobody(engine: Engine) {
    let app = TestApp::start(engine).await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["SIU_S12"]).await;
    app.lab().await.deliver(&siu("1", "S12", "SCHED", JANE)).await;
    let told = ward.next().await;
    assert!(!told.text.contains("PID|") && !told.text.contains("Doe"), "{}", told.text);
    told.say("AA");
    is_sent(&app, &told).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let log = engineer.read("/api/hl7/messages?direction=outbound").await;
    assert_eq!((&log[0]["patient_id"], &log[0]["status"]), (&Value::Null, &json!("sent")));
    app.finish().await;
}

/// Somebody else under a known number waits for a person; the discharge is told when it is applied, and a trial shows it.
async fn an_event_that_waited_is_published_when_it_is_taken(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.patient("12345", "Roe", "Jane", "1991-01-01").await;
    let mut ward = ScriptedLab::start().await;
    subscriber(&app, ward.port, &["ADT_A03"]).await;
    let mut sender = app.lab().await;
    sender.deliver(&adt("A03", "1", "HIS", "20260302070000+0000")).await;
    assert!(queued(&app, "discharge").await.is_empty());
    let mended = json!({"last_name": "Doe", "date_of_birth": "1990-03-15"});
    let clinician = app.clinician().await;
    let request = clinician.request(Method::PATCH, &format!("/api/patients/{jane}")).json(&mended);
    assert_eq!(clinician.send(request).await.status, StatusCode::OK);
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let waiting = engineer.read("/api/hl7/messages?status=unmatched").await[0]["id"].clone();
    let path = format!("/api/hl7/messages/{waiting}/replay");
    let trial = engineer.post(&format!("{path}?dry_run=true"), json!({})).await;
    let tables = trial.body["tables"].as_array().unwrap();
    let inserted =
        |name: &str| tables.iter().find(|table| table["table"] == name).unwrap()["inserted"].clone();
    assert_eq!((inserted("outbox"), inserted("hl7_messages")), (json!(1), json!(1)), "{:?}", trial.body);
    assert!(queued(&app, "discharge").await.is_empty(), "a trial sends nothing");
    assert_eq!(engineer.post(&path, json!({})).await.status, StatusCode::OK);
    let told = ward.next().await;
    told.say("AA");
    is_sent(&app, &told).await;
    assert_eq!(engineer.post(&path, json!({})).await.status, StatusCode::OK);
    assert_eq!(queued(&app, "discharge").await.len(), 1);
    app.finish().await;
}

async fn only_who_is_sent_to_can_subscribe(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    for (direction, news) in [("inbound", "ADT_A03"), ("outbound", "ADT_A01"), ("outbound", "adt_a03")] {
        let body = json!({
            "name": "ward", "host": "127.0.0.1", "port": 2575, "direction": direction, "profile": {"publish": [news]},
        });
        let answer = engineer.post("/api/lis-endpoints", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", answer.body);
        assert_eq!(answer.body["detail"][0]["loc"], json!(["body", "profile"]));
    }
    // One that was switched off gets nothing, not even later.
    let ward = ScriptedLab::start().await;
    let settings = json!({"enabled": false, "profile": {"publish": ["ADT_A03"]}});
    endpoint_with(&app, ward.port, settings).await;
    let clinician = app.clinician().await;
    let jane = app.jane().await;
    let visit = visit(&clinician, jane).await;
    finish(&clinician, visit).await;
    assert_eq!(app.count::<outbox::Entity>().await, 0);
    app.finish().await;
}
