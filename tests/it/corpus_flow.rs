//! Messages of other makers go through a running service: each is answered as the standard says, nothing of an accepted one is
//! lost, and the same again changes nothing.

use std::collections::{BTreeMap, HashSet};

use pms::{
    hl7::frame::wrap,
    store::{
        db,
        entity::{hl7_message, patient_identifier},
    },
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
};

use crate::{
    all_rows::{all_rows, assert_same},
    app::{Engine, TestApp, flows},
    corpus_files::{CorpusFile, corpus, known_outcomes, some_patients},
    lab::Sender,
    naive_hl7::{Named, Sent, Told, acknowledgments, messages},
};

flows!(messages_of_other_makers);

/// What has been seen so far.
#[derive(Default)]
struct Ledger {
    /// Messages that came before, byte for byte.
    seen: HashSet<Vec<u8>>,
    /// The last message row that is accounted for.
    last: i64,
    /// OBX of accepted messages, counted by the test.
    sent: usize,
    /// The same as the service counted them: stored, in review, rejected.
    kept: [usize; 3],
}

async fn messages_of_other_makers(engine: Engine) {
    let Some(files) = corpus() else { return };
    let mut app = TestApp::start(engine).await;
    app.leaves_work();
    let mut patients: BTreeMap<String, Named> = BTreeMap::new();
    for (class, count) in [("oru", 8), ("order", 8)] {
        patients.extend(some_patients(&files, class, count).into_iter().map(|one| (one.number.clone(), one)));
    }
    for named in patients.values() {
        register(&app, named).await;
    }
    let mut lab = app.lab().await;
    let (mut ledger, mut outcomes, mut first) = (Ledger::default(), Vec::new(), Vec::new());
    for file in &files {
        let mut answers = Vec::new();
        for (n, bytes) in file.variants.iter().enumerate() {
            let answer = exchange(&mut lab, bytes, &format!("{}{n}", file.digest)).await;
            answers.push(answered(file, bytes, &answer));
            conserved(&app, file, bytes, &answer, &mut ledger).await;
            first.push(answer);
        }
        answers.dedup();
        outcomes.push((file, answers.join(" / ")));
    }
    report(engine, &outcomes, &ledger);
    assert!(ledger.kept[0] > 0 && ledger.kept[1] > 0, "some are stored, some are held: {:?}", ledger.kept);
    assert_eq!(ledger.sent, ledger.kept.iter().sum::<usize>());
    explained(&outcomes);

    let (before, resent) = (all_rows(&app, engine).await, duplicates(&app).await);
    let mut again = Vec::new();
    for file in &files {
        for (n, bytes) in file.variants.iter().enumerate() {
            again.push(exchange(&mut lab, bytes, &format!("{}{n}", file.digest)).await);
        }
    }
    for (n, (first, again)) in first.iter().zip(&again).enumerate() {
        assert!(first == again, "{}: another answer", files[n / 2].digest);
    }
    assert_same(&before, &all_rows(&app, engine).await);
    assert!(duplicates(&app).await >= resent + files.len() as u64, "each was seen again");
    app.finish().await;
}

