//! What each command does.

pub mod endpoints;
pub mod messages;

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use crate::{
    clock::Clock,
    config::{Config, Fault, Layers},
    lab, runtime,
    security::tls,
    sim, telemetry,
};

/// Why a command failed, in lines for the operator.
#[derive(Debug)]
pub struct CommandError(Vec<String>);

impl CommandError {
    /// One reason a line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<E: std::fmt::Display> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self(vec![error.to_string()])
    }
}

fn faults(faults: &[Fault]) -> CommandError {
    let lines = faults.iter().map(|fault| format!("configuration: {fault}"));
    CommandError(lines.collect())
}

/// What `pms demo` takes.
#[derive(Args)]
pub struct DemoArgs {
    /// Where the API listens.
    #[arg(long, default_value = "127.0.0.1:8000")]
    http: SocketAddr,
    /// Where MLLP listens.
    #[arg(long, default_value = "127.0.0.1:2575")]
    mllp: SocketAddr,
    /// Where the data is kept; the same directory again continues with the same data.
    #[arg(long, default_value = "./pms-demo")]
    data_dir: PathBuf,
    /// Let everybody in without signing in. Loopback addresses only.
    #[arg(long)]
    no_auth: bool,
}

/// What `pms migrate` does.
#[derive(Clone, Copy, ValueEnum)]
pub enum MigrateAction {
    /// Take the steps that are missing.
    Up,
    /// List the steps and whether each was taken.
    Status,
}

fn layers(file: Option<&Path>) -> Result<Layers, CommandError> {
    let text = match file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| CommandError(vec![format!("{}: {}", path.display(), error.kind())]))?,
        ),
        None => None,
    };
    Layers::new(text.as_deref(), std::env::vars()).map_err(CommandError::from)
}

fn load(layers: &Layers) -> Result<Config, CommandError> {
    let (config, warnings) = Config::load(layers).map_err(|found| faults(&found))?;
    telemetry::start_logs(layers.environment("RUST_LOG"), config.log_json);
    for warning in warnings {
        tracing::warn!("configuration: {warning}");
    }
    Ok(config)
}

/// `pms hl7 tree`.
pub fn hl7_tree(files: &[PathBuf]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    let mut print = |file: Option<&Path>, bytes: &[u8]| {
        for (number, tree) in (1..).zip(lab::read_messages::trees(bytes)) {
            let line = serde_json::json!({
                "file": file.map(|file| file.display().to_string()), "message": number, "tree": tree,
            });
            writeln!(out, "{line}")?;
        }
        Ok::<(), std::io::Error>(())
    };
    if files.is_empty() {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
        print(None, &bytes)?;
    }
    for file in files {
        let bytes = std::fs::read(file)
            .map_err(|error| CommandError(vec![format!("{}: {}", file.display(), error.kind())]))?;
        print(Some(file), &bytes)?;
    }
    Ok(())
}

/// `pms serve`.
pub async fn serve(file: Option<PathBuf>) -> Result<(), CommandError> {
    let config = load(&layers(file.as_deref())?)?;
    let ctx = runtime::context(config, Clock::System).await?;
    endpoints::import_at_start(&ctx).await?;
    let service = runtime::start(ctx).await?;
    tracing::info!(http = %service.http, mllp = %service.mllp, "ready");
    Ok(service.run().await?)
}

/// `pms demo`.
pub async fn demo(args: DemoArgs) -> Result<(), CommandError> {
    let mut layers = layers(None)?;
    let settings = [
        ("database.url", String::new()),
        ("database.data_dir", args.data_dir.display().to_string()),
        ("http.listen_host", args.http.ip().to_string()),
        ("http.listen_port", args.http.port().to_string()),
        ("mllp.listen_host", args.mllp.ip().to_string()),
        ("mllp.listen_port", args.mllp.port().to_string()),
        ("delivery.outbound_allowed_networks", "127.0.0.0/8,::1/128".to_owned()),
        ("security.auth", if args.no_auth { "dev" } else { "required" }.to_owned()),
    ];
    for (key, value) in settings {
        layers.set(key, value);
    }
    let config = load(&layers)?;
    // The laboratory's port first: the endpoint that names it is written before the service starts.
    let laboratory = TcpListener::bind("127.0.0.1:0").await?;
    let ctx = runtime::context(config, Clock::System).await?;
    let accounts = lab::demo_data::load(&ctx, laboratory.local_addr()?).await?;
    let service = runtime::start(ctx).await?;
    let stop = service.stop_token();
    let options =
        sim::lis::LisOptions::for_demo(laboratory, service.mllp, lab::demo_data::sim_patients(&service.ctx));
    let simulation = sim::lis::run(options, stop.clone());
    let welcome = welcome(&service, &accounts, args.no_auth);
    print(&welcome)?;
    let (served, ()) = tokio::join!(
        async {
            let served = service.run().await;
            stop.cancel();
            served
        },
        simulation
    );
    Ok(served?)
}

