//! What goes out by TLS: whom we trust, what we show, and what an operator is told when it does not work.

use std::time::Duration;

use pms::{domain::access::Role, store::entity::lis_endpoint};
use reqwest::{Method, StatusCode};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::{BOTH, EXPIRED, Ours, messages};
use crate::{
    app::{Engine, TestApp, flows, until},
    certificates::{Authority, Certificate, For, Spoil, self_signed, server, tunnel_before},
    ordering::{becomes, endpoint_with, order},
    scripted_lab::ScriptedLab,
};

flows!(an_order_goes_out_by_tls, only_who_is_trusted_gets_anything, a_lab_that_wants_our_certificate_gets_it);

/// Tests an endpoint and answers the steps as `name ok detail`.
async fn steps(app: &TestApp, endpoint: i64) -> Vec<(String, bool, String)> {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    // Without an order, so that a lab need not answer.
    let told = engineer.post(&format!("/api/lis-endpoints/{endpoint}/test"), json!({"order": false})).await;
    assert_eq!(told.status, StatusCode::OK, "{:?}", told.body);
    let text = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    let steps = told.body["steps"].as_array().unwrap().iter();
    steps.map(|step| (text(step, "step"), step["ok"] == true, text(step, "detail"))).collect()
}

async fn set_trust(app: &TestApp, endpoint: i64, trust: Value) {
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let request = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{endpoint}"));
    let answer = engineer.send(request.json(&json!({"profile": {"tls": trust}}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

async fn an_order_goes_out_by_tls(engine: Engine) {
    let app = TestApp::start(engine).await;
    let patient = app.jane().await;
    let (mut lab, theirs) = (ScriptedLab::start().await, Authority::new("Theirs"));
    let certificate = theirs.issue(For::Server);
    let port = tunnel_before(lab.port, server(&certificate, None, &BOTH)).await;
    // Nobody has said whom to trust.
    let endpoint = endpoint_with(&app, port, json!({"tls": true})).await;
    let clinician = app.clinician().await;
    let placed = order(&clinician, patient, &["CBC"]).await;
    assert_eq!((placed.status, &placed.body["status"]), (StatusCode::CREATED, &json!("pending")));
    let detail = until("the endpoint says why", async || {
        let row =
            lis_endpoint::Entity::find_by_id(endpoint).one(app.ctx().db.reader()).await.unwrap().unwrap();
        (row.connection_state == "unreachable").then_some(row.connection_detail.unwrap())
    });
    assert_eq!(detail.await, "TLS: its certificate is of an authority that is not trusted");
    assert!(lab.seen().is_empty());

    // An endpoint that changes is connected to anew; it is known by when it changed.
    app.clock.advance(Duration::from_millis(1));
    set_trust(&app, endpoint, json!({"ca": theirs.pem})).await;
    lab.next().await.say("AA");
    becomes(&clinician, &placed.body["id"], "sent").await;
    let row = messages(&app).await.pop().unwrap();
    assert_eq!((row.tls_version.as_deref(), row.peer_certificate), (Some("1.3"), Some(certificate.digits())));
    // The connection is kept and used again.
    let (second, received) = tokio::join!(order(&clinician, patient, &["BMP"]), async {
        let received = lab.next().await;
        received.say("AA");
        received
    });
    assert_eq!((&second.body["status"], received.connection), (&json!("sent"), 0));
    app.finish().await;
}

const ELSEWHERE: Spoil = |params| {
    params.subject_alt_names = vec![rcgen::SanType::DnsName("lis.example.org".try_into().unwrap())];
};

/// What the lab shows and speaks, what it is trusted by, and what is told.
type Case<'a> = (&'a Certificate, &'a [&'a str], Value, Result<&'a str, &'a str>);

async fn only_who_is_trusted_gets_anything(engine: Engine) {
    let app = TestApp::start(engine).await;
    let (lab, theirs) = (ScriptedLab::start().await, Authority::new("Theirs"));
    let good = theirs.issue(For::Server);
    let elsewhere = theirs.issue_spoilt(For::Server, ELSEWHERE);
    let alone = self_signed(For::Server);
    let ca = json!({"ca": theirs.pem});
    let with = |name: &str, value: &str| {
        let mut trust = ca.clone();
        trust[name] = value.into();
        trust
    };
    let table: [Case<'_>; 10] = [
        (&good, &BOTH, ca.clone(), Ok("TLS 1.3, certificate of CN=City lab, valid until ")),
        (&good, &["1.2"], ca.clone(), Ok("TLS 1.2, certificate of ")),
        (&good, &["1.2"], with("min_version", "1.3"), Err("TLS: no protocol or cipher in common")),
        (&good, &BOTH, json!({}), Err("TLS: its certificate is of an authority that is not trusted")),
        (&elsewhere, &BOTH, ca.clone(), Err("TLS: its certificate is for another name")),
        (&elsewhere, &BOTH, with("server_name", "lis.example.org"), Ok("TLS 1.3")),
        (
            &theirs.issue_spoilt(For::Server, EXPIRED),
            &BOTH,
            ca.clone(),
            Err("TLS: its certificate has expired"),
        ),
        (&theirs.issue(For::Client), &BOTH, ca.clone(), Err("TLS: its certificate is not for this use")),
        (&alone, &BOTH, json!({"server_fingerprint": alone.fingerprint()}), Ok("TLS 1.3")),
        (
            &good,
            &BOTH,
            json!({"server_fingerprint": alone.fingerprint()}),
            Err("TLS: its certificate is not the pinned one"),
        ),
    ];
    for (n, (shows, speaks, trust, expected)) in table.into_iter().enumerate() {
        let port = tunnel_before(lab.port, server(shows, None, speaks)).await;
        let settings = json!({"name": format!("Lab {n}"), "tls": true, "profile": {"tls": trust}});
        let steps = steps(&app, endpoint_with(&app, port, settings).await).await;
        let (name, ok, detail) = steps.last().unwrap();
        assert_eq!((steps.len(), name.as_str(), *ok), (3, "tls", expected.is_ok()), "case {n}: {detail}");
        assert!(detail.starts_with(expected.unwrap_or_else(|why| why)), "case {n}: {detail}");
    }
    // No TLS at the other side at all.
    let silent = endpoint_with(&app, app.mllp, json!({"tls": true, "profile": {"tls": ca}})).await;
    let steps = steps(&app, silent).await;
    assert!(!steps.last().unwrap().1 && steps.last().unwrap().2.starts_with("TLS: "), "{steps:?}");
    assert!(lab.seen().is_empty());
    app.finish().await;
}

async fn a_lab_that_wants_our_certificate_gets_it(engine: Engine) {
    let (ours, theirs) = (Ours::new(), Authority::new("Theirs"));
    let client = ours.authority.issue(For::Client);
    let directory = tempfile::tempdir().unwrap();
    let (cert, key) = client.write(directory.path());
    let ca = theirs.write(directory.path());
    let settings = [
        ("OUTBOUND_TLS_CERT", cert.as_str()),
        ("OUTBOUND_TLS_KEY", key.as_str()),
        ("OUTBOUND_TLS_CA", ca.as_str()),
    ];
    let app = TestApp::start_with(engine, &settings).await;
    let patient = app.jane().await;
    let mut lab = ScriptedLab::start().await;
    let mine = server(&theirs.issue(For::Server), Some(&ours.authority), &BOTH);
    let port = tunnel_before(lab.port, mine).await;
    endpoint_with(&app, port, json!({"tls": true})).await;
    let clinician = app.clinician().await;
    let (placed, ()) = tokio::join!(order(&clinician, patient, &["CBC"]), async {
        lab.next().await.say("AA");
    });
    assert_eq!(placed.body["status"], "sent");

    // To one that another authority must vouch to, nothing is said.
    let stranger = server(&theirs.issue(For::Server), Some(&Authority::new("Others")), &BOTH);
    let port = tunnel_before(lab.port, stranger).await;
    let refused = endpoint_with(&app, port, json!({"name": "Other", "tls": true})).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let told = engineer.post(&format!("/api/lis-endpoints/{refused}/test"), json!({})).await;
    assert_eq!(told.body["ok"], false, "{:?}", told.body);
    assert_eq!(lab.seen().len(), 1);
    app.finish().await;
}
