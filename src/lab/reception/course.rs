//! Something too long to be held, handed in while it is read. It is read twice: what is wrong with the whole is recorded
//! with each of its messages, so it has to be known before the first goes in.

use super::{Bearer, Pending, Reception, batch_answer::Filling, is_accepted, names};
use crate::{
    hl7::{
        Warning,
        batch::{Piece, Splitter, Tally},
    },
    lab::LabError,
    security::Sha256,
};

/// The first reading.
pub struct Survey {
    splitter: Splitter,
    tally: Tally,
    digest: Sha256,
    size: u64,
    pieces: Vec<Piece>,
}

impl Survey {
    /// Of something whose messages have at most `max_size` bytes.
    pub fn new(max_size: usize) -> Self {
        Self {
            splitter: Splitter::new(max_size),
            tally: Tally::default(),
            digest: Sha256::new(),
            size: 0,
            pieces: Vec::new(),
        }
    }

    /// Takes the bytes of one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
        self.splitter.push(bytes, &mut self.pieces);
        self.count();
    }

    /// There is no more.
    pub fn finish(&mut self) {
        self.splitter.finish(&mut self.pieces);
        self.count();
    }

    fn count(&mut self) {
        self.pieces.drain(..).for_each(|piece| self.tally.note(&piece));
    }

    /// Bytes read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is no batch: one message at most, and nothing around it. Such a thing goes in as a whole.
    pub fn is_plain(&self) -> bool {
        self.tally.is_plain()
    }
}

/// The second reading.
pub struct Course<'a> {
    reception: &'a Reception,
    bearer: Bearer,
    warnings: Vec<Warning>,
    splitter: Splitter,
    pending: Pending,
    /// Set for a batch with an envelope.
    filling: Option<Filling<'a>>,
    is_accepted: bool,
}

impl<'a> Course<'a> {
    /// Hands in what was surveyed.
    pub fn new(reception: &'a Reception, bearer: Bearer, survey: Survey) -> Self {
        let config = &reception.ctx.config;
        let Survey { tally, digest, .. } = survey;
        Self {
            reception,
            bearer,
            warnings: tally.warnings(),
            splitter: Splitter::new(config.max_message_size),
            pending: Pending::default(),
            filling: tally.is_headed().then(|| Filling::new(names(config), digest.finish())),
            is_accepted: true,
        }
    }

    /// Hands in the messages that the bytes of one read complete, and returns what can be answered by now. None: some
    /// message was not settled, and all of it has to be handed in again. Errors: as for [`Reception::hand_in`].
    pub async fn push(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, LabError> {
        let mut pieces = Vec::new();
        self.splitter.push(bytes, &mut pieces);
        self.hand_in(pieces).await?;
        Ok(self.answers())
    }

    /// There is no more: the rest of the answer, and whether nothing was refused.
    pub async fn finish(mut self) -> Result<Option<(Vec<u8>, bool)>, LabError> {
        let mut pieces = Vec::new();
        self.splitter.finish(&mut pieces);
        self.hand_in(pieces).await?;
        self.pending.settle_all().await?;
        let Some(mut rest) = self.answers() else { return Ok(None) };
        rest.extend(self.filling.map(Filling::finish).unwrap_or_default());
        Ok(Some((rest, self.is_accepted)))
    }

    async fn hand_in(&mut self, pieces: Vec<Piece>) -> Result<(), LabError> {
        for piece in pieces {
            self.reception.hand_in_piece(self.bearer, piece, &self.warnings, &mut self.pending).await?;
        }
        Ok(())
    }

    fn answers(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in self.pending.take_done() {
            if let Some(reply) = part.reply() {
                if !reply.is_settled() {
                    return None;
                }
                self.is_accepted &= is_accepted(reply);
            }
            match (&mut self.filling, part.reply()) {
                (Some(filling), _) => filling.add(&part),
                (None, Some(reply)) => reply.frames().iter().for_each(|frame| bytes.extend(frame)),
                (None, None) => {}
            }
        }
        bytes.extend(self.filling.as_mut().map(Filling::take).unwrap_or_default());
        Some(bytes)
    }
}