/// What the operator reads first: where things are, who may sign in, what to try.
fn welcome(service: &runtime::Service, accounts: &[lab::demo_data::DemoAccount], no_auth: bool) -> String {
    let (http, mllp) = (service.http, service.mllp);
    let lines = accounts.iter().map(|account| format!("{} / {}\n", account.username, account.password));
    let accounts: String = lines.collect();
    let (heading, sign_in, auth) = if no_auth {
        ("Nobody signs in (--no-auth). Accounts for later:", String::new(), "")
    } else {
        ("Accounts (username / password):", sign_in_command(http), " -H \"Authorization: Bearer $TOKEN\"")
    };
    let order = r#"{"patient_id":1,"encounter_id":1,"test_codes":["CBC","BMP"],"ordering_provider":"Dr. Smith","priority":"S"}"#;
    format!(
        "\npms demo is running\n\n  start page   http://{http}/\n  API          http://{http}/docs\n  MLLP         {mllp}\n\n\
         {heading}\n{accounts}\nTry, in another terminal:\n{sign_in}\
         \x20 curl -N{auth} http://{http}/api/alerts/stream\n\
         \x20 curl -s{auth} http://{http}/api/lab-orders -H 'Content-Type: application/json' -d '{order}'\n\
         \x20 curl -s{auth} 'http://{http}/api/lab-results?patient_id=1'\n\n"
    )
}

fn sign_in_command(http: SocketAddr) -> String {
    let token = r#"python3 -c 'import json,sys; print(json.load(sys.stdin)["access_token"])'"#;
    format!(
        "  TOKEN=$(curl -s http://{http}/api/auth/token -d grant_type=password -d username=clinician -d password=PASSWORD | {token})\n"
    )
}

fn print(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// `pms migrate`.
pub async fn migrate(action: MigrateAction, file: Option<PathBuf>) -> Result<(), CommandError> {
    let config = load(&layers(file.as_deref())?)?;
    let steps = runtime::migrate(&config, matches!(action, MigrateAction::Up)).await?;
    let line =
        |(name, taken): &(String, bool)| format!("{} {name}\n", if *taken { "applied" } else { "pending" });
    print(&steps.iter().map(line).collect::<String>())
}

/// `pms openapi`.
pub fn openapi() -> Result<(), CommandError> {
    print(&runtime::openapi()?)
}

/// `pms healthcheck`: asks the running service whether it is ready.
pub async fn healthcheck(file: Option<PathBuf>) -> Result<(), CommandError> {
    let config = load(&layers(file.as_deref())?)?;
    let host = match config.http_host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let stream = TcpStream::connect((host, config.http_port)).await?;
    let status = match &config.tls.http {
        Some(files) => ask(host, tls::greet_ourselves(files, host, stream).await?).await?,
        None => ask(host, stream).await?,
    };
    if status == hyper::StatusCode::OK { Ok(()) } else { Err(format!("not ready: {status}").into()) }
}

async fn ask(
    host: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<hyper::StatusCode, CommandError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get("/readyz").header("host", host).body(Empty::<Bytes>::new())?;
    let answer = async { Ok::<_, hyper::Error>(sender.send_request(request).await?.status()) };
    let both = async {
        tokio::select! {
            answer = answer => answer.map_err(CommandError::from),
            ended = connection => Err(ended.err().map_or_else(|| "connection closed".into(), CommandError::from)),
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(5), both).await?
}

/// `pms sim lis`.
pub async fn sim_lis(args: sim::lis::LisArgs) -> Result<(), CommandError> {
    telemetry::start_logs(None, false);
    let options = args.options().await?;
    let stop = tokio_util::sync::CancellationToken::new();
    let signal = async {
        runtime::stop_signal().await;
        stop.cancel();
    };
    let ((), ()) = tokio::join!(sim::lis::run(options, stop.clone()), signal);
    Ok(())
}

/// `pms sim generate`.
pub fn sim_generate(args: &sim::generate::GenerateArgs) -> Result<(), CommandError> {
    print(&args.run(Clock::System.now())?)
}

/// `pms sim send`.
pub async fn sim_send(args: sim::send::SendArgs) -> Result<(), CommandError> {
    let report = args.run().await?;
    print(&report.to_string())?;
    if report.all_accepted() { Ok(()) } else { Err("not every message was accepted".into()) }
}
