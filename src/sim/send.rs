//! Sends the messages of a file and measures the answers: `pms sim send`.
//!
//! Without `--seconds` or `--count` each message goes out once, as it stands. With one of them it is a load tool: the
//! messages go round and round, each time with new control and filler numbers, so that every one is news. With
//! `--rate` messages have a moment at which they are meant to go out, and the latency counts from that moment: a
//! service that stalls cannot hide it by delaying its senders.
//!
//! It runs beside the service it measures, so a message costs it little: bytes are patched, answers are scanned.

mod http;
mod line;
mod report;
mod template;

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use clap::Args;
use tokio::time::{Instant, sleep_until};

pub use self::report::{Latency, Report};
use self::{http::Target, line::Line, report::Tally, template::Template};

use crate::{
    clock::Clock,
    hl7::{
        batch::{self, Piece},
        frame::Frame,
        outbound::base36,
    },
};

/// A sender that cannot connect this often in a row gives up.
const MAX_FAILURES: u32 = 5;

/// What `pms sim send` takes.
#[derive(Args, Clone)]
pub struct SendArgs {
    /// File of messages: bare, in a batch, or framed.
    #[arg(long)]
    input: PathBuf,
    /// Host of the MLLP door.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the MLLP door.
    #[arg(long, default_value_t = 2575)]
    port: u16,
    /// Send by HTTP POST instead.
    #[arg(long, requires = "endpoint")]
    http: bool,
    /// Where to POST, such as http://127.0.0.1:8000/api/hl7.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Header x-api-key of a POST. Better put it into the environment as PMS_API_KEY: others see command lines.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// How many connections send at the same time, one message outstanding on each.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Messages per second over all connections; without it as fast as they are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// Keep sending for so long, with fresh numbers.
    #[arg(long)]
    seconds: Option<f64>,
    /// Send so many, with fresh numbers.
    #[arg(long)]
    count: Option<u64>,
    /// How long to wait for an answer.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    timeout: f64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file.
    #[error("{path}: {kind}")]
    Input {
        /// Its name.
        path: String,
        /// The system's word.
        kind: io::ErrorKind,
    },
    /// There is nothing to send.
    #[error("{0}: no HL7 message in it")]
    Empty(String),
    /// An argument.
    #[error("{0}")]
    Argument(&'static str),
}

impl SendArgs {
    /// Sends, and reports on the answers.
    pub async fn run(self) -> Result<Report, SendError> {
        let name = self.input.display().to_string();
        let file = std::fs::read(&self.input);
        let file = file.map_err(|error| SendError::Input { path: name.clone(), kind: error.kind() })?;
        let templates: Vec<Template> = messages(&file).iter().map(|bytes| Template::new(bytes)).collect();
        if templates.is_empty() {
            return Err(SendError::Empty(name));
        }
        let to = self.destination()?;
        let (plan, answer_wait) = self.plan(templates.len())?;
        let run = Run { templates, plan, answer_wait, to, next: AtomicU64::new(0), mark: mark() };
        let workers = (0..self.connections.clamp(1, 10_000)).map(|_| run.work());
        let tallies = futures::future::join_all(workers).await;
        Ok(Report::of(tallies, run.plan.started.elapsed(), run.plan.total, self.json))
    }

    fn destination(&self) -> Result<Destination, SendError> {
        if !self.http {
            return Ok(Destination::Mllp(self.host.clone(), self.port));
        }
        let url = self.endpoint.as_deref().unwrap_or_default();
        let target = Target::parse(url, self.api_key.clone().or_else(key_from_environment));
        target.map(Destination::Http).map_err(SendError::Argument)
    }

    fn plan(&self, templates: usize) -> Result<(Plan, Duration), SendError> {
        let positive = |number: f64, name: &'static str| {
            let usable = number.is_finite() && number > 0.0 && number < 1e9;
            if usable { Ok(number) } else { Err(SendError::Argument(name)) }
        };
        let rate = self.rate.map(|rate| positive(rate, "--rate must be more than 0")).transpose()?;
        let span =
            self.seconds.map(|seconds| positive(seconds, "--seconds must be more than 0")).transpose()?;
        let wait = Duration::from_secs_f64(positive(self.timeout, "--timeout must be more than 0")?);
        let load = span.is_some() || self.count.is_some();
        let total = if load { self.count } else { Some(templates as u64) };
        let plan =
            Plan { started: Instant::now(), total, span: span.map(Duration::from_secs_f64), rate, load };
        Ok((plan, wait))
    }
}

