//! What every MLLP connection has in common as a connection, in the clear or by TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsStream;

/// Silence after which the system asks whether the peer is still there.
const ASK_AFTER: Duration = Duration::from_mins(1);
/// Pause between two such questions.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// Questions without an answer after which the connection has ended.
const MOST_ASKED: u32 = 3;

/// Time to say good-bye. Whoever does not listen any more is not waited for.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that bytes go over.
pub(super) enum Line {
    /// As they are.
    Plain(TcpStream),
    /// Encrypted; a box, because its state is large.
    Secure(Box<TlsStream<TcpStream>>),
}

impl Line {
    /// Address of the other side.
    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Secure(stream) => stream.get_ref().0.peer_addr(),
        }
    }

    /// Whether it is encrypted.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// Sends all of it. TLS holds back what is not flushed.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).await?;
        self.flush().await
    }

    /// Ends it so that the other side knows it was not cut.
    pub(super) async fn close(mut self) {
        if self.is_secure() {
            let _ = timeout(GOODBYE, self.shutdown()).await;
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Secure(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secure(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

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
