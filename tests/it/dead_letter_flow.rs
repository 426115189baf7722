//! What was given up is found, tried again or put aside; nothing leaves the list without a decision.

use std::time::Duration;

use pms::{
    domain::access::Role,
    store::entity::{access_log, delivery_attempt, outbox},
};
use reqwest::StatusCode;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use crate::{
    app::{Engine, TestApp, flows, until},
    lab::{FakeLis, Manner},
    ordering::{becomes, endpoint, kinds, order, set_paused, status},
};

flows!(
    a_dead_letter_says_why_and_is_tried_again,
    a_dead_letter_is_put_aside_with_a_reason,
    of_ten_who_decide_at_once_one_does,
    the_list_is_paged_and_closed_to_most,
    pauses_are_as_configured,
    a_letter_of_a_cancelled_order_is_not_sent,
);

async fn letters(app: &TestApp) -> Vec<Value> {
    let manager = app.sign_in(Role::LabManager).await;
    manager.read("/api/dead-letters").await.as_array().unwrap().clone()
}

async fn a_dead_letter_says_why_and_is_tried_again(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Nak("AE", "101"), Manner::Ack("AA")]).await;
    let lab = endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    assert_eq!(placed["status"], "rejected");

    let found = letters(&app).await;
    assert_eq!(found.len(), 1);
    let letter = &found[0];
    assert_eq!(
        (&letter["lab_order_id"], &letter["hl7_message_id"]),
        (&placed["id"], &placed["hl7_message_id"])
    );
    assert_eq!((&letter["lis_endpoint_id"], &letter["kind"]), (&json!(lab), &json!("new_order")));
    assert_eq!(
        (&letter["code"], &letter["ack_status"], &letter["attempts"]),
        (&json!("101"), &json!("AE"), &json!(1))
    );
    assert_eq!(letter["reason"], "the laboratory refused the content: answered AE, error 101");
    assert_eq!(letter["category"], "content_refused");
    assert!(!letter["given_up_at"].is_null() && !letter["created_at"].is_null());
    let text = letter.to_string();
    assert!(!text.contains("Doe") && !text.contains("12345"), "no patient in it: {text}");

    let manager = app.sign_in(Role::LabManager).await;
    let path = format!("/api/dead-letters/{}", letter["id"]);
    let detail = manager.read(&path).await;
    assert_eq!(
        (&detail["order_status"], &detail["tries"][0]["outcome"]),
        (&json!("rejected"), &json!("refused"))
    );
    assert_eq!(detail["tries"][0]["code"], "AE");

    let retried = manager.post(&format!("{path}/retry"), json!({})).await;
    assert_eq!((retried.status, &retried.body["status"]), (StatusCode::ACCEPTED, &json!("queued")));
    becomes(&clinician, &placed["id"], "sent").await;
    let sent = lis.received();
    assert_eq!((sent.len(), &sent[0]), (2, &sent[1]), "the same bytes");
    assert!(letters(&app).await.is_empty());
    assert_eq!(manager.post(&format!("{path}/retry"), json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(manager.get(&path).await.status, StatusCode::NOT_FOUND);
    let history = kinds(&clinician, &placed["id"]).await;
    assert_eq!(history, ["created", "refused_by_lab", "queued_again", "delivered"]);
    let logged = access_log::Entity::find()
        .filter(access_log::Column::Action.eq("handle_dead_letter"))
        .filter(access_log::Column::PatientId.eq(jane))
        .filter(access_log::Column::Outcome.eq("ok"))
        .count(app.ctx().db.reader())
        .await
        .unwrap();
    assert_eq!(logged, 1);
    app.finish().await;
}

async fn a_dead_letter_is_put_aside_with_a_reason(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50"), ("RETRY_MAX_ATTEMPTS", "0")]).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Close, Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    becomes(&clinician, &placed["id"], "failed").await;
    let letter = letters(&app).await.remove(0);
    assert_eq!((&letter["category"], &letter["code"]), (&json!("retries_exhausted"), &Value::Null));
    let path = format!("/api/dead-letters/{}/discard", letter["id"]);
    let manager = app.sign_in(Role::LabManager).await;
    for nothing in [json!({}), json!({"reason": ""}), json!({"reason": "  "})] {
        let refused = manager.post(&path, nothing).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", refused.body);
    }
    let reason = json!({"reason": "ordered by telephone"});
    let discarded = manager.post(&path, reason.clone()).await;
    assert_eq!((discarded.status, &discarded.body["status"]), (StatusCode::OK, &json!("discarded")));
    assert_eq!(discarded.body["discarded_by"], "lab_manager");
    assert!(letters(&app).await.is_empty());
    let detail = clinician.read(&format!("/api/lab-orders/{}", placed["id"])).await;
    assert_eq!(detail["status"], "failed", "it was not delivered, and says so");
    let last = detail["timeline"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["kind"], &last["actor"]), (&json!("discarded"), &json!("lab_manager")));
    assert_eq!(last["detail"], "ordered by telephone");
    assert_eq!(manager.post(&path, reason).await.status, StatusCode::CONFLICT);
    // Who wants the order sent after all has decided anew.
    let again = clinician.post(&format!("/api/lab-orders/{}/resend", placed["id"]), json!({})).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{:?}", again.body);
    becomes(&clinician, &placed["id"], "sent").await;
    app.finish().await;
}