#[allow(clippy::disallowed_methods, reason = "a client on its own, which loads no configuration")]
fn key_from_environment() -> Option<String> {
    std::env::var("PMS_API_KEY").ok()
}

/// The messages of a file. A line end that a file has between messages is no part of one.
fn messages(file: &[u8]) -> Vec<Vec<u8>> {
    let whole = |message: &[u8]| {
        let end = message.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        let (body, rest) = message.split_at(end);
        // A message whose own lines end with LF is sent as it stands.
        let own_end: &[u8] = if body.contains(&b'\n') { rest } else { b"\r" };
        [body, own_end].concat()
    };
    let message = |piece| match piece {
        Piece::Message(Frame::Message(bytes)) => Some(whole(&bytes)),
        _ => None,
    };
    batch::pieces(file).into_iter().filter_map(message).collect()
}

/// Marks the numbers of this run, so that the next run's are other ones.
fn mark() -> String {
    base36((Clock::System.now().timestamp_millis() / 100).unsigned_abs())
}

enum Destination {
    Mllp(String, u16),
    Http(Target),
}

/// When to send what.
struct Plan {
    started: Instant,
    total: Option<u64>,
    span: Option<Duration>,
    rate: Option<f64>,
    load: bool,
}

impl Plan {
    /// When message `n` is meant to go out; `None` when it is not. Without a rate, now.
    fn moment(&self, n: u64) -> Option<Instant> {
        if self.total.is_some_and(|total| n >= total) {
            return None;
        }
        let after = self.rate.map_or_else(|| self.started.elapsed(), |rate| offset(n, rate));
        (self.span.is_none_or(|span| after < span)).then(|| self.started + after)
    }
}

#[allow(clippy::cast_precision_loss, reason = "nobody sends 2^53 messages")]
fn offset(n: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(n as f64 / rate)
}

struct Run {
    templates: Vec<Template>,
    plan: Plan,
    answer_wait: Duration,
    to: Destination,
    next: AtomicU64,
    mark: String,
}

impl Run {
    /// One connection: the next message, its answer, and so on.
    async fn work(&self) -> Tally {
        let (mut tally, mut line, mut failures) = (Tally::default(), None, 0);
        let (mut buffer, mut control_id) = (Vec::new(), Vec::new());
        while failures < MAX_FAILURES {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(meant) = self.plan.moment(n) else { break };
            let begun = begin(meant).await;
            self.render(n, &mut buffer, &mut control_id);
            match self.exchange(&mut line, &buffer, &control_id).await {
                Ok(code) => {
                    failures = 0;
                    tally.answered(code, begun.elapsed());
                }
                Err(fault) => {
                    failures += u32::from(fault == line::UNREACHABLE);
                    tally.failed(fault);
                    // What arrives on it later belongs to a message that was given up.
                    line = None;
                }
            }
        }
        tally
    }

    fn render(&self, n: u64, buffer: &mut Vec<u8>, control_id: &mut Vec<u8>) {
        let template = &self.templates[n as usize % self.templates.len()];
        if self.plan.load {
            template.render(&self.mark, n, buffer, control_id);
        } else {
            template.as_it_stands(buffer, control_id);
        }
    }

    async fn exchange(
        &self,
        line: &mut Option<Line>,
        message: &[u8],
        control_id: &[u8],
    ) -> Result<&'static str, &'static str> {
        let exchange = async {
            let line = match line {
                Some(line) => line,
                None => line.insert(self.open().await?),
            };
            line.exchange(message, control_id).await
        };
        tokio::time::timeout(self.answer_wait, exchange).await.unwrap_or(Err("timed out"))
    }

    async fn open(&self) -> Result<Line, &'static str> {
        match &self.to {
            Destination::Mllp(host, port) => Line::mllp(host, *port).await,
            Destination::Http(target) => target.open().await.map(Line::http),
        }
    }
}

/// Waits for the moment a message is meant to go out and tells from when its latency counts: the timer is coarse, and
/// its lateness is ours, but what went by while the connection was busy is the service's.
async fn begin(meant: Instant) -> Instant {
    if Instant::now() >= meant {
        return meant;
    }
    sleep_until(meant).await;
    Instant::now()
}

#[cfg(test)]
mod tests;
