//! The whole service in this process, on ports of its own, with a clock that stands still until a test moves it.

pub(crate) mod prepared;

use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use pms::{
    clock::{Clock, FakeClock},
    config::{Config, Layers},
    context::Ctx,
    domain::access::Role,
    runtime::{self, Service},
    store::entity::outbox,
};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{lab::Sender, postgres};

/// How long a test waits for what must come. A machine that does other things beside may take long; one that hangs is found
/// all the same.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Which database a flow runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Runs each flow on both databases: `flows!(a, b)` makes `sqlite::a`, `postgres::a` and so on.
macro_rules! flows {
    ($($(#[$meta:meta])* $name:ident),+ $(,)?) => {
        mod sqlite {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                super::$name(crate::app::Engine::Sqlite).await;
            } )+
        }
        mod postgres {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                super::$name(crate::app::Engine::Postgres).await;
            } )+
        }
    };
}
pub(crate) use flows;

/// A running service. [`TestApp::finish`] must be called: it stops the service softly and checks that no work is left.
pub(crate) struct TestApp {
    service: Option<Service>,
    settings: Vec<(String, String)>,
    pub(crate) clock: FakeClock,
    pub(crate) base: String,
    pub(crate) mllp: u16,
    client: Client,
    /// Removed with the test.
    _dir: tempfile::TempDir,
    leaves_work: bool,
}

/// Somebody who calls the API.
#[derive(Clone)]
pub(crate) struct Actor {
    client: Client,
    pub(crate) base: String,
    token: String,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// When all tests begin.
pub(crate) fn start_of_time() -> DateTime<Utc> {
    "2026-03-02T08:00:00Z".parse().unwrap()
}

/// One more process on the same data that can be killed: it runs on threads of its own, and nothing of it ends softly.
pub(crate) struct Killable {
    threads: tokio::runtime::Runtime,
    service: Service,
}

impl Killable {
    /// Starts it.
    pub(crate) async fn start(app: &TestApp) -> Self {
        let threads =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (settings, clock) = (app.settings.clone(), app.clock.clone());
        let service = threads.spawn(async move { start_service(settings, clock).await }).await.unwrap();
        Self { threads, service }
    }

    /// Where its API is.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.service.http)
    }

    /// Ends it where it stands: nothing is finished, given back or written down.
    pub(crate) fn kill(self) {
        self.threads.shutdown_background();
        drop(self.service);
    }
}

async fn start_service(settings: Vec<(String, String)>, clock: FakeClock) -> Service {
    runtime::start(context(settings, clock).await).await.unwrap()
}

async fn context(settings: Vec<(String, String)>, clock: FakeClock) -> Ctx {
    let layers = Layers::new(None, settings.into_iter()).unwrap();
    let (config, _) = Config::load(&layers).unwrap();
    runtime::context(config, Clock::Fake(clock)).await.unwrap()
}

