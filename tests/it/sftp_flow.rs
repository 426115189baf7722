//! Files fetched from an SFTP server, on both databases.

use std::{fs, os::unix::fs::symlink, time::Duration};

use pms::{
    domain::access::Role,
    store::entity::{hl7_message, lab_result, lis_endpoint},
};
use reqwest::{Method, StatusCode};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use crate::{
    app::{Answer, Engine, TestApp, flows, until},
    http_door_flow::potassium,
    sftp::{PasswordServer, Sshd},
};

flows!(
    files_are_fetched_and_moved,
    what_was_refused_is_never_deleted,
    what_is_left_is_not_fetched_again,
    a_file_stays_until_it_is_committed,
    another_host_key_is_shut_out,
    rsa_keys_will_do,
    passwords_will_do,
    only_what_can_be_used_is_taken_as_settings,
);

const POLL: Duration = Duration::from_secs(30);
const REFUSED: &str = "MSH|^~\\&|L|F|P|M|20260302||ZZZ^Z01|BAD|P|2.5.1\r";

/// A service and a server that an endpoint of it fetches from.
struct Clinic {
    app: TestApp,
    sshd: Sshd,
    endpoint: i64,
}

async fn set(app: &TestApp, sftp: &Value) -> Answer {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let body = json!({"name": "City lab", "direction": "inbound", "profile": {"sftp": sftp}});
    engineer.post("/api/lis-endpoints", body).await
}

