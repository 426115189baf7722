//! A message at the door: from bytes to a value that the intake can decide on. Nothing is refused by an error here: a
//! message that cannot be taken is a value too, with the answer that says why.

#[cfg(test)]
mod conservation;
mod kinds;
mod reading;
mod strict;

use chrono::{DateTime, FixedOffset, Utc};

use reading::{CONTROL_ID_MAX, refused};
pub use reading::{Content, Reading, read};

use super::{
    answer::{Verdict, acknowledgments},
    endpoint_directory::Peer,
    endpoint_profile::{OrderResponse, Profile},
};
use crate::{
    context::Ctx,
    domain::{event::Event, matching::PatientClaim},
    hl7::{
        ErrorCode, Fault, Warning,
        ack::{Ack, Reply as Acknowledgment},
        ack_orders::{AnsweredOrder, OrderAnswers, ResponseKind},
        datetime::format_dtm,
        frame::Frame,
        header::{Header, peek_header},
    },
    security::{SecurityError, hex, random_hex, sha256},
};

/// A message with everything that is known of it before the database is asked.
pub struct Arrival {
    /// How its sender's messages are read.
    pub profile: Profile,
    /// Who brought it, where it came by a connection.
    pub peer: Option<Peer>,
    /// When its last byte was read.
    pub received_at: DateTime<Utc>,
    /// What it says of itself.
    pub header: Header,
    /// Random id that its ciphertext is bound to.
    pub uid: String,
    /// The bytes, encrypted.
    pub sealed: String,
    /// SHA-256 of the bytes as received.
    pub hash: String,
    /// Length of the bytes.
    pub size: u64,
    /// Set it was read in.
    pub charset: Option<&'static str>,
    /// Leniency used.
    pub warnings: Vec<Warning>,
    /// What the sender is told whatever its profile says: parts of an accepted message that were not filed.
    pub told: Vec<Warning>,
    /// What it is.
    pub content: Content,
    /// OBX segments in it.
    pub observations: usize,
    /// When it was made (MSH-7).
    pub sent_at: Option<DateTime<Utc>>,
    /// What it says of a message of ours, where it is an acknowledgment, or an application's answer to an order (HL7 v2.5.1
    /// §4.4.2, §4.4.7).
    pub acknowledges: Option<Acknowledgment>,
    /// The bytes of an acknowledgment; empty for any other message.
    pub acknowledgment: Vec<u8>,
    reply_id: String,
}

/// The lane of a patient, if the claim has any number.
fn lane_of_patient(claim: &PatientClaim) -> Option<u8> {
    // The medical record number, wherever it stands: a sender may put its numbers in another order next time.
    let record_number = claim.identifiers.iter().find(|identifier| identifier.kind.as_deref() == Some("MR"));
    let key = record_number.or(claim.identifiers.first())?;
    Some(lane_of(key.value.trim().as_bytes()))
}

