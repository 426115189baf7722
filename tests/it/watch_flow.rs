//! The watch over endpoints: a laboratory that falls silent and a queue that does not move are told once, and once when it is
//! over.

use std::time::Duration;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};
use pms::{
    domain::access::Role,
    lab::watch_endpoints::watch_endpoints,
    store::{
        bulk, db,
        entity::{alert_event, endpoint_alarm, feed_hour, hl7_message},
    },
};
use reqwest::{Method, StatusCode};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, SqlErr,
};
use serde_json::{Value, json};

use crate::{
    ack_flow::endpoint,
    app::{Engine, TestApp, flows, start_of_time, until},
    lab::{FakeLis, Manner, Sender, obr, obx, oru},
    ordering::{self, becomes, order, set_paused},
};

flows!(
    a_silent_lab_is_told_once_and_once_when_it_speaks,
    nights_and_weekends_are_no_silence,
    a_profile_fixes_the_time_or_switches_it_off,
    a_queue_that_does_not_move_is_told_until_the_lab_takes_it,
    a_pause_is_deliberate_but_may_be_forgotten,
    the_database_lets_one_alarm_be_open,
);

const MINUTE: Duration = Duration::from_mins(1);

fn minutes(count: i64) -> TimeDelta {
    TimeDelta::minutes(count)
}

/// Puts messages into the log as if they had come at these times.
async fn heard(app: &TestApp, endpoint: i64, times: impl Iterator<Item = DateTime<Utc>>) {
    let row = |time: DateTime<Utc>| {
        let id = format!("{endpoint}-{}", time.timestamp());
        hl7_message::ActiveModel {
            message_uid: Set(id.clone()),
            direction: Set("inbound".to_owned()),
            lis_endpoint_id: Set(endpoint),
            message_type: Set("ORU".to_owned()),
            message_control_id: Set(id.clone()),
            raw_message: Set(String::new()),
            message_hash: Set(id),
            size_bytes: Set(0),
            status: Set("stored".to_owned()),
            warnings: Set(json!([])),
            received_at: Set(time),
            ..Default::default()
        }
    };
    let tx = db::write(&app.ctx().db, "test").await.unwrap();
    bulk::insert::<hl7_message::Entity>(&tx, times.map(row).collect()).await.unwrap();
    tx.commit().await.unwrap();
}

/// Every ten minutes of a span, in which `speaks` holds.
fn every_ten_minutes(
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    speaks: impl Fn(DateTime<Utc>) -> bool,
) -> impl Iterator<Item = DateTime<Utc>> {
    let count = (until - from).num_minutes() / 10;
    (0..count).map(move |number| from + minutes(number * 10)).filter(move |time| speaks(*time))
}

fn in_office_hours(time: DateTime<Utc>) -> bool {
    !matches!(time.weekday(), Weekday::Sat | Weekday::Sun) && (8..18).contains(&time.hour())
}

/// Sends a message that must be taken.
async fn speak(lab: &mut Sender, id: &str) {
    let lines = [obr("", id, "BMP", "20260302080000", "F"), obx(1, "K^Potassium", "4.0", "mmol/L", "N", "F")];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lab.deliver(&oru(id, "20260302080000", &lines).replace("|LAB_LIS|", "|CITY|")).await;
}

/// One more look, beside those of the running job.
async fn look(app: &TestApp) {
    watch_endpoints(app.ctx(), start_of_time()).await.unwrap();
}

/// What the stream told of endpoints, oldest first.
async fn told(app: &TestApp) -> Vec<Value> {
    let query = alert_event::Entity::find().order_by_asc(alert_event::Column::Id);
    let rows = query.all(app.ctx().db.reader()).await.unwrap();
    rows.into_iter().filter(|row| row.kind == "endpoint_alarm").map(|row| row.payload).collect()
}

/// The same in short: kind and state.
async fn states(app: &TestApp) -> Vec<(String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    told(app).await.iter().map(|event| (text(event, "kind"), text(event, "state"))).collect()
}

fn state(kind: &str, state: &str) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

