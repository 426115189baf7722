//! Watched directories, on both databases: files are taken once, end where they belong, and survive whatever ends the
//! process.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use pms::{
    domain::access::Role,
    lab::{
        endpoint_directory::Directory,
        endpoint_doors::DirectoryDoor,
        intake,
        reception::Reception,
        watch_directory::{Watch, WatchedEndpoint},
    },
    store::entity::{hl7_message, lab_result, lis_endpoint},
};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Answer, Engine, TestApp, flows, start_of_time, until},
    http_door_flow::{Machine, potassium},
};

flows!(
    a_file_ends_with_its_answer,
    only_what_is_meant_is_taken,
    a_batch_is_answered_as_by_http,
    a_long_file_is_taken_in_parts,
    a_crash_at_any_point_changes_nothing,
    nothing_is_overwritten,
    a_growing_file_is_left_to_grow,
    a_refusal_in_silence_is_an_error,
    a_file_waits_for_the_database,
    a_lost_directory_is_told_of,
    only_directories_below_the_root_are_watched,
);

/// A service, and a directory that an endpoint of it watches.
struct Clinic {
    app: TestApp,
    root: tempfile::TempDir,
    endpoint: i64,
}

async fn set(app: &TestApp, name: &str, directory: &Value) -> Answer {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let body = json!({"name": name, "direction": "inbound", "profile": {"directory": directory}});
    engineer.post("/api/lis-endpoints", body).await
}

