//! What labs answer, in all their ways: a commit answer and a later word of the application, on the same connection or
//! another, for what is in flight or long gone; each finds the message that it names and no other.

use std::time::Duration;

use pms::{
    domain::access::Role,
    hl7::frame::wrap,
    store::entity::{delivery_attempt, hl7_message},
};
use reqwest::StatusCode;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Engine, TestApp, flows, until},
    ordering::{becomes, endpoint, endpoint_with, kinds, order, status},
    scripted_lab::{Received, ScriptedLab, answer},
};

mod cancelling;
mod deciding_later;
mod lab_changes;

flows!(
    a_commit_answer_and_a_later_word,
    both_in_one_read,
    a_word_on_the_message_before,
    a_late_refusal_is_a_dead_letter,
    a_word_by_a_message_of_its_own,
    a_word_that_never_comes,
    a_word_after_a_restart,
    refusals_of_the_system,
    answers_that_are_nobodys,
    an_answer_before_the_end,
    a_commit_byte_is_no_answer,
);

/// A lab in enhanced mode, which may send too.
fn enhanced() -> Value {
    json!({ "ack_mode": "enhanced", "direction": "both", "allowed_networks": ["127.0.0.0/8"] })
}

/// A lab that is asked for one answer.
fn plain() -> Value {
    json!({})
}

/// A service with a patient, a lab set up so, and a clinician.
async fn scene(engine: Engine, lab_settings: Value) -> (TestApp, i64, ScriptedLab, Actor) {
    scene_with(engine, lab_settings, &[QUICK]).await
}

/// The same where the application's word is waited for a minute.
async fn a_minute_for_a_word(engine: Engine) -> (TestApp, i64, ScriptedLab, Actor) {
    scene_with(engine, enhanced(), &[QUICK, ("APPLICATION_ACK_TIMEOUT_SECONDS", "60")]).await
}

async fn scene_with(
    engine: Engine,
    lab_settings: Value,
    settings: &[(&str, &str)],
) -> (TestApp, i64, ScriptedLab, Actor) {
    let app = TestApp::start_with(engine, settings).await;
    let (jane, lab) = (app.jane().await, ScriptedLab::start().await);
    endpoint_with(&app, lab.port, lab_settings).await;
    let clinician = app.clinician().await;
    (app, jane, lab, clinician)
}

/// Places an order and takes it at the lab, which has not answered yet. Answers the order's id.
async fn placed(actor: &Actor, patient: i64, lab: &mut ScriptedLab) -> (Value, Received) {
    let (placed, received) = tokio::join!(order(actor, patient, &["CBC"]), lab.next());
    assert_eq!(placed.status, StatusCode::CREATED, "{:?}", placed.body);
    (placed.body["id"].clone(), received)
}

async fn history_is(actor: &Actor, id: &Value, wanted: &[&str]) {
    until(&format!("{wanted:?}"), async || (kinds(actor, id).await == wanted).then_some(())).await;
}

/// The same of an order whose receipt the lab's system has confirmed.
async fn committed(actor: &Actor, patient: i64, lab: &mut ScriptedLab) -> (Value, Received) {
    let (id, taken) = placed(actor, patient, lab).await;
    taken.say("CA");
    becomes(actor, &id, "sent").await;
    (id, taken)
}

const QUICK: (&str, &str) = ("ORDER_SEND_WAIT_MS", "20");

async fn a_commit_answer_and_a_later_word(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let (id, first) = placed(&clinician, jane, &mut lab).await;
    assert!(first.text.split('\r').next().unwrap().contains("|P|2.5.1|||AL|AL|"), "{}", first.text);
    first.say("CA");
    becomes(&clinician, &id, "sent").await;
    // The next order does not wait for what the application thinks of this one.
    let (second, taken) = committed(&clinician, jane, &mut lab).await;
    taken.say_of_order("AA", "OK");
    becomes(&clinician, &second, "acknowledged").await;
    assert_eq!(status(&clinician, &id).await, "sent");
    first.say_of_order("AA", "OK");
    becomes(&clinician, &id, "acknowledged").await;
    assert_eq!(taken.connection, first.connection, "one connection for all of it");
    assert_eq!(
        kinds(&clinician, &id).await,
        ["created", "delivered", "accepted_by_application", "accepted_by_lab"]
    );
    let detail = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(detail["timeline"][1]["detail"], "answered CA");
    assert_eq!(detail["timeline"][2]["detail"], "answered AA");
    // A second word, and a second commit answer, change nothing.
    first.say_of_order("AA", "UA");
    first.say("CA");
    let (third, last) = placed(&clinician, jane, &mut lab).await;
    last.say("AA");
    becomes(&clinician, &third, "sent").await;
    assert_eq!(status(&clinician, &id).await, "acknowledged");
    assert_eq!(lab.seen().len(), 3, "nothing was sent twice");
    app.finish().await;
}

