//! Cancellations: only what the lab says of them moves the order, and what it takes back is taken back here.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{a_minute_for_a_word, enhanced, history_is, placed, plain, scene};
use crate::{
    app::{Actor, Answer, Engine, TestApp, flows},
    ordering::{becomes, kinds, status},
    scripted_lab::{Received, ScriptedLab},
};

flows!(
    a_refusal_leaves_the_order_where_it_was,
    a_commit_answer_alone_is_no_consent_yet,
    a_commit_answer_counts_when_nothing_else_comes,
    consent_is_taken_back,
    an_order_reply_takes_consent_back,
    an_order_message_takes_consent_back,
    an_order_message_refuses_what_was_heard,
);

async fn cancel(actor: &Actor, id: &Value) -> Answer {
    actor.post(&format!("/api/lab-orders/{id}/cancel"), json!({})).await
}

/// An order that the lab has acknowledged, and its cancellation at the lab, unanswered.
async fn asked(actor: &Actor, patient: i64, lab: &mut ScriptedLab) -> (Value, Received) {
    let (id, taken) = placed(actor, patient, lab).await;
    taken.say_of_order("AA", "OK");
    becomes(actor, &id, "acknowledged").await;
    let (answer, asked) = tokio::join!(cancel(actor, &id), lab.next());
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
    assert!(asked.text.contains("ORC|CA|"), "{}", asked.text);
    assert_eq!(status(actor, &id).await, "acknowledged", "nothing is called off before the lab says so");
    (id, asked)
}

async fn a_refusal_leaves_the_order_where_it_was(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    for (code, control) in [("AA", Some("UC")), ("AA", Some("UA")), ("AE", None), ("AR", Some("UC"))] {
        let (id, asked) = asked(&clinician, jane, &mut lab).await;
        match (code, control) {
            ("AR", Some(_)) => {
                let err = "ERR|||200^x^HL70357|E\r";
                let text = crate::scripted_lab::answer(code, &asked.control_id(), err);
                asked.write(&pms::hl7::frame::wrap(text.as_bytes()));
            }
            (code, Some(control)) => asked.say_of_order(code, control),
            (code, None) => asked.say(code),
        }
        let refused =
            ["created", "delivered", "accepted_by_lab", "cancellation_requested", "cancellation_refused"];
        history_is(&clinician, &id, &refused).await;
        assert_eq!(status(&clinician, &id).await, "acknowledged");
        let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
        assert_eq!(order["tests"][0]["status"], "in_lab");
    }
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say_of_order("AA", "CR");
    becomes(&clinician, &id, "cancelled").await;
    assert_eq!(cancel(&clinician, &id).await.status, StatusCode::CONFLICT);
    app.finish().await;
}

async fn a_commit_answer_alone_is_no_consent_yet(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    for (control, ends) in [("UC", "acknowledged"), ("CR", "cancelled")] {
        let (id, asked) = asked(&clinician, jane, &mut lab).await;
        asked.say("CA");
        let heard =
            ["created", "delivered", "accepted_by_lab", "cancellation_requested", "cancellation_received"];
        history_is(&clinician, &id, &heard).await;
        assert_eq!(status(&clinician, &id).await, "acknowledged");
        assert_eq!(cancel(&clinician, &id).await.status, StatusCode::CONFLICT, "the lab has been asked");
        asked.say_of_order("AA", control);
        crate::app::until("decided", async || (kinds(&clinician, &id).await.len() == 6).then_some(())).await;
        assert_eq!(status(&clinician, &id).await, ends);
    }
    app.finish().await;
}

async fn a_commit_answer_counts_when_nothing_else_comes(engine: Engine) {
    let (app, jane, mut lab, clinician) = a_minute_for_a_word(engine).await;
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say("CA");
    crate::app::until("heard", async || (kinds(&clinician, &id).await.len() == 5).then_some(())).await;
    app.clock.advance(Duration::from_secs(61));
    becomes(&clinician, &id, "cancelled").await;
    // Then it says no after all.
    asked.say_of_order("AA", "UC");
    becomes(&clinician, &id, "acknowledged").await;
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(order["tests"][0]["status"], "in_lab", "{order}");
    app.finish().await;
}

/// A lab that was not asked for more than it said: its commit answer is consent, until its application says otherwise.
async fn consent_is_taken_back(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say("CA");
    becomes(&clinician, &id, "cancelled").await;
    asked.say("AE");
    becomes(&clinician, &id, "acknowledged").await;
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(order["tests"][0]["status"], "in_lab", "{order}");
    assert_eq!(kinds(&clinician, &id).await.last().unwrap(), "cancellation_refused");
    app.finish().await;
}

/// AA at once, and the decision later.
async fn an_order_reply_takes_consent_back(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say("AA");
    becomes(&clinician, &id, "cancelled").await;
    asked.say_of_order("AA", "UC");
    stands_again(&clinician, &id).await;
    app.finish().await;
}

/// The same, but the decision comes as an order message, which names the order and no message of ours.
async fn an_order_message_takes_consent_back(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say("AA");
    becomes(&clinician, &id, "cancelled").await;
    tell(&app, &id, "UC").await;
    stands_again(&clinician, &id).await;
    // It can be asked again, and what was declined once is not declined for ever.
    let (answer, again) = tokio::join!(cancel(&clinician, &id), lab.next());
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    again.say("AA");
    becomes(&clinician, &id, "cancelled").await;
    app.finish().await;
}

async fn an_order_message_refuses_what_was_heard(engine: Engine) {
    let (app, jane, mut lab, clinician) = a_minute_for_a_word(engine).await;
    let (id, asked) = asked(&clinician, jane, &mut lab).await;
    asked.say("CA");
    crate::app::until("heard", async || (kinds(&clinician, &id).await.len() == 5).then_some(())).await;
    tell(&app, &id, "UC").await;
    assert_eq!(kinds(&clinician, &id).await.last().unwrap(), "cancellation_refused");
    // Nothing is awaited any more that could end as consent.
    app.clock.advance(Duration::from_secs(61));
    let (next, taken) = placed(&clinician, jane, &mut lab).await;
    taken.say("CA");
    becomes(&clinician, &next, "sent").await;
    assert_eq!(status(&clinician, &id).await, "acknowledged");
    assert_eq!(kinds(&clinician, &id).await.len(), 6);
    app.finish().await;
}

/// An order message of the lab about the only test of an order.
async fn tell(app: &TestApp, id: &Value, control: &str) {
    let header =
        format!("MSH|^~\\&|LIS|LAB|PMS_LAB|MPS_PMS|20260302||ORM^O01^ORM_O01|{control}{id}|P|2.5.1\r");
    let answer = app.lab().await.exchange(&format!("{header}ORC|{control}|{id}-1|L{id}-1\r")).await;
    // CA of an endpoint in enhanced mode, whose messages are answered in the same way.
    assert!(matches!(crate::lab::code(&answer).as_str(), "AA" | "CA"));
}

async fn stands_again(clinician: &Actor, id: &Value) {
    becomes(clinician, id, "acknowledged").await;
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(order["tests"][0]["status"], "in_lab", "{order}");
    assert_eq!(kinds(clinician, id).await.last().unwrap(), "cancellation_refused");
}
