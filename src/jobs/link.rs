//! The sending side of one endpoint: one connection, one message in flight.
//!
//! What an answer does is decided by MSA-2 alone:
//!
//! | what comes | what it does |
//! |---|---|
//! | the answer to the message in flight | it is that message's: accepted, refused or to be tried again, by its code |
//! | a second one to the message before | nothing |
//! | a word of the application on a message whose commit answer came | it acts on that message's order, whatever is in flight |
//! | a late answer to a message that was given up or waits to be tried again | a line in its order's history |
//! | an answer to something else, or bytes that are none | nobody's: the connection is dropped and the message tried again |
//! | nothing in time, or the connection ends | the connection is dropped and the message tried again |
//! | an answer before the message has ended | as any other: the lab has named the message |

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Ctx,
    domain::retry::{AttemptOutcome, Next, Tally},
    lab::{
        LabError,
        deliver::{self, Attempt, Awaited, Due, Outbound, Start},
        endpoint_tls,
        views::EndpointView,
    },
    mllp::sender::{Connection, LateReply, SendFault},
    outbound,
    security::random_bytes,
};

/// How often a loop looks without being woken: another process may have queued something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages that a late word is still recognised about, beside those whose word is awaited.
const REMEMBERED: usize = 200;
/// How long an exchange may go on after the process was told to stop. Under the grace of the whole shutdown, so that
/// its outcome can still be written down.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// Where and how to connect.
pub(super) struct Peer {
    endpoint: i64,
    host: String,
    port: u16,
    tls: bool,
    /// What it is trusted by stands in it.
    profile: Value,
    allow_plaintext: bool,
    /// Whether its application is asked for a word of its own.
    enhanced: bool,
}

impl From<EndpointView> for Peer {
    fn from(row: EndpointView) -> Self {
        Self {
            endpoint: row.id,
            tls: row.tls,
            profile: row.profile,
            host: row.host.unwrap_or_default(),
            port: row.port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
            allow_plaintext: row.allow_plaintext,
            enhanced: row.ack_mode == "enhanced",
        }
    }
}

/// See the module.
pub(super) struct Link {
    ctx: Ctx,
    owner: String,
    peer: Peer,
    stop: CancellationToken,
    connection: Option<Connection>,
    /// What an exchange ended with while the database was away.
    unrecorded: Option<(Outbound, Attempt)>,
    /// What came about earlier messages and is not applied yet.
    late: Vec<LateReply>,
    /// Control ids of what was sent lately: a lab may answer late, and on another connection.
    sent: VecDeque<String>,
    /// Messages whose lab has still to say what it thinks of them; `None` until looked up.
    awaited: Option<Vec<Awaited>>,
    /// Failed connects in a row, and the pause before the next one.
    unreachable: u32,
    pause: Option<Pause>,
    shown: String,
}

/// A pause before the next connect.
struct Pause {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Pause {
    /// When it ends, if it still lasts. A clock that was set back to before it began must not hold orders for the difference.
    fn end_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.since <= now && now < self.until).then_some(self.until)
    }
}

/// When to look again.
enum Wait {
    /// At once: something may be due.
    None,
    Until(DateTime<Utc>),
    Nudge,
}

impl Link {
    pub(super) fn new(ctx: Ctx, owner: String, peer: Peer, stop: CancellationToken) -> Self {
        Self {
            ctx,
            owner,
            peer,
            stop,
            connection: None,
            unrecorded: None,
            late: Vec::new(),
            sent: VecDeque::new(),
            awaited: None,
            unreachable: 0,
            pause: None,
            shown: String::new(),
        }
    }

    /// Sends what is due until told to stop. A database fault is not the link's end: it looks again.
    pub(super) async fn run(mut self) {
        let mut hints = self.ctx.hints.outbox.listen();
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            hints.mark_unchanged();
            let wait = self.step().await.unwrap_or_else(|error| {
                tracing::warn!(endpoint = self.peer.endpoint, %error, "delivery is held up");
                Wait::Nudge
            });
            let wait = self.or_overdue(wait);
            let clock = self.ctx.clock.clone();
            let due = async {
                match wait {
                    Wait::None => {}
                    Wait::Until(instant) => clock.sleep_until(instant).await,
                    Wait::Nudge => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = due => {}
                _ = timeout(LOOK_EVERY, hints.changed()) => {}
                heard = listen(&mut self.connection) => {
                    if heard.is_err() {
                        self.hang_up();
                    }
                }
            }
        }
    }