async fn both_in_one_read(engine: Engine) {
    // Not asked for: some labs say both all the same.
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    let commit = wrap(answer("CA", &taken.control_id(), "").as_bytes());
    taken.write(&[commit, wrap(taken.order_reply("AA", "OK").as_bytes())].concat());
    becomes(&clinician, &id, "acknowledged").await;
    assert_eq!(app.count::<delivery_attempt::Entity>().await, 1);
    app.finish().await;
}

/// Crossed: while the second order is in flight the word on the first comes, and both are in one read.
async fn a_word_on_the_message_before(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let (first, one) = committed(&clinician, jane, &mut lab).await;
    let (second, two) = placed(&clinician, jane, &mut lab).await;
    let word = wrap(one.order_reply("AA", "UA").as_bytes());
    two.write(&[word, wrap(answer("CA", &two.control_id(), "").as_bytes())].concat());
    becomes(&clinician, &second, "sent").await;
    becomes(&clinician, &first, "rejected").await;
    assert_eq!(lab.seen().len(), 2, "each once");
    app.finish().await;
}

async fn a_late_refusal_is_a_dead_letter(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    for (code, error, category) in [
        ("AE", "103", "content_refused"),
        ("AR", "207", "application_rejected"),
        ("AR", "203", "not_supported"),
    ] {
        let (id, taken) = committed(&clinician, jane, &mut lab).await;
        let err = format!("ERR|||{error}^Doe is unknown^HL70357|E|||Doe\r");
        taken.write(&wrap(answer(code, &taken.control_id(), &err).as_bytes()));
        becomes(&clinician, &id, "rejected").await;
        let engineer = app.sign_in(Role::InterfaceEngineer).await;
        let letter = engineer.read("/api/dead-letters?limit=1").await[0].clone();
        assert_eq!(
            (&letter["category"], &letter["code"], &letter["lab_order_id"]),
            (&json!(category), &json!(error), &id)
        );
        assert!(!letter.to_string().contains("Doe"), "{letter}");
    }
    app.finish().await;
}

/// The application of the lab calls us instead of answering on our line.
async fn a_word_by_a_message_of_its_own(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let (id, taken) = committed(&clinician, jane, &mut lab).await;
    let mut caller = app.lab().await;
    // Somebody else's word on it is none: a message of a type that is not taken.
    let stranger = taken.order_reply("AA", "UA").replace("|LIS|LAB|", "|OTHER|LAB|");
    assert_eq!(crate::lab::code(&caller.exchange(&stranger).await), "AR");
    caller.write(&wrap(taken.order_reply("AA", "OK").as_bytes())).await;
    becomes(&clinician, &id, "acknowledged").await;
    // An acknowledgment is never answered: the next answer is to the next message.
    let answered = caller.exchange("MSH|^~\\&|LIS|LAB|PMS|M|20260302||ZZZ^Z01|Z1|P|2.5.1\r").await;
    assert_eq!(crate::lab::answered(&answered), "Z1");
    let stored = hl7_message::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let word = stored.iter().rfind(|row| row.message_type == "ORR").unwrap();
    assert_eq!((word.status.as_str(), json!(word.lab_order_id), word.patient_id), ("logged", id, Some(jane)));
    app.finish().await;
}

async fn a_word_that_never_comes(engine: Engine) {
    let (app, jane, mut lab, clinician) = a_minute_for_a_word(engine).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    taken.say("CA");
    history_is(&clinician, &id, &["created", "delivered"]).await;
    app.clock.advance(Duration::from_secs(61));
    history_is(&clinician, &id, &["created", "delivered", "application_ack_missing"]).await;
    assert_eq!(status(&clinician, &id).await, "sent", "its system has it");
    // Better late than never.
    taken.say_of_order("AA", "OK");
    becomes(&clinician, &id, "acknowledged").await;
    app.finish().await;
}