impl Clinic {
    async fn start(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("city");
        fs::create_dir(&path).unwrap();
        let root_text = root.path().to_str().unwrap();
        let settings = [&[("FILE_INTAKE_ROOT", root_text)], settings].concat();
        let app = TestApp::start_with(engine, &settings).await;
        app.jane().await;
        let made =
            set(&app, "City lab", &json!({"path": path, "pattern": "*.hl7", "poll_seconds": 10})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        Self { app, root, endpoint: made.body["id"].as_i64().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("city").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Names in a directory, sorted.
    fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(directory)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Lets time pass until a condition holds.
    async fn until<T, F: AsyncFnMut() -> Option<T>>(&self, what: &str, mut condition: F) -> T {
        until(what, async || {
            let met = condition().await;
            if met.is_none() {
                self.app.clock.advance(Duration::from_secs(10));
            }
            met
        })
        .await
    }

    async fn appears(&self, names: &[&str]) {
        for name in names {
            self.until(name, async || self.path(name).exists().then_some(())).await;
        }
    }

    /// A watch of the test's own, so that it knows when a look is over. The service's looks come a day later.
    fn own_watch(&self) -> (Watch, Reception) {
        let (queue, inboxes) = intake::queue(self.app.ctx());
        for inbox in inboxes {
            #[allow(clippy::disallowed_methods, reason = "a test's own task")]
            tokio::spawn(intake::run(self.app.ctx().clone(), inbox));
        }
        let door = DirectoryDoor { path: self.path(""), pattern: "*.hl7".into(), poll_seconds: 10 };
        let watched = WatchedEndpoint { id: self.endpoint, updated_at: start_of_time(), door };
        let reception =
            Reception { ctx: self.app.ctx().clone(), intake: queue, directory: Directory::default() };
        (Watch::new(watched), reception)
    }

    async fn state(&self) -> (String, Option<String>) {
        let row = lis_endpoint::Entity::find_by_id(self.endpoint).one(self.app.ctx().db.reader()).await;
        let row = row.unwrap().unwrap();
        (row.connection_state, row.connection_detail)
    }
}

const REFUSED: &str = "MSH|^~\\&|L|F|P|M|20260302||ZZZ^Z01|BAD|P|2.5.1\r";

async fn a_file_ends_with_its_answer(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    clinic.write("a.hl7", potassium("A", "4.0"));
    clinic.write("b.hl7", REFUSED);
    clinic.write("c.hl7", "not a message");
    clinic.write("d.hl7", "\r\n \r\n");
    clinic.write("e.HL7", pms::hl7::frame::wrap(potassium("E", "4.1").as_bytes()));
    clinic.appears(&["done/a.hl7", "error/b.hl7", "error/c.hl7", "error/d.hl7", "done/e.HL7"]).await;
    assert_eq!(clinic.names("done"), ["a.hl7", "a.hl7.ack", "e.HL7", "e.HL7.ack"]);
    assert_eq!(clinic.names("error"), ["b.hl7", "b.hl7.ack", "c.hl7", "c.hl7.ack", "d.hl7"]);
    assert_eq!(clinic.read("done/a.hl7"), potassium("A", "4.0"));
    assert!(clinic.read("done/a.hl7.ack").contains("\rMSA|AA|A"));
    assert!(clinic.read("error/b.hl7.ack").contains("\rMSA|AR|BAD"));
    assert!(clinic.read("error/c.hl7.ack").contains("\rMSA|AE|"));
    // A file stands in both places for a moment: it is never in none.
    clinic.until("nothing is left behind", async || (clinic.names(".work") == ["lock"]).then_some(())).await;

    let by_http = Machine::new(&clinic.app, Some(clinic.endpoint)).await;
    let answer = by_http.post(potassium("A", "4.0").as_bytes()).await;
    assert_eq!(answer.body, clinic.read("done/a.hl7.ack").into_bytes(), "one message by two doors");
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 2);
    let rows = hl7_message::Entity::find().all(clinic.app.ctx().db.reader()).await.unwrap();
    assert!(rows.len() == 4 && rows.iter().all(|row| row.lis_endpoint_id == clinic.endpoint));
    clinic.app.finish().await;
}

async fn only_what_is_meant_is_taken(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let secret = clinic.root.path().join("secret");
    fs::write(&secret, potassium("LINK", "4.0")).unwrap();
    symlink(&secret, clinic.path("link.hl7")).unwrap();
    fs::create_dir(clinic.path("folder.hl7")).unwrap();
    clinic.write("folder.hl7/in.hl7", potassium("IN", "4.0"));
    clinic.write("a.txt", potassium("TXT", "4.0"));
    clinic.write(".hidden.hl7", potassium("HID", "4.0"));
    clinic.write("a.hl7.part", potassium("PART", "4.0"));
    clinic.write("empty.hl7", "");
    clinic.write("z.hl7", potassium("Z", "4.0"));
    clinic.appears(&["done/z.hl7"]).await;
    clinic.write("y.hl7", potassium("Y", "4.0"));
    clinic.appears(&["done/y.hl7"]).await;
    let left = [
        ".hidden.hl7",
        ".work",
        "a.hl7.part",
        "a.txt",
        "done",
        "empty.hl7",
        "error",
        "folder.hl7",
        "link.hl7",
    ];
    assert_eq!(clinic.names(""), left);
    assert_eq!(clinic.app.count::<hl7_message::Entity>().await, 2);
    clinic.app.finish().await;
}

fn batch(messages: &[String]) -> String {
    let head = "FHS|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260302||||F7\rBHS|^~\\&|LAB_LIS|REFERENCE_LAB|PMS_LAB|MPS_PMS|20260302||||B7\r";
    format!("{head}{}BTS|{}\rFTS|1\r", messages.concat(), messages.len())
}

async fn a_batch_is_answered_as_by_http(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let whole = batch(&[potassium("A", "4.0"), potassium("B", "4.1")]);
    let spoilt = batch(&[potassium("C", "4.0"), REFUSED.to_owned(), potassium("D", "4.1")]);
    clinic.write("whole.hl7", &whole);
    clinic.write("spoilt.hl7", &spoilt);
    clinic.write("row.hl7", [potassium("R1", "4.0"), potassium("R2", "4.1")].concat());
    clinic.appears(&["done/whole.hl7", "error/spoilt.hl7", "done/row.hl7"]).await;
    let row = clinic.read("done/row.hl7.ack");
    assert!(row.contains("MSA|AA|R1") && row.contains("MSA|AA|R2") && !row.contains("BHS"), "{row}");
    let by_http = Machine::new(&clinic.app, Some(clinic.endpoint)).await;
    for (content, ack) in [(whole, "done/whole.hl7.ack"), (spoilt, "error/spoilt.hl7.ack")] {
        let answer = by_http.post(content.as_bytes()).await;
        assert_eq!(String::from_utf8(answer.body).unwrap(), clinic.read(ack));
    }
    assert!(clinic.read("error/spoilt.hl7.ack").contains("MSA|AA|D"), "a bad message harms no other");
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 6);
    clinic.app.finish().await;
}

async fn a_long_file_is_taken_in_parts(engine: Engine) {
    let clinic = Clinic::start(engine, &[("MAX_MESSAGE_SIZE", "2048")]).await;
    let mut messages: Vec<String> = (0..500).map(|n| potassium(&format!("L{n}"), "4.0")).collect();
    let note = format!("{}NTE|1|L|{}\r", potassium("LONG", "4.0"), "x".repeat(4096));
    messages.insert(250, note.clone());
    clinic.write("many.hl7", batch(&messages));
    clinic.write("one.hl7", &note);
    clinic.write("bad.hl7", batch(&messages[..2]).replace("BTS|2", "BTS|3").replace("|L", "|M"));
    clinic.appears(&["error/many.hl7", "error/one.hl7", "done/bad.hl7"]).await;
    let ack = clinic.read("error/many.hl7.ack");
    assert_eq!(ack.matches("\rMSA|AA|L").count(), 500);
    assert!(ack.contains("MSA|AE|LONG") && ack.ends_with("BTS|501\rFTS|1\r"));
    assert!(clinic.read("error/one.hl7.ack").contains("MSA|AE|LONG"));
    let rows = hl7_message::Entity::find().all(clinic.app.ctx().db.reader()).await.unwrap();
    let warned = |row: &hl7_message::Model| row.warnings.to_string().contains("batch_count");
    let ids: Vec<&str> =
        rows.iter().filter(|row| warned(row)).map(|row| row.message_control_id.as_str()).collect();
    assert_eq!(ids, ["M0", "M1"], "a wrong count is recorded with each message of its file");
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 502);
    clinic.app.finish().await;
}