    /// One look: at most one message sent. No transaction is open while the lab takes its time.
    async fn step(&mut self) -> Result<Wait, LabError> {
        self.record_late().await?;
        self.hear_late().await?;
        if let Some(until) = self.pause.as_ref().and_then(|pause| pause.end_at(self.ctx.clock.now())) {
            return Ok(Wait::Until(until));
        }
        let message = match deliver::next_due(&self.ctx, self.peer.endpoint).await? {
            Due::Nothing => return Ok(Wait::Nudge),
            Due::At(instant) => return Ok(Wait::Until(instant)),
            Due::Now(message) => message,
        };
        if let Some(wait) = self.connect_for(&message).await? {
            return Ok(wait);
        }
        let start = deliver::start_attempt(&self.ctx, self.peer.endpoint, &self.owner, message.outbox_id);
        let (attempt, until) = match start.await? {
            Start::Go(attempt, until) => (attempt, until),
            Start::Settled => return Ok(Wait::None),
            Start::NotOurs => {
                // Many labs take one connection only: ours would lock the other process out.
                self.hang_up();
                return Ok(Wait::Nudge);
            }
        };
        let message = Outbound { attempt, ..message };
        // A process that was frozen since must not send what another one has sent by now.
        let attempt = if self.ctx.clock.now() < until {
            self.exchange(&message).await
        } else {
            Attempt::failed(AttemptOutcome::TimedOut, "not sent: the lease ran out first")
        };
        let state = if attempt.reply.is_some() { "connected" } else { "no_answer" };
        let detail = attempt.detail.clone();
        self.unrecorded = Some((message, attempt));
        self.record_late().await?;
        self.show(state, &detail).await;
        Ok(Wait::None)
    }

    /// Writes down what the last exchange ended with. Nothing else is sent before that has worked.
    async fn record_late(&mut self) -> Result<(), LabError> {
        if let Some((message, attempt)) = &self.unrecorded {
            let next = deliver::record_attempt(&self.ctx, &self.owner, message, attempt, chance()).await?;
            if next.is_none() {
                // Somebody else sends to this lab.
                self.hang_up();
            }
            self.unrecorded = None;
        }
        Ok(())
    }

    /// Ends the connection, and keeps what came on it about earlier messages.
    fn hang_up(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            self.late.extend(connection.take_late());
        }
    }

    /// Applies what came about earlier messages, and sees to what did not come in time.
    async fn hear_late(&mut self) -> Result<(), LabError> {
        if let Some(connection) = &mut self.connection {
            self.late.extend(connection.take_late());
        }
        let heard = !self.late.is_empty();
        while let Some(late) = self.late.first() {
            deliver::apply_application_ack(&self.ctx, self.peer.endpoint, &late.reply, &late.bytes).await?;
            self.late.remove(0);
        }
        // Another process may have died that awaited something, so it is looked up where it can be.
        let any = self.awaited.as_ref().is_none_or(|awaited| !awaited.is_empty());
        if any || heard || self.peer.enhanced {
            let awaited = deliver::awaited(&self.ctx, self.peer.endpoint).await?;
            if let Some(connection) = &mut self.connection {
                for awaited in &awaited {
                    connection.expect(&awaited.control_id);
                }
            }
            self.awaited = Some(awaited);
        }
        Ok(())
    }

    /// When something is overdue, if nothing is due before.
    fn or_overdue(&self, wait: Wait) -> Wait {
        let first = self.awaited.iter().flatten().map(|awaited| awaited.until).min();
        match (wait, first) {
            (Wait::Nudge, Some(first)) => Wait::Until(first),
            (Wait::Until(instant), Some(first)) => Wait::Until(instant.min(first)),
            (wait, _) => wait,
        }
    }

    /// Makes sure of a connection. Some: there is none, and this is when to try again.
    async fn connect_for(&mut self, message: &Outbound) -> Result<Option<Wait>, LabError> {
        if self.connection.as_mut().is_some_and(|connection| !connection.is_stale()) {
            return Ok(None);
        }
        self.hang_up();
        if !deliver::lease(&self.ctx, self.peer.endpoint, &self.owner).await? {
            return Ok(Some(Wait::Nudge));
        }
        let connecting = connect(&self.ctx, &self.peer);
        // Nothing was sent yet, so a stop may cut this short.
        let Some(connected) = self.stop.run_until_cancelled(connecting).await else {
            return Ok(Some(Wait::Nudge));
        };
        match connected {
            Ok(mut connection) => {
                let awaited = self.awaited.iter().flatten().map(|awaited| &awaited.control_id);
                self.sent.iter().chain(awaited).for_each(|id| connection.expect(id));
                self.connection = Some(connection);
                self.unreachable = 0;
                self.pause = None;
                Ok(None)
            }
            Err(detail) => self.wait_for_peer(message, detail).await.map(Some),
        }
    }

    /// The message waits and uses up no try. The pause is the endpoint's, not the message's: whatever is queued behind
    /// it waits for the same lab.
    async fn wait_for_peer(&mut self, message: &Outbound, detail: &str) -> Result<Wait, LabError> {
        self.unreachable = self.unreachable.saturating_add(1);
        let tally = Tally { attempts: 0, unreachable: self.unreachable };
        let policy = deliver::retry_policy(&self.ctx.config);
        let pause = match policy.after(&AttemptOutcome::Unreachable, tally, chance()) {
            Next::WaitForPeer(pause) | Next::RetryAt(pause) => pause,
            Next::Done | Next::DeadLetter { .. } => LOOK_EVERY,
        };
        let since = self.ctx.clock.now();
        let until = since + chrono::Duration::from_std(pause).unwrap_or_default();
        self.pause = Some(Pause { since, until });
        self.show("unreachable", detail).await;
        deliver::note_unreachable(&self.ctx, message, detail).await?;
        Ok(Wait::Until(until))
    }

    /// Sends and waits for the answer. A connection without a good answer is dropped: what comes late on it must not be
    /// taken for the next message's.
    async fn exchange(&mut self, message: &Outbound) -> Attempt {
        let Some(mut connection) = self.connection.take() else {
            return failed(SendFault::Closed);
        };
        connection.expect(&message.control_id);
        self.remember(&message.control_id);
        let wait = self.ctx.config.ack_timeout;
        let secured = connection.secured();
        let outcome = tokio::select! {
            outcome = connection.exchange(&message.bytes, &message.control_id, wait) => outcome,
            () = cut_short(&self.stop) => Err(SendFault::TimedOut),
        };
        match outcome {
            Ok(exchange) => {
                self.connection = Some(connection);
                Attempt::answered(exchange.reply, exchange.bytes, exchange.latency).over(secured)
            }
            Err(fault) => {
                self.late.extend(connection.take_late());
                failed(fault).over(secured)
            }
        }
    }

    fn remember(&mut self, control_id: &str) {
        self.sent.retain(|known| known != control_id);
        self.sent.push_back(control_id.to_owned());
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }

    /// Shows a change of state, not every message. That it cannot be shown must not hold up delivery.
    async fn show(&mut self, state: &str, detail: &str) {
        if self.shown == state {
            return;
        }
        tracing::info!(endpoint = self.peer.endpoint, state, detail, "link");
        match deliver::show_connection(&self.ctx, self.peer.endpoint, state, Some(detail)).await {
            Ok(()) => state.clone_into(&mut self.shown),
            Err(error) => {
                tracing::warn!(endpoint = self.peer.endpoint, %error, "link state cannot be stored");
            }
        }
    }
}