async fn of_ten_who_decide_at_once_one_does(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Nak("AE", "101"), Manner::Ack("AA")]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    let letter = letters(&app).await.remove(0)["id"].clone();
    let manager = app.sign_in(Role::LabManager).await;
    let tries = (0..10).map(|n| {
        let (manager, letter) = (manager.clone(), letter.clone());
        async move {
            let verb = if n % 2 == 0 { "retry" } else { "discard" };
            let path = format!("/api/dead-letters/{letter}/{verb}");
            manager.post(&path, json!({"reason": "not wanted any more"})).await.status
        }
    });
    let answers = futures::future::join_all(tries).await;
    let refused = answers.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!(refused, 9, "{answers:?}");
    // Whichever it was: sent once more or not at all.
    until("decided", async || {
        let status = status(&clinician, &placed["id"]).await;
        (status == "sent" || status == "rejected").then_some(())
    })
    .await;
    assert!(lis.received().len() <= 2);
    app.finish().await;
}

async fn the_list_is_paged_and_closed_to_most(engine: Engine) {
    let app = TestApp::start(engine).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Nak("AE", "101")]).await;
    let lab = endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    for _ in 0..3 {
        assert_eq!(order(&clinician, jane, &["CBC"]).await.body["status"], "rejected");
    }
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let page = engineer.request(reqwest::Method::GET, "/api/dead-letters?limit=2").send().await.unwrap();
    assert_eq!(page.headers()["x-total-count"], "3");
    let link = page.headers()["link"].to_str().unwrap().to_owned();
    let first: Vec<Value> = page.json().await.unwrap();
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let second = engineer.read(&next).await;
    let ids: Vec<i64> =
        first.iter().chain(second.as_array().unwrap()).map(|letter| letter["id"].as_i64().unwrap()).collect();
    assert!(ids.len() == 3 && ids.is_sorted_by(|a, b| a > b), "newest first: {ids:?}");
    let elsewhere = engineer.read(&format!("/api/dead-letters?lis_endpoint_id={}", lab + 1)).await;
    assert_eq!(elsewhere, json!([]));
    for role in [Role::Clinician, Role::PrivacyOfficer, Role::Admin] {
        let other = app.sign_in(role).await;
        assert_eq!(other.get("/api/dead-letters").await.status, StatusCode::FORBIDDEN, "{role}");
        let retry = other.post(&format!("/api/dead-letters/{}/retry", ids[0]), json!({})).await;
        assert_eq!(retry.status, StatusCode::FORBIDDEN, "{role}");
    }
    assert_eq!(app.stranger().get("/api/dead-letters").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        engineer.post("/api/dead-letters/999999/retry", json!({})).await.status,
        StatusCode::NOT_FOUND
    );
    app.finish().await;
}

/// The list of pauses, its last one repeated to the number of retries, each a tenth shorter or longer.
async fn pauses_are_as_configured(engine: Engine) {
    let settings =
        [("ORDER_SEND_WAIT_MS", "50"), ("RETRY_MAX_ATTEMPTS", "3"), ("RETRY_BACKOFF_SECONDS", "10,100")];
    let app = TestApp::start_with(engine, &settings).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Close]).await;
    endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    for (tried, pause) in [(1, 10.0), (2, 100.0), (3, 100.0)] {
        let attempts = until("a try", async || {
            let rows = delivery_attempt::Entity::find().order_by_asc(delivery_attempt::Column::Id);
            let rows = rows.all(app.ctx().db.reader()).await.unwrap();
            (rows.len() == tried).then_some(rows)
        })
        .await;
        let row = outbox::Entity::find().one(app.ctx().db.reader()).await.unwrap().unwrap();
        let planned = row.next_attempt_at - attempts[tried - 1].at;
        let seconds = planned.as_seconds_f64();
        assert!((pause * 0.9..=pause * 1.1).contains(&seconds), "pause {tried}: {seconds} s");
        assert_eq!(row.status, "queued");
        app.clock.advance(planned.to_std().unwrap());
    }
    becomes(&clinician, &placed["id"], "failed").await;
    app.clock.advance(Duration::from_hours(1));
    assert_eq!(lis.received().len(), 4);
    app.finish().await;
}

async fn a_letter_of_a_cancelled_order_is_not_sent(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "50"), ("RETRY_MAX_ATTEMPTS", "0")]).await;
    let jane = app.jane().await;
    let lis = FakeLis::start(&[Manner::Close, Manner::Ack("AA")]).await;
    let lab = endpoint(&app, lis.port).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, jane, &["CBC"]).await.body;
    becomes(&clinician, &placed["id"], "failed").await;
    let letter = letters(&app).await.remove(0)["id"].clone();
    set_paused(&app, lab, true).await;
    // Nobody knows whether the lab has it, so the lab is asked.
    let path = format!("/api/lab-orders/{}/cancel", placed["id"]);
    assert_eq!(clinician.post(&path, json!({})).await.status, StatusCode::ACCEPTED);
    set_paused(&app, lab, false).await;
    becomes(&clinician, &placed["id"], "cancelled").await;
    let manager = app.sign_in(Role::LabManager).await;
    let retried = manager.post(&format!("/api/dead-letters/{letter}/retry"), json!({})).await;
    assert_eq!(retried.status, StatusCode::CONFLICT, "{:?}", retried.body);
    assert_eq!(lis.received().len(), 2, "the order and its cancellation");
    app.finish().await;
}
