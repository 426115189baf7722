//! Endpoints are tested without any order of a patient having a part in it, on both databases.

use pms::{
    domain::access::Role,
    hl7::{frame::wrap, message::Message},
    store::entity::{access_log, hl7_message, outbox},
};
use reqwest::StatusCode;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Engine, TestApp, flows},
    ordering::{becomes, endpoint, endpoint_with, kinds, order, set_paused},
    scripted_lab::{Received, ScriptedLab, answer},
};

flows!(
    every_answer_is_told_and_written_down,
    what_cannot_be_reached_is_told,
    a_test_that_hangs_holds_up_no_order,
    a_stop_ends_a_test_with_its_outcome,
);

async fn test(engineer: &Actor, endpoint: i64) -> Answer {
    engineer.post(&format!("/api/lis-endpoints/{endpoint}/test"), json!({})).await
}

/// The last step: its name, whether it went well, and what was found.
fn last(told: &Answer) -> (String, bool, String) {
    assert_eq!(told.status, StatusCode::OK, "{:?}", told.body);
    let steps = told.body["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["duration_ms"].is_u64()));
    let all = steps.iter().all(|step| step["ok"] == true);
    assert_eq!(told.body["ok"], all, "{:?}", told.body);
    let step = steps.last().unwrap();
    let text = |name: &str| step[name].as_str().unwrap().to_owned();
    (text("step"), step["ok"].as_bool().unwrap(), text("detail"))
}

fn names(told: &Answer) -> Vec<&str> {
    told.body["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

/// What was sent to test endpoints, oldest first.
async fn log(app: &TestApp) -> Vec<hl7_message::Model> {
    let rows = hl7_message::Entity::find().filter(hl7_message::Column::ProcessingId.eq("T"));
    rows.order_by_asc(hl7_message::Column::Id).all(app.ctx().db.reader()).await.unwrap()
}

/// One test, and what the lab does about its message.
async fn tested(
    engineer: &Actor,
    lab: &mut ScriptedLab,
    endpoint: i64,
    reply: impl Fn(&Received),
) -> (Answer, Received) {
    tokio::join!(test(engineer, endpoint), async {
        let received = lab.next().await;
        reply(&received);
        received
    })
}

/// What the lab does, whether that is well, what is told of it, and MSA-1 as it is written down.
type Case<'a> = (&'a dyn Fn(&Received), bool, &'a str, Option<&'a str>);

async fn every_answer_is_told_and_written_down(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ACK_TIMEOUT_SECONDS", "1")]).await;
    let mut lab = ScriptedLab::start().await;
    let settings = json!({"order_message": "OML_O21", "code_map": {"CBC": "4711"}, "ack_mode": "enhanced"});
    let id = endpoint_with(&app, lab.port, settings).await;
    // Paused: that is when it is needed.
    set_paused(&app, id, true).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let other = |it: &Received| it.write(&wrap(answer("AA", "SOMEBODY-ELSE", "").as_bytes()));
    let table: [Case<'_>; 8] = [
        (&|it| it.say("AA"), true, "answered AA", Some("AA")),
        (&|it| it.say("CA"), true, "answered CA", Some("CA")),
        (&|it| it.say_of_order("AA", "OK"), true, "answered AA", Some("AA")),
        (&|it| it.say_of_order("AA", "UA"), false, "answered AA, but its ORC declines the order", Some("AA")),
        (&|it| it.say("AE"), false, "answered AE", Some("AE")),
        (&other, false, "the ACK was for another message or unreadable", None),
        (
            &|it| it.write(&wrap(b"not a message")),
            false,
            "the ACK was for another message or unreadable",
            None,
        ),
        (&|_| {}, false, "no ACK in time", None),
    ];
    let mut sent = Vec::new();
    for (n, (reply, ok, detail, code)) in table.into_iter().enumerate() {
        let (told, received) = tested(&engineer, &mut lab, id, reply).await;
        assert_eq!(names(&told), ["address", "tcp", "order"]);
        assert_eq!(last(&told), ("order".to_owned(), ok, detail.to_owned()));
        assert_eq!(received.connection, n, "a connection of its own");
        let row = log(&app).await.pop().unwrap();
        let outcome = (row.status.as_str(), row.ack_status.as_deref(), row.error_detail.as_deref());
        assert_eq!(outcome, (if ok { "sent" } else { "failed" }, code, (!ok).then_some(detail)));
        let of = (row.direction.as_str(), row.lis_endpoint_id, row.patient_id, row.lab_order_id);
        assert_eq!(of, ("outbound", id, None, None));
        assert_eq!(row.message_control_id, received.control_id());
        sent.push(received);
    }
    let text = &sent[0].text;
    let lines: Vec<&str> = text.split('\r').collect();
    let message = Message::parse(text).unwrap();
    let kinds: Vec<&str> = message.segments().map(|segment| segment.name()).collect();
    assert_eq!(kinds, ["MSH", "PID", "ORC", "TQ1", "OBR", "NTE"]);
    assert!(lines[0].contains("|OML^O21^OML_O21|") && lines[0].contains("|T|2.5.1|"), "{}", lines[0]);
    assert!(lines[1].starts_with("PID|1||PMS-TEST^^^MPS_PMS^MR||TEST^PMS^^^^^L||19000101|U"), "{}", lines[1]);
    assert!(lines[4].contains("|4711^") && !lines[4].contains("|CBC"), "{}", lines[4]);
    let mut ids: Vec<String> = sent.iter().map(Received::control_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "the clock stands still, and each has its own number");
    assert_eq!(app.count::<outbox::Entity>().await, 0);
    let again = format!("/api/hl7/messages/{}/resend", log(&app).await[0].id);
    assert_eq!(engineer.post(&again, json!({})).await.status, StatusCode::CONFLICT);
    app.finish().await;
}

async fn what_cannot_be_reached_is_told(engine: Engine) {
    let app = TestApp::start_with(engine, &[("OUTBOUND_ALLOWED_NETWORKS", "127.0.0.2/32")]).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    // Nobody listens there.
    let nobody = endpoint_with(&app, 1, json!({"host": "127.0.0.2"})).await;
    let told = test(&engineer, nobody).await;
    assert_eq!(last(&told), ("tcp".to_owned(), false, "connection refused".to_owned()));
    assert_eq!((names(&told)[0], &told.body["steps"][0]["detail"]), ("address", &json!("127.0.0.2")));
    let inside = endpoint_with(&app, 2, json!({"host": "localhost"})).await;
    let bounds = "address out of bounds, see OUTBOUND_ALLOWED_NETWORKS";
    assert_eq!(last(&test(&engineer, inside).await), ("address".to_owned(), false, bounds.to_owned()));
    let feed = engineer.post("/api/lis-endpoints", json!({"name": "Feed", "direction": "inbound"})).await;
    let feed = feed.body["id"].as_i64().unwrap();
    assert_eq!(test(&engineer, feed).await.status, StatusCode::CONFLICT);
    assert_eq!(test(&engineer, 999).await.status, StatusCode::NOT_FOUND);
    assert_eq!(test(&app.clinician().await, nobody).await.status, StatusCode::FORBIDDEN);
    let path = format!("/api/lis-endpoints/{nobody}/test");
    let wrong = engineer.post(&path, json!({"order": "perhaps"})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(log(&app).await.is_empty(), "nothing was sent");
    let tried = access_log::Entity::find()
        .filter(access_log::Column::Action.eq("write_endpoint"))
        .filter(access_log::Column::ResourceId.eq(nobody.to_string()))
        .count(app.ctx().db.reader());
    assert_eq!(tried.await.unwrap(), 2, "when it was made and when it was tested");
    app.finish().await;
}

/// And what is said of the one on the connection of the other touches neither.
async fn a_test_that_hangs_holds_up_no_order(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "0")]).await;
    let jane = app.jane().await;
    let mut lab = ScriptedLab::start().await;
    let id = endpoint(&app, lab.port).await;
    let (engineer, clinician) = (app.sign_in(Role::InterfaceEngineer).await, app.clinician().await);
    let without_order = json!({"order": false});
    let path = format!("/api/lis-endpoints/{id}/test");
    let told = engineer.post(&path, without_order).await;
    assert_eq!((names(&told), &told.body["ok"]), (vec!["address", "tcp"], &json!(true)));
    // No body is as good as an empty one.
    let asked = async { engineer.send(engineer.request(reqwest::Method::POST, &path)).await };
    let (told, placed) = tokio::join!(asked, async {
        let trial = lab.next().await;
        assert!(trial.text.contains("|T|2.5.1"));
        let placed = order(&clinician, jane, &["CBC"]).await.body["id"].clone();
        let real = lab.next().await;
        assert!(real.text.contains("|P|2.5.1") && real.connection != trial.connection);
        real.say("AA");
        becomes(&clinician, &placed, "sent").await;
        // The answer to the test, on the connection of the orders; then one to the order, on the connection of the test.
        real.write(&wrap(answer("AE", &trial.control_id(), "").as_bytes()));
        trial.write(&wrap(answer("AE", &real.control_id(), "").as_bytes()));
        placed
    });
    let crossed = "the ACK was for another message or unreadable";
    assert_eq!(last(&told), ("order".to_owned(), false, crossed.to_owned()));
    let next = order(&clinician, jane, &["BMP"]).await.body["id"].clone();
    lab.next().await.say("AA");
    becomes(&clinician, &next, "sent").await;
    for placed in [placed, next] {
        assert_eq!(kinds(&clinician, &placed).await, ["created", "delivered"]);
    }
    assert_eq!(lab.seen().len(), 3, "each message once");
    app.finish().await;
}

async fn a_stop_ends_a_test_with_its_outcome(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    let mut lab = ScriptedLab::start().await;
    let id = endpoint(&app, lab.port).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let (told, ()) = tokio::join!(test(&engineer, id), async {
        lab.next().await;
        app.pause().await;
    });
    assert_eq!(last(&told), ("order".to_owned(), false, "the service stopped before the ACK".to_owned()));
    app.boot().await;
    let row: Value = json!(log(&app).await[0].status);
    assert_eq!(row, "failed");
    app.finish().await;
}