/// What a process that dies can leave, from the claim to the last move.
async fn a_crash_at_any_point_changes_nothing(engine: Engine) {
    let mut clinic = Clinic::start(engine, &[]).await;
    let file = batch(&[potassium("A", "4.0"), REFUSED.to_owned()]);
    clinic.write("a.hl7", &file);
    clinic.appears(&["error/a.hl7"]).await;
    let ack = clinic.read("error/a.hl7.ack");
    let claim = "a.hl7~00112233445566ff";
    let (claimed, draft) = (format!(".work/{claim}"), format!(".work/{claim}.ack"));
    for (left_draft, left_ack) in
        [(None, None), (Some("half"), None), (Some(ack.as_str()), None), (None, Some(ack.as_str()))]
    {
        fs::rename(clinic.path("error/a.hl7"), clinic.path(&claimed)).unwrap();
        fs::remove_file(clinic.path("error/a.hl7.ack")).unwrap();
        if let Some(content) = left_draft {
            clinic.write(&draft, content);
        }
        if let Some(content) = left_ack {
            clinic.write("error/a.hl7.ack", content);
        }
        clinic.app.restart().await;
        clinic.appears(&["error/a.hl7"]).await;
        assert_eq!(clinic.names("error"), ["a.hl7", "a.hl7.ack"]);
        assert_eq!((clinic.read("error/a.hl7"), clinic.read("error/a.hl7.ack")), (file.clone(), ack.clone()));
        assert_eq!(clinic.names(".work"), ["lock"]);
    }
    assert_eq!(clinic.app.count::<hl7_message::Entity>().await, 2);
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 1);
    clinic.app.finish().await;
}

fn is_answer(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "ack")
}