async fn change(app: &TestApp, endpoint: i64, sftp: &Value) {
    // A change is known by its time.
    app.clock.advance(Duration::from_secs(1));
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let request = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{endpoint}"));
    let answer = engineer.send(request.json(&json!({"profile": {"sftp": sftp}}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

fn keep_secret(app: &TestApp, name: &str, content: &str) {
    let secrets = &app.ctx().config.secrets_dir;
    fs::create_dir_all(secrets).unwrap();
    fs::write(secrets.join(name), content).unwrap();
}

async fn state(app: &TestApp, endpoint: i64) -> (String, String) {
    let row = lis_endpoint::Entity::find_by_id(endpoint).one(app.ctx().db.reader()).await.unwrap().unwrap();
    (row.connection_state, row.connection_detail.unwrap_or_default())
}

async fn becomes(app: &TestApp, endpoint: i64, wanted: &str, words: &str) {
    until(words, async || {
        let (state, detail) = state(app, endpoint).await;
        let met = (state == wanted && detail.contains(words)).then_some(());
        if met.is_none() {
            app.clock.advance(POLL);
        }
        met
    })
    .await;
}

impl Clinic {
    async fn start(engine: Engine, keys: (&str, &str), more: &Value) -> Self {
        let sshd = Sshd::start(keys.0, keys.1);
        let app = TestApp::start(engine).await;
        app.jane().await;
        keep_secret(&app, "city.key", &sshd.client_key());
        let mut clinic = Self { app, sshd, endpoint: 0 };
        let made = set(&clinic.app, &clinic.settings(more)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        clinic.endpoint = made.body["id"].as_i64().unwrap();
        clinic
    }

    fn settings(&self, more: &Value) -> Value {
        let mut settings = json!({
            "host": "127.0.0.1", "port": self.sshd.port, "username": self.sshd.account,
            "private_key_file": "city.key", "host_key_fingerprint": self.sshd.fingerprint(),
            "remote_path": self.sshd.path("files"), "poll_seconds": POLL.as_secs()
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.sshd.path("files").join(name), content).unwrap();
    }

    /// Looks that are over. A session ends with its look.
    fn looks(&self) -> usize {
        self.sshd.logged("Disconnected from user")
    }

    /// Waits for the next look to be over. The clock stands still between looks, so there is one at a time.
    async fn look(&self) {
        let before = self.looks();
        until("a look", async || {
            if self.looks() == before {
                self.app.clock.advance(POLL);
            }
            (self.looks() > before).then_some(())
        })
        .await;
    }

    async fn rows(&self) -> Vec<hl7_message::Model> {
        hl7_message::Entity::find().all(self.app.ctx().db.reader()).await.unwrap()
    }
}

fn moved(clinic: &Sshd) -> Value {
    json!({"after": "move", "move_to": clinic.path("taken")})
}

async fn files_are_fetched_and_moved(engine: Engine) {
    let clinic = Clinic::start(engine, ("ed25519", "ed25519"), &json!({})).await;
    change(&clinic.app, clinic.endpoint, &clinic.settings(&moved(&clinic.sshd))).await;
    fs::write(clinic.sshd.path("taken").join("b.hl7"), "an older one").unwrap();
    clinic.write("a.hl7", potassium("A", "4.0"));
    clinic.write("b.hl7", [potassium("B1", "4.0"), potassium("B2", "4.1")].concat());
    clinic.write("c.HL7", REFUSED);
    clinic.write("d.txt", potassium("D", "4.0"));
    clinic.write("empty.hl7", "");
    fs::create_dir(clinic.sshd.path("files/e.hl7")).unwrap();
    fs::write(clinic.sshd.path("secret"), potassium("LINK", "4.0")).unwrap();
    symlink(clinic.sshd.path("secret"), clinic.sshd.path("files/link.hl7")).unwrap();
    until("three are moved", async || {
        clinic.look().await;
        (clinic.sshd.names("taken").len() == 4).then_some(())
    })
    .await;
    assert_eq!(clinic.sshd.names("files"), ["d.txt", "e.hl7", "empty.hl7", "link.hl7"]);
    let taken = clinic.sshd.names("taken");
    assert_eq!((&taken[0], &taken[1], &taken[3]), (&"a.hl7".into(), &"b.hl7".into(), &"c.HL7".into()));
    assert!(taken[2].starts_with("b.hl7~"), "nothing is overwritten: {taken:?}");
    let rows = clinic.rows().await;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.lis_endpoint_id == clinic.endpoint));
    assert!(rows.iter().all(|row| row.duplicates_seen == 0));
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 3);
    let spool = clinic.app.ctx().config.data_dir.join("spool");
    assert_eq!(fs::read_dir(spool).unwrap().count(), 0);
    assert_eq!(state(&clinic.app, clinic.endpoint).await.0, "idle");

    fs::remove_dir_all(clinic.sshd.path("taken")).unwrap();
    clinic.write("f.hl7", potassium("F", "4.2"));
    becomes(&clinic.app, clinic.endpoint, "sftp_unusable", "a file cannot be moved").await;
    assert!(clinic.sshd.path("files/f.hl7").exists());
    clinic.look().await;
    let rows = clinic.rows().await;
    assert!(rows.len() == 5 && rows[4].duplicates_seen == 0, "it is moved again, not fetched again");
    clinic.app.finish().await;
}

async fn what_was_refused_is_never_deleted(engine: Engine) {
    let clinic = Clinic::start(engine, ("ed25519", "ed25519"), &json!({"after": "delete"})).await;
    clinic.write("a.hl7", potassium("A", "4.0"));
    clinic.write("b.hl7", REFUSED);
    until("one is deleted", async || {
        clinic.look().await;
        (!clinic.sshd.path("files/a.hl7").exists()).then_some(())
    })
    .await;
    clinic.look().await;
    clinic.look().await;
    assert_eq!(clinic.sshd.names("files"), ["b.hl7"]);
    let rows = clinic.rows().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.duplicates_seen == 0), "and not fetched again");
    clinic.app.finish().await;
}

async fn what_is_left_is_not_fetched_again(engine: Engine) {
    let mut clinic = Clinic::start(engine, ("ed25519", "ed25519"), &json!({})).await;
    clinic.look().await;
    let (first, second) = (potassium("A", "4.0"), potassium("B", "4.1"));
    for part in [&first[..20], &first[..100]] {
        clinic.write("a.hl7", part);
        clinic.look().await;
        assert_eq!(clinic.rows().await.len(), 0, "it still grows");
    }
    clinic.write("a.hl7", &first);
    clinic.look().await;
    assert_eq!(clinic.rows().await.len(), 0, "it has changed since the look before");
    for _ in 0..3 {
        clinic.look().await;
        let rows = clinic.rows().await;
        assert!(rows.len() == 1 && rows[0].duplicates_seen == 0);
    }
    clinic.write("a.hl7", format!("{first}{second}"));
    clinic.look().await;
    clinic.look().await;
    assert_eq!(clinic.rows().await.len(), 2, "what was added is taken");
    clinic.app.restart().await;
    clinic.look().await;
    clinic.look().await;
    clinic.look().await;
    assert_eq!(clinic.rows().await.len(), 2);
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 2);
    clinic.app.finish().await;
}