/// Waits for a word on an earlier message, where one may come.
async fn listen(connection: &mut Option<Connection>) -> Result<(), SendFault> {
    match connection {
        Some(connection) if connection.expects() => connection.listen().await,
        _ => std::future::pending().await,
    }
}

async fn cut_short(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(STOP_GRACE).await;
}

/// Connects as the endpoint allows. A message holds a patient's name, so it never goes in the clear to another machine
/// unless somebody said that it may.
async fn connect(ctx: &Ctx, peer: &Peer) -> Result<Connection, &'static str> {
    let addresses = outbound::resolve(&peer.host, peer.port, &ctx.config.outbound_allowed_networks).await?;
    let connection = Connection::open(&addresses).await?;
    if peer.tls {
        let trust = endpoint_tls::trust_in(&peer.profile)?;
        return Ok(connection.secure(&ctx.trust, &peer.host, &trust).await?.0);
    }
    if !peer.allow_plaintext && !connection.is_loopback() {
        return Err("plain text to another machine needs allow_plaintext");
    }
    Ok(connection)
}

/// What a try came to that brought no answer.
pub(super) fn failed(fault: SendFault) -> Attempt {
    let (outcome, detail) = match fault {
        SendFault::Closed => (AttemptOutcome::Closed, "connection closed before the ACK"),
        SendFault::TimedOut => (AttemptOutcome::TimedOut, "no ACK in time"),
        SendFault::Mismatch => (AttemptOutcome::Mismatched, "the ACK was for another message or unreadable"),
    };
    Attempt::failed(outcome, detail)
}

/// A random number in 0..1. Without random bytes the retries are merely not spread.
fn chance() -> f64 {
    random_bytes::<4>().map_or(0.5, |bytes| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_lasts_until_its_end_or_until_the_clock_is_set_back() {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap_or_default();
        let pause = Pause { since: at(100), until: at(130) };
        for (now, lasts) in
            [(100, true), (129, true), (130, false), (4000, false), (99, false), (-3500, false)]
        {
            assert_eq!(pause.end_at(at(now)), lasts.then_some(at(130)), "{now}");
        }
    }

    #[test]
    fn chance_is_between_zero_and_one() {
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&chance())));
    }
}