async fn nothing_is_overwritten(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    for (n, value) in ["4.0", "4.1", "4.0"].into_iter().enumerate() {
        clinic.write("same.hl7", potassium(value, value));
        clinic.until("taken", async || (clinic.names("done").len() == 2 * (n + 1)).then_some(())).await;
    }
    let names = clinic.names("done");
    assert_eq!(names[..2], ["same.hl7", "same.hl7.ack"]);
    let (first, others) = (clinic.read("done/same.hl7"), &names[2..]);
    assert_eq!(first, potassium("4.0", "4.0"));
    for name in others.iter().filter(|name| !is_answer(name)) {
        assert!(name.starts_with("same.hl7~"), "{name}");
        let (file, ack) = (clinic.read(&format!("done/{name}")), clinic.read(&format!("done/{name}.ack")));
        let value = if file == first { "4.0" } else { "4.1" };
        assert!(ack.contains(&format!("MSA|AA|{value}")), "{ack}");
    }
    clinic.write("done/other.hl7.ack", "somebody's own");
    clinic.write("other.hl7", potassium("O", "4.2"));
    clinic.until("taken", async || (clinic.names("done").len() == 9).then_some(())).await;
    assert_eq!(clinic.read("done/other.hl7.ack"), "somebody's own");
    clinic.app.finish().await;
}

async fn a_growing_file_is_left_to_grow(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let (mut watch, reception) = clinic.own_watch();
    let stop = CancellationToken::new();
    // The service's own loop stands still, for its clock does.
    let whole = batch(&[potassium("A", "4.0"), potassium("B", "4.1")]);
    for length in [10, 200, 400] {
        clinic.write("a.hl7", &whole[..length]);
        watch.look(&reception, &stop).await;
        assert!(clinic.names(".work").is_empty() && clinic.path("a.hl7").exists());
    }
    clinic.write("a.hl7", &whole);
    watch.look(&reception, &stop).await;
    assert!(clinic.path("a.hl7").exists(), "it has changed since the look before");
    watch.look(&reception, &stop).await;
    assert_eq!(clinic.names("done"), ["a.hl7", "a.hl7.ack"]);
    assert_eq!(clinic.app.count::<hl7_message::Entity>().await, 2);
    clinic.app.finish().await;
}

async fn a_refusal_in_silence_is_an_error(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let silent = |message: &str| message.replace("|P|2.5.1\r", "|P|2.5.1|||NE|NE\r");
    clinic.write("good.hl7", silent(&potassium("A", "4.0")));
    clinic.write("bad.hl7", silent(REFUSED));
    clinic.appears(&["done/good.hl7", "error/bad.hl7"]).await;
    clinic.write("bad.hl7", silent(REFUSED));
    clinic.until("taken", async || (clinic.names("error").len() == 2).then_some(())).await;
    assert_eq!(clinic.names("done"), ["good.hl7"], "no acknowledgment was wanted");
    clinic.app.finish().await;
}

async fn a_file_waits_for_the_database(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let sql = async |statement: &str| {
        let tx = pms::store::db::write(&clinic.app.ctx().db, "test").await.unwrap();
        tx.execute_unprepared(statement).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (mut watch, reception) = clinic.own_watch();
    let stop = CancellationToken::new();
    clinic.write("a.hl7", potassium("A", "4.0"));
    watch.look(&reception, &stop).await;
    clinic.write("b.hl7", batch(&[potassium("B", "4.0"), potassium("C", "4.0")]));
    sql("ALTER TABLE hl7_messages RENAME TO away").await;
    for _ in 0..4 {
        watch.look(&reception, &stop).await;
        let claims: Vec<String> =
            clinic.names(".work").into_iter().filter(|name| name.contains('~')).collect();
        assert!(claims.len() == 1 && claims[0].starts_with("a.hl7~"), "{claims:?}");
        assert!(clinic.path("b.hl7").exists(), "what is behind it waits its turn");
    }
    assert!(clinic.names("done").is_empty() && clinic.names("error").is_empty());
    sql("ALTER TABLE away RENAME TO hl7_messages").await;
    watch.look(&reception, &stop).await;
    assert_eq!(clinic.names("done"), ["a.hl7", "a.hl7.ack", "b.hl7", "b.hl7.ack"]);
    assert_eq!(clinic.names(".work"), ["lock"]);
    assert!(clinic.read("done/a.hl7.ack").contains("MSA|AA|A"));
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 3);
    clinic.app.finish().await;
}

