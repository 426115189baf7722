//! Words of a lab's application that do not come in the usual turn: after a bare AA, before the commit answer, or from a sender
//! that no endpoint names by its address.

use pms::{domain::access::Role, hl7::frame::wrap};
use serde_json::{Value, json};

use super::{enhanced, history_is, placed, plain, scene};
use crate::{
    app::{Engine, flows},
    lab::{code, obr, obx, oru},
    ordering::{becomes, kinds, status},
};

flows!(
    an_order_reply_after_a_bare_answer,
    a_refusal_after_a_bare_answer,
    a_word_before_the_commit_answer,
    a_refusal_before_the_commit_answer,
    a_word_from_this_machine,
    a_result_before_the_answer,
);

/// A lab that acknowledges at once, and decides on the tests later.
async fn an_order_reply_after_a_bare_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    taken.say("AA");
    becomes(&clinician, &id, "sent").await;
    taken.say_of_order("AA", "OK");
    becomes(&clinician, &id, "acknowledged").await;
    let decided = ["created", "delivered", "accepted_by_application", "accepted_by_lab"];
    assert_eq!(kinds(&clinician, &id).await, decided);
    // It has decided: a second reply is none, and neither is a bare refusal.
    taken.say_of_order("AA", "UA");
    taken.say("AE");
    let (next, last) = placed(&clinician, jane, &mut lab).await;
    last.say("AA");
    becomes(&clinician, &next, "sent").await;
    assert_eq!(
        (status(&clinician, &id).await, kinds(&clinician, &id).await.len()),
        ("acknowledged".into(), 4)
    );
    // Without a word on a test it has not decided anything.
    last.say("AE");
    let (third, taken) = placed(&clinician, jane, &mut lab).await;
    taken.say("AA");
    becomes(&clinician, &third, "sent").await;
    assert_eq!(status(&clinician, &next).await, "sent");
    app.finish().await;
}

async fn a_refusal_after_a_bare_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    for code in ["AA", "AE"] {
        let (id, taken) = placed(&clinician, jane, &mut lab).await;
        taken.say("AA");
        becomes(&clinician, &id, "sent").await;
        taken.say_of_order(code, "UA");
        becomes(&clinician, &id, "rejected").await;
    }
    app.finish().await;
}

/// The application is faster than its system, on a line of its own. Its word is not lost, and the message is not sent again.
async fn a_word_before_the_commit_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    let mut caller = app.lab().await;
    caller.write(&wrap(taken.order_reply("AA", "OK").as_bytes())).await;
    becomes(&clinician, &id, "acknowledged").await;
    taken.say("CA");
    let (next, last) = placed(&clinician, jane, &mut lab).await;
    last.say("CA");
    becomes(&clinician, &next, "sent").await;
    assert_eq!(lab.seen().len(), 2, "each once");
    let history = kinds(&clinician, &id).await;
    assert_eq!(history, ["created", "delivered", "accepted_by_lab", "late_outcome"]);
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert_eq!(order["timeline"][3]["detail"], "answered CA; the message had been settled");
    app.finish().await;
}

async fn a_refusal_before_the_commit_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, enhanced()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    let mut caller = app.lab().await;
    caller.write(&wrap(taken.order_reply("AE", "UA").as_bytes())).await;
    becomes(&clinician, &id, "rejected").await;
    taken.say("CA");
    crate::app::until("noted", async || (kinds(&clinician, &id).await.len() == 3).then_some(())).await;
    assert_eq!(status(&clinician, &id).await, "rejected");
    let letters = app.sign_in(Role::InterfaceEngineer).await.read("/api/dead-letters").await;
    assert_eq!((letters.as_array().unwrap().len(), &letters[0]["lab_order_id"]), (1, &id));
    app.finish().await;
}

/// The endpoint says nothing of addresses, so the sender is known by its names and by what it answers only.
async fn a_word_from_this_machine(engine: Engine) {
    let settings: Value = json!({ "ack_mode": "enhanced", "direction": "both" });
    let (app, jane, mut lab, clinician) = scene(engine, settings).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    taken.say("CA");
    becomes(&clinician, &id, "sent").await;
    let mut caller = app.lab().await;
    let stranger = taken.order_reply("AA", "UA").replace("|LIS|LAB|", "|OTHER|LAB|");
    assert_eq!(code(&caller.exchange(&stranger).await), "AR");
    let of_nothing = taken.order_reply("AA", "UA").replace(&taken.control_id(), "NOBODY");
    assert_eq!(code(&caller.exchange(&of_nothing).await), "AR");
    assert_eq!(status(&clinician, &id).await, "sent");
    caller.write(&wrap(taken.order_reply("AA", "OK").as_bytes())).await;
    becomes(&clinician, &id, "acknowledged").await;
    app.finish().await;
}

/// An analyzer that is faster than its system's answer. When the order was received is kept all the same.
async fn a_result_before_the_answer(engine: Engine) {
    let (app, jane, mut lab, clinician) = scene(engine, plain()).await;
    let (id, taken) = placed(&clinician, jane, &mut lab).await;
    let time = "20260302080600";
    let report = [obr(&taken.placer(), "L1", "CBC", time, "F"), obx(1, "K", "4", "mmol/L", "N", "F")];
    let report: Vec<&str> = report.iter().map(String::as_str).collect();
    app.lab().await.deliver(&oru("R1", time, &report)).await;
    becomes(&clinician, &id, "resulted").await;
    taken.say("AA");
    history_is(&clinician, &id, &["created", "results", "delivered"]).await;
    let order = clinician.read(&format!("/api/lab-orders/{id}")).await;
    assert!(order["status"] == "resulted" && order["sent_at"].is_string(), "{order}");
    app.finish().await;
}
