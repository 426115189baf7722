//! One process at a time sends to a lab. What another one is at is left to it; when it is gone for good it is taken over, and
//! when it comes back after that it has no say.

use std::time::Duration;

use pms::store::{
    db,
    entity::{delivery_attempt, lis_endpoint, outbox},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, QueryOrder};
use serde_json::{Value, json};

use crate::{
    app::{Engine, Killable, TestApp, flows, until},
    lab::{FakeLis, Manner},
    ordering::{becomes, endpoint, kinds, order, status},
    scripted_lab::ScriptedLab,
};

flows!(
    what_another_process_has_is_left_to_it,
    who_has_lost_the_lease_has_no_say,
    a_killed_process_is_taken_over,
);

const QUICK: (&str, &str) = ("ORDER_SEND_WAIT_MS", "20");
/// A lease lasts the ACK time-out and five seconds.
const LEASE: Duration = Duration::from_secs(35);

/// Gives the lease of an endpoint to some other process, or to nobody.
async fn lend(app: &TestApp, endpoint: i64, owner: Option<&str>) {
    let tx = db::write(&app.ctx().db, "test").await.unwrap();
    let until = app.ctx().clock.now() + LEASE;
    let change = lis_endpoint::ActiveModel {
        id: Set(endpoint),
        lease_owner: Set(owner.map(str::to_owned)),
        lease_until: Set(owner.map(|_| until)),
        ..Default::default()
    };
    change.update(&*tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn outcomes(app: &TestApp) -> Vec<String> {
    let rows = delivery_attempt::Entity::find().order_by_asc(delivery_attempt::Column::Id);
    rows.all(app.ctx().db.reader()).await.unwrap().into_iter().map(|row| row.outcome).collect()
}

async fn what_another_process_has_is_left_to_it(engine: Engine) {
    let app = TestApp::start_with(engine, &[QUICK]).await;
    let jane = app.jane().await;
    let (taken, free) =
        (FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await);
    let (at_taken, at_free) = (endpoint(&app, taken.port).await, endpoint(&app, free.port).await);
    lend(&app, at_taken, Some("another")).await;
    let clinician = app.clinician().await;
    let place = async |lab: i64| {
        let body = json!({
            "patient_id": jane, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith", "lis_endpoint_id": lab
        });
        clinician.post("/api/lab-orders", body).await.body["id"].clone()
    };
    let (waits, goes) = (place(at_taken).await, place(at_free).await);
    becomes(&clinician, &goes, "sent").await;
    app.clock.advance(LEASE);
    // To the very end of it.
    becomes(&clinician, &place(at_free).await, "sent").await;
    assert_eq!((status(&clinician, &waits).await, taken.received().len()), ("pending".to_owned(), 0));
    app.clock.advance(Duration::from_secs(1));
    becomes(&clinician, &waits, "sent").await;
    assert_eq!(taken.received().len(), 1);
    app.finish().await;
}

/// It was frozen while it waited for the answer; another one has sent the message since.
async fn who_has_lost_the_lease_has_no_say(engine: Engine) {
    let app = TestApp::start_with(engine, &[QUICK]).await;
    let jane = app.jane().await;
    let mut lab = ScriptedLab::start().await;
    let id = endpoint(&app, lab.port).await;
    let clinician = app.clinician().await;
    let (placed, first) = tokio::join!(order(&clinician, jane, &["CBC"]), lab.next());
    let placed = placed.body["id"].clone();
    lend(&app, id, Some("another")).await;
    // A refusal would make it a dead letter at once.
    first.say("AE");
    until("noted", async || (outcomes(&app).await == ["late"]).then_some(())).await;
    let row = outbox::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.attempts, row.last_code), ("queued", 1, None));
    assert_eq!(kinds(&clinician, &placed).await, ["created", "late_outcome"]);
    let detail = clinician.read(&format!("/api/lab-orders/{placed}")).await;
    assert_eq!((&detail["status"], &detail["timeline"][1]["to_status"]), (&json!("pending"), &Value::Null));
    assert_eq!(detail["timeline"][1]["detail"], "answered AE; another process had taken over");
    lend(&app, id, None).await;
    let again = lab.next().await;
    assert_eq!((&again.text, again.connection), (&first.text, 1), "the same bytes on a new connection");
    again.say("AA");
    becomes(&clinician, &placed, "sent").await;
    app.finish().await;
}

