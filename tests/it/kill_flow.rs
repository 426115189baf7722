//! The built program, killed with SIGKILL at every turn of an order's way: after its commit and before it was sent, while the
//! lab has it and has not answered, when the lab has answered and nobody has written it down, and at any moment. After each
//! start the same holds: no order that was answered with 201 is lost, every copy the lab saw is the same, and there is one
//! message for each order, in the order in which they were placed.

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{net::TcpListener, time::sleep};

use crate::{
    app::{Engine, flows},
    postgres::url_of_new_database,
    scripted_lab::{Received, ScriptedLab},
};

flows!(nothing_is_lost_and_nothing_done_twice);

/// A lease ends the ACK time-out and five seconds after its owner was heard of last.
const LEASE: Duration = Duration::from_secs(6);

/// Where the data lies, and how to get at it.
struct Site {
    database: String,
    engine: Engine,
    dir: tempfile::TempDir,
    client: Client,
}

/// A running program.
struct Program {
    child: Child,
    base: String,
    client: Client,
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

impl Site {
    async fn new(engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = match engine {
            Engine::Sqlite => format!("sqlite://{}", dir.path().join("pms.db").display()),
            Engine::Postgres => url_of_new_database().await,
        };
        Self { database, engine, dir, client: Client::builder().no_proxy().build().unwrap() }
    }

    async fn start(&self) -> Program {
        let (http, mllp) = (free_port().await, free_port().await);
        let child = Command::new(env!("CARGO_BIN_EXE_pms"))
            .arg("serve")
            .env_clear()
            .env("DATABASE_URL", &self.database)
            .env("DATA_DIR", self.dir.path())
            .env("PMS_AUTH", "dev")
            .env("HTTP_LISTEN_PORT", http.to_string())
            .env("MLLP_LISTEN_HOST", "127.0.0.1")
            .env("MLLP_LISTEN_PORT", mllp.to_string())
            .env("OUTBOUND_ALLOWED_NETWORKS", "127.0.0.0/8")
            .env("ORDER_SEND_WAIT_MS", "0")
            .env("ACK_TIMEOUT_SECONDS", "1")
            .env("RETRY_BACKOFF_SECONDS", "1")
            .env("RETRY_MAX_ATTEMPTS", "50")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let program =
            Program { child, base: format!("http://127.0.0.1:{http}"), client: self.client.clone() };
        program.is_ready().await;
        program
    }

    /// As if the leases of those who were killed had run out. SQLite needs none of it.
    async fn leases_run_out(&self) {
        if self.engine == Engine::Postgres {
            let mut connection = PgConnection::connect(&self.database).await.unwrap();
            let sql = "UPDATE lis_endpoints SET lease_until = now() - interval '1 minute' WHERE lease_owner IS NOT NULL";
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        }
    }
}

impl Program {
    async fn is_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            assert!(Instant::now() < deadline, "the program is not ready");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(&self, path: &str, body: Value) -> Option<Value> {
        let answer = self.client.post(format!("{}{path}", self.base)).json(&body).send().await.ok()?;
        if answer.status() != StatusCode::CREATED {
            return None;
        }
        answer.json().await.ok()
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.json().await.unwrap()
    }