/// Settings of a service on ports of its own, by their environment names.
fn base_settings(url: &str, directory: &Path) -> Vec<(String, String)> {
    let all = [
        ("DATABASE_URL", url),
        ("DATA_DIR", &directory.display().to_string()),
        ("HTTP_LISTEN_PORT", "0"),
        ("MLLP_LISTEN_HOST", "127.0.0.1"),
        ("MLLP_LISTEN_PORT", "0"),
        ("OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("DATABASE_MAX_CONNECTIONS", "8"),
        ("LOGIN_RATE_LIMIT_PER_MINUTE", "10000"),
    ];
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

impl TestApp {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    /// Starts with settings by their environment names.
    pub(crate) async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = match engine {
            Engine::Sqlite => prepared::copy_into(dir.path()).await,
            Engine::Postgres => postgres::url_of_prepared_database(prepared::prepare).await,
        };
        let mut all = base_settings(&url, dir.path());
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let clock = FakeClock::new(start_of_time());
        let client = Client::builder().no_proxy().build().unwrap();
        let mut app = Self {
            service: None,
            settings: all,
            clock,
            base: String::new(),
            mllp: 0,
            client,
            _dir: dir,
            leaves_work: false,
        };
        app.boot().await;
        app
    }

    /// Starts the service on the same data.
    pub(crate) async fn boot(&mut self) {
        let service = self.second().await;
        self.base = format!("http://{}", service.http);
        self.mllp = service.mllp.port();
        self.service = Some(service);
    }

    /// One more process on the same data, as PostgreSQL allows. Whoever starts it stops it.
    pub(crate) async fn second(&self) -> Service {
        start_service(self.settings.clone(), self.clock.clone()).await
    }

    /// Stops softly and starts again on the same data.
    pub(crate) async fn restart(&mut self) {
        self.pause().await;
        self.boot().await;
    }

    /// Stops softly; [`Self::boot`] starts again.
    pub(crate) async fn pause(&mut self) {
        self.service.take().unwrap().stop().await.unwrap();
    }

    pub(crate) fn ctx(&self) -> &pms::context::Ctx {
        &self.service.as_ref().unwrap().ctx
    }

    /// Where MLLP over TLS has a port of its own.
    pub(crate) fn mllp_tls(&self) -> Option<u16> {
        self.service.as_ref().unwrap().mllp_tls.map(|address| address.port())
    }

    /// The settings it was started with, by their environment names.
    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Says that this test ends with messages waiting on purpose.
    pub(crate) fn leaves_work(&mut self) {
        self.leaves_work = true;
    }

    /// Signs somebody in.
    pub(crate) async fn sign_in(&self, role: Role) -> Actor {
        let form =
            [("grant_type", "password"), ("username", role.as_str()), ("password", "a long enough password")];
        let answer =
            self.client.post(format!("{}/api/auth/token", self.base)).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body: Value = answer.json().await.unwrap();
        let token = body["access_token"].as_str().unwrap().to_owned();
        Actor { client: self.client.clone(), base: self.base.clone(), token }
    }

    pub(crate) async fn clinician(&self) -> Actor {
        self.sign_in(Role::Clinician).await
    }

    /// Somebody who has not signed in.
    pub(crate) fn stranger(&self) -> Actor {
        Actor { client: self.client.clone(), base: self.base.clone(), token: String::new() }
    }

    /// A lab's system on a connection of its own.
    pub(crate) async fn lab(&self) -> Sender {
        Sender::connect(self.mllp).await
    }

    /// A patient in the chart, registered by a clinician.
    pub(crate) async fn patient(&self, mrn: &str, last_name: &str, first_name: &str, born: &str) -> i64 {
        let body = json!({
            "mrn": mrn, "last_name": last_name, "first_name": first_name, "date_of_birth": born, "gender": "female"
        });
        let answer = self.clinician().await.post("/api/patients", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        answer.body["id"].as_i64().unwrap()
    }

    /// Jane Doe of the setup guide.
    pub(crate) async fn jane(&self) -> i64 {
        self.patient("12345", "Doe", "Jane", "1990-03-15").await
    }

    /// Rows of a table.
    pub(crate) async fn count<E: EntityTrait>(&self) -> u64
    where
        E::Model: Send + Sync,
    {
        E::find().count(self.ctx().db.reader()).await.unwrap()
    }

    /// Stops softly; nothing may be waiting, unless the test said so.
    pub(crate) async fn finish(mut self) {
        let waiting = outbox::Entity::find()
            .filter(outbox::Column::Status.eq("queued"))
            .count(self.ctx().db.reader())
            .await
            .unwrap();
        assert!(self.leaves_work || waiting == 0, "{waiting} messages still wait to be sent");
        self.service.take().unwrap().stop().await.unwrap();
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let left_running = self.service.is_some() && !std::thread::panicking();
        assert!(!left_running, "the test did not call finish()");
    }
}

impl Actor {
    /// The same person at another process on the same data.
    pub(crate) fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// The body of a GET that must succeed.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        answer.body
    }
}

/// Waits until a condition holds, and fails when it does not within [`PATIENCE`]. It looks again and again; nothing is
/// assumed about how long anything takes.
pub(crate) async fn until<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut condition: F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