async fn a_lost_directory_is_told_of(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let aside = clinic.root.path().join("aside");
    fs::rename(clinic.path(""), &aside).unwrap();
    let (state, detail) = clinic
        .until("it is told of", async || Some(clinic.state().await).filter(|(state, _)| state != "idle"))
        .await;
    assert_eq!(state, "directory_unusable");
    assert_eq!(detail.as_deref(), Some("the directory is not there or cannot be read"));
    fs::rename(&aside, clinic.path("")).unwrap();
    clinic.write("a.hl7", potassium("A", "4.0"));
    clinic.appears(&["done/a.hl7"]).await;
    clinic
        .until("it is taken back", async || (clinic.state().await == ("idle".into(), None)).then_some(()))
        .await;

    fs::remove_dir_all(clinic.path("error")).unwrap();
    symlink(clinic.root.path(), clinic.path("error")).unwrap();
    clinic
        .until("it is told of", async || {
            clinic.state().await.1.filter(|detail| detail.contains("not a directory"))
        })
        .await;
    clinic.app.finish().await;
}

async fn only_directories_below_the_root_are_watched(engine: Engine) {
    let clinic = Clinic::start(engine, &[]).await;
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), clinic.root.path().join("out")).unwrap();
    fs::create_dir_all(clinic.path("deeper")).unwrap();
    fs::create_dir(clinic.root.path().join("town")).unwrap();
    let root = clinic.root.path();
    for (path, why) in [
        (root.to_owned(), "below FILE_INTAKE_ROOT"),
        (outside.path().to_owned(), "below FILE_INTAKE_ROOT"),
        (root.join("out"), "below FILE_INTAKE_ROOT"),
        (root.join("city/../town"), "without `..`"),
        (Path::new("city").to_owned(), "must be absolute"),
        (root.join("village"), "not there"),
        (clinic.path(""), "another endpoint's"),
        (clinic.path("deeper"), "another endpoint's"),
    ] {
        let answer = set(&clinic.app, "Town lab", &json!({"path": path})).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", path.display());
        let detail = &answer.body["detail"][0];
        assert_eq!(detail["loc"], json!(["body", "profile"]));
        assert!(detail["msg"].as_str().unwrap().contains(why), "{}: {detail}", path.display());
    }
    let made = set(&clinic.app, "Town lab", &json!({"path": root.join("town")})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    let engineer = clinic.app.sign_in(Role::InterfaceEngineer).await;
    let url = format!("/api/lis-endpoints/{}", made.body["id"]);
    let change = async |body: Value| engineer.send(engineer.request(Method::PATCH, &url).json(&body)).await;
    let moved = change(json!({"profile": {"directory": {"path": outside.path()}}})).await;
    assert_eq!(moved.status, StatusCode::UNPROCESSABLE_ENTITY);
    fs::rename(root.join("town"), root.join("gone")).unwrap();
    let paused = change(json!({"paused": true})).await;
    assert_eq!(paused.status, StatusCode::OK, "a lost directory does not stand in the way of other changes");
    clinic.app.finish().await;

    let app = TestApp::start(engine).await;
    let answer = set(&app, "City lab", &json!({"path": root.join("city")})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body["detail"][0]["msg"].as_str().unwrap().contains("FILE_INTAKE_ROOT"));
    app.finish().await;
}

/// SQLite has one process only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_a_directory() {
    let clinic = Clinic::start(Engine::Postgres, &[]).await;
    let second = clinic.app.second().await;
    let names: Vec<String> = (0..100).map(|n| format!("f{n:03}.hl7")).collect();
    for (n, name) in names.iter().enumerate() {
        clinic.write(name, potassium(&format!("F{n}"), "4.0"));
    }
    clinic.until("all are taken", async || (clinic.names("done").len() == 200).then_some(())).await;
    let files: Vec<String> = clinic.names("done").into_iter().filter(|name| !is_answer(name)).collect();
    assert_eq!(files, names, "each once, under its own name");
    assert!(clinic.names("error").is_empty());
    let rows = hl7_message::Entity::find().all(clinic.app.ctx().db.reader()).await.unwrap();
    assert!(rows.len() == 100 && rows.iter().all(|row| row.duplicates_seen == 0));
    second.stop().await.unwrap();
    clinic.app.finish().await;
}
