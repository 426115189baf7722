//! Whatever a lab does with an order, nothing is lost and nothing is done twice. A lab that follows a script writes down what it
//! saw and said; in the end that is held against the database:
//!
//! - every order that was placed has arrived, unless it says that it was given up;
//! - every copy of a message is the same, bytes and control id, and is what is stored;
//! - told apart by control id, there is one message for each order, and they came in the order in which they were placed;
//! - an order is `sent` only if the lab said AA or CA of it, and is not, if the lab took it, anything less.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use pms::{
    security::{hex, sha256},
    store::entity::{hl7_message, lab_order, outbox},
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

use crate::{
    app::{Engine, TestApp, flows},
    ordering::endpoint,
    scripted_lab::answer,
};

mod lab;

use lab::{Lab, Step};

flows!(
    every_manner_of_answer,
    a_reset_at_every_byte_of_an_order,
    a_reset_at_every_byte_of_an_answer,
    scripts_by_chance,
);

/// A lab with its endpoint and its orders.
struct Line {
    lab: Lab,
    orders: Vec<i64>,
}

/// Settings under which a try follows the one before after a second of the clock, and no answer is one after a second of ours.
fn settings(retries: &'static str, ack_timeout: &'static str) -> [(&'static str, &'static str); 4] {
    [
        ("ORDER_SEND_WAIT_MS", "0"),
        ("ACK_TIMEOUT_SECONDS", ack_timeout),
        ("RETRY_BACKOFF_SECONDS", "1"),
        ("RETRY_MAX_ATTEMPTS", retries),
    ]
}

/// Places orders for labs that do not listen yet.
async fn lines(app: &TestApp, scripts: Vec<Vec<Step>>, orders: usize) -> Vec<Line> {
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let mut lines = Vec::new();
    for script in scripts {
        let lab = Lab::closed(script).await;
        let endpoint = endpoint(app, lab.port).await;
        let mut placed = Vec::new();
        for _ in 0..orders {
            let body = json!({
                "patient_id": jane, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith",
                "lis_endpoint_id": endpoint,
            });
            let answer = clinician.post("/api/lab-orders", body).await;
            assert_eq!(answer.status, 201, "{:?}", answer.body);
            placed.push(answer.body["id"].as_i64().unwrap());
        }
        lines.push(Line { lab, orders: placed });
    }
    lines
}