async fn a_file_stays_until_it_is_committed(engine: Engine) {
    let clinic = Clinic::start(engine, ("ed25519", "ed25519"), &json!({"after": "delete"})).await;
    clinic.look().await;
    let sql = async |statement: &str| {
        let tx = pms::store::db::write(&clinic.app.ctx().db, "test").await.unwrap();
        tx.execute_unprepared(statement).await.unwrap();
        tx.commit().await.unwrap();
    };
    sql("ALTER TABLE hl7_messages RENAME TO away").await;
    clinic.write("a.hl7", potassium("A", "4.0"));
    for _ in 0..4 {
        clinic.look().await;
        assert_eq!(clinic.sshd.names("files"), ["a.hl7"]);
    }
    sql("ALTER TABLE away RENAME TO hl7_messages").await;
    clinic.look().await;
    assert!(clinic.sshd.names("files").is_empty());
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 1);
    clinic.app.finish().await;
}

async fn another_host_key_is_shut_out(engine: Engine) {
    let wrong = json!({"host_key_fingerprint": format!("SHA256:{}", "A".repeat(43))});
    let clinic = Clinic::start(engine, ("ed25519", "ed25519"), &wrong).await;
    clinic.write("a.hl7", potassium("A", "4.0"));
    becomes(&clinic.app, clinic.endpoint, "sftp_unusable", "host key is not the pinned one").await;
    let (_, detail) = state(&clinic.app, clinic.endpoint).await;
    assert!(detail.contains(&clinic.sshd.fingerprint()) && detail.contains("ssh-ed25519"), "{detail}");
    assert_eq!(clinic.sshd.logged(&format!("for {}", clinic.sshd.account)), 0, "nobody has tried to sign in");
    assert_eq!(clinic.sshd.logged("user"), 0);

    let other = Sshd::start("ed25519", "ed25519");
    keep_secret(&clinic.app, "other.key", &other.client_key());
    change(&clinic.app, clinic.endpoint, &clinic.settings(&json!({"private_key_file": "other.key"}))).await;
    becomes(&clinic.app, clinic.endpoint, "sftp_unusable", "refuses the user name, password or key").await;
    change(&clinic.app, clinic.endpoint, &clinic.settings(&json!({"remote_path": "/nowhere"}))).await;
    becomes(&clinic.app, clinic.endpoint, "sftp_unusable", "cannot be listed: it is not there").await;
    change(&clinic.app, clinic.endpoint, &clinic.settings(&json!({"port": 1}))).await;
    becomes(&clinic.app, clinic.endpoint, "sftp_unusable", "connection refused").await;
    change(&clinic.app, clinic.endpoint, &clinic.settings(&json!({}))).await;
    becomes(&clinic.app, clinic.endpoint, "idle", "").await;
    until("it is fetched", async || {
        clinic.look().await;
        (clinic.rows().await.len() == 1).then_some(())
    })
    .await;
    clinic.app.finish().await;
}

async fn rsa_keys_will_do(engine: Engine) {
    let clinic = Clinic::start(engine, ("rsa", "rsa"), &json!({"after": "delete"})).await;
    // More than a packet, a window and a request hold.
    let long = format!("{}NTE|1|L|{}\r", potassium("LONG", "4.0"), "x".repeat(5 << 20));
    clinic.write("a.hl7", &long);
    until("it is taken", async || {
        clinic.look().await;
        clinic.sshd.names("files").is_empty().then_some(())
    })
    .await;
    let rows = clinic.rows().await;
    assert_eq!((rows.len(), rows[0].size_bytes), (1, long.len() as i64));
    clinic.app.finish().await;
}

