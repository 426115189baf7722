//! Accepts senders, in the clear or by TLS. Plain text from beyond this machine is taken only from an address that an endpoint
//! names and for which it says so; by TLS, an endpoint must name the address or the certificate. Anybody else is turned away
//! before a byte of a message is read.

use std::{net::IpAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    line::{self, Line},
    session,
};
use crate::{
    lab::{endpoint_directory::Peer, reception::Reception},
    security::tls::Door,
};

/// What all listeners have in common. Cheap to clone.
#[derive(Clone)]
pub struct Hall {
    reception: Reception,
    /// Connections that may still be taken.
    places: Arc<Semaphore>,
    sessions: TaskTracker,
    stop: CancellationToken,
}

impl Hall {
    /// Sessions run in the tracker, until told to stop; they finish what they have read.
    pub fn new(reception: Reception, sessions: TaskTracker, stop: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(reception.ctx.config.mllp_max_connections));
        Self { reception, places, sessions, stop }
    }
}

/// Accepts until told to stop; with a door, by TLS only.
pub async fn run(listener: TcpListener, door: Option<Door>, hall: Hall) {
    if let Ok(address) = listener.local_addr() {
        let kind = if door.is_some() { "MLLP over TLS" } else { "MLLP" };
        tracing::info!("{kind} listener started on {address}");
    }
    loop {
        let accepted = tokio::select! {
            () = hall.stop.cancelled() => break,
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
        let Ok(place) = hall.places.clone().try_acquire_owned() else {
            turn_away(peer.ip(), "too many connections");
            continue;
        };
        let (door, guest) = (door.clone(), hall.clone());
        hall.sessions.spawn(async move {
            if let Err(reason) = greet(stream, peer.ip(), door, guest).await {
                turn_away(peer.ip(), reason);
            }
            drop(place);
        });
    }
}

/// Serves a connection to its end. Errors: why it was not let in.
async fn greet(
    stream: TcpStream,
    address: IpAddr,
    door: Option<Door>,
    hall: Hall,
) -> Result<(), &'static str> {
    line::prepare(&stream);
    let (line, secured) = match door {
        None => (Line::Plain(stream), None),
        Some(door) => {
            let greeting = hall.stop.run_until_cancelled(door.greet(stream)).await;
            let (stream, secured) = greeting.unwrap_or(Err("the service stops"))?;
            (Line::Secure(Box::new(stream.into())), Some(secured))
        }
    };
    let peer = Peer { address, secured };
    match hall.reception.directory.admits(&hall.reception.ctx, peer).await {
        Ok(true) => session::run(line, peer, hall.reception, hall.stop).await,
        Ok(false) if secured.is_some() => return Err("no endpoint has this certificate or address"),
        Ok(false) => return Err("no endpoint allows plain text from this address"),
        Err(_) => return Err("the database is not available"),
    }
    Ok(())
}

fn turn_away(peer: IpAddr, reason: &'static str) {
    metrics::counter!("pms_mllp_refused_connections_total", "reason" => reason).increment(1);
    tracing::warn!(%peer, reason, "connection refused");
}