/// A patient with the number as the laboratory knows it.
async fn register(app: &TestApp, named: &Named) {
    let (year, rest) = named.born.split_at(4);
    let born = format!("{year}-{}-{}", &rest[..2], &rest[2..]);
    let id = app.patient(&named.number, &named.family, &named.given, &born).await;
    if named.authority.is_empty() {
        return;
    }
    let identifier = patient_identifier::ActiveModel {
        patient_id: Set(id),
        authority: Set(named.authority.clone()),
        id_type: Set("MR".into()),
        value: Set(named.number.clone()),
        active: Set(true),
        created_at: Set(app.ctx().clock.now()),
        ..Default::default()
    };
    let tx = db::write(&app.ctx().db, "test").await.unwrap();
    identifier.insert(&*tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// Sends bytes in a frame, and a message behind it whose answer ends theirs.
async fn exchange(lab: &mut Sender, bytes: &[u8], name: &str) -> Vec<Vec<u8>> {
    let fence = format!("FENCE{name}");
    let end = format!("MSH|^~\\&|FENCE|TEST|PMS_LAB|MPS_PMS|20260302080000||ZZZ^Z99|{fence}|P|2.5.1\r");
    lab.write(&[wrap(bytes), wrap(end.as_bytes())].concat()).await;
    let mut answers = Vec::new();
    loop {
        let answer = lab.try_answer().await.unwrap_or_else(|| panic!("{name}: the connection ended"));
        if acknowledgments(&answer).iter().any(|told| told.control_id == fence) {
            return answers;
        }
        answers.push(answer);
    }
}

/// The answers with the messages they answer, in order; what answers none is about bytes outside of messages.
fn pairs<'a>(sent: &'a [Sent], told: &'a [Told]) -> Vec<(&'a Sent, Vec<&'a Told>)> {
    let mut told = told.iter().peekable();
    let mut pairs = Vec::new();
    for message in sent {
        let mut own = Vec::new();
        while !message.is_silent
            && own.is_empty()
            && let Some(next) = told.next()
        {
            own.extend(Some(next).filter(|next| next.control_id == message.control_id));
        }
        // A commit acknowledgment may be followed by an application's.
        let commit = own.first().is_some_and(|told| told.code == "CA");
        own.extend(
            told.next_if(|next| {
                commit && next.code.starts_with('A') && next.control_id == message.control_id
            }),
        );
        pairs.push((message, own));
    }
    pairs
}

fn told(answer: &[Vec<u8>]) -> Vec<Told> {
    answer.iter().flat_map(|frame| acknowledgments(frame)).collect()
}

/// What became of a file in words: how often which code, with the errors named. Every message must have its answer.
fn answered(file: &CorpusFile, bytes: &[u8], answer: &[Vec<u8>]) -> String {
    let (sent, told) = (messages(bytes), told(answer));
    for (message, own) in pairs(&sent, &told) {
        assert!(message.is_silent || !own.is_empty(), "{}: a message is not answered", file.digest);
    }
    assert!(!sent.is_empty() || !told.is_empty(), "{}: not answered", file.digest);
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for told in &told {
        let mut errors = told.errors.clone();
        errors.sort();
        errors.dedup();
        let space = if errors.is_empty() { "" } else { " " };
        *counted.entry(format!("{}{space}{}", told.code, errors.join("+"))).or_default() += 1;
    }
    let word =
        |(code, count): (&String, &usize)| if *count == 1 { code.clone() } else { format!("{count} {code}") };
    let words: Vec<String> = counted.iter().map(word).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Every OBX of an accepted message is stored, waits for a person, or was named in its acknowledgment.
async fn conserved(app: &TestApp, file: &CorpusFile, bytes: &[u8], answer: &[Vec<u8>], ledger: &mut Ledger) {
    let (sent, told) = (messages(bytes), told(answer));
    let accepts = |told: &&Told| matches!(told.code.as_str(), "AA" | "CA");
    let mut expected = 0;
    for (message, own) in pairs(&sent, &told) {
        if own.first().is_some_and(accepts) && ledger.seen.insert(message.bytes.clone()) {
            expected += message.observations;
        }
    }
    let rows = hl7_message::Entity::find()
        .filter(hl7_message::Column::Id.gt(ledger.last))
        .order_by_asc(hl7_message::Column::Id)
        .all(app.ctx().db.reader())
        .await
        .unwrap();
    let mut received = 0;
    for row in &rows {
        ledger.last = row.id;
        if !matches!(row.ack_status.as_deref(), Some("AA" | "CA")) {
            continue;
        }
        let kept = [row.observations_stored, row.observations_in_review, row.observations_rejected]
            .map(|count| usize::try_from(count).unwrap());
        let all = usize::try_from(row.observations_received).unwrap();
        assert_eq!(all, kept.iter().sum::<usize>(), "{}", file.digest);
        // A commit and an application acknowledgment both say it.
        for told in acknowledgments(row.ack_bytes.as_ref().unwrap()) {
            assert_eq!(kept[2], told.left_aside, "{}: left aside, and not told", file.digest);
        }
        received += all;
        ledger.kept.iter_mut().zip(kept).for_each(|(sum, count)| *sum += count);
    }
    assert_eq!(expected, received, "{}: observations of accepted messages", file.digest);
    ledger.sent += expected;
}

/// Prints what became of each class.
fn report(engine: Engine, outcomes: &[(&CorpusFile, String)], ledger: &Ledger) {
    let mut table: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (file, outcome) in outcomes {
        *table.entry(&file.class).or_default().entry(outcome).or_default() += 1;
    }
    eprintln!("{engine:?}: {} files, each as it is / with CR where that differs", outcomes.len());
    for (class, outcomes) in table {
        let words: Vec<String> =
            outcomes.iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect();
        eprintln!("{class:8} {:4}  {}", outcomes.values().sum::<usize>(), words.join("; "));
    }
    let [stored, in_review, rejected] = ledger.kept;
    eprintln!(
        "{} OBX accepted = {stored} stored + {in_review} in review + {rejected} reported in ERR",
        ledger.sent
    );
}

/// A file that is not simply taken has a written reason. `PMS_CORPUS_PRINT=1` prints the lines as they would have to be.
fn explained(outcomes: &[(&CorpusFile, String)]) {
    let known = known_outcomes();
    let print = std::env::var_os("PMS_CORPUS_PRINT").is_some();
    let mut odd = Vec::new();
    for (file, outcome) in outcomes {
        let words = outcome
            .split([',', '/'])
            .map(|word| word.trim().trim_start_matches(|c: char| c.is_ascii_digit()));
        let taken = words.clone().all(|word| matches!(word.trim(), "AA" | "CA"));
        // No answer was due: `answered` has looked.
        if taken || outcome == "none" {
            continue;
        }
        let (expected, reason) = known.get(file.digest.as_str()).copied().unwrap_or(("", "?"));
        if print {
            eprintln!("{} | {outcome} | {reason}", file.digest);
        }
        if expected != outcome || reason.len() < 10 {
            odd.push(format!("{} ({}): {outcome}, expected {expected:?}", file.digest, file.class));
        }
    }
    let sent: HashSet<&str> = outcomes.iter().map(|(file, _)| file.digest.as_str()).collect();
    let gone: Vec<&&str> = known.keys().filter(|digest| !sent.contains(**digest)).collect();
    assert!(gone.is_empty(), "explained, and not there: {gone:?}");
    assert!(odd.is_empty() || print, "not explained in corpus_outcomes.txt:\n{}", odd.join("\n"));
}

/// Rows whose message came again.
async fn duplicates(app: &TestApp) -> u64 {
    let again = hl7_message::Entity::find().filter(hl7_message::Column::DuplicatesSeen.gt(0));
    again.count(app.ctx().db.reader()).await.unwrap()
}
