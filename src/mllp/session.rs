//! One sender's connection: cut frames, have each settled, answer in order.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    io::AsyncReadExt,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::line::Line;
use crate::{
    hl7::frame::{Frame, Framer, wrap},
    lab::{
        LabError,
        endpoint_directory::Peer,
        reception::{Bearer, Reception},
    },
};

const READ_BUFFER: usize = 16 * 1024;
/// Time to take an answer, unless silence ends a connection sooner. A sender that does not read its answers is gone for us.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a connection until the sender leaves, breaks a limit, or the service stops.
pub(super) async fn run(line: Line, peer: Peer, door: Reception, stop: CancellationToken) {
    let framer = Framer::new(door.ctx.config.max_message_size);
    let mut session = Session { door, peer, line, framer, frames: Vec::new(), frame_since: None };
    let ended = session.serve(&stop).await;
    session.line.close().await;
    tracing::debug!(peer = %peer.address, reason = ended, noise = session.framer.noise_bytes(), "connection closed");
}

struct Session {
    door: Reception,
    peer: Peer,
    line: Line,
    framer: Framer,
    frames: Vec<Frame>,
    /// When the frame that is being read began.
    frame_since: Option<Instant>,
}

/// What a read brought.
enum Input {
    Bytes(usize),
    End,
    Stop(&'static str),
}

impl Session {
    async fn serve(&mut self, stop: &CancellationToken) -> &'static str {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            match self.read(&mut buffer, stop).await {
                Input::Bytes(count) => self.framer.push(&buffer[..count], &mut self.frames),
                Input::End => {
                    // The sender may have closed its side only, and still wait for the answer to what came before.
                    return if self.framer.finish() { "closed inside a frame" } else { "closed by peer" };
                }
                Input::Stop(reason) => return reason,
            }
            let frames = std::mem::take(&mut self.frames);
            let more = !frames.is_empty();
            if more && self.settle(frames).await.is_err() {
                return "not answered";
            }
            self.note_frame(more);
        }
    }

    /// Remembers when the present frame began, so that a sender cannot hold a place by sending a byte now and then.
    fn note_frame(&mut self, restarted: bool) {
        self.frame_since = match self.frame_since {
            _ if !self.framer.in_frame() => None,
            Some(since) if !restarted => Some(since),
            _ => Some(Instant::now()),
        };
    }

    async fn read(&mut self, buffer: &mut [u8], stop: &CancellationToken) -> Input {
        let config = &self.door.ctx.config;
        let (deadline, reason) = match self.frame_since {
            Some(since) => (since + config.frame_timeout, "frame not finished in time"),
            None => (Instant::now() + config.idle_timeout, "idle"),
        };
        let between_frames = !self.framer.in_frame();
        tokio::select! {
            // The stop first: a sender that never pauses must not keep the service from ending.
            biased;
            () = stop.cancelled(), if between_frames => Input::Stop("service stops"),
            read = self.line.read(buffer) => match read {
                Ok(0) => Input::End,
                Ok(count) => Input::Bytes(count),
                Err(_) => Input::Stop("connection lost"),
            },
            () = sleep_until(deadline) => Input::Stop(reason),
        }
    }

    /// Hands over all frames of one read, so that a pipelining sender fills a batch, then answers in order.
    async fn settle(&mut self, frames: Vec<Frame>) -> Result<(), LabError> {
        let bearer = Bearer::Peer(self.peer);
        let patience = WRITE_TIMEOUT.min(self.door.ctx.config.idle_timeout);
        let mut waiting = VecDeque::new();
        for frame in frames {
            waiting.push_back(self.door.hand_in(bearer, frame).await?);
        }
        while let Some(pending) = waiting.pop_front() {
            let answer = pending.answer().await?;
            let bytes: Vec<u8> = answer.messages.iter().flat_map(|message| wrap(message)).collect();
            let write = tokio::time::timeout(patience, self.line.send(&bytes));
            write.await.map_err(|_| LabError::Unavailable)?.map_err(|_| LabError::Unavailable)?;
        }
        Ok(())
    }
}
