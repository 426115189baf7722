//! The API's door by TLS.

use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use crate::security::tls::Door;

/// Handshakes under way at most. Beyond that new connections wait at the system's door.
const MOST_GREETED: usize = 256;
/// Pause after the system could give no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Gives connections whose handshake is done. Handshakes run beside each other: who begins one and says no more keeps nobody
/// waiting.
pub(super) struct SecureListener {
    socket: TcpListener,
    door: Door,
    greeted: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl SecureListener {
    pub(super) fn new(socket: TcpListener, door: Door) -> Self {
        Self { socket, door, greeted: JoinSet::new() }
    }

    fn greet(&mut self, stream: TcpStream, peer: SocketAddr) {
        let door = self.door.clone();
        self.greeted.spawn(async move {
            // Answers are small and complete: waiting to fill a packet only makes them late.
            let _ = stream.set_nodelay(true);
            match door.greet(stream).await {
                Ok((stream, _)) => Some((stream, peer)),
                Err(reason) => {
                    tracing::debug!(peer = %peer.ip(), reason, "connection to the API refused");
                    None
                }
            }
        });
    }
}

impl Listener for SecureListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                accepted = self.socket.accept(), if self.greeted.len() < MOST_GREETED => match accepted {
                    Ok((stream, peer)) => self.greet(stream, peer),
                    Err(error) => {
                        tracing::error!(kind = ?error.kind(), "cannot accept");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
                Some(greeted) = self.greeted.join_next() => {
                    if let Ok(Some(greeted)) = greeted {
                        return greeted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}
