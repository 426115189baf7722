//! Accepts senders. Plain text from beyond this machine is taken only from an address that an endpoint names and for
//! which it says so; anybody else is turned away before a byte is read.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::session;
use crate::lab::reception::Reception;

/// Accepts until told to stop. Sessions finish what they have read.
pub async fn run(listener: TcpListener, door: Reception, sessions: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(door.ctx.config.mllp_max_connections));
    if let Ok(address) = listener.local_addr() {
        tracing::info!("MLLP listener started on {address}");
    }
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely. Trying again at once would spin until one is free.
                tracing::error!(kind = ?error.kind(), "cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            turn_away(peer, "too many connections");
            continue;
        };
        let (door, stop) = (door.clone(), stop.clone());
        sessions.spawn(async move {
            greet(stream, peer, door, stop).await;
            drop(place);
        });
    }
}

async fn greet(stream: TcpStream, peer: SocketAddr, door: Reception, stop: CancellationToken) {
    match door.directory.admits(&door.ctx, peer.ip()).await {
        Ok(true) => session::run(stream, peer, door, stop).await,
        Ok(false) => turn_away(peer, "no endpoint allows plain text from this address"),
        Err(_) => turn_away(peer, "the database is not available"),
    }
}

fn turn_away(peer: SocketAddr, reason: &'static str) {
    metrics::counter!("pms_mllp_refused_connections_total", "reason" => reason).increment(1);
    tracing::warn!(peer = %peer.ip(), reason, "connection refused");
}