/// What the API says of the one endpoint.
async fn health(app: &TestApp) -> Value {
    let list = app.sign_in(Role::InterfaceEngineer).await.read("/api/ops/endpoints").await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    list[0].clone()
}

async fn alarms(app: &TestApp, query: &str) -> Vec<Value> {
    let list = app.sign_in(Role::LabManager).await.read(&format!("/api/ops/alarms{query}")).await;
    list.as_array().unwrap().clone()
}

async fn change(app: &TestApp, endpoint: i64, body: Value) {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let request = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{endpoint}")).json(&body);
    let answer = engineer.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

async fn metrics(app: &TestApp) -> String {
    app.stranger().request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap()
}

async fn a_silent_lab_is_told_once_and_once_when_it_speaks(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let city = endpoint(&app, "CITY", json!({})).await;
    assert_eq!(health(&app).await["usual_gap_seconds"], Value::Null);
    let now = start_of_time();
    heard(&app, city, every_ten_minutes(now - TimeDelta::weeks(2), now, |_| true)).await;
    let mut lab = app.lab().await;
    for turn in 0..3 {
        speak(&mut lab, &format!("A{turn}")).await;
        app.clock.advance(MINUTE * 10);
        look(&app).await;
    }
    let hours = feed_hour::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    assert_eq!(hours.iter().map(|hour| hour.messages).sum::<i32>(), 2 * 7 * 24 * 6 + 3, "each once");
    assert!(hours.iter().all(|hour| hour.longest_gap_seconds <= 600));
    // What was learnt outlives the messages.
    let tx = db::write(&app.ctx().db, "test").await.unwrap();
    let old = hl7_message::Entity::delete_many().filter(hl7_message::Column::ReceivedAt.lt(now));
    old.exec(&*tx).await.unwrap();
    tx.commit().await.unwrap();
    let seen = health(&app).await;
    assert_eq!(
        (&seen["usual_gap_seconds"], &seen["silence_limit_seconds"], &seen["alarms"]),
        (&json!(600), &json!(1200), &json!([]))
    );
    assert_eq!(seen["last_message_at"], "2026-03-02T08:20:00Z");

    // Two processes, and each looks more than once.
    let other = if engine == Engine::Postgres { Some(app.second().await) } else { None };
    app.clock.advance(MINUTE * 10);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new(), "twenty minutes, to the minute");
    app.clock.advance(MINUTE);
    tokio::join!(look(&app), look(&app), look(&app));
    app.clock.advance(MINUTE * 90);
    tokio::join!(look(&app), look(&app));
    if let Some(other) = &other {
        watch_endpoints(&other.ctx, start_of_time()).await.unwrap();
    }
    let events = told(&app).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["lis_endpoint_id"], &events[0]["name"], &events[0]["kind"], &events[0]["state"]),
        (&json!(city), &json!("CITY"), &json!("silent"), &json!("opened"))
    );
    assert_eq!(
        (&events[0]["since"], &events[0]["usual_gap_seconds"], &events[0]["limit_seconds"]),
        (&json!("2026-03-02T08:20:00Z"), &json!(600), &json!(1200))
    );
    let open = alarms(&app, "?open=true").await;
    assert_eq!((open.len(), &open[0]["id"]), (1, &events[0]["alarm_id"]));
    assert_eq!(health(&app).await["alarms"], json!(open));
    let line = format!("pms_endpoint_open_alarms{{lis_endpoint_id=\"{city}\"}} 1\n");
    assert!(metrics(&app).await.contains(&line));

    // It speaks again: over, once, by the job itself.
    speak(&mut lab, "B1").await;
    app.clock.advance(MINUTE);
    until("closed", async || (told(&app).await.len() == 2).then_some(())).await;
    tokio::join!(look(&app), look(&app));
    let events = told(&app).await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(
        (&events[1]["alarm_id"], &events[1]["state"], &events[1]["closed_reason"]),
        (&open[0]["id"], &json!("closed"), &json!("over"))
    );
    assert_eq!((alarms(&app, "?open=true").await.len(), alarms(&app, "?open=false").await.len()), (0, 1));
    let clinician = app.clinician().await;
    for path in ["/api/ops/endpoints", "/api/ops/alarms"] {
        assert_eq!(clinician.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(app.stranger().get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    if let Some(other) = other {
        other.stop().await.unwrap();
    }
    app.finish().await;
}

async fn nights_and_weekends_are_no_silence(engine: Engine) {
    let app = TestApp::start(engine).await;
    let city = endpoint(&app, "CITY", json!({})).await;
    let start = start_of_time();
    heard(&app, city, every_ten_minutes(start - TimeDelta::weeks(2), start, in_office_hours)).await;
    // From Monday morning to Monday morning, hour by hour.
    for hour in 0..(7 * 24) {
        let from = start + TimeDelta::hours(hour);
        heard(&app, city, every_ten_minutes(from, from + TimeDelta::hours(1), in_office_hours)).await;
        app.clock.advance(MINUTE * 60);
        look(&app).await;
        assert_eq!(told(&app).await, Vec::<Value>::new(), "{}", app.ctx().clock.now());
    }
    // This Monday nothing comes.
    app.clock.advance(MINUTE * 119);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new(), "its first message may come an hour late");
    app.clock.advance(MINUTE);
    look(&app).await;
    assert_eq!(states(&app).await, [state("silent", "opened")]);
    assert_eq!(told(&app).await[0]["since"], "2026-03-06T17:50:00Z");
    // And for the rest of the week.
    for _ in 0..(5 * 24) {
        app.clock.advance(MINUTE * 60);
        look(&app).await;
    }
    assert_eq!(states(&app).await.len(), 1);
    app.finish().await;
}

async fn a_profile_fixes_the_time_or_switches_it_off(engine: Engine) {
    let app = TestApp::start(engine).await;
    app.jane().await;
    let off = json!({ "profile": { "silence": "off" } });
    let city = endpoint(&app, "CITY", off.clone()).await;
    let start = start_of_time();
    heard(&app, city, every_ten_minutes(start - TimeDelta::weeks(3), start, |_| true)).await;
    app.clock.advance(MINUTE * 600);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new());
    assert_eq!(health(&app).await["silence_limit_seconds"], Value::Null);

    // From the change on it is waited for anew.
    change(&app, city, json!({ "profile": { "silence": { "after_minutes": 240 } } })).await;
    app.clock.advance(MINUTE * 240);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new());
    app.clock.advance(MINUTE);
    look(&app).await;
    assert_eq!(told(&app).await[0]["limit_seconds"], 14400);
    change(&app, city, off).await;
    look(&app).await;
    assert_eq!(states(&app).await, [state("silent", "opened"), state("silent", "closed")]);
    assert_eq!(told(&app).await[1]["closed_reason"], "not_watched");

    // What is deleted has no open alarm.
    change(&app, city, json!({ "profile": { "silence": { "after_minutes": 5 } } })).await;
    app.clock.advance(MINUTE * 6);
    look(&app).await;
    assert_eq!(alarms(&app, "?open=true").await.len(), 1);
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let request = engineer.request(Method::DELETE, &format!("/api/lis-endpoints/{city}"));
    assert_eq!(engineer.send(request).await.status, StatusCode::NO_CONTENT);
    look(&app).await;
    assert_eq!(alarms(&app, "?open=true").await.len(), 0);
    assert_eq!(states(&app).await.len(), 4);
    app.finish().await;
}

