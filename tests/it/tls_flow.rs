//! Connections by TLS: who is heard, who is not, and which laboratory they are, on both databases.

mod outgoing;

use std::path::Path;

use pms::{domain::access::Role, hl7::frame::wrap, store::entity::hl7_message};
use reqwest::StatusCode;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{
    app::{Engine, TestApp, flows, until},
    certificates::{Authority, Certificate, For, Spoil, client, self_signed, tunnel_to},
    lab::{Sender, code, oru},
    ordering::{becomes, endpoint_with, order, status},
    scripted_lab::ScriptedLab,
};

flows!(
    a_port_with_a_certificate_speaks_tls_only,
    tls_can_have_a_port_of_its_own,
    a_laboratory_is_known_by_its_certificate,
    a_word_on_our_messages_needs_the_certificate_too,
    who_shows_no_good_certificate_is_not_heard,
    the_api_speaks_tls,
);

const BOTH: [&str; 2] = ["1.2", "1.3"];

/// A directory with our own certificate in it, and who vouches for that.
struct Ours {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Ours {
    fn new() -> Self {
        let ours = Self { directory: tempfile::tempdir().unwrap(), authority: Authority::new("Ours") };
        ours.authority.issue(For::Server).write(ours.path());
        ours
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Settings of the MLLP door, and more.
    async fn start(&self, engine: Engine, more: &[(&str, &str)]) -> TestApp {
        let file = |name: &str| self.path().join(name).display().to_string();
        let (cert, key) = (file("server.pem"), file("server.key"));
        let mut settings = vec![("MLLP_TLS_CERT", cert.as_str()), ("MLLP_TLS_KEY", key.as_str())];
        settings.extend(more);
        TestApp::start_with(engine, &settings).await
    }

    /// A sender that trusts us, at that port.
    async fn sender(&self, port: u16, shows: Option<&Certificate>, speaks: &[&str]) -> Sender {
        Sender::connect(tunnel_to(port, client(&self.authority, shows, speaks)).await).await
    }
}

/// A result of a laboratory of that name.
fn result(control_id: &str, application: &str) -> String {
    oru(control_id, "20260302080000", &["OBR|1||F1|K", "OBX|1|NM|K||4.1|mmol/L|||||F"])
        .replace("LAB_LIS", application)
}

async fn messages(app: &TestApp) -> Vec<hl7_message::Model> {
    let rows = hl7_message::Entity::find().order_by_asc(hl7_message::Column::Id);
    rows.all(app.ctx().db.reader()).await.unwrap()
}

/// Whether somebody is heard: what comes back for a good message.
async fn heard(sender: &mut Sender, control_id: &str) -> Option<String> {
    sender.write(&wrap(result(control_id, "LAB_LIS").as_bytes())).await;
    sender.try_answer().await.map(|answer| code(&answer))
}

async fn a_port_with_a_certificate_speaks_tls_only(engine: Engine) {
    let ours = Ours::new();
    let app = ours.start(engine, &[]).await;
    app.jane().await;
    for (n, version) in BOTH.into_iter().enumerate() {
        let mut sender = ours.sender(app.mllp, None, &[version]).await;
        // More than one read, and more than one TLS record.
        let long = result(&format!("T{n}"), "LAB_LIS").replace("|mmol/L|", &format!("|{}|", "x".repeat(40)));
        sender.deliver(&long).await;
        let notes = "NTE|1||a line of a long comment\r".repeat(900);
        sender.deliver(&(result(&format!("L{n}"), "LAB_LIS") + &notes)).await;
    }
    let mut plain = app.lab().await;
    assert_eq!(heard(&mut plain, "P1").await, None);
    let rows = messages(&app).await;
    let kept: Vec<_> =
        rows.iter().map(|row| (row.message_control_id.as_str(), row.tls_version.as_deref())).collect();
    assert_eq!(kept, [("T0", Some("1.2")), ("L0", Some("1.2")), ("T1", Some("1.3")), ("L1", Some("1.3"))]);
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let shown = engineer.read(&format!("/api/hl7/messages/{}", rows[0].id)).await;
    assert_eq!((&shown["tls_version"], &shown["peer_certificate"]), (&json!("1.2"), &Value::Null));
    app.finish().await;
}

async fn tls_can_have_a_port_of_its_own(engine: Engine) {
    let ours = Ours::new();
    let app = ours.start(engine, &[("MLLP_TLS_LISTEN_PORT", "0"), ("MLLP_TLS_MIN_VERSION", "1.3")]).await;
    app.jane().await;
    let port = app.mllp_tls().unwrap();
    assert_eq!(heard(&mut app.lab().await, "P1").await.as_deref(), Some("AA"));
    assert_eq!(heard(&mut ours.sender(port, None, &BOTH).await, "T1").await.as_deref(), Some("AA"));
    assert_eq!(heard(&mut ours.sender(port, None, &["1.2"]).await, "T2").await, None);
    let kept: Vec<_> = messages(&app).await.into_iter().map(|row| row.tls_version).collect();
    assert_eq!(kept, [None, Some("1.3".to_owned())]);
    app.finish().await;
}

async fn a_laboratory_is_known_by_its_certificate(engine: Engine) {
    let ours = Ours::new();
    let app = ours.start(engine, &[]).await;
    app.jane().await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let (city, north, other) = (self_signed(For::Client), self_signed(For::Client), self_signed(For::Client));
    let mut ids = Vec::new();
    for (name, certificate, networks) in
        [("CITY", &city, json!([])), ("NORTH", &north, json!(["127.0.0.0/8"]))]
    {
        let body = json!({
            "name": name, "direction": "inbound", "receiving_application": name, "allowed_networks": networks,
            "client_cert_fingerprint": certificate.fingerprint()
        });
        let made = engineer.post("/api/lis-endpoints", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        assert_eq!(made.body["client_cert_fingerprint"], certificate.fingerprint());
        ids.push(made.body["id"].as_i64().unwrap());
    }
    let expired = Authority::new("Old").issue_spoilt(For::Client, EXPIRED);
    // Certificate, MSH-3, the answer, the endpoint that the message is kept with.
    let table: [(Option<&Certificate>, &str, Option<&str>, i64); 9] = [
        (Some(&city), "CITY", Some("AA"), ids[0]),
        (Some(&north), "NORTH", Some("AA"), ids[1]),
        (Some(&city), "NORTH", Some("AR"), 0),
        (Some(&city), "NOBODY", Some("AR"), 0),
        (Some(&other), "CITY", Some("AR"), 0),
        (None, "CITY", Some("AR"), 0),
        // This machine, and a name that no endpoint has.
        (Some(&other), "NOBODY", Some("AA"), 0),
        (None, "NOBODY", Some("AA"), 0),
        (Some(&expired), "NOBODY", None, 0),
    ];
    for (n, (certificate, name, expected, endpoint)) in table.into_iter().enumerate() {
        let mut sender = ours.sender(app.mllp, certificate, &BOTH).await;
        sender.write(&wrap(result(&format!("M{n}"), name).as_bytes())).await;
        let answer = sender.try_answer().await.map(|answer| code(&answer));
        assert_eq!(answer.as_deref(), expected, "case {n}");
        let row = messages(&app).await.into_iter().find(|row| row.message_control_id == format!("M{n}"));
        let Some(row) = row else { continue };
        let shown = certificate.map(Certificate::digits);
        assert_eq!((row.lis_endpoint_id, row.peer_certificate), (endpoint, shown), "case {n}");
    }
    assert_eq!(messages(&app).await.len(), 8);
    app.finish().await;
}

async fn a_word_on_our_messages_needs_the_certificate_too(engine: Engine) {
    let ours = Ours::new();
    let app = ours.start(engine, &[]).await;
    let (jane, mut lab, city) = (app.jane().await, ScriptedLab::start().await, self_signed(For::Client));
    let settings = json!({
        "direction": "both", "ack_mode": "enhanced", "receiving_application": "CITY", "receiving_facility": "LAB",
        "client_cert_fingerprint": city.fingerprint()
    });
    endpoint_with(&app, lab.port, settings).await;
    let clinician = app.clinician().await;
    let (placed, received) = tokio::join!(order(&clinician, jane, &["CBC"]), async {
        let received = lab.next().await;
        received.say("CA");
        received
    });
    let id = placed.body["id"].clone();
    becomes(&clinician, &id, "sent").await;
    let word = |number: &str| {
        let head = format!("MSH|^~\\&|CITY|LAB|PMS_LAB|MPS_PMS|20260302080000||ACK^O01|{number}|P|2.5.1\r");
        wrap(format!("{head}MSA|AR|{}\r", received.control_id()).as_bytes())
    };
    let other = self_signed(For::Client);
    for (n, certificate) in [None, Some(&other)].into_iter().enumerate() {
        let number = format!("W{n}");
        ours.sender(app.mllp, certificate, &BOTH).await.write(&word(&number)).await;
        until("it is in the log", async || {
            messages(&app).await.into_iter().find(|row| row.message_control_id == number)
        })
        .await;
        assert_eq!(status(&clinician, &id).await, "sent", "somebody else says no");
    }
    ours.sender(app.mllp, Some(&city), &BOTH).await.write(&word("W9")).await;
    becomes(&clinician, &id, "rejected").await;
    app.finish().await;
}

const EXPIRED: Spoil = |params| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
const TOO_EARLY: Spoil = |params| params.not_before = rcgen::date_time_ymd(3000, 1, 1);
const FOR_SERVERS: Spoil =
    |params| params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];

async fn who_shows_no_good_certificate_is_not_heard(engine: Engine) {
    let ours = Ours::new();
    let labs = Authority::new("Laboratories");
    let file = labs.write(ours.path());
    let app = ours.start(engine, &[("MLLP_TLS_CLIENT_CA", &file)]).await;
    app.jane().await;
    let zoo = [
        None,
        Some(self_signed(For::Client)),
        Some(Authority::new("Laboratories").issue(For::Client)),
        Some(labs.issue_spoilt(For::Client, EXPIRED)),
        Some(labs.issue_spoilt(For::Client, TOO_EARLY)),
        Some(labs.issue_spoilt(For::Client, FOR_SERVERS)),
    ];
    for (n, certificate) in zoo.iter().enumerate() {
        for version in BOTH {
            let mut sender = ours.sender(app.mllp, certificate.as_ref(), &[version]).await;
            assert_eq!(heard(&mut sender, "Z1").await, None, "case {n}, TLS {version}");
        }
    }
    assert!(messages(&app).await.is_empty());
    let good = labs.issue(For::Client);
    assert_eq!(
        heard(&mut ours.sender(app.mllp, Some(&good), &BOTH).await, "G1").await.as_deref(),
        Some("AA")
    );
    assert_eq!(messages(&app).await[0].peer_certificate, Some(good.digits()));
    app.finish().await;
}

async fn the_api_speaks_tls(engine: Engine) {
    let ours = Ours::new();
    let file = |name: &str| ours.path().join(name).display().to_string();
    let settings = [("HTTP_TLS_CERT", file("server.pem")), ("HTTP_TLS_KEY", file("server.key"))];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let app = TestApp::start_with(engine, &settings).await;
    let port: u16 = app.base.rsplit(':').next().unwrap().parse().unwrap();
    // Whoever connects and says nothing keeps nobody waiting.
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    for version in BOTH {
        let tunnel = tunnel_to(port, client(&ours.authority, None, &[version])).await;
        assert!(asked(tunnel).await.starts_with("HTTP/1.1 200 OK"));
    }
    assert!(!asked(port).await.contains("200 OK"), "plain text");
    app.finish().await;
}

/// What is answered to a request in the clear.
async fn asked(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