fn lane_of(key: &[u8]) -> u8 {
    key.iter().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

/// Who sends, as far as MSH says before anything else is read.
pub fn sender_names(frame: &Frame) -> (String, String) {
    let bytes = match frame {
        Frame::Message(bytes) | Frame::Oversize { head: bytes, .. } => bytes,
    };
    let peek = peek_header(bytes).unwrap_or_default();
    let first = |field: &str| {
        field.split(char::from(peek.delimiters.component)).next().unwrap_or_default().trim().to_owned()
    };
    (first(&peek.sending_application), first(&peek.sending_facility))
}

impl Arrival {
    /// Reads a frame. `profile` is `None` when the sender is not who its address says: such a message is kept and
    /// rejected.
    pub fn read(
        ctx: &Ctx,
        frame: Frame,
        profile: Option<Profile>,
        fallback: &Profile,
        peer: Option<Peer>,
    ) -> Result<Self, SecurityError> {
        Self::read_at(ctx, frame, (profile, fallback), peer, ctx.clock.now())
    }

    /// The same for a frame that arrived at some other time. The profile, and the one in its stead.
    pub fn read_at(
        ctx: &Ctx,
        frame: Frame,
        (profile, fallback): (Option<Profile>, &Profile),
        peer: Option<Peer>,
        received_at: DateTime<Utc>,
    ) -> Result<Self, SecurityError> {
        let (bytes, oversize) = match frame {
            Frame::Message(bytes) => (bytes, None),
            Frame::Oversize { head, size } => (head, Some(size)),
        };
        let known = profile.is_some();
        let profile = profile.unwrap_or_else(|| fallback.clone());
        let reading = match oversize {
            Some(_) => over_the_cap(&bytes),
            None => read(&bytes, &profile, known, received_at),
        };
        // Of somebody who is not who they say, no word counts.
        let is_ack = known && matches!(reading.header.message_code.as_deref(), Some("ACK" | "ORR" | "ORL"));
        let uid = random_hex::<16>()?;
        Ok(Self {
            profile,
            peer,
            received_at,
            header: reading.header,
            sealed: ctx.keys.seal(&uid, "inbound", &bytes)?,
            uid,
            hash: hex(&sha256(&bytes)),
            size: oversize.unwrap_or(bytes.len() as u64),
            charset: reading.charset,
            warnings: reading.warnings,
            told: reading.told,
            content: reading.content,
            observations: reading.observations,
            sent_at: reading.sent_at,
            acknowledges: if is_ack { Acknowledgment::parse(&bytes).ok() } else { None },
            acknowledgment: if is_ack { bytes } else { Vec::new() },
            // 20 characters at most (MSH-10 before 2.6), unique over all processes.
            reply_id: format!("A{}", &random_hex::<9>()?),
        })
    }

    /// A number that is the same for all messages that can touch the same rows: those of one patient, and the same bytes
    /// sent twice. A message that names several patients goes by the first; see [`Arrival::is_of_several_lanes`].
    pub fn lane(&self) -> u8 {
        let own = lane_of(self.hash.as_bytes());
        self.claims().first().map_or(own, |claim| lane_of_patient(claim).unwrap_or(own))
    }

    /// Whether it can touch rows of patients whose messages take other lanes: a merge, and reports, people or orders of
    /// several patients.
    pub fn is_of_several_lanes(&self) -> bool {
        let is_merge = matches!(&self.content, Content::Event(event) if event.is_merge());
        let mut lanes = self.claims().into_iter().map(lane_of_patient);
        let first = lanes.next();
        is_merge || lanes.any(|lane| Some(lane) != first)
    }

    /// The patients it is about.
    fn claims(&self) -> Vec<&PatientClaim> {
        match &self.content {
            Content::Results(results) => results.blocks.iter().map(|block| &block.claim).collect(),
            Content::Event(event) => event.claims(),
            Content::Ignored | Content::Refused(..) | Content::StrayAck => Vec::new(),
        }
    }

    /// Control id as read, empty when there is none; no longer than its column, so that a message refused for the length
    /// of it is known again when it comes again.
    pub fn control_id(&self) -> &str {
        let id = self.header.control_id.as_deref().unwrap_or(&self.header.echo.control_id);
        id.char_indices().nth(CONTROL_ID_MAX).map_or(id, |(end, _)| &id[..end])
    }

    /// The acknowledgments for a verdict, as the sender wants them. The first code is the one to remember.
    pub fn answer(
        &self,
        ctx: &Ctx,
        verdict: Verdict,
        faults: &[Fault],
    ) -> (Option<&'static str>, Vec<Vec<u8>>) {
        self.answer_orders(ctx, verdict, faults, &[])
    }

    /// The same with a word on each order of an order message. Only the application's answer has room for it: a commit
    /// acknowledgment says that the message is here, no more.
    pub fn answer_orders(
        &self,
        ctx: &Ctx,
        verdict: Verdict,
        faults: &[Fault],
        orders: &[AnsweredOrder],
    ) -> (Option<&'static str>, Vec<Vec<u8>>) {
        if matches!(self.content, Content::StrayAck) {
            return (None, Vec::new());
        }
        let time = format_dtm(&self.now(ctx));
        let header = &self.header;
        let (warnings, told) = self.to_tell(verdict);
        let orders = self.order_answers(orders);
        let codes = acknowledgments(
            self.profile.ack_mode,
            header.accept_ack.as_deref(),
            header.application_ack.as_deref(),
            verdict,
        );
        let frames = codes.iter().enumerate().map(|(n, code)| {
            let ack = Ack {
                header: &header.echo,
                code: *code,
                control_id: &self.reply_id[..self.reply_id.len() - n],
                time: &time,
                application: &ctx.config.sending_application,
                facility: &ctx.config.sending_facility,
                faults,
                warnings,
                told,
                orders: orders.as_ref().filter(|_| !code.is_commit()),
            };
            ack.build()
        });
        (codes.last().map(|code| code.as_str()), frames.collect())
    }

    /// What makes the answer an ORR or ORL, where the message is of orders and its sender wants that.
    fn order_answers(&self, orders: &[AnsweredOrder]) -> Option<OrderAnswers> {
        let of_orders = matches!(&self.content, Content::Event(event) if matches!(**event, Event::Orders(_)));
        let kind = ResponseKind::to(self.header.message_code.as_deref());
        let wanted = of_orders && self.profile.habits.order_response == OrderResponse::Orr;
        wanted.then(|| OrderAnswers { kind, orders: orders.to_vec() })
    }

    /// What the acknowledgment says beside its code: leniencies, where the profile asks for them, and what was left aside.
    /// A message that was not taken has faults; the rest is beside the point.
    fn to_tell(&self, verdict: Verdict) -> (&[Warning], &[Warning]) {
        let lenient = if self.profile.habits.ack_warnings { self.warnings.as_slice() } else { &[] };
        if verdict == Verdict::Accept { (lenient, &self.told) } else { (&[], &[]) }
    }

    fn now(&self, ctx: &Ctx) -> DateTime<FixedOffset> {
        let now = ctx.clock.now();
        now.with_timezone(&self.profile.time_zone).fixed_offset()
    }

    /// Control id of the first answer.
    pub fn reply_id(&self) -> &str {
        &self.reply_id
    }
}

/// The head of a message that is too long to be taken: enough to be refused by name.
fn over_the_cap(head: &[u8]) -> Reading {
    Reading {
        header: Header { echo: peek_header(head).unwrap_or_default(), ..Header::default() },
        charset: None,
        warnings: Vec::new(),
        told: Vec::new(),
        content: refused(Verdict::Error, Fault::new(ErrorCode::ValueTooLong, "message over the size cap")),
        observations: 0,
        sent_at: None,
    }
}
