//! Starts and ends the service: context, doors, jobs, and a shutdown that loses nothing that was read.
//!
//! First stop signal: no new connections, what was read is settled and answered, streams close. A second signal, or
//! [`GRACE`], ends the process whatever is under way; everything that was acknowledged is on disk by then.

mod doors;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use doors::{Doors, Port, address};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::Receiver,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock,
    config::Config,
    context::{Ctx, Hints},
    http::app::App,
    jobs,
    lab::{
        LabError, deliver,
        endpoint_directory::Directory,
        intake,
        reception::{Reception, ReceptionWatch},
        seed,
        test_endpoint::{Bench, Trial, bench},
    },
    mllp::listener::{self, Hall},
    security::{SecurityError, keyring::Keyring, random_hex, tls::Trust, tokens::TokenKey},
    store::db::{Db, OpenError},
    telemetry,
};

/// How long a soft stop may take.
pub const GRACE: Duration = Duration::from_secs(30);
/// How long giving back the leases and closing the database may take after that. A database that hangs answers neither,
/// and a process that waits for it would never end.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Why the service did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The database.
    #[error("{0}")]
    Database(#[from] OpenError),
    /// A key file.
    #[error("{0}")]
    Security(#[from] SecurityError),
    /// A first use of the database.
    #[error("start: {0}")]
    Lab(#[from] LabError),
    /// A listening address is taken or not ours.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// What was asked for.
        address: String,
        /// The system's word.
        reason: std::io::ErrorKind,
    },
    /// A task ended that must not end while the service runs.
    #[error("the {0} task ended; the service cannot go on without it")]
    TaskDied(&'static str),
    /// Something did not end in time.
    #[error("stopped hard: something did not end within {} s", GRACE.as_secs())]
    HardStop,
}

/// A running service.
pub struct Service {
    /// Its shared parts, for tests and the demo.
    pub ctx: Ctx,
    /// Where the API listens.
    pub http: SocketAddr,
    /// Where MLLP listens.
    pub mllp: SocketAddr,
    /// Where MLLP over TLS listens beside it.
    pub mllp_tls: Option<SocketAddr>,
    stop: CancellationToken,
    doors: TaskTracker,
    sessions: TaskTracker,
    links: TaskTracker,
    intake: Vec<JoinHandle<()>>,
    jobs: Vec<(&'static str, JoinHandle<()>)>,
    owner: String,
}

/// Builds the context: opens and migrates the database, reads the keys, seeds a new installation.
pub async fn context(config: Config, clock: Clock) -> Result<Ctx, RuntimeError> {
    let hints = Hints::default();
    let db = Db::open(&config, hints.clone()).await?;
    db.migrate().await?;
    let keys = config.message_keys_file.clone().unwrap_or_else(|| config.data_dir.join("message-keys.toml"));
    let tokens = config.jwt_secret_file.clone().unwrap_or_else(|| config.data_dir.join("jwt-secret"));
    let keys = Arc::new(Keyring::open(&keys)?);
    let tokens = Arc::new(TokenKey::open(&tokens)?);
    let trust = Arc::new(Trust::open(&config.tls)?);
    let ctx = Ctx { db, clock, config: Arc::new(config), keys, tokens, trust, hints };
    seed::seed(&ctx).await?;
    Ok(ctx)
}

/// Takes the schema steps that are missing, if asked to, and lists all with whether each was taken.
pub async fn migrate(config: &Config, up: bool) -> Result<Vec<(String, bool)>, RuntimeError> {
    let db = Db::open(config, Hints::default()).await?;
    if up {
        db.migrate().await?;
    }
    let steps = db.migration_status().await?;
    db.close().await;
    Ok(steps)
}

/// The API document, exactly as it is served.
pub fn openapi() -> Result<String, serde_json::Error> {
    crate::http::app::openapi_text()
}

/// Binds both doors, then starts everything.
pub async fn start(ctx: Ctx) -> Result<Service, RuntimeError> {
    let doors = Doors::open(&ctx).await?;
    let owner = random_hex::<8>()?;
    if !ctx.db.is_postgres() {
        deliver::clear_leases(&ctx).await?;
    }
    let mut service = Service {
        http: address(&doors.http)?,
        mllp: address(&doors.mllp)?,
        mllp_tls: doors.mllp_tls.as_ref().map(address).transpose()?,
        ctx,
        stop: CancellationToken::new(),
        doors: TaskTracker::new(),
        sessions: TaskTracker::new(),
        links: TaskTracker::new(),
        intake: Vec::new(),
        jobs: Vec::new(),
        owner,
    };
    let reception = service.start_intake();
    service.start_mllp(std::iter::once(doors.mllp).chain(doors.mllp_tls), &reception);
    let (bench, tests) = bench();
    service.start_http(doors.http, reception.watch(), bench);
    service.start_jobs(reception.watch(), tests);
    Ok(service)
}

#[allow(clippy::disallowed_methods, reason = "the one place that starts tasks; `run` notices when one dies")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// A job that fails says why before its end is noticed.
async fn job(name: &'static str, work: impl Future<Output = Result<(), LabError>>) {
    if let Err(error) = work.await {
        tracing::error!(job = name, class = error.class(), "the job failed");
    }
}

impl Service {
    fn start_intake(&mut self) -> Reception {
        let (queue, inboxes) = intake::queue(&self.ctx);
        let worker = |inbox| spawn(intake::run(self.ctx.clone(), inbox));
        self.intake = inboxes.into_iter().map(worker).collect();
        Reception { ctx: self.ctx.clone(), intake: queue, directory: Directory::default() }
    }

    /// All listeners share the connections that there may be.
    fn start_mllp(&self, ports: impl Iterator<Item = Port>, reception: &Reception) {
        let hall = Hall::new(reception.clone(), self.sessions.clone(), self.stop.clone());
        for (listener, door) in ports {
            self.doors.spawn(listener::run(listener, door, hall.clone()));
        }
    }

    fn start_http(&mut self, (http, door): Port, reception: ReceptionWatch, bench: Bench) {
        let app = App::new(self.ctx.clone(), self.stop.clone(), telemetry::start_metrics())
            .receiving(reception)
            .testing(bench);
        let stop = self.stop.clone();
        self.doors.spawn(async move {
            if let Err(error) = crate::http::app::serve(http, door, app, stop).await {
                tracing::error!(kind = ?error.kind(), "the API door failed");
            }
        });
    }

    fn start_jobs(&mut self, reception: ReceptionWatch, tests: Receiver<Trial>) {
        let (ctx, stop) = (&self.ctx, &self.stop);
        let directories =
            jobs::directories::run(ctx.clone(), reception.clone(), self.links.clone(), stop.clone());
        let (owner, links) = (self.owner.clone(), self.links.clone());
        let sftp = jobs::sftp_pull::run(ctx.clone(), reception, owner, links, stop.clone());
        let outbox = jobs::outbox::run(ctx.clone(), self.owner.clone(), self.links.clone(), stop.clone());
        let tests = jobs::self_tests::run(ctx.clone(), tests, self.links.clone(), stop.clone());
        self.jobs = vec![
            ("self-tests", spawn(job("self-tests", tests))),
            ("outbox", spawn(job("outbox", outbox))),
            ("watched directories", spawn(job("watched directories", directories))),
            ("SFTP", spawn(job("SFTP", sftp))),
            ("escalation", spawn(job("escalation", jobs::escalation::run(ctx.clone(), stop.clone())))),
            (
                "reconciliation",
                spawn(job("reconciliation", jobs::reconciliation::run(ctx.clone(), stop.clone()))),
            ),
            (
                "endpoint watch",
                spawn(job("endpoint watch", jobs::endpoint_watch::run(ctx.clone(), stop.clone()))),
            ),
            (
                "events bridge",
                spawn(job("events bridge", jobs::events_bridge::run(ctx.clone(), stop.clone()))),
            ),
        ];
    }

    /// Asks the service to end.
    pub fn request_stop(&self) {
        self.stop.cancel();
    }

    /// Token that ends with the service.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends softly: doors first, then what they had read, then the jobs, then the leases.
    pub async fn stop(self) -> Result<(), RuntimeError> {
        self.stop.cancel();
        let ended = tokio::time::timeout(GRACE, async {
            for tracker in [&self.doors, &self.sessions] {
                tracker.close();
                tracker.wait().await;
            }
            // Every door and session has dropped its end of the queue, and so do looks for files, which end early: the
            // workers drain it and end.
            for worker in self.intake {
                let _ = worker.await;
            }
            for (_, job) in self.jobs {
                let _ = job.await;
            }
            self.links.close();
            self.links.wait().await;
        });
        let ended = ended.await;
        let closed = tokio::time::timeout(CLOSE_GRACE, async {
            let _ = deliver::release_leases(&self.ctx, &self.owner).await;
            self.ctx.db.close().await;
        });
        ended.and(closed.await).map_err(|_| RuntimeError::HardStop)
    }

    /// Which task has died, if one has.
    fn dead_task(&self) -> Option<&'static str> {
        if self.intake.iter().any(JoinHandle::is_finished) {
            return Some("intake");
        }
        self.jobs.iter().find(|(_, job)| job.is_finished()).map(|(name, _)| *name)
    }

    /// Runs until a signal comes or a task dies. A dead task ends the process with a failure, so that whoever watches
    /// it starts it anew.
    pub async fn run(self) -> Result<(), RuntimeError> {
        let died = tokio::select! {
            () = stop_signal() => None,
            () = self.stop.cancelled() => None,
            name = self.watch() => Some(name),
        };
        tracing::info!("stopping");
        let hard = async {
            stop_signal().await;
            Err(RuntimeError::HardStop)
        };
        let stopped = tokio::select! {
            stopped = self.stop() => stopped,
            hard = hard => hard,
        };
        died.map_or(stopped, |name| Err(RuntimeError::TaskDied(name)))
    }

    async fn watch(&self) -> &'static str {
        loop {
            if let Some(name) = self.dead_task() {
                tracing::error!(task = name, "a task has died");
                return name;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// SIGTERM or SIGINT.
pub async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
