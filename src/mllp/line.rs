//! What every MLLP connection has in common as a connection.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence after which the system asks whether the peer is still there.
const ASK_AFTER: Duration = Duration::from_mins(1);
/// Pause between two such questions.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Questions without an answer after which the connection has ended.
const MOST_ASKED: u32 = 3;

/// Prepares a connection that lasts for days. Answers are small and awaited: they must not be held back. A peer that lost its
/// power, or a firewall that forgot the connection, says nothing: the system asks, so that the next order does not wait out
/// the acknowledgment time on a line that leads nowhere. Failing to set either costs time only.
pub(super) fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let asking = TcpKeepalive::new().with_time(ASK_AFTER).with_interval(ASK_EVERY).with_retries(MOST_ASKED);
    let _ = SockRef::from(stream).set_tcp_keepalive(&asking);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_prepared_line_asks_for_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!SockRef::from(&stream).keepalive().unwrap());
        prepare(&stream);
        let line = SockRef::from(&stream);
        assert!(line.keepalive().unwrap() && stream.nodelay().unwrap());
        assert_eq!(line.tcp_keepalive_time().unwrap(), ASK_AFTER);
    }
}