    /// Places an order; `None` where nobody can say whether it was placed.
    async fn order(&self, patient: &Value) -> Option<i64> {
        let body = json!({"patient_id": patient, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith"});
        self.post("/api/lab-orders", body).await?["id"].as_i64()
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes everything that comes until the orders are all here, and answers it well.
async fn take_all(lab: &mut ScriptedLab, placed: &[i64]) {
    let missing = |lab: &ScriptedLab| {
        let seen: Vec<i64> = lab.seen().iter().map(|text| order_of(text)).collect();
        placed.iter().any(|id| !seen.contains(id))
    };
    while missing(lab) {
        lab.next().await.say("AA");
    }
}

fn order_of(text: &str) -> i64 {
    text.split("ORC|NW|").nth(1).unwrap().split('-').next().unwrap().parse().unwrap()
}

async fn becomes_sent(program: &Program, lab: &mut ScriptedLab, placed: &[i64]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    for id in placed {
        loop {
            let status = program.read(&format!("/api/lab-orders/{id}")).await["status"].clone();
            if status == "sent" {
                break;
            }
            assert!(Instant::now() < deadline, "order {id} is {status}");
            // A copy whose first answer nobody heard.
            if let Some(again) = lab.now() {
                again.say("AA");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Holds what the lab saw against what was promised.
fn check(lab: &ScriptedLab, placed: &[i64]) {
    let mut messages: HashMap<String, String> = HashMap::new();
    let mut orders: Vec<i64> = Vec::new();
    for text in lab.seen() {
        let id = text.split('|').nth(9).unwrap().to_owned();
        let first = messages.entry(id).or_insert_with(|| {
            orders.push(order_of(&text));
            text.clone()
        });
        assert_eq!(*first, text, "another message under the same control id");
    }
    assert!(orders.is_sorted_by(|a, b| a < b), "one message an order, in their order: {orders:?}");
    for id in placed {
        assert!(orders.contains(id), "order {id} never arrived");
    }
}

async fn nothing_is_lost_and_nothing_done_twice(engine: Engine) {
    let site = Site::new(engine).await;
    let mut lab = ScriptedLab::start().await;
    let program = site.start().await;
    let patient = json!({"mrn": "12345", "last_name": "Doe", "first_name": "Jane", "date_of_birth": "1990-03-15",
        "gender": "female"});
    let patient = program.post("/api/patients", patient).await.unwrap()["id"].clone();
    let mut placed = Vec::new();

    // Committed, and never sent: there is no lab yet that listens.
    let endpoint =
        json!({"name": "Lab", "host": "127.0.0.1", "port": free_port().await, "direction": "outbound"});
    let endpoint = program.post("/api/lis-endpoints", endpoint).await.unwrap()["id"].clone();
    for _ in 0..3 {
        placed.push(program.order(&patient).await.unwrap());
    }
    program.kill();
    let program = site.start().await;
    let moved = program.client.patch(format!("{}/api/lis-endpoints/{endpoint}", program.base));
    assert!(moved.json(&json!({"port": lab.port})).send().await.unwrap().status().is_success());
    site.leases_run_out().await;
    take_all(&mut lab, &placed).await;
    becomes_sent(&program, &mut lab, &placed).await;

    // Sent, and not answered. This once the lease runs out by itself.
    placed.push(program.order(&patient).await.unwrap());
    let first = lab.next().await;
    program.kill();
    let since = Instant::now();
    let mut program = site.start().await;
    let again = lab.next().await;
    assert_eq!(again.text, first.text);
    if engine == Engine::Postgres {
        assert!(
            since.elapsed() + Duration::from_secs(2) > LEASE,
            "it was left to the other one as long as it might live"
        );
    }
    again.say("AA");
    becomes_sent(&program, &mut lab, &placed).await;

    // Answered, and perhaps not written down.
    for pause in [0, 1, 3, 8] {
        placed.push(program.order(&patient).await.unwrap());
        lab.next().await.say("AA");
        sleep(Duration::from_millis(pause)).await;
        program.kill();
        program = site.start().await;
        site.leases_run_out().await;
        becomes_sent(&program, &mut lab, &placed).await;
    }

    // At any moment, while orders are placed and taken.
    for round in 0..4 {
        let life = Duration::from_millis(15 + 37 * round);
        let placing = async {
            let mut new = Vec::new();
            // One whose answer was cut off may be there or not; what counts is what was promised.
            while let Some(id) = program.order(&patient).await {
                new.push(id);
            }
            new
        };
        let taking = async {
            loop {
                lab.next().await.say("AA");
            }
        };
        let new = tokio::select! {
            new = placing => new,
            () = taking => Vec::new(),
            () = kill_after(&program, life) => Vec::new(),
        };
        placed.extend(new);
        program.kill();
        program = site.start().await;
        site.leases_run_out().await;
        take_all(&mut lab, &placed).await;
        becomes_sent(&program, &mut lab, &placed).await;
    }
    if engine == Engine::Postgres {
        one_of_two(&site, &mut lab, &patient, &mut placed, program).await;
    }
    check(&lab, &placed);
}

/// Kills the program from outside, so that whoever talks to it finds out by itself.
async fn kill_after(program: &Program, life: Duration) {
    sleep(life).await;
    let pid = program.child.id().to_string();
    Command::new("kill").args(["-9", &pid]).status().unwrap();
    std::future::pending::<()>().await;
}

/// Two on one database, and the one that is killed may be the one that waits for the answer.
async fn one_of_two(
    site: &Site,
    lab: &mut ScriptedLab,
    patient: &Value,
    placed: &mut Vec<i64>,
    first: Program,
) {
    let second = site.start().await;
    placed.push(second.order(patient).await.unwrap());
    let sent: Received = lab.next().await;
    first.kill();
    // Whichever had it: the answer is heard by the one that lives, or the message comes again.
    sent.say("AA");
    becomes_sent(&second, lab, placed).await;
    let third = site.start().await;
    placed.push(third.order(patient).await.unwrap());
    let sent = lab.next().await;
    second.kill();
    sent.say("AA");
    becomes_sent(&third, lab, placed).await;
}