/// Killed between the message and its answer. On PostgreSQL its lease has to run out first, since it might be alive; the one
/// process that SQLite allows knows at its start that the others are gone.
async fn a_killed_process_is_taken_over(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[QUICK]).await;
    let jane = app.jane().await;
    let mut lab = ScriptedLab::start().await;
    endpoint(&app, lab.port).await;
    let clinician = app.clinician().await;
    app.pause().await;
    let victim = Killable::start(&app).await;
    let there = clinician.at(&victim.base());
    let (placed, first) = tokio::join!(order(&there, jane, &["CBC"]), lab.next());
    let (placed, behind) =
        (placed.body["id"].clone(), order(&there, jane, &["BMP"]).await.body["id"].clone());
    victim.kill();
    // The answer finds nobody.
    first.say("AA");
    app.boot().await;
    let here = app.clinician().await;
    if engine == Engine::Postgres {
        let other = FakeLis::start(&[Manner::Ack("AA")]).await;
        let elsewhere = endpoint(&app, other.port).await;
        let body = json!({"patient_id": jane, "test_codes": ["K"], "ordering_provider": "Dr. Smith",
            "lis_endpoint_id": elsewhere});
        becomes(&here, &here.post("/api/lab-orders", body).await.body["id"], "sent").await;
        assert_eq!((status(&here, &placed).await, lab.seen().len()), ("pending".to_owned(), 1));
        app.clock.advance(LEASE + Duration::from_secs(1));
    }
    let again = lab.next().await;
    assert_eq!(again.text, first.text, "the same bytes and control id: the lab can tell");
    again.say("AA");
    let next = lab.next().await;
    assert!(next.text.contains("BMP"), "in the order they were placed");
    next.say("AA");
    becomes(&here, &placed, "sent").await;
    becomes(&here, &behind, "sent").await;
    assert_eq!(lab.seen().len(), 3);
    app.finish().await;
}

/// Two processes, both alive, on one PostgreSQL.
mod together {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_order_goes_out_once_and_in_order() {
        let app = TestApp::start_with(Engine::Postgres, &[("ORDER_SEND_WAIT_MS", "0")]).await;
        let jane = app.jane().await;
        let second = app.second().await;
        let labs = [FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await];
        let ids = [endpoint(&app, labs[0].port).await, endpoint(&app, labs[1].port).await];
        let here = app.clinician().await;
        let there = here.at(&format!("http://{}", second.http));
        let mut placed = [Vec::new(), Vec::new()];
        for n in 0..24 {
            let (actor, lab) = (if n % 3 == 0 { &there } else { &here }, n % 2);
            let body = json!({"patient_id": jane, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith",
                "lis_endpoint_id": ids[lab]});
            placed[lab].push(actor.post("/api/lab-orders", body).await.body["id"].clone());
        }
        for id in placed.iter().flatten() {
            becomes(&here, id, "sent").await;
        }
        let number = |text: &String| {
            text.split("ORC|NW|").nth(1).unwrap().split('-').next().unwrap().parse::<Value>().unwrap()
        };
        for (lab, placed) in labs.iter().zip(placed) {
            let seen: Vec<Value> = lab.received().iter().map(number).collect();
            assert_eq!(seen, placed, "each once, in the order they were placed");
        }
        assert!(outcomes(&app).await.iter().all(|outcome| outcome == "accepted"));
        second.stop().await.unwrap();
        app.finish().await;
    }

    /// Frozen past its lease: the other one takes over and is answered; what the first one hears after that is a note.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_frozen_process_overwrites_nothing() {
        let app = TestApp::start_with(Engine::Postgres, &[QUICK]).await;
        let jane = app.jane().await;
        let second = app.second().await;
        let mut lab = ScriptedLab::start().await;
        endpoint(&app, lab.port).await;
        let clinician = app.clinician().await;
        let (placed, first) = tokio::join!(order(&clinician, jane, &["CBC"]), lab.next());
        let placed = placed.body["id"].clone();
        app.clock.advance(LEASE + Duration::from_secs(1));
        let again = lab.next().await;
        assert_eq!((&again.text, again.connection), (&first.text, 1));
        again.say_of_order("AA", "OK");
        becomes(&clinician, &placed, "acknowledged").await;
        first.say("AE");
        until("noted", async || (outcomes(&app).await == ["accepted", "late"]).then_some(())).await;
        assert_eq!(status(&clinician, &placed).await, "acknowledged");
        let row = outbox::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.last_code.as_deref(), row.attempts), ("sent", Some("AA"), 2));
        assert_eq!(kinds(&clinician, &placed).await.last().unwrap(), "late_outcome");
        second.stop().await.unwrap();
        app.finish().await;
    }
}
