//! The API's door by TLS.

use std::net::SocketAddr;

use axum::serve::Listener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use crate::security::tls::Door;

/// Handshakes under way at most. Beyond that new connections wait at the system's door.
const MOST_GREETED: usize = 256;

/// Gives the connections of another listener when their handshake is done. Handshakes run beside each other: who begins one and says no more keeps nobody
/// waiting.
pub(super) struct SecureListener<L> {
    plain: L,
    door: Door,
    greeted: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl<L> SecureListener<L> {
    pub(super) fn new(plain: L, door: Door) -> Self {
        Self { plain, door, greeted: JoinSet::new() }
    }

    fn greet(&mut self, stream: TcpStream, peer: SocketAddr) {
        let door = self.door.clone();
        self.greeted.spawn(async move {
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

impl<L: Listener<Io = TcpStream, Addr = SocketAddr>> Listener for SecureListener<L> {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                (stream, peer) = self.plain.accept(), if self.greeted.len() < MOST_GREETED => {
                    self.greet(stream, peer);
                }
                Some(greeted) = self.greeted.join_next() => {
                    if let Ok(Some(greeted)) = greeted {
                        return greeted;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.plain.local_addr()
    }
}
