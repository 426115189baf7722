//! A connection to a lab: one message out, its answer in, never another's.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use futures::FutureExt;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

use super::line::{self, Line};
use crate::{
    hl7::{
        ack::Reply,
        frame::{Frame, Framer, wrap},
    },
    outbound,
    security::tls::{Facts, Secured, Trust, TrustIn},
};

/// An answer of a lab is small; anything larger is not an answer.
const MAX_REPLY: usize = 1024 * 1024;
/// Messages that a further word may come about, at most: the oldest are forgotten.
const MAX_EXPECTED: usize = 1000;

/// Why no answer came. After any of these the connection must not be used again: what arrives on it later belongs
/// to a message that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFault {
    /// The connection ended before the answer.
    Closed,
    /// No answer in time.
    TimedOut,
    /// An answer came, but to another message, or one that cannot be read.
    Mismatch,
}

/// An open connection.
pub struct Connection {
    line: Line,
    secured: Option<Secured>,
    framer: Framer,
    frames: Vec<Frame>,
    /// Control id of the message that was answered last on it.
    answered: Option<String>,
    /// Control ids of messages that were sent, on this connection or before it: a word may come about them.
    expected: VecDeque<String>,
    /// What came about those.
    late: Vec<LateReply>,
}

/// What came about an earlier message.
pub struct LateReply {
    /// As received.
    pub bytes: Vec<u8>,
    /// As read.
    pub reply: Reply,
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
    /// Connects to one of these addresses, which were checked. Errors: why none lets us, in words.
    pub async fn open(addresses: &[SocketAddr]) -> Result<Self, &'static str> {
        let stream = outbound::connect_to(addresses).await?;
        line::prepare(&stream);
        Ok(Self::over(Line::Plain(stream), None))
    }

    /// Encrypts it, before anything is said on it, and says whose certificate the other side has. Errors: why not, in words;
    /// the connection is gone then.
    pub async fn secure(
        self,
        trust: &Trust,
        host: &str,
        peer: &TrustIn,
    ) -> Result<(Self, Secured, Option<Facts>), &'static str> {
        let Line::Plain(stream) = self.line else { return Err("TLS: it is encrypted already") };
        let (stream, secured, facts) = trust.greet(stream, host, peer).await?;
        let line = Line::Secure(Box::new(stream.into()));
        Ok((Self::over(line, Some(secured)), secured, facts))
    }

    fn over(line: Line, secured: Option<Secured>) -> Self {
        Self {
            line,
            secured,
            framer: Framer::new(MAX_REPLY),
            frames: Vec::new(),
            answered: None,
            expected: VecDeque::new(),
            late: Vec::new(),
        }
    }

    /// What TLS has agreed on, if it is encrypted.
    pub fn secured(&self) -> Option<Secured> {
        self.secured
    }

    /// Whether the peer is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.line.peer_addr().is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// Says that a word may come about a message of before: what its application thinks of it, or an answer that is late.
    pub fn expect(&mut self, control_id: &str) {
        if !self.is_expected(control_id) {
            self.expected.push_back(control_id.to_owned());
        }
        if self.expected.len() > MAX_EXPECTED {
            self.expected.pop_front();
        }
    }

    /// Whether any may come.
    pub fn expects(&self) -> bool {
        !self.expected.is_empty()
    }

    fn is_expected(&self, control_id: &str) -> bool {
        self.expected.iter().any(|known| known == control_id)
    }

    /// What came about earlier messages, each once.
    pub fn take_late(&mut self) -> Vec<LateReply> {
        std::mem::take(&mut self.late)
    }

    /// Whether the peer has closed an idle connection, or sent what nobody asked for. Such a connection is replaced
    /// before a message goes out, so that a restart of the lab costs no try and a second answer to the message before
    /// is not taken for the next one's. A word on an earlier message is kept, see [`Self::take_late`].
    pub fn is_stale(&mut self) -> bool {
        let mut buffer = [0; 8 * 1024];
        loop {
            if self.sort_frames().is_err() {
                return true;
            }
            match self.line.read(&mut buffer).now_or_never() {
                Some(Ok(count @ 1..)) => self.framer.push(&buffer[..count], &mut self.frames),
                None => return self.framer.in_frame() && !self.expects(),
                Some(_) => return true,
            }
        }
    }

    /// Waits for a word on an earlier message. Errors: the connection has ended, or something else came; it must not be
    /// used again. Nothing is lost when the wait is given up.
    pub async fn listen(&mut self) -> Result<(), SendFault> {
        loop {
            self.sort_frames()?;
            if !self.late.is_empty() {
                return Ok(());
            }
            self.read_on().await?;
        }
    }

    /// Puts aside what came about earlier messages; anything else between two exchanges is a fault.
    fn sort_frames(&mut self) -> Result<(), SendFault> {
        for frame in std::mem::take(&mut self.frames) {
            let (bytes, reply) = read_reply(frame)?;
            if !self.put_aside(bytes, reply) {
                return Err(SendFault::Mismatch);
            }
        }
        Ok(())
    }

    /// Whether it is about an earlier message; then it is kept, once.
    fn put_aside(&mut self, bytes: Vec<u8>, reply: Reply) -> bool {
        let Some(about) = reply.acknowledged_id.clone() else { return false };
        if !self.is_expected(&about) {
            return false;
        }
        // A second commit answer is not the word that is awaited.
        if !reply.code.is_commit() {
            self.expected.retain(|known| *known != about);
            self.late.push(LateReply { bytes, reply });
        }
        true
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
        let sending = self.line.send(&frame);
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
    /// is still to be answered. So is a word on any other message of before, which is kept.
    async fn next_reply(&mut self, control_id: &str) -> Result<(Vec<u8>, Reply), SendFault> {
        loop {
            let (bytes, reply) = read_reply(self.next_frame().await?)?;
            let about = reply.acknowledged_id.as_deref();
            if about == Some(control_id) {
                return Ok((bytes, reply));
            }
            let is_second = about.is_some() && about == self.answered.as_deref();
            if !self.put_aside(bytes.clone(), reply.clone()) {
                if !is_second {
                    return Ok((bytes, reply));
                }
                tracing::warn!(
                    control_id = reply.acknowledged_id,
                    "one more ACK to the same message changes nothing"
                );
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Frame, SendFault> {
        while self.frames.is_empty() {
            self.read_on().await?;
        }
        Ok(self.frames.remove(0))
    }

    /// Reads what there is.
    async fn read_on(&mut self) -> Result<(), SendFault> {
        let mut buffer = vec![0; 8 * 1024];
        let count = self.line.read(&mut buffer).await.map_err(|_| SendFault::Closed)?;
        if count == 0 {
            // Half an answer says nothing.
            self.framer.finish();
            return Err(SendFault::Closed);
        }
        self.framer.push(&buffer[..count], &mut self.frames);
        Ok(())
    }
}

fn read_reply(frame: Frame) -> Result<(Vec<u8>, Reply), SendFault> {
    let Frame::Message(bytes) = frame else { return Err(SendFault::Mismatch) };
    let reply = Reply::parse(&bytes).map_err(|_| SendFault::Mismatch)?;
    Ok((bytes, reply))
}
