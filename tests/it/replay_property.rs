//! A log of messages of every kind: sent again in any order it changes no row, and at once it leaves what it leaves
//! message by message.

use pms::{
    hl7::frame::wrap,
    store::entity::{appointment, encounter, lab_order, lab_order_test, patient, patient_identifier},
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use sea_orm::{EntityTrait, QueryOrder};

use crate::{
    all_rows::{all_rows, assert_same},
    app::{Engine, TestApp, flows},
    lab::{code, obr, obx, oru},
};

flows!(a_log_again_changes_no_row, a_mixed_log_at_once_is_its_messages_one_by_one);

const ROUNDS: u32 = 5;

/// One message of a log, by few names and few times, so that messages often meet.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Result { filler: u8, status: &'static str },
    Person { event: &'static str },
    Merge,
    Appointment { event: &'static str },
    Order { control: &'static str },
}

fn kinds() -> impl Strategy<Value = Kind> {
    let of = prop::sample::select::<&'static str>;
    prop_oneof![
        3 => (0..3u8, of(vec!["P", "F", "C", "X", "W"])).prop_map(|(filler, status)| Kind::Result { filler, status }),
        3 => of(vec!["A01", "A02", "A03", "A08", "A11", "A13", "A28", "A31"]).prop_map(|event| Kind::Person { event }),
        1 => Just(Kind::Merge),
        2 => of(vec!["S12", "S13", "S14", "S15"]).prop_map(|event| Kind::Appointment { event }),
        3 => of(vec!["NW", "CA", "XO", "SC", "ZZ"]).prop_map(|control| Kind::Order { control }),
    ]
}

/// Messages with who they are about and a minute that they were sent in; now and then a control id comes twice.
fn logs() -> impl Strategy<Value = Vec<String>> {
    let one = (kinds(), 0..4usize, 0..60u8, 0..12u8);
    prop::collection::vec(one, 6..18).prop_map(|list| {
        let text = |(n, (kind, who, minute, repeat))| {
            let id = if repeat == 0 { "AGAIN".to_owned() } else { format!("M{n}") };
            message(kind, PEOPLE[who], &id, &format!("2026030209{minute:02}00+0000"))
        };
        list.into_iter().enumerate().map(text).collect()
    })
}

/// The last two are one number and two names: somebody is mistaken.
const PEOPLE: [(&str, &str); 4] = [
    ("12345", "Doe^Jane||19900315|F"),
    ("700", "Roe^Ann||19800102|F"),
    ("701", "Poe^Al||19700505|M"),
    ("701", "Moe^Li||19600606|F"),
];

fn message(kind: Kind, (mrn, person): (&str, &str), id: &str, sent: &str) -> String {
    let pid = format!("PID|1||{mrn}^^^MPS_PMS^MR||{person}");
    let head = |kind: &str| format!("MSH|^~\\&|HIS|CLINIC|PMS_LAB|MPS_PMS|{sent}||{kind}|{id}|P|2.5.1\r");
    match kind {
        Kind::Result { filler, status } => {
            let value = if filler == 0 { "6.9" } else { "4.0" };
            let lines = [
                obr("", &format!("{mrn}-{filler}"), "BMP", sent, status),
                obx(1, "K^Potassium", value, "mmol/L", "", status),
            ];
            let text = oru(id, sent, &[&lines[0], &lines[1]]);
            text.replace("12345^^^MPS_PMS^MR", &format!("{mrn}^^^MPS_PMS^MR"))
                .replace("Doe^Jane", person.split('|').next().unwrap_or_default())
        }
        Kind::Person { event } => {
            let visit = format!("PV1|1|I|W1^12^B||||||||||||||||V{mrn}");
            format!("{}EVN|{event}|{sent}\r{pid}\r{visit}\r", head(&format!("ADT^{event}^ADT_A01")))
        }
        Kind::Merge => {
            format!("{}EVN|A40|{sent}\r{pid}\rMRG|700^^^MPS_PMS^MR\r", head("ADT^A40^ADT_A39"))
        }
        Kind::Appointment { event } => {
            let slot = format!("SCH||A{mrn}^SCHED|||||CHK^Check-up|BLOOD^Blood draw|||^^30^{sent}");
            format!("{}{slot}\r{pid}\rRGS|1\r", head(&format!("SIU^{event}^SIU_S12")))
        }
        Kind::Order { control } => {
            let lines = format!("ORC|{control}|P{mrn}||||||||||^Smith\rOBR|1|P{mrn}||TSH^Thyrotropin^L\r");
            format!("{}{pid}\r{lines}", head("ORM^O01^ORM_O01"))
        }
    }
}

/// A new log each time, the same in every run.
fn each_log() -> impl Iterator<Item = Vec<String>> {
    let mut runner = TestRunner::deterministic();
    (0..ROUNDS).map(move |_| logs().new_tree(&mut runner).unwrap().current())
}

async fn send(app: &TestApp, messages: &[String], at_once: bool) -> Vec<Vec<u8>> {
    let mut lab = app.lab().await;
    if at_once {
        let all: Vec<u8> = messages.iter().flat_map(|message| wrap(message.as_bytes())).collect();
        lab.write(&all).await;
    }
    let mut answers = Vec::new();
    for message in messages {
        answers.push(if at_once { lab.answer().await } else { lab.exchange(message).await });
    }
    answers
}

async fn a_log_again_changes_no_row(engine: Engine) {
    for messages in each_log() {
        let app = TestApp::start(engine).await;
        app.jane().await;
        let first = send(&app, &messages, false).await;
        let before = all_rows(&app, engine).await;
        let again = send(&app, &messages, false).await;
        assert!(first == again, "another answer: {messages:#?}");
        let mut backwards = messages.clone();
        backwards.reverse();
        send(&app, &backwards, true).await;
        assert_same(&before, &all_rows(&app, engine).await);
        app.finish().await;
    }
}

/// What is known in the end, without ids and times of ours, and without order: messages of different patients may be
/// committed side by side.
async fn known(app: &TestApp) -> Vec<String> {
    let reader = app.ctx().db.reader();
    let mut lines = Vec::new();
    for row in patient::Entity::find().order_by_asc(patient::Column::Id).all(reader).await.unwrap() {
        lines.push(format!(
            "patient {} {:?} {:?} merged {}",
            row.mrn,
            row.last_name,
            row.date_of_birth,
            row.merged_into_id.is_some()
        ));
    }
    for row in patient_identifier::Entity::find()
        .order_by_asc(patient_identifier::Column::Id)
        .all(reader)
        .await
        .unwrap()
    {
        lines.push(format!("identifier {}", row.value));
    }
    for row in encounter::Entity::find().order_by_asc(encounter::Column::Id).all(reader).await.unwrap() {
        lines.push(format!(
            "visit {:?} {} {:?} {:?}",
            row.visit_number, row.status, row.started_at, row.ended_at
        ));
    }
    for row in appointment::Entity::find().order_by_asc(appointment::Column::Id).all(reader).await.unwrap() {
        lines.push(format!("appointment {} {} {:?}", row.appointment_number, row.status, row.starts_at));
    }
    for row in lab_order::Entity::find().order_by_asc(lab_order::Column::Id).all(reader).await.unwrap() {
        lines.push(format!("an order is {}", row.status));
    }
    for row in
        lab_order_test::Entity::find().order_by_asc(lab_order_test::Column::Id).all(reader).await.unwrap()
    {
        lines.push(format!("test {:?} is {}", row.outside_placer_number, row.status));
    }
    lines.sort_unstable();
    lines
}

async fn a_mixed_log_at_once_is_its_messages_one_by_one(engine: Engine) {
    for messages in each_log() {
        let mut both = Vec::new();
        for at_once in [false, true] {
            let app = TestApp::start(engine).await;
            app.jane().await;
            let codes: Vec<String> =
                send(&app, &messages, at_once).await.iter().map(|answer| code(answer)).collect();
            both.push((codes, known(&app).await));
            app.finish().await;
        }
        assert_eq!(both[0], both[1], "{messages:#?}");
    }
}
