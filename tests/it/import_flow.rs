//! Endpoints from the operator's file: all of it or nothing, every fault at once, and what a person changed since stays.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use pms::{
    context::Caller,
    domain::access::Role,
    lab::import_endpoints::{ImportError, import_endpoints},
    store::entity::{access_log, lis_endpoint},
};
use reqwest::{Client, Method, StatusCode};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    app::{Actor, Engine, TestApp, flows, until},
    lab::{FakeLis, Manner},
    ordering::{becomes, order},
};

flows!(
    a_file_is_imported_and_only_its_changes_are,
    what_a_person_did_is_not_undone,
    nothing_is_imported_when_anything_is_wrong,
    orders_that_waited_go_out_once_it_is_clear_where_to,
    processes_that_start_at_once_import_once,
    the_program_reads_its_file_at_the_start,
);

async fn import(app: &TestApp, file: &Value) -> Vec<String> {
    let caller = Caller::system("import_endpoints");
    let imported = import_endpoints(app.ctx(), &caller, file.to_string().as_bytes(), false).await.unwrap();
    imported.iter().map(ToString::to_string).collect()
}

async fn faults(app: &TestApp, file: &Value) -> Vec<String> {
    let caller = Caller::system("import_endpoints");
    match import_endpoints(app.ctx(), &caller, file.to_string().as_bytes(), false).await {
        Err(ImportError::Faults(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

/// The endpoints by name.
async fn named(engineer: &Actor, name: &str) -> Value {
    let all = engineer.read("/api/lis-endpoints").await;
    all.as_array().unwrap().iter().find(|row| row["name"] == name).cloned().unwrap_or_default()
}

async fn patch(engineer: &Actor, id: &Value, body: Value) {
    let request = engineer.request(Method::PATCH, &format!("/api/lis-endpoints/{id}")).json(&body);
    let answer = engineer.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

async fn audited(app: &TestApp) -> Vec<(String, String)> {
    let rows = access_log::Entity::find()
        .filter(access_log::Column::Action.eq("write_endpoint"))
        .order_by_asc(access_log::Column::Id)
        .all(app.ctx().db.reader());
    rows.await.unwrap().into_iter().map(|row| (row.username, row.resource_id.unwrap())).collect()
}

fn lab(name: &str, port: u16) -> Value {
    json!({"name": name, "host": "127.0.0.1", "port": port, "direction": "outbound"})
}

async fn a_file_is_imported_and_only_its_changes_are(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let mut file = json!([lab("City", 1001), {"name": "Feed", "direction": "inbound"}]);
    assert_eq!(import(&app, &file).await, ["City: created", "Feed: created"]);
    assert_eq!(import(&app, &file).await, ["City: unchanged", "Feed: unchanged"]);
    file[0]["code_map"] = json!({"CBC": "4711"});
    file[0]["port"] = json!(1002);
    file[1]["time_zone"] = json!("UTC");
    // The zone is what it was by default.
    assert_eq!(import(&app, &file).await, ["City: changed (code_map, port)", "Feed: unchanged"]);
    let city = named(&engineer, "City").await;
    assert_eq!((&city["port"], &city["code_map"]), (&json!(1002), &json!({"CBC": "4711"})));
    // What is taken out of the file is what it is by default.
    file[0].as_object_mut().unwrap().remove("code_map");
    assert_eq!(import(&app, &file).await, ["City: changed (code_map)", "Feed: unchanged"]);
    assert_eq!(named(&engineer, "City").await["code_map"], json!({}));
    let (city, feed) = (city["id"].to_string(), named(&engineer, "Feed").await["id"].to_string());
    let by_system = |id: &String| ("system".to_owned(), id.clone());
    let wrote = [by_system(&city), by_system(&feed), by_system(&city), by_system(&city)];
    assert_eq!(audited(&app).await, wrote, "what changed nothing is no change");
    app.finish().await;
}

async fn what_a_person_did_is_not_undone(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    let by_hand = engineer.post("/api/lis-endpoints", lab("By hand", 999)).await.body["id"].clone();
    let mut file = json!([lab("City", 1001), lab("Gone", 1002), lab("Old name", 1003), lab("By hand", 1004)]);
    import(&app, &file).await;
    let id = async |name: &str| named(&engineer, name).await["id"].clone();
    assert_eq!(named(&engineer, "By hand").await["port"], 1004, "found by its name");
    assert_eq!(id("By hand").await, by_hand);
    patch(&engineer, &id("City").await, json!({"port": 2001, "paused": true})).await;
    patch(&engineer, &id("Old name").await, json!({"name": "New name"})).await;
    let gone = format!("/api/lis-endpoints/{}", id("Gone").await);
    assert_eq!(engineer.send(engineer.request(Method::DELETE, &gone)).await.status, StatusCode::NO_CONTENT);
    let left = "Gone: unchanged (it was deleted, and stays so)";
    let again = ["City: unchanged", left, "Old name: unchanged", "By hand: unchanged"];
    assert_eq!(import(&app, &file).await, again);
    // The file says something new of the same endpoints; only that is done.
    file[0]["hl7_version"] = json!("2.4");
    file[2]["port"] = json!(2003);
    let news = ["City: changed (hl7_version)", left, "Old name: changed (port)", "By hand: unchanged"];
    assert_eq!(import(&app, &file).await, news);
    let city = named(&engineer, "City").await;
    assert_eq!(
        [&city["port"], &city["paused"], &city["hl7_version"]],
        [&json!(2001), &json!(true), &json!("2.4")]
    );
    assert_eq!(named(&engineer, "New name").await["port"], 2003);
    assert_eq!(named(&engineer, "Old name").await, Value::Null);
    file[1]["port"] = json!(2002);
    assert_eq!(import(&app, &file).await[1], "Gone: created");
    assert_eq!(import(&app, &file).await[1], "Gone: unchanged");
    // No entry of ours: whatever is not in the file stays.
    assert_eq!(import(&app, &json!([])).await, [""; 0]);
    assert_eq!(engineer.read("/api/lis-endpoints").await.as_array().unwrap().len(), 4);
    app.finish().await;
}

async fn nothing_is_imported_when_anything_is_wrong(engine: Engine) {
    let app = TestApp::start(engine).await;
    let engineer = app.sign_in(Role::InterfaceEngineer).await;
    import(&app, &json!([lab("City", 1001), lab("Other", 1002)])).await;
    patch(&engineer, &named(&engineer, "City").await["id"], json!({"hl7_version": "2.3"})).await;
    patch(&engineer, &named(&engineer, "Other").await["id"], json!({"name": "Renamed"})).await;
    let mut city = lab("City", 1009);
    city["order_message"] = json!("OML_O21");
    let file = json!([
        lab("New", 1003),
        city,
        {"name": "Typo", "direction": "inbound", "prot": 1, "port": 0},
        lab("Other", 1002),
        lab("Renamed", 1004),
        {"name": "Files", "direction": "inbound", "profile": {"directory": {"path": "/srv/hl7"}}},
    ]);
    let expected = [
        r#"entry 2 "City": order_message: OML_O21 is sent in version 2.5 and later"#,
        r#"entry 3 "Typo": prot: there is no such setting"#,
        r#"entry 3 "Typo": port: must be between 1 and 65535"#,
        r#"entry 5 "Renamed": name: an endpoint that another entry made has it"#,
    ];
    let found = faults(&app, &file).await;
    assert_eq!(found[..4], expected, "{found:?}");
    assert!(found[4].starts_with(r#"entry 6 "Files": profile: "#) && found.len() == 5, "{found:?}");
    assert_eq!(app.count::<lis_endpoint::Entity>().await, 3, "two and the loopback sender");
    assert_eq!(named(&engineer, "City").await["port"], 1001);
    // A dry run tells what would be done, and does none of it.
    let caller = Caller::operator();
    let file = json!([lab("New", 1003)]).to_string();
    let told = import_endpoints(app.ctx(), &caller, file.as_bytes(), true).await.unwrap();
    assert_eq!(told[0].to_string(), "New: created");
    assert_eq!(app.count::<lis_endpoint::Entity>().await, 3);
    app.finish().await;
}

async fn orders_that_waited_go_out_once_it_is_clear_where_to(engine: Engine) {
    let app = TestApp::start_with(engine, &[("ORDER_SEND_WAIT_MS", "0")]).await;
    let jane = app.jane().await;
    let clinician = app.clinician().await;
    let waiting = order(&clinician, jane, &["CBC"]).await.body["id"].clone();
    let (first, second) =
        (FakeLis::start(&[Manner::Ack("AA")]).await, FakeLis::start(&[Manner::Ack("AA")]).await);
    let mut default = lab("Second", second.port);
    default["is_default"] = json!(true);
    import(&app, &json!([lab("First", first.port), default])).await;
    becomes(&clinician, &waiting, "sent").await;
    assert_eq!((first.received().len(), second.received().len()), (0, 1));
    app.finish().await;
}

async fn processes_that_start_at_once_import_once(engine: Engine) {
    let app = TestApp::start(engine).await;
    let file = json!([lab("City", 1001), lab("Other", 1002)]);
    let outcomes = tokio::join!(import(&app, &file), import(&app, &file), import(&app, &file));
    let mut lines = [outcomes.0, outcomes.1, outcomes.2].concat();
    lines.sort();
    let city = ["City: created", "City: unchanged", "City: unchanged"];
    let other = ["Other: created", "Other: unchanged", "Other: unchanged"];
    assert_eq!(lines, [city, other].concat());
    app.finish().await;
}

fn run(app: &TestApp, directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    program(app, directory, arguments, settings).output().unwrap()
}

/// The built program on the data of a service that is stopped, in a directory of its own.
fn program(app: &TestApp, directory: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let environment = app.settings().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pms"));
    command.args(arguments).env_clear().envs(environment.chain(settings.iter().copied()));
    command.current_dir(directory);
    command
}

/// Starts the built program in a directory, and ends it once it is ready.
async fn serve_once(app: &TestApp, directory: &Path) {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut program = program(app, directory, &["serve"], &[("HTTP_LISTEN_PORT", &port.to_string())])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = Client::builder().no_proxy().build().unwrap();
    let ready = async || client.get(format!("http://127.0.0.1:{port}/readyz")).send().await.ok();
    until("the program is ready", async || ready().await.filter(|answer| answer.status().is_success())).await;
    program.kill().unwrap();
    program.wait().unwrap();
}

async fn the_program_reads_its_file_at_the_start(engine: Engine) {
    let mut app = TestApp::start(engine).await;
    app.pause().await;
    let place = tempfile::tempdir().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let file = place.path().join("config/lis_endpoints.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let write = |content: Value| std::fs::write(&file, content.to_string()).unwrap();
    // Where nobody names it, it lies under the working directory; with a fault in it nothing starts.
    write(json!([{"name": "City", "host": "127.0.0.1", "port": 0}]));
    let refused = run(&app, place.path(), &["serve"], &[]);
    assert!(!refused.status.success());
    let told = text(&refused.stderr);
    let expected = r#"pms: config/lis_endpoints.json: entry 1 "City": port: must be between 1 and 65535"#;
    assert!(told.lines().any(|line| line == expected), "{told}");
    // One that is named must be there.
    let missing = run(&app, place.path(), &["serve"], &[("LIS_ENDPOINTS_FILE", "elsewhere.json")]);
    assert!(!missing.status.success());
    assert!(text(&missing.stderr).contains("elsewhere.json: entity not found"), "{}", text(&missing.stderr));
    write(json!([lab("City", 1001)]));
    let import = ["endpoints", "import", "config/lis_endpoints.json"];
    let dry = run(&app, place.path(), &[&import[..], &["--dry-run"]].concat(), &[]);
    assert_eq!(text(&dry.stdout), "nothing is written; an import would do this:\nCity: created\n");
    serve_once(&app, place.path()).await;
    assert_eq!(text(&run(&app, place.path(), &import, &[]).stdout), "City: unchanged\n");
    write(json!([lab("City", 1002)]));
    assert_eq!(text(&run(&app, place.path(), &import, &[]).stdout), "City: changed (port)\n");
    app.boot().await;
    let who: Vec<String> = audited(&app).await.into_iter().map(|(who, _)| who).collect();
    assert_eq!(who, ["system", "operator"]);
    app.finish().await;
}
