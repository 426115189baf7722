//! Sends what is due, one message at a time over one connection that stays open. What cannot be delivered waits: the
//! same bytes go out again until they are answered.

use std::{cmp::Ordering, collections::BinaryHeap, sync::Arc, time::Duration};

use ipnet::IpNet;
use tokio::{sync::mpsc::UnboundedReceiver, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    LisOptions,
    counter::SharedBook,
    worksheet::{Order, Parcel, Worksheet},
};
use crate::{
    clock::Clock,
    hl7::{ack::AckCode, oru_build::ResultMessage},
    mllp::sender::{Connection, SendFault},
    outbound,
    sim::{self, SimPatient, numbering::Numbering},
};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for an acknowledgment.
const ACK_WAIT: Duration = Duration::from_secs(30);
/// A message that is rejected for the moment is offered so often.
const MAX_REJECTS: u32 = 5;
/// The first unsolicited result does not keep anybody waiting.
const FIRST_UNSOLICITED: Duration = Duration::from_secs(10);
/// The patient of the guide's examples has the results those examples make, and no others.
const UNDISTURBED_MRN: &str = "12345";

/// The courier.
pub(super) struct Courier {
    host: String,
    port: u16,
    anywhere: Vec<IpNet>,
    pace: Duration,
    every: Option<Duration>,
    patients: Vec<SimPatient>,
    numbering: Arc<Numbering>,
    book: SharedBook,
    worksheet: Worksheet,
    connection: Option<Connection>,
}

/// A parcel with its time. The heap gives the earliest first.
struct Due {
    at: Instant,
    number: u64,
    parcel: Parcel,
}

impl Due {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl Courier {
    pub(super) fn new(options: &LisOptions, numbering: Arc<Numbering>, book: SharedBook) -> Self {
        let strangers = options.patients.iter().filter(|patient| patient.mrn != UNDISTURBED_MRN);
        Self {
            host: options.results_to.0.clone(),
            port: options.results_to.1,
            // Whoever starts a simulator says where its results go; no address is out of bounds for it.
            anywhere: ["0.0.0.0/0", "::/0"].iter().filter_map(|block| block.parse().ok()).collect(),
            pace: options.pace,
            every: options.unsolicited_every,
            patients: strangers.cloned().collect(),
            numbering,
            book,
            worksheet: Worksheet::new(options.seed),
            connection: None,
        }
    }

    /// Works until told to stop. What is not due by then is dropped.
    pub(super) async fn work(mut self, mut orders: UnboundedReceiver<Order>, stop: &CancellationToken) {
        let mut heap = BinaryHeap::new();
        let mut number = 0;
        let mut unsolicited = self.every.map(|every| Instant::now() + every.min(FIRST_UNSOLICITED));
        loop {
            let next = heap.peek().map(|due: &Due| due.at);
            let parcel = tokio::select! {
                () = stop.cancelled() => return,
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    let now = Instant::now();
                    for parcel in self.worksheet.plan(&order) {
                        number += 1;
                        heap.push(Due { at: now + self.pace.mul_f64(parcel.after), number, parcel });
                    }
                    continue;
                }
                () = until(next) => heap.pop().map(|due| due.parcel),
                () = until(unsolicited) => {
                    unsolicited = self.every.map(|every| Instant::now() + every);
                    self.unsolicited()
                }
            };
            let Some(parcel) = parcel else { continue };
            if stop.run_until_cancelled(self.deliver(parcel)).await.is_none() {
                return;
            }
        }
    }

    fn unsolicited(&mut self) -> Option<Parcel> {
        let now = Clock::System.now().fixed_offset();
        self.worksheet.unsolicited(&self.patients, self.numbering.next('F'), now)
    }

    async fn deliver(&mut self, parcel: Parcel) {
        let Some((bytes, control_id)) = self.seal(parcel) else { return };
        let mut rejects = 0;
        loop {
            match self.offer(&bytes, &control_id).await {
                Ok(code) if code.is_accept() => return,
                Ok(AckCode::AR | AckCode::CR) if rejects < MAX_REJECTS => rejects += 1,
                Ok(code) => {
                    return tracing::warn!(control_id, code = code.as_str(), "result not accepted, given up");
                }
                Err(fault) => {
                    tracing::debug!(control_id, ?fault, "result not delivered, trying again");
                    self.connection = None;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The message with its control id. `None`: all its tests were called off meanwhile.
    fn seal(&self, parcel: Parcel) -> Option<(Vec<u8>, String)> {
        let now = Clock::System.now().fixed_offset();
        let mut reports = parcel.reports;
        reports.retain(|report| report.placer.is_empty() || !self.book.is_cancelled(&report.placer));
        for report in &mut reports {
            report.reported_at = Some(now);
            if report.status == "F" && !report.placer.is_empty() {
                self.book.finish(&report.placer);
            }
        }
        let control_id = self.numbering.next('R');
        let envelope = sim::envelope((&parcel.client.0, &parcel.client.1), control_id.clone(), now);
        let is_empty = reports.is_empty();
        let message = ResultMessage { envelope, patient: parcel.patient, reports };
        // Every text can be written in UTF-8.
        let bytes = message.to_bytes().ok()?;
        (!is_empty).then_some((bytes, control_id))
    }

    async fn connect(&self) -> Result<Connection, &'static str> {
        Connection::open(&outbound::resolve(&self.host, self.port, &self.anywhere).await?).await
    }

    async fn offer(&mut self, bytes: &[u8], control_id: &str) -> Result<AckCode, SendFault> {
        // A peer that closed meanwhile is called again before anything is sent.
        let mut kept = self.connection.take();
        let usable = kept.as_mut().is_some_and(|connection| !connection.is_stale());
        let mut connection = match kept.filter(|_| usable) {
            Some(connection) => connection,
            // Nothing was sent: that is as good as a connection that ended before the answer.
            None => self.connect().await.map_err(|_| SendFault::Closed)?,
        };
        let exchange = connection.exchange(bytes, control_id, ACK_WAIT).await?;
        self.connection = Some(connection);
        Ok(exchange.reply.code)
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