/// Opens the labs and moves the clock whenever everybody waits for it, until nothing waits to be sent.
async fn run(app: &TestApp, lines: &mut [Line]) {
    for line in lines.iter_mut() {
        line.lab.open().await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    loop {
        let waiting = outbox::Entity::find().order_by_asc(outbox::Column::Id);
        let mut waiting = waiting.all(app.ctx().db.reader()).await.unwrap();
        waiting.retain(|row| row.status == "queued");
        if waiting.is_empty() {
            return;
        }
        let mut first: HashMap<i64, &outbox::Model> = HashMap::new();
        for row in &waiting {
            first.entry(row.lis_endpoint_id).or_insert(row);
        }
        // A lab that was not there is looked for again by the clock as well; that pause is nobody's row.
        let now = app.ctx().clock.now();
        let waits = |row: &&outbox::Model| row.next_attempt_at > now || row.last_error.is_some();
        if first.values().all(waits) {
            let next = first.values().map(|row| row.next_attempt_at).filter(|at| *at > now).min();
            let step = next.and_then(|next| (next - now).to_std().ok());
            app.clock.advance(step.unwrap_or(Duration::from_millis(500)));
        }
        let left: Vec<_> =
            first.values().map(|row| (row.lis_endpoint_id, row.attempts, &row.last_error)).collect();
        assert!(tokio::time::Instant::now() < deadline, "still waiting: {left:?}");
        // What is waited for is rows, and nothing calls when they change. The pause decides nothing: it leaves the
        // processor to those who write them.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Holds the ledgers against the database.
async fn check(app: &TestApp, lines: &[Line]) {
    let reader = app.ctx().db.reader();
    let messages = hl7_message::Entity::find().all(reader).await.unwrap();
    let orders = lab_order::Entity::find().all(reader).await.unwrap();
    for line in lines {
        let ledger = line.lab.ledger.lock().unwrap();
        let case = format!("script {:?}", line.lab.script);
        let mut first_seen = Vec::new();
        let mut copies: HashMap<&str, &[u8]> = HashMap::new();
        for (id, bytes) in &ledger.seen {
            let first = copies.entry(id).or_insert_with(|| {
                first_seen.push(id.as_str());
                bytes
            });
            assert_eq!(first, bytes, "another message under the same control id; {case}");
        }
        let mut expected = Vec::new();
        for id in &line.orders {
            let order = orders.iter().find(|order| order.id == *id).unwrap();
            let message = messages.iter().find(|row| Some(row.id) == order.hl7_message_id).unwrap();
            let control_id = message.message_control_id.as_str();
            let said = |codes: &[&str], direct: bool| {
                let of_it = ledger.said.iter().filter(|said| said.control_id == control_id);
                of_it.filter(|said| said.direct || !direct).any(|said| codes.contains(&said.code))
            };
            let status = order.status.as_str();
            let case = format!("order {id} is {status}; {case}");
            match copies.get(control_id) {
                Some(bytes) => assert_eq!(hex(&sha256(bytes)), message.message_hash, "{case}"),
                None => assert_eq!(status, "failed", "it never arrived; {case}"),
            }
            match status {
                "sent" | "acknowledged" => assert!(said(&["AA", "CA"], false), "nobody took it; {case}"),
                "rejected" => assert!(said(&["AE", "AR"], true), "nobody refused it; {case}"),
                "failed" => {}
                other => panic!("an order that is settled is not {other}; {case}"),
            }
            if said(&["AA", "CA"], true) {
                assert!(matches!(status, "sent" | "acknowledged"), "the lab took it; {case}");
            }
            expected.extend(copies.contains_key(control_id).then_some(control_id));
        }
        assert_eq!(first_seen, expected, "one message an order, in their order; {case}");
    }
    let distinct: HashSet<&str> = messages.iter().map(|row| row.message_control_id.as_str()).collect();
    assert_eq!(distinct.len(), messages.len(), "control ids never meet");
}

async fn every_manner_of_answer(engine: Engine) {
    use Step::{
        Accept, BeforeAndThis, Close, Commit, CommitThenAccept, Garbage, Late, Never, NotNow, Refuse,
        Silence, Twice, WrongId,
    };
    // Long enough that an answer is never late because the machine is busy: here each try counts.
    let app = TestApp::start_with(engine, &settings("3", "5")).await;
    let scripts = vec![
        vec![Accept, Twice, BeforeAndThis, Commit, CommitThenAccept, Refuse, Never],
        vec![WrongId, Garbage, Close, Accept, NotNow, NotNow, Accept, Twice, WrongId, Accept],
        vec![Accept, Silence, Accept, Late, Accept, Late, Twice, BeforeAndThis],
        vec![NotNow, Close, Garbage, WrongId, Accept],
        vec![Late, Late, Silence, Late, Accept],
    ];
    let mut lines = lines(&app, scripts, 7).await;
    run(&app, &mut lines).await;
    check(&app, &lines).await;
    let statuses = statuses(&app, &lines).await;
    let sent = "sent";
    assert_eq!(statuses[0], [sent, sent, sent, sent, sent, "rejected", "rejected"]);
    assert_eq!(statuses[1], [sent; 7]);
    assert_eq!(statuses[2], [sent; 7]);
    assert_eq!(statuses[3], ["failed", sent, sent, sent, sent, sent, sent], "four tries, and it is given up");
    assert_eq!(
        statuses[4],
        ["failed", sent, sent, sent, sent, sent, sent],
        "a late word is credited to nobody"
    );
    app.finish().await;
}

async fn statuses(app: &TestApp, lines: &[Line]) -> Vec<Vec<String>> {
    let orders = lab_order::Entity::find().all(app.ctx().db.reader()).await.unwrap();
    let status = |id: &i64| orders.iter().find(|order| order.id == *id).unwrap().status.clone();
    lines.iter().map(|line| line.orders.iter().map(status).collect()).collect()
}

/// Scripts that end a try at each of so many bytes, fifty to an order, over several labs at once.
fn at_every_byte(bytes: usize, step: fn(usize) -> Step) -> Vec<Vec<Step>> {
    let mut scripts = vec![Vec::new(); 4];
    let offsets: Vec<usize> = (0..=bytes).collect();
    for (n, part) in offsets.chunks(50).enumerate() {
        let script = &mut scripts[n % 4];
        script.extend(part.iter().map(|offset| step(*offset)));
        script.push(Step::Accept);
    }
    scripts
}

async fn resets(engine: Engine, bytes: usize, step: fn(usize) -> Step) {
    let app = TestApp::start_with(engine, &settings("60", "1")).await;
    let scripts = at_every_byte(bytes, step);
    let most = scripts.iter().map(|script| script.iter().filter(|step| **step == Step::Accept).count()).max();
    let mut lines = lines(&app, scripts, most.unwrap()).await;
    run(&app, &mut lines).await;
    check(&app, &lines).await;
    for (line, statuses) in lines.iter().zip(statuses(&app, &lines).await) {
        assert!(statuses.iter().all(|status| status == "sent"), "{statuses:?}");
        assert!(line.lab.ledger.lock().unwrap().seen.len() >= line.orders.len());
    }
    app.finish().await;
}

async fn a_reset_at_every_byte_of_an_order(engine: Engine) {
    // The frame of an order for one test is shorter than this; beyond its end it is read whole and reset then.
    resets(engine, 440, Step::ResetInOrder).await;
}

async fn a_reset_at_every_byte_of_an_answer(engine: Engine) {
    let frame = answer("AA", "O00000000000000", "").len() + 3;
    resets(engine, frame, Step::ResetInAnswer).await;
}

async fn scripts_by_chance(engine: Engine) {
    let app = TestApp::start_with(engine, &settings("2", "1")).await;
    let step = prop_oneof![
        6 => Just(Step::Accept),
        2 => Just(Step::Commit),
        2 => Just(Step::CommitThenAccept),
        1 => Just(Step::Refuse),
        2 => Just(Step::NotNow),
        1 => Just(Step::Never),
        2 => Just(Step::WrongId),
        2 => Just(Step::Twice),
        2 => Just(Step::BeforeAndThis),
        2 => Just(Step::Garbage),
        1 => Just(Step::Silence),
        1 => Just(Step::Late),
        2 => Just(Step::Close),
        3 => (0_usize..500).prop_map(Step::ResetInOrder),
        3 => (0_usize..120).prop_map(Step::ResetInAnswer),
    ];
    let scripts = proptest::collection::vec(proptest::collection::vec(step, 0..25), 12);
    // The same scripts each time; a failure names its own.
    let scripts = scripts.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let mut lines = lines(&app, scripts, 6).await;
    run(&app, &mut lines).await;
    check(&app, &lines).await;
    app.finish().await;
}
