//! Orders against results: what is late, incomplete, unasked for, refused or called off stands on its list and is told once.

use std::time::Duration;

use pms::{
    domain::access::Role,
    store::entity::{access_log, alert_event, order_concern},
};
use reqwest::{Method, StatusCode};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner, Sender, obr, obx, oru},
};

flows!(
    late_orders_are_listed_and_told_once,
    a_lab_that_never_says_it_takes_orders_is_not_waited_for,
    what_lacks_of_a_panel_is_named,
    results_without_an_order_are_listed_of_labs_that_answer_orders,
    what_the_lab_will_not_do_is_listed_and_told,
    those_who_read_no_charts_get_the_counts,
    two_processes_tell_once,
);

const HOUR: Duration = Duration::from_hours(1);
const PATH: &str = "/api/reports/reconciliation";

/// A lab that takes orders by a plain AA, and its endpoint.
async fn lis(app: &TestApp) -> (FakeLis, i64) {
    let lis = FakeLis::start(&[Manner::Ack("AA")]).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let body = json!({
        "name": format!("Lab {}", lis.port), "host": "127.0.0.1", "port": lis.port, "direction": "outbound",
    });
    let answer = engineer.post("/api/lis-endpoints", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    (lis, answer.body["id"].as_i64().unwrap())
}

async fn order(actor: &Actor, patient: i64, codes: &[&str], priority: &str) -> i64 {
    let body = json!({
        "patient_id": patient, "test_codes": codes, "ordering_provider": "Dr. Smith", "priority": priority
    });
    let answer = actor.post("/api/lab-orders", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    assert_eq!(answer.body["status"], "sent", "{:?}", answer.body);
    answer.body["id"].as_i64().unwrap()
}

/// Moves the clock. Tokens are short-lived, so the clinician signs in again.
async fn later(app: &TestApp, span: Duration) -> Actor {
    app.clock.advance(span);
    app.clinician().await
}

/// The rows of a list; its count must be that of its rows.
async fn rows(actor: &Actor, list: &str) -> Vec<Value> {
    let board = actor.read(PATH).await;
    let rows = board["worklists"][list].as_array().unwrap().clone();
    assert_eq!(board["counts"][list], json!(rows.len()), "{list}");
    rows
}

async fn ids(actor: &Actor, list: &str) -> Vec<Value> {
    rows(actor, list).await.iter().map(|row| row["order_id"].clone()).collect()
}

async fn overdue(actor: &Actor) -> Vec<Value> {
    let orders = actor.read("/api/lab-orders?overdue=true").await;
    orders.as_array().unwrap().iter().map(|order| order["id"].clone()).collect()
}

/// The events of a kind, oldest first.
async fn events(app: &TestApp, kind: &str) -> Vec<Value> {
    let query = alert_event::Entity::find().order_by_asc(alert_event::Column::Id);
    let rows = query.all(app.ctx().db.reader()).await.unwrap();
    rows.into_iter().filter(|row| row.kind == kind).map(|row| row.payload).collect()
}

async fn told(app: &TestApp, kind: &str, count: usize) -> Vec<Value> {
    until(kind, async || Some(events(app, kind).await).filter(|events| events.len() >= count)).await
}

async fn open_concerns(app: &TestApp) -> usize {
    let rows = order_concern::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    rows.iter().filter(|row| row.resolved_at.is_none()).count()
}

/// Delivers a report of a test with results (code, LOINC code or none).
async fn report(
    lab: &mut Sender,
    control_id: &str,
    (placer, code, status): (&str, &str, &str),
    codes: &[&str],
) {
    let mut lines = vec![obr(placer, &format!("F-{placer}"), code, "20260302080500", status)];
    let results = codes.iter().zip(1..).map(|(code, n)| obx(n, code, "1", "mmol/L", "N", status));
    lines.extend(results);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lab.deliver(&oru(control_id, "20260302080500", &lines)).await;
}

async fn late_orders_are_listed_and_told_once(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, endpoint) = lis(&app).await;
    let clinician = app.clinician().await;
    let stat = order(&clinician, jane, &["CBC"], "S").await;
    let routine = order(&clinician, jane, &["BMP"], "R").await;
    assert!(
        ids(&clinician, "sent_not_acknowledged").await.is_empty() && overdue(&clinician).await.is_empty()
    );

    let clinician = later(&app, Duration::from_mins(16)).await;
    let first = &rows(&clinician, "sent_not_acknowledged").await[0];
    assert_eq!(
        (&first["order_id"], &first["lis_endpoint_id"], &first["priority"], &first["age_minutes"]),
        (&json!(stat), &json!(endpoint), &json!("S"), &json!(16))
    );
    assert_eq!(
        (&first["patient"]["mrn"], &first["reason"], &first["since"]),
        (&json!("12345"), &json!("not_acknowledged"), &json!("2026-03-02T08:15:00Z"))
    );
    assert_eq!(overdue(&clinician).await, [json!(stat)]);
    let event = &told(&app, "order_overdue", 1).await[0];
    assert_eq!(
        (&event["order_id"], &event["reason"], &event["patient_id"]),
        (&json!(stat), &json!("not_acknowledged"), &json!(jane))
    );

    // The laboratory takes it: one list less, and after the hour the other one.
    let mut lab = app.lab().await;
    report(&mut lab, "A1", (&format!("{stat}-1"), "CBC", "I"), &[]).await;
    assert!(overdue(&clinician).await.is_empty());
    until("the first concern is over", async || (open_concerns(&app).await == 0).then_some(())).await;
    let clinician = later(&app, HOUR).await;
    assert_eq!(ids(&clinician, "acknowledged_without_result").await, [json!(stat)]);
    assert_eq!(told(&app, "order_overdue", 2).await[1]["reason"], "no_result");

    // Started anew, nothing is told again; a further order is.
    app.restart().await;
    let clinician = later(&app, HOUR * 3).await;
    let events = told(&app, "order_overdue", 3).await;
    let said: Vec<_> = events.iter().map(|event| (&event["order_id"], &event["reason"])).collect();
    let (no_ack, no_result) = (json!("not_acknowledged"), json!("no_result"));
    let (stat_id, routine_id) = (json!(stat), json!(routine));
    assert_eq!(said, [(&stat_id, &no_ack), (&stat_id, &no_result), (&routine_id, &no_ack)]);
    let mut listed = overdue(&clinician).await;
    listed.sort_by_key(Value::as_i64);
    assert_eq!(listed, [json!(stat), json!(routine)]);
    let elsewhere = clinician.read(&format!("{PATH}?lis_endpoint_id=0")).await;
    assert_eq!(elsewhere["counts"]["sent_not_acknowledged"], 0, "of another laboratory");

    // Results end it.
    let mut lab = app.lab().await;
    report(&mut lab, "R1", (&format!("{stat}-1"), "CBC", "F"), &["WBC"]).await;
    assert_eq!(overdue(&clinician).await, [json!(routine)]);
    until("the second concern is over", async || (open_concerns(&app).await == 1).then_some(())).await;
    app.finish().await;
}

async fn a_lab_that_never_says_it_takes_orders_is_not_waited_for(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;
    for n in 0..5 {
        let id = order(&clinician, jane, &["TSH"], "S").await;
        report(&mut lab, &format!("R{n}"), (&format!("{id}-1"), "TSH", "F"), &["TSH"]).await;
    }
    let waiting = order(&clinician, jane, &["TSH"], "S").await;
    let clinician = later(&app, Duration::from_mins(20)).await;
    assert!(ids(&clinician, "sent_not_acknowledged").await.is_empty(), "it never says so");
    assert!(overdue(&clinician).await.is_empty());
    let clinician = later(&app, HOUR).await;
    assert_eq!(ids(&clinician, "acknowledged_without_result").await, [json!(waiting)]);
    assert_eq!(overdue(&clinician).await, [json!(waiting)]);
    assert_eq!(told(&app, "order_overdue", 1).await[0]["reason"], "no_result");
    app.finish().await;
}

async fn what_lacks_of_a_panel_is_named(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    let id = order(&clinician, jane, &["LIPID", "TSH"], "R").await;
    let mut lab = app.lab().await;
    report(&mut lab, "P1", (&format!("{id}-1"), "LIPID", "P"), &["CHOL", "TRIG"]).await;
    let row = rows(&clinician, "partial_panels").await.remove(0);
    assert_eq!((&row["order_id"], &row["reason"]), (&json!(id), &json!("incomplete")));
    let missing: Vec<_> = row["missing"].as_array().unwrap().iter().map(lacks).collect();
    assert_eq!(
        missing,
        [
            ("LIPID".into(), "2085-9".into(), "HDL cholesterol".into(), "member".into()),
            ("LIPID".into(), "13457-7".into(), "LDL cholesterol, calculated".into(), "member".into()),
            ("TSH".into(), String::new(), String::new(), "not_reported".into()),
        ]
    );

    let clinician = later(&app, HOUR * 25).await;
    assert_eq!(told(&app, "order_overdue", 1).await[0]["reason"], "partial");
    assert_eq!(rows(&clinician, "partial_panels").await[0]["reason"], "overdue");
    assert_eq!(overdue(&clinician).await, [json!(id)]);

    // The laboratory calls the panel final, and two members have never come; one it says cannot be obtained.
    report(&mut lab, "P2", (&format!("{id}-1"), "LIPID", "F"), &["CHOL", "TRIG"]).await;
    report(&mut lab, "P3", (&format!("{id}-2"), "TSH", "F"), &["TSH"]).await;
    let lines = [
        obr(&format!("{id}-1"), &format!("F-{id}-1"), "LIPID", "20260302080600", "F"),
        obx(1, "HDL", "", "", "", "X"),
    ];
    lab.deliver(&oru("P4", "20260302080600", &[&lines[0], &lines[1]])).await;
    let row = rows(&clinician, "partial_panels").await.remove(0);
    assert_eq!((&row["status"], &row["reason"]), (&json!("resulted"), &json!("final_without_members")));
    assert_eq!(row["missing"].as_array().unwrap().len(), 1);
    assert_eq!(row["missing"][0]["loinc_code"], "13457-7");
    report(&mut lab, "P5", (&format!("{id}-1"), "LIPID", "F"), &["LDL"]).await;
    assert!(rows(&clinician, "partial_panels").await.is_empty());
    app.finish().await;
}

fn lacks(missing: &Value) -> (String, String, String, String) {
    let text = |name: &str| missing[name].as_str().unwrap_or_default().to_owned();
    (text("test_code"), text("loinc_code"), text("name"), text("what"))
}

async fn results_without_an_order_are_listed_of_labs_that_answer_orders(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    let mut lab = app.lab().await;
    // Walk-ins: nothing names who ordered.
    for n in 0..21 {
        report(&mut lab, &format!("W{n}"), ("", "BMP", "F"), &["K"]).await;
    }
    assert!(rows(&clinician, "results_without_order").await.is_empty(), "a walk-in feed is no worklist");
    // Unless the patient waits for just that.
    let waiting = order(&clinician, jane, &["BMP"], "R").await;
    let found = rows(&clinician, "results_without_order").await;
    assert_eq!((found.len(), &found[0]["order_id"]), (21, &json!(waiting)));
    assert_eq!(found[0]["reason"], "patient_has_open_order");

    // The order is answered; then the same sender answers order after order, and its strays count.
    report(&mut lab, "A", (&format!("{waiting}-1"), "BMP", "F"), &["K"]).await;
    assert!(rows(&clinician, "results_without_order").await.is_empty());
    for n in 0..22 {
        let id = order(&clinician, jane, &["TSH"], "R").await;
        report(&mut lab, &format!("T{n}"), (&format!("{id}-1"), "TSH", "F"), &["TSH"]).await;
    }
    report(&mut lab, "STRAY", ("4711-1", "CBC", "F"), &["WBC"]).await;
    let found = rows(&clinician, "results_without_order").await;
    assert_eq!((found.len(), &found[0]["reason"]), (22, &json!("placer_number_unknown")));
    assert_eq!((&found[0]["order_id"], &found[0]["patient"]["last_name"]), (&json!(null), &json!("Doe")));
    assert!(found[0]["report_id"].is_i64() && found[0]["hl7_message_id"].is_i64());
    assert_eq!(found[1]["reason"], "filler_number_unknown");
    app.finish().await;
}

async fn what_the_lab_will_not_do_is_listed_and_told(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    let rejected = order(&clinician, jane, &["CBC"], "S").await;
    let called_off = order(&clinician, jane, &["BMP", "TSH"], "R").await;
    let undone = order(&clinician, jane, &["UA"], "R").await;
    let ours = order(&clinician, jane, &["LIPID"], "R").await;
    let mut lab = app.lab().await;
    let spoilt = [
        obr(&format!("{rejected}-1"), "F1", "CBC", "20260302080500", "X"),
        "SPM|1|||BLD^Blood|||||||||||||||||RH^Hemolyzed^HL70490".to_owned(),
    ];
    lab.deliver(&oru("X1", "20260302080500", &[&spoilt[0], &spoilt[1]])).await;
    report(&mut lab, "X2", (&format!("{undone}-1"), "UA", "X"), &[]).await;
    let head =
        "MSH|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260302080000||ORM^O01^ORM_O01|OC1|P|2.5.1\r";
    lab.deliver(&format!("{head}ORC|OC|{called_off}-1|L1\r")).await;
    let cancel = clinician.request(Method::POST, &format!("/api/lab-orders/{ours}/cancel"));
    assert_eq!(clinician.send(cancel).await.status, StatusCode::ACCEPTED);
    until("cancelled", async || {
        (clinician.read(&format!("/api/lab-orders/{ours}")).await["status"] == "cancelled").then_some(())
    })
    .await;

    let row = rows(&clinician, "specimen_rejected").await.remove(0);
    assert_eq!((&row["order_id"], &row["said"]), (&json!(rejected), &json!("Hemolyzed")));
    assert_eq!(row["missing"][0]["test_code"], "CBC");
    let listed = rows(&clinician, "lab_cancelled").await;
    let mut reasons: Vec<_> = listed.iter().map(|row| (&row["order_id"], &row["reason"])).collect();
    reasons.sort_by_key(|(id, _)| id.as_i64());
    let (by_lab, not_done) = (json!("cancelled_by_lab"), json!("not_done"));
    assert_eq!(
        reasons,
        [(&json!(called_off), &by_lab), (&json!(undone), &not_done)],
        "ours is not among them"
    );
    let of_called_off = listed.iter().find(|row| row["order_id"] == called_off).unwrap();
    assert_eq!(of_called_off["missing"].as_array().unwrap().len(), 1, "the other test goes on");
    assert!(rows(&clinician, "partial_panels").await.is_empty(), "what the lab will not do is not awaited");

    told(&app, "specimen_rejected", 1).await;
    let events = told(&app, "lab_cancelled", 2).await;
    let mut orders: Vec<_> = events.iter().map(|event| event["order_id"].as_i64().unwrap()).collect();
    orders.sort_unstable();
    assert_eq!(orders, [called_off, undone]);
    until("everything is written down", async || (open_concerns(&app).await == 3).then_some(())).await;

    // A new specimen makes up for it.
    report(&mut lab, "N1", (&format!("{rejected}-1"), "CBC", "F"), &["WBC"]).await;
    assert!(rows(&clinician, "specimen_rejected").await.is_empty());
    until("the specimen is no concern", async || (open_concerns(&app).await == 2).then_some(())).await;
    assert_eq!(events_of_orders(&app).await, 3, "each was told once");
    app.finish().await;
}

async fn events_of_orders(app: &TestApp) -> usize {
    let mut count = 0;
    for kind in ["order_overdue", "specimen_rejected", "lab_cancelled"] {
        count += events(app, kind).await.len();
    }
    count
}

async fn those_who_read_no_charts_get_the_counts(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let formula = app.patient("-9", "=cmd", "Eve, \"E\"", "1980-01-01").await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    order(&clinician, jane, &["CBC"], "S").await;
    order(&clinician, formula, &["CBC"], "S").await;
    let clinician = later(&app, HOUR).await;
    let shown = async || {
        let rows = access_log::Entity::find().all(app.ctx().db.reader()).await.unwrap();
        let of_board = rows.into_iter().filter(|row| row.resource_type == "reconciliation");
        of_board.map(|row| (row.role, row.action, row.patient_id, row.outcome)).collect::<Vec<_>>()
    };
    let before = shown().await.len();
    clinician.read(PATH).await;
    let mut seen = shown().await.split_off(before);
    seen.sort();
    let line = |id| ("clinician".to_owned(), "read_order".to_owned(), Some(id), "ok".to_owned());
    assert_eq!(seen, [line(jane), line(formula)], "a row for everybody shown");

    for role in [Role::Admin, Role::PrivacyOfficer] {
        let board = app.sign_in(role).await.read(PATH).await;
        assert_eq!(board["counts"]["sent_not_acknowledged"], 2, "{role}");
        assert_eq!(board["worklists"]["sent_not_acknowledged"], json!([]), "{role}");
    }
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    assert_eq!(engineer.get(PATH).await.status, StatusCode::FORBIDDEN);
    assert_eq!(app.stranger().get(PATH).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(clinician.get(&format!("{PATH}?format=xml")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(clinician.get(&format!("{PATH}?lis_endpoint_id=99")).await.status, StatusCode::NOT_FOUND);

    let answer = clinician.request(Method::GET, &format!("{PATH}?format=csv&limit=2")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("worklist,order_id,report_id,patient_id,mrn,last_name"), "{}", lines[0]);
    assert_eq!(lines.len(), 3);
    assert!(text.contains(",-9,'=cmd,\"Eve, \"\"E\"\"\",1980-01-01,"), "{text}");
    app.finish().await;
}

async fn two_processes_tell_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let (_lis, _) = lis(&app).await;
    let clinician = app.clinician().await;
    for _ in 0..10 {
        order(&clinician, jane, &["CBC"], "S").await;
    }
    // On SQLite there is one process; then the same one looks twice at once.
    let other = if engine == Engine::Postgres { Some(app.second().await) } else { None };
    app.clock.advance(Duration::from_mins(16));
    let look = || pms::lab::raise_concerns::raise_concerns(app.ctx());
    let (one, two) = tokio::join!(look(), look());
    one.unwrap();
    two.unwrap();
    told(&app, "order_overdue", 10).await;
    if let Some(other) = other {
        pms::lab::raise_concerns::raise_concerns(&other.ctx).await.unwrap();
        other.stop().await.unwrap();
    }
    assert_eq!(events(&app, "order_overdue").await.len(), 10);
    assert_eq!(open_concerns(&app).await, 10);
    app.finish().await;
}
