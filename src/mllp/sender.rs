//! A connection to a lab: one message out, its answer in, never another's.

use std::{io, time::Duration};

use ipnet::IpNet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    hl7::{
        ack::Reply,
        frame::{Frame, Framer, wrap},
    },
    outbound,
};

/// An answer of a lab is small; anything larger is not an answer.
const MAX_REPLY: usize = 1024 * 1024;

/// Why no answer came. After any of these the connection must not be used again: what arrives on it later belongs
/// to a message that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFault {
    /// No connection could be made: nothing was sent.
    Unreachable(&'static str),
    /// The connection ended before the answer.
    Closed,
    /// No answer in time.
    TimedOut,
    /// An answer came, but to another message, or one that cannot be read.
    Mismatch,
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    framer: Framer,
    frames: Vec<Frame>,
    /// Control id of the message that was answered last on it.
    answered: Option<String>,
}

/// The answer with its bytes.
pub struct Exchange {
    /// As received.
    pub bytes: Vec<u8>,
    /// As read.
    pub reply: Reply,
    /// From the last byte out to the last byte in.
    pub latency: Duration,
}

impl Connection {
    /// Connects.
    pub async fn open(host: &str, port: u16, allowed: &[IpNet]) -> Result<Self, SendFault> {
        outbound::connect(host, port, allowed).await.map(Self::over).map_err(SendFault::Unreachable)
    }

    fn over(stream: TcpStream) -> Self {
        // One small frame, then waiting: Nagle would hold the frame's tail back. Failing to set it costs speed only.
        let _ = stream.set_nodelay(true);
        Self { stream, framer: Framer::new(MAX_REPLY), frames: Vec::new(), answered: None }
    }

    /// Whether the peer is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.stream.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// Whether the peer has closed an idle connection, or sent what nobody asked for. Such a connection is replaced
    /// before a message goes out, so that a restart of the lab costs no try and a second answer to the message before
    /// is not taken for the next one's.
    pub fn is_stale(&mut self) -> bool {
        let mut byte = [0; 1];
        let unread = !self.frames.is_empty() || self.framer.in_frame();
        unread
            || !matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends a message and waits for the answer whose MSA-2 is its control id.
    pub async fn exchange(
        &mut self,
        message: &[u8],
        control_id: &str,
        wait: Duration,
    ) -> Result<Exchange, SendFault> {
        let deadline = Instant::now() + wait;
        let frame = wrap(message);
        let sending = self.stream.write_all(&frame);
        timeout_at(deadline, sending)
            .await
            .map_err(|_| SendFault::TimedOut)?
            .map_err(|_| SendFault::Closed)?;
        let sent = Instant::now();
        let (bytes, reply) =
            timeout_at(deadline, self.next_reply(control_id)).await.map_err(|_| SendFault::TimedOut)??;
        if reply.acknowledged_id.as_deref() != Some(control_id) {
            return Err(SendFault::Mismatch);
        }
        self.answered = Some(control_id.to_owned());
        Ok(Exchange { bytes, reply, latency: sent.elapsed() })
    }

    /// The next answer. A second one to the message before is passed over: that message has its outcome, and this one
    /// is still to be answered.
    async fn next_reply(&mut self, control_id: &str) -> Result<(Vec<u8>, Reply), SendFault> {
        loop {
            let bytes = self.next_frame().await?;
            let reply = Reply::parse(&bytes).map_err(|_| SendFault::Mismatch)?;
            let about = reply.acknowledged_id.as_deref();
            if about.is_none() || about == Some(control_id) || about != self.answered.as_deref() {
                return Ok((bytes, reply));
            }
            tracing::warn!(control_id = about, "a second ACK to the same message changes nothing");
        }
    }

    async fn next_frame(&mut self) -> Result<Vec<u8>, SendFault> {
        let mut buffer = vec![0; 8 * 1024];
        loop {
            if !self.frames.is_empty() {
                return match self.frames.remove(0) {
                    Frame::Message(bytes) => Ok(bytes),
                    Frame::Oversize { .. } => Err(SendFault::Mismatch),
                };
            }
            let count = self.stream.read(&mut buffer).await.map_err(|_| SendFault::Closed)?;
            if count == 0 {
                // Half an answer says nothing.
                self.framer.finish();
                return Err(SendFault::Closed);
            }
            self.framer.push(&buffer[..count], &mut self.frames);
        }
    }
}