/// The service has been away between the two answers: the word comes on the next connection.
async fn a_word_after_a_restart(engine: Engine) {
    let mut app = TestApp::start_with(engine, &[QUICK]).await;
    let jane = app.jane().await;
    let mut lab = ScriptedLab::start().await;
    endpoint_with(&app, lab.port, enhanced()).await;
    let clinician = app.clinician().await;
    let (first, one) = committed(&clinician, jane, &mut lab).await;
    app.restart().await;
    let clinician = app.clinician().await;
    let (second, two) = placed(&clinician, jane, &mut lab).await;
    assert_ne!(two.connection, one.connection);
    two.say("CA");
    two.write(&wrap(one.order_reply("AA", "OK").as_bytes()));
    becomes(&clinician, &first, "acknowledged").await;
    becomes(&clinician, &second, "sent").await;
    app.finish().await;
}

/// CE: the content, at once. CR: to be tried again, unless the code says that it is pointless.
async fn refusals_of_the_system(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let refuse = |taken: &Received, code: &str, error: &str| {
        let err = format!("ERR|||{error}^x^HL70357|E\r");
        taken.write(&wrap(answer(code, &taken.control_id(), &err).as_bytes()));
    };
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    refuse(&taken, "CE", "101");
    becomes(&clinician, &id, "rejected").await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    refuse(&taken, "CR", "200");
    becomes(&clinician, &id, "rejected").await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    refuse(&taken, "CR", "207");
    history_is(&clinician, &id, &["created", "delivery_tried"]).await;
    app.clock.advance(Duration::from_secs(6));
    let again = lab.next().await;
    assert_eq!(again.text, taken.text);
    again.say("CA");
    becomes(&clinician, &id, "sent").await;
    let detail = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(detail["timeline"][1]["detail"], "answered CR, error 207");
    app.finish().await;
}

/// Two answers to others, one after another, then the same bytes again and a good answer.
async fn answers_that_are_nobodys(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (first, one) = placed(&clinician, jane, &mut lab).await;
    one.say("AA");
    becomes(&clinician, &first, "sent").await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    // The second answer to the order before, glued to one for somebody else.
    let nobodys = [answer("AA", &one.control_id(), ""), answer("AA", "NOBODY", "")];
    taken.write(&nobodys.map(|text| wrap(text.as_bytes())).concat());
    history_is(&clinician, &id, &["created", "delivery_tried"]).await;
    let mut seconds = 0;
    for garbage in
        [&b"\x0bnot a message\x1c\r"[..], b"\x0bMSH|^~\\&|LIS\rMSA|AA\r\x1c\r", b"noise without a frame"]
    {
        seconds += 60;
        app.clock.advance(Duration::from_mins(1));
        let again = lab.next().await;
        assert_eq!(again.text, taken.text, "after {seconds} s");
        if garbage.starts_with(b"noise") {
            // Noise between frames is no answer, and does not keep the good one from being read.
            again.write(garbage);
            again.say("AA");
        } else {
            again.write(garbage);
            let tries = 1 + seconds as usize / 60;
            until("tried", async || {
                let tried =
                    kinds(&clinician, &id).await.iter().filter(|kind| *kind == "delivery_tried").count();
                (tried == tries).then_some(())
            })
            .await;
        }
    }
    becomes(&clinician, &id, "sent").await;
    app.finish().await;
}

/// A lab that answers from the header, before it has seen the end.
async fn an_answer_before_the_end(engine: Engine) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let app = TestApp::start_with(engine, &[QUICK]).await;
    let jane = app.jane().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    endpoint(&app, listener.local_addr().unwrap().port()).await;
    let clinician = app.clinician().await;
    let lab = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while head.split(|byte| *byte == b'|').count() < 12 {
            head.push(stream.read_u8().await.unwrap());
        }
        let text = String::from_utf8(head).unwrap();
        let id = text.split('|').nth(9).unwrap().to_owned();
        stream.write_all(&wrap(answer("AA", &id, "").as_bytes())).await.unwrap();
        stream
    };
    let (placed, mut stream) = tokio::join!(order(&clinician, jane, &["CBC"]), lab);
    becomes(&clinician, &placed.body["id"], "sent").await;
    let mut rest = vec![0; 4096];
    let count = stream.read(&mut rest).await.unwrap();
    assert!(rest[..count].ends_with(b"\x1c\r"), "the whole message went out, once");
    app.finish().await;
}

/// MLLP release 2: the block was stored. What became of the order is said afterwards.
async fn a_commit_byte_is_no_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    taken.write(&wrap(&[0x06]));
    taken.say("AA");
    becomes(&clinician, &id, "sent").await;
    assert!(lab.now().is_none(), "it went out once");
    app.finish().await;
}
