//! A simulated laboratory. It takes orders over MLLP and answers each; soon after it says that the specimen is there,
//! then it reports the tests one by one, all within [`LAST_RESULT`] of the order. Now and then a result is at a critical
//! level, comes first as preliminary, or is corrected afterwards.
//!
//! Orders come in at the [`counter`], become a [`worksheet`] of reports with their times, and leave by the [`courier`].

mod answer;
mod counter;
mod courier;
mod worksheet;

use std::{io, net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{counter::Counter, courier::Courier};
use super::{SimPatient, numbering::Numbering};
use crate::clock::Clock;

/// Every test is final this many units of [`LisOptions::pace`] after its order, whatever was ordered with it.
pub const LAST_RESULT: f64 = 15.0;
/// How often the simulated laboratory of the demo sends a result that nobody ordered.
const DEMO_UNSOLICITED: Duration = Duration::from_secs(30);

/// How an order is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReplyStyle {
    /// A plain ACK^O01.
    #[default]
    Ack,
    /// ORR^O02 with a decision on each test.
    Orr,
}

/// A laboratory to be.
pub struct LisOptions {
    /// Where orders come in.
    pub listener: TcpListener,
    /// Host and port that results go to.
    pub results_to: (String, u16),
    /// How orders are answered.
    pub reply: ReplyStyle,
    /// How often to send a result that nobody ordered; `None`: never.
    pub unsolicited_every: Option<Duration>,
    /// How long a second of the laboratory lasts; a test may shorten it.
    pub pace: Duration,
    /// Where chance comes from.
    pub seed: u64,
    /// Whom unsolicited results are about.
    pub patients: Vec<SimPatient>,
}

impl LisOptions {
    /// A laboratory that answers orders and sends nothing by itself.
    pub fn new(listener: TcpListener, results_to: (String, u16)) -> Self {
        let (reply, pace) = (ReplyStyle::Ack, Duration::from_secs(1));
        Self { listener, results_to, reply, unsolicited_every: None, pace, seed: 1, patients: Vec::new() }
    }

    /// The laboratory of the demo, sending now and then a result about one of its patients.
    pub fn for_demo(listener: TcpListener, results_to: SocketAddr, patients: Vec<SimPatient>) -> Self {
        let address = (reachable(results_to).to_string(), results_to.port());
        Self { unsolicited_every: Some(DEMO_UNSOLICITED), patients, ..Self::new(listener, address) }
    }
}

/// A service that listens on every address is reached by loopback.
fn reachable(address: SocketAddr) -> std::net::IpAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        named => named.ip(),
    }
}

/// What `pms sim lis` takes.
#[derive(Args, Clone, Debug)]
pub struct LisArgs {
    /// Where orders come in.
    #[arg(long, default_value = "127.0.0.1:2576")]
    listen: SocketAddr,
    /// Host that results go to.
    #[arg(long, default_value = "127.0.0.1")]
    results_host: String,
    /// Port that results go to.
    #[arg(long, default_value_t = 2575)]
    results_port: u16,
    /// How orders are answered.
    #[arg(long, value_enum, default_value = "ack")]
    reply: ReplyStyle,
    /// Send a result about a made-up patient every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    unsolicited: Option<u64>,
    /// Where chance comes from: the same seed, the same results.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl LisArgs {
    /// Opens the port. Errors: it is taken.
    pub async fn options(self) -> io::Result<LisOptions> {
        let listener = TcpListener::bind(self.listen).await?;
        Ok(LisOptions {
            reply: self.reply,
            unsolicited_every: self.unsolicited.map(|seconds| Duration::from_secs(seconds.max(1))),
            seed: self.seed,
            patients: super::generate::people(self.seed, 5),
            ..LisOptions::new(listener, (self.results_host, self.results_port))
        })
    }
}

/// Works until told to stop.
pub async fn run(options: LisOptions, stop: CancellationToken) {
    let numbering = std::sync::Arc::new(Numbering::begun(Clock::System.now()));
    let (orders, inbox) = mpsc::unbounded_channel();
    if let Ok(address) = options.listener.local_addr() {
        tracing::info!(%address, "simulated laboratory started");
    }
    let counter = Counter::new(options.reply, numbering.clone(), orders);
    let book = counter.book();
    let courier = Courier::new(&options, numbering, book);
    let customers = TaskTracker::new();
    tokio::join!(counter.serve(options.listener, &customers, &stop), courier.work(inbox, &stop),);
    customers.close();
    customers.wait().await;
}

#[cfg(test)]
mod tests;
