//! Tests of endpoints, handed in by requests: see [`crate::lab::test_endpoint`] for what they promise and why they wait in a queue.
//!
//! Each has a connection of its own beside the endpoint's [`super::link`]. A laboratory that takes one connection only
//! refuses it while orders are sent, and the test says so; it never takes the connection from the orders.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::link::failed;
use crate::{
    context::Ctx,
    domain::retry::AttemptOutcome,
    lab::{
        LabError,
        deliver::Attempt,
        endpoint_tls,
        test_endpoint::{Trial, settle_test_message, step, write_test_message},
        views::{EndpointView, SelfTestStep},
    },
    mllp::sender::Connection,
    outbound,
};

/// Tests that run at once.
const AT_ONCE: usize = 4;
const NO_PLAIN_TEXT: &str = "nothing was sent: plain text to another machine needs allow_plaintext";

/// Does tests until told to stop. Those that run then are cut short and written down, within the tracker.
pub async fn run(
    ctx: Ctx,
    mut inbox: mpsc::Receiver<Trial>,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> Result<(), LabError> {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(Ok(seat)) = stop.run_until_cancelled(seats.clone().acquire_owned()).await {
        let Some(Some(trial)) = stop.run_until_cancelled(inbox.recv()).await else { break };
        let (ctx, stop) = (ctx.clone(), stop.clone());
        tracker.spawn(async move {
            let steps = test(&ctx, &trial, &stop).await;
            trial.answer(steps);
            drop(seat);
        });
    }
    // The API holds the other end, and ends before this job is missed.
    stop.cancelled().await;
    Ok(())
}

/// One test: step by step, until one fails.
async fn test(ctx: &Ctx, trial: &Trial, stop: &CancellationToken) -> Result<Vec<SelfTestStep>, LabError> {
    let (peer, allowed) = (&trial.endpoint, &ctx.config.outbound_allowed_networks);
    let host = peer.host.as_deref().unwrap_or_default();
    let port = peer.port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let mut steps = Vec::new();

    let begun = Instant::now();
    let found = unless_stopped(stop, outbound::resolve(host, port, allowed)).await;
    let told = |addresses: &Vec<std::net::SocketAddr>| {
        let texts = addresses.iter().map(|address| address.ip().to_string());
        texts.collect::<Vec<_>>().join(", ")
    };
    steps.push(step("address", outcome(found.as_ref().map(told)), begun.elapsed()));
    let Ok(addresses) = found else { return Ok(steps) };

    let begun = Instant::now();
    let connected = unless_stopped(stop, Connection::open(&addresses)).await;
    steps.push(step("tcp", outcome(connected.as_ref().map(|_| "connected".to_owned())), begun.elapsed()));
    let Ok(mut connection) = connected else { return Ok(steps) };

    if peer.tls {
        let begun = Instant::now();
        let secured = unless_stopped(stop, secure(ctx, peer, connection)).await;
        let told = secured.as_ref().map(|(_, told)| told.clone());
        steps.push(step("tls", outcome(told), begun.elapsed()));
        let Ok((encrypted, _)) = secured else { return Ok(steps) };
        connection = encrypted;
    }

    if trial.order {
        let begun = Instant::now();
        let taken = send_order(ctx, peer, connection, stop).await?;
        steps.push(step("order", taken, begun.elapsed()));
    }
    Ok(steps)
}

fn outcome(found: Result<String, &&'static str>) -> Result<String, String> {
    found.map_err(|why| (*why).to_owned())
}

/// Encrypts a connection, and says by what and with whom.
async fn secure(
    ctx: &Ctx,
    peer: &EndpointView,
    connection: Connection,
) -> Result<(Connection, String), &'static str> {
    let trust = endpoint_tls::trust_in(&peer.profile)?;
    let host = peer.host.as_deref().unwrap_or_default();
    let (connection, secured, facts) = connection.secure(&ctx.trust, host, &trust).await?;
    let whose = facts.map(|facts| {
        let (subject, until) = (facts.subject, facts.not_after.date_naive());
        format!(", certificate of {subject}, valid until {until}")
    });
    let told = format!("TLS {}{}", secured.version.number(), whose.unwrap_or_default());
    Ok((connection, told))
}

async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, &'static str>>,
) -> Result<T, &'static str> {
    stop.run_until_cancelled(work).await.unwrap_or(Err("the service is stopping"))
}

/// Sends a test order and waits for its answer, for as long as an order would.
async fn send_order(
    ctx: &Ctx,
    peer: &EndpointView,
    mut connection: Connection,
    stop: &CancellationToken,
) -> Result<Result<String, String>, LabError> {
    if !peer.tls && !peer.allow_plaintext && !connection.is_loopback() {
        return Ok(Err(NO_PLAIN_TEXT.to_owned()));
    }
    let (message, secured) = (write_test_message(ctx, peer.id).await?, connection.secured());
    let wait: Duration = ctx.config.ack_timeout;
    let exchange = connection.exchange(&message.bytes, &message.control_id, wait);
    let attempt = match stop.run_until_cancelled(exchange).await {
        Some(Ok(exchange)) => Attempt::answered(exchange.reply, exchange.bytes, exchange.latency),
        Some(Err(fault)) => failed(fault),
        None => Attempt::failed(AttemptOutcome::TimedOut, "the service stopped before the ACK"),
    };
    settle_test_message(ctx, &message, &attempt.over(secured)).await
}
