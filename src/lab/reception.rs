//! Where every door hands in what it was given, and gets the answer. Promise: whatever the door, the same rules, rows and
//! acknowledgments; each message of a batch has its own outcome, and no byte of it is dropped without a trace.
//!
//! A door gives bytes and says who brings them. One message goes to the intake as it is. A batch is cut; its messages go
//! one after the other, a few at a time, so that a long one fills neither the memory nor the queue. Bytes that belong to
//! no message are kept and refused like one that cannot be read.

mod batch_answer;
mod course;

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

pub use course::{Course, Survey};
use tokio::sync::oneshot;

use super::{
    LabError,
    answer::Reply,
    arrival::{Arrival, sender_names},
    endpoint_directory::{Directory, Peer},
    endpoint_profile::Profile,
    intake::{IntakeQueue, IntakeWatch},
};
use crate::{
    config::Config,
    context::Ctx,
    domain::ids::EndpointId,
    hl7::{
        Warning,
        ack::Reply as Acknowledgment,
        batch::{Envelope, Names, Piece, Splitter, Tally, is_plain},
        frame::Frame,
    },
    security::sha256,
};

/// Messages of one batch under way at most.
const UNDER_WAY: usize = 64;
/// Messages in what is handed in as a whole, at most: each costs a row and an answer, and a header alone is five bytes.
const MOST_MESSAGES: u64 = 20_000;

/// The way in.
#[derive(Clone)]
pub struct Reception {
    /// The service's shared parts.
    pub ctx: Ctx,
    /// The way to the intake workers.
    pub intake: IntakeQueue,
    /// Who may send.
    pub directory: Directory,
}

/// A reception that does not keep the intake open, for doors that wait for slow callers.
#[derive(Clone)]
pub struct ReceptionWatch {
    ctx: Ctx,
    intake: IntakeWatch,
    directory: Directory,
}

/// Who hands in.
#[derive(Clone, Copy, Debug)]
pub enum Bearer {
    /// Whoever is at the other end of a connection.
    Peer(Peer),
    /// An endpoint that is known by a key or a place; and the address, if there is one. Endpoint 0 stands for a sender that
    /// no endpoint names.
    Endpoint(EndpointId, Option<IpAddr>),
}

/// The answer to what was handed in.
#[derive(Debug, Default)]
pub struct Answer {
    /// Messages to send back, each by itself. None: nothing is due.
    pub messages: Vec<Vec<u8>>,
    /// Whether this is the last word. If not, all of it is to be handed in again.
    pub is_settled: bool,
    /// Whether nothing in it was refused.
    pub is_accepted: bool,
}

/// Something handed in whose answer is still to come.
#[derive(Default)]
pub struct Pending {
    parts: VecDeque<Part>,
    /// Parts at the front that need no waiting for.
    done: usize,
    under_way: usize,
    /// Set for a batch with an envelope: who answers, and SHA-256 of the batch.
    batch_of: Option<(Arc<Config>, [u8; 32])>,
}

enum Part {
    Waiting(oneshot::Receiver<Reply>),
    Replied(Reply),
    Envelope(Envelope, Vec<u8>),
}

impl Reception {
    /// The same without a hold on the intake.
    pub fn watch(&self) -> ReceptionWatch {
        ReceptionWatch {
            ctx: self.ctx.clone(),
            intake: self.intake.watch(),
            directory: self.directory.clone(),
        }
    }

    /// Hands in a frame, or what is like one. Returns as soon as its last message is on its way, so that a door can hand in
    /// the next. Errors: the database cannot say who sends; the service stops.
    pub async fn hand_in(&self, bearer: Bearer, frame: Frame) -> Result<Pending, LabError> {
        let bytes = match &frame {
            Frame::Message(bytes) if !is_plain(bytes) => bytes,
            Frame::Message(_) | Frame::Oversize { .. } => return self.hand_in_one(bearer, frame).await,
        };
        let (mut splitter, mut pieces) = (Splitter::new(self.ctx.config.max_message_size), Vec::new());
        splitter.push(bytes, &mut pieces);
        splitter.finish(&mut pieces);
        let tally = Tally::of(&pieces);
        if tally.parcels() > MOST_MESSAGES {
            let (head, size) = (bytes[..bytes.len().min(4096)].to_vec(), bytes.len() as u64);
            return self.hand_in_one(bearer, Frame::Oversize { head, size }).await;
        }
        let batch_of = tally.is_headed().then(|| (self.ctx.config.clone(), sha256(bytes)));
        let mut pending = Pending { batch_of, ..Pending::default() };
        let warnings = tally.warnings();
        for piece in pieces {
            self.hand_in_piece(bearer, piece, &warnings, &mut pending).await?;
        }
        Ok(pending)
    }