/// A port where nobody listens.
fn dead_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn a_queue_that_does_not_move_is_told_until_the_lab_takes_it(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "20")]).await;
    let jane = app.jane().await;
    let port = dead_port();
    let lis = ordering::endpoint(&app, port).await;
    let placed = order(&app.clinician().await, jane, &["CBC"]).await.body["id"].clone();
    app.clock.advance(MINUTE * 15);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new(), "fifteen minutes, to the minute");
    app.clock.advance(MINUTE);
    tokio::join!(look(&app), look(&app));
    app.clock.advance(MINUTE * 30);
    look(&app).await;
    let events = told(&app).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["kind"], &events[0]["since"], &events[0]["limit_seconds"]),
        (&json!("queue_age"), &json!("2026-03-02T08:00:00Z"), &json!(900))
    );
    let seen = health(&app).await;
    assert_eq!(
        (&seen["queued"], &seen["dead_letters"], &seen["oldest_queued_at"], &seen["connection_state"]),
        (&json!(1), &json!(0), &json!("2026-03-02T08:00:00Z"), &json!("unreachable"))
    );
    assert_eq!(seen["alarms"][0]["kind"], "queue_age");
    let line = format!("pms_endpoint_oldest_queued_seconds{{lis_endpoint_id=\"{lis}\"}} 2760\n");
    assert!(metrics(&app).await.contains(&line));

    let _lab = FakeLis::start_at(port, &[Manner::Ack("AA")]).await;
    app.clock.advance(MINUTE * 5);
    becomes(&app.clinician().await, &placed, "sent").await;
    tokio::join!(look(&app), look(&app));
    assert_eq!(states(&app).await, [state("queue_age", "opened"), state("queue_age", "closed")]);
    assert_eq!(told(&app).await[1]["closed_reason"], "over");
    assert_eq!(
        (health(&app).await["queued"].clone(), health(&app).await["alarms"].clone()),
        (json!(0), json!([]))
    );
    app.finish().await;
}