async fn passwords_will_do(engine: Engine) {
    let app = TestApp::start(engine).await;
    keep_secret(&app, "city", "open sesame\n");
    for asks in [false, true] {
        let server = PasswordServer::start("open sesame", asks).await;
        let settings = json!({
            "host": "127.0.0.1", "port": server.port, "username": "clinic", "password_file": "city",
            "host_key_fingerprint": server.fingerprint, "remote_path": "/", "poll_seconds": POLL.as_secs()
        });
        keep_secret(&app, "city", "wrong");
        let made = set(&app, &settings).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        let endpoint = made.body["id"].as_i64().unwrap();
        becomes(&app, endpoint, "sftp_unusable", "refuses the user name, password or key").await;
        keep_secret(&app, "city", "open sesame\n");
        becomes(&app, endpoint, "idle", "").await;
        let engineer = app.sign_in(Role::InterfaceEngineer).await;
        let gone = engineer.request(Method::DELETE, &format!("/api/lis-endpoints/{endpoint}"));
        assert_eq!(engineer.send(gone).await.status, StatusCode::NO_CONTENT);
    }
    app.finish().await;
}

async fn only_what_can_be_used_is_taken_as_settings(engine: Engine) {
    let app = TestApp::start_with(engine, &[("OUTBOUND_ALLOWED_NETWORKS", "")]).await;
    keep_secret(&app, "city", "open sesame\n");
    let good = json!({
        "host": "sftp.example.org", "username": "clinic", "password_file": "city",
        "host_key_fingerprint": format!("SHA256:{}", "A".repeat(43)), "remote_path": "/out"
    });
    for (change, why) in [
        (json!({"password_file": "../jwt-secret"}), "SECRETS_DIR"),
        (json!({"password_file": app.ctx().config.data_dir.join("jwt-secret")}), "SECRETS_DIR"),
        (json!({"password_file": "missing"}), "SECRETS_DIR"),
        (json!({"host": "127.0.0.1"}), "OUTBOUND_ALLOWED_NETWORKS"),
        (json!({"host": "169.254.169.254"}), "OUTBOUND_ALLOWED_NETWORKS"),
        (json!({"host_key_fingerprint": "any"}), "host_key_fingerprint"),
        (json!({"password": "open sesame"}), "unknown field"),
        (json!({"after": "move"}), "move_to"),
    ] {
        let mut settings = good.clone();
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = set(&app, &settings).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{change}");
        let detail = &answer.body["detail"][0];
        assert_eq!(detail["loc"], json!(["body", "profile"]));
        assert!(detail["msg"].as_str().unwrap().contains(why), "{change}: {detail}");
        assert!(!answer.body.to_string().contains("\\n"), "nothing of the file is shown");
    }
    let made = set(&app, &good).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    app.finish().await;
}

/// SQLite has one process only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_a_server() {
    let clinic = Clinic::start(Engine::Postgres, ("ed25519", "ed25519"), &json!({})).await;
    change(&clinic.app, clinic.endpoint, &clinic.settings(&moved(&clinic.sshd))).await;
    let second = clinic.app.second().await;
    let names: Vec<String> = (0..20).map(|n| format!("f{n:02}.hl7")).collect();
    for (n, name) in names.iter().enumerate() {
        clinic.write(name, potassium(&format!("F{n}"), "4.0"));
    }
    until("all are moved", async || {
        clinic.app.clock.advance(POLL);
        clinic.sshd.names("files").is_empty().then_some(())
    })
    .await;
    assert_eq!(clinic.sshd.names("taken"), names, "each once, under its own name");
    assert_eq!(clinic.rows().await.len(), 20);
    assert_eq!(clinic.app.count::<lab_result::Entity>().await, 20);
    second.stop().await.unwrap();
    clinic.app.finish().await;
}