    async fn hand_in_one(&self, bearer: Bearer, frame: Frame) -> Result<Pending, LabError> {
        let mut pending = Pending::default();
        self.submit(bearer, frame, &[], &mut pending).await?;
        Ok(pending)
    }

    /// Hands in a part of a batch. `warnings` are about the whole, and recorded with each of its messages.
    async fn hand_in_piece(
        &self,
        bearer: Bearer,
        piece: Piece,
        warnings: &[Warning],
        pending: &mut Pending,
    ) -> Result<(), LabError> {
        match piece {
            Piece::Envelope(kind, line) => pending.parts.push_back(Part::Envelope(kind, line)),
            Piece::Message(frame) | Piece::Stray(frame) => {
                pending.make_room().await?;
                self.submit(bearer, frame, warnings, pending).await?;
            }
        }
        Ok(())
    }

    async fn submit(
        &self,
        bearer: Bearer,
        frame: Frame,
        warnings: &[Warning],
        pending: &mut Pending,
    ) -> Result<(), LabError> {
        let ctx = &self.ctx;
        let (application, facility) = sender_names(&frame);
        let (profile, peer) = match bearer {
            Bearer::Peer(peer) => {
                (self.directory.identify(ctx, peer, &application, &facility).await?, Some(peer))
            }
            Bearer::Endpoint(id, peer) => {
                (self.directory.profile_of(ctx, id, &application, &facility).await?, peer.map(Peer::plain))
            }
        };
        let mut arrival = Arrival::read(ctx, frame, profile, &bearer.fallback(), peer)?;
        arrival.warnings.extend(warnings.iter().cloned());
        let reply = self.intake.submit(arrival).await?;
        pending.parts.push_back(Part::Waiting(reply));
        pending.under_way += 1;
        Ok(())
    }
}

impl ReceptionWatch {
    /// The reception, unless the service is stopping.
    pub fn open(&self) -> Option<Reception> {
        let intake = self.intake.open()?;
        Some(Reception { ctx: self.ctx.clone(), intake, directory: self.directory.clone() })
    }

    /// Who may send.
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Whether messages can still be handed in.
    pub fn is_alive(&self) -> bool {
        self.intake.is_alive()
    }
}

impl Bearer {
    /// How a message is read whose sender is not who it should be: it stays with the endpoint that brought it, so that it
    /// is found there.
    fn fallback(self) -> Profile {
        match self {
            Self::Peer(_) => Profile::unknown(),
            Self::Endpoint(id, _) => Profile { id, ..Profile::unknown() },
        }
    }
}

impl Pending {
    /// Waits until one more message may go.
    async fn make_room(&mut self) -> Result<(), LabError> {
        while self.under_way >= UNDER_WAY {
            self.settle_next().await?;
        }
        Ok(())
    }

    async fn settle_next(&mut self) -> Result<(), LabError> {
        if let Some(part) = self.parts.get_mut(self.done) {
            if let Part::Waiting(reply) = part {
                *part = Part::Replied(reply.await.map_err(|_| LabError::Unavailable)?);
                self.under_way -= 1;
            }
            self.done += 1;
        }
        Ok(())
    }

    async fn settle_all(&mut self) -> Result<(), LabError> {
        while self.done < self.parts.len() {
            self.settle_next().await?;
        }
        Ok(())
    }

    /// Takes away the parts at the front that need no waiting for.
    fn take_done(&mut self) -> Vec<Part> {
        let is_done = |part: &&Part| !matches!(part, Part::Waiting(_));
        let done = self.parts.iter().take_while(is_done).count();
        self.done = self.done.saturating_sub(done);
        self.parts.drain(..done).collect()
    }

    /// Waits until everything is settled. Errors: the service stops.
    pub async fn answer(mut self) -> Result<Answer, LabError> {
        self.settle_all().await?;
        let parts: Vec<Part> = self.parts.into();
        let replies = || parts.iter().filter_map(Part::reply);
        Ok(Answer {
            is_settled: replies().all(Reply::is_settled),
            is_accepted: replies().all(is_accepted),
            messages: match self.batch_of {
                Some((us, input)) => vec![batch_answer::build(&parts, names(&us), input)],
                None => replies().flat_map(Reply::frames).cloned().collect(),
            },
        })
    }
}

impl Part {
    fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Replied(reply) => Some(reply),
            Self::Waiting(_) | Self::Envelope(..) => None,
        }
    }
}

fn names(config: &Config) -> Names<'_> {
    Names { application: &config.sending_application, facility: &config.sending_facility }
}

/// Whether a message was taken and every answer to it says so.
fn is_accepted(reply: &Reply) -> bool {
    reply.is_accepted() && reply.frames().iter().all(|frame| accepts(frame))
}

fn accepts(frame: &[u8]) -> bool {
    Acknowledgment::parse(frame).is_ok_and(|ack| ack.code.is_accept())
}