async fn a_pause_is_deliberate_but_may_be_forgotten(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "20")]).await;
    let jane = app.jane().await;
    let lab = FakeLis::start(&[Manner::Ack("AA")]).await;
    let lis = ordering::endpoint(&app, lab.port).await;
    set_paused(&app, lis, true).await;
    let placed = order(&app.clinician().await, jane, &["CBC"]).await.body["id"].clone();
    app.clock.advance(MINUTE * 240);
    look(&app).await;
    assert_eq!(told(&app).await, Vec::<Value>::new());
    app.clock.advance(MINUTE);
    look(&app).await;
    assert_eq!(states(&app).await, [state("queue_age", "opened")]);
    set_paused(&app, lis, false).await;
    becomes(&app.clinician().await, &placed, "sent").await;
    look(&app).await;
    assert_eq!(states(&app).await, [state("queue_age", "opened"), state("queue_age", "closed")]);

    // What is switched off is nobody's concern any more.
    set_paused(&app, lis, true).await;
    order(&app.clinician().await, jane, &["CBC"]).await;
    app.clock.advance(MINUTE * 241);
    look(&app).await;
    assert_eq!(states(&app).await.len(), 3);
    change(&app, lis, json!({ "enabled": false })).await;
    look(&app).await;
    assert_eq!(told(&app).await[3]["closed_reason"], "not_watched");
    app.leaves_work();
    app.finish().await;
}

async fn the_database_lets_one_alarm_be_open(engine: Engine) {
    let app = TestApp::start(engine).await;
    let city = endpoint(&app, "CITY", json!({})).await;
    let alarm = |kind: &str, closed: bool| endpoint_alarm::ActiveModel {
        lis_endpoint_id: Set(city),
        kind: Set(kind.to_owned()),
        since: Set(start_of_time()),
        limit_seconds: Set(900),
        opened_at: Set(start_of_time()),
        closed_at: Set(closed.then(start_of_time)),
        ..Default::default()
    };
    let insert = async |row: endpoint_alarm::ActiveModel| {
        let tx = db::write(&app.ctx().db, "test").await.unwrap();
        row.insert(&*tx).await.map_err(|error| error.sql_err())?;
        tx.commit().await.unwrap();
        Ok::<(), Option<SqlErr>>(())
    };
    for (kind, closed, taken) in [
        ("silent", true, true),
        ("silent", false, true),
        ("silent", true, true),
        ("queue_age", false, true),
        ("silent", false, false),
    ] {
        let written = insert(alarm(kind, closed)).await;
        let refused = matches!(written, Err(Some(SqlErr::UniqueConstraintViolation(_))));
        assert_eq!((written.is_ok(), refused), (taken, !taken), "{kind} {closed}");
    }
    app.finish().await;
}
