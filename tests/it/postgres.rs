//! PostgreSQL for the tests: one throwaway server per test process, a database of its own for every test.
//!
//! The server ends with this process however that ends, since it lives as long as a pipe that we hold; see
//! `tests/throwaway-postgres.sh`. Without an installed PostgreSQL the tests fail and say so: skipping them would
//! leave half of the product unproven and nobody would notice.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
/// Statics are never dropped, so the template needs no owner; only its making must happen once.
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
const TEMPLATE_NAME: &str = "prepared";

struct Server {
    /// Holds the pipe at whose end the server ends.
    process: Child,
    socket_dir: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new("sh")
            .args(["-c", include_str!("../throwaway-postgres.sh"), "throwaway-postgres"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut socket_dir = String::new();
        let stdout = process.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut socket_dir).expect("the script writes text");
        assert!(!socket_dir.is_empty(), "{}", last_words(&mut process));
        Self { process, socket_dir: socket_dir.trim_end().to_owned() }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port=5432&user=postgres", self.socket_dir)
    }
}

fn last_words(process: &mut Child) -> String {
    let mut text = String::new();
    let stderr = process.stderr.as_mut().expect("stderr is piped");
    stderr.read_to_string(&mut text).expect("the script writes text");
    text
}

/// Makes an empty database and returns its `postgres://` URL.
pub(crate) async fn url_of_new_database() -> String {
    new_database_from("template1").await
}

/// Makes a database like the one that `prepare` left behind and returns its URL.
///
/// `prepare` runs once per process, on an empty database whose URL it is given, and closes its connections before it
/// returns. Copying is many times faster than migrating for every test.
pub(crate) async fn url_of_prepared_database<P, F>(prepare: P) -> String
where
    P: FnOnce(String) -> F,
    F: Future<Output = ()>,
{
    let make_template = async || {
        create_database(TEMPLATE_NAME, "template1").await;
        prepare(SERVER.url(TEMPLATE_NAME)).await;
    };
    TEMPLATE.get_or_init(make_template).await;
    new_database_from(TEMPLATE_NAME).await
}

async fn new_database_from(template: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create_database(&name, template).await;
    SERVER.url(&name)
}

/// A connection of its own each time: every test has its own runtime, and a connection dies with the runtime.
async fn create_database(name: &str, template: &str) {
    let mut admin =
        PgConnection::connect(&SERVER.url("postgres")).await.expect("the server takes connections");
    let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.expect("a database can be made");
    admin.close().await.expect("nothing is left to send");
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::app::prepared::prepare;

    async fn run(url: &str, sql: &'static str) -> Result<(), sqlx::Error> {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        connection.close().await
    }

    #[tokio::test]
    async fn databases_work_and_are_apart() {
        let (ours, theirs) = (url_of_new_database().await, url_of_new_database().await);
        run(&ours, "CREATE TABLE only_here (id bigint); INSERT INTO only_here VALUES (1)")
            .await
            .expect("it works");
        run(&ours, "SELECT id FROM only_here").await.expect("another connection sees it");
        run(&theirs, "SELECT id FROM only_here").await.expect_err("another database does not");
    }

    #[tokio::test]
    async fn prepared_databases_hold_what_was_prepared_and_are_apart() {
        let ours = url_of_prepared_database(prepare).await;
        let theirs = url_of_prepared_database(prepare).await;
        run(&ours, "DROP TABLE alert_events").await.expect("it was there");
        run(&theirs, "SELECT id FROM alert_events").await.expect("it is still there");
    }

    #[tokio::test]
    async fn durability_is_on() {
        let url = url_of_new_database().await;
        let mut connection = PgConnection::connect(&url).await.expect("it works");
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            let sql = AssertSqlSafe(format!("SHOW {setting}"));
            let value: String = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("it is set");
            assert_eq!(value, "on", "{setting}");
        }
    }

    #[tokio::test]
    async fn a_server_ends_with_the_pipe_and_leaves_nothing() {
        let mut server = Server::start();
        assert!(Path::new(&server.socket_dir).exists());
        drop(server.process.stdin.take());
        let ended = tokio::task::spawn_blocking(move || {
            let status = server.process.wait().expect("it is our child");
            (status.success(), Path::new(&server.socket_dir).exists())
        });
        let ended =
            tokio::time::timeout(Duration::from_secs(30), ended).await.expect("in time").expect("no panic");
        assert_eq!(ended, (true, false));
    }
}
