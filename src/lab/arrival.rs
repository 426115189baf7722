//! A message at the door: from bytes to a value that the intake can decide on. Nothing is refused by an error here: a
//! message that cannot be taken is a value too, with the answer that says why.

use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, Utc};

use super::{
    answer::{Verdict, acknowledgments},
    endpoint_directory::Profile,
    translate,
};
use crate::{
    context::Ctx,
    domain::report::ReportedMessage,
    hl7::{
        ErrorCode, Fault, Location, SegmentName, Warning,
        ack::Ack,
        charset,
        datetime::format_dtm,
        frame::Frame,
        header::{Header, peek_header},
        message::Message,
        oru::Oru,
    },
    security::{SecurityError, hex, random_hex, sha256},
};

/// Characters of a control id that the database holds.
const CONTROL_ID_MAX: usize = 199;

/// A message with everything that is known of it before the database is asked.
pub struct Arrival {
    /// How its sender's messages are read.
    pub profile: Profile,
    /// Address of the peer.
    pub peer: Option<IpAddr>,
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
    /// What it is.
    pub content: Content,
    /// OBX segments in it.
    pub observations: usize,
    reply_id: String,
}

/// What a message is.
pub enum Content {
    /// Results to store.
    Results(Box<ReportedMessage>),
    /// It cannot be taken.
    Refused(Verdict, Vec<Fault>),
    /// An acknowledgment that nobody waits for: kept, never answered.
    StrayAck,
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
        peer: Option<IpAddr>,
    ) -> Result<Self, SecurityError> {
        let (bytes, oversize) = match frame {
            Frame::Message(bytes) => (bytes, None),
            Frame::Oversize { head, size } => (head, Some(size)),
        };
        let known = profile.is_some();
        let profile = profile.unwrap_or_else(|| fallback.clone());
        let uid = random_hex::<16>()?;
        let sealed = ctx.keys.seal(&uid, "inbound", &bytes)?;
        let mut arrival = Self {
            peer,
            received_at: ctx.clock.now(),
            header: Header { echo: peek_header(&bytes).unwrap_or_default(), ..Header::default() },
            sealed,
            uid,
            hash: hex(&sha256(&bytes)),
            size: oversize.unwrap_or(bytes.len() as u64),
            charset: None,
            warnings: Vec::new(),
            content: Content::StrayAck,
            observations: 0,
            // 20 characters at most (MSH-10 before 2.6), unique over all processes.
            reply_id: format!("A{}", &random_hex::<9>()?),
            profile,
        };
        let read = match oversize {
            Some(_) => {
                Err(refused(Verdict::Error, Fault::new(ErrorCode::ValueTooLong, "message over the size cap")))
            }
            None => arrival.decode(&bytes, known),
        };
        arrival.content = read.unwrap_or_else(|refusal| refusal);
        Ok(arrival)
    }

    fn decode(&mut self, bytes: &[u8], known: bool) -> Result<Content, Content> {
        let error = |fault| refused(Verdict::Error, fault);
        let decoded = charset::decode(bytes, self.profile.charset).map_err(error)?;
        self.charset = Some(decoded.charset.name());
        self.warnings.extend(decoded.warnings);
        let message = Message::parse(&decoded.text).map_err(error)?;
        self.warnings.extend(message.warnings().iter().cloned());
        self.header = Header::read(&message);
        self.observations = message.segments_named("OBX").count();
        storable(&self.header)?;
        if self.header.message_code.as_deref() == Some("ACK") {
            return Ok(Content::StrayAck);
        }
        if !known {
            let msh = Location::segment(SegmentName::MSH, 1).field(3);
            let fault = Fault::new(ErrorCode::TableValueNotFound, "sender is not known at this address");
            return Err(refused(Verdict::Reject, fault.at(msh)));
        }
        supported(&self.header)?;
        if matches!(self.header.processing_id.as_deref(), Some("T" | "D")) {
            let msh = Location::segment(SegmentName::MSH, 1).field(11);
            self.warnings.push(Warning::at("not_production", msh));
        }
        whole(&message)?;
        let view = Oru::read(&message).map_err(error)?;
        self.warnings.extend(view.warnings.iter().cloned());
        let results = translate::results(&view, &self.profile, self.received_at, &mut self.warnings);
        Ok(Content::Results(Box::new(results)))
    }

    /// A number that is the same for all messages that can touch the same rows: those of one patient, and the same bytes
    /// sent twice. A message that names several patients goes by the first; what it shares with another lane is left to
    /// the database's locks and indexes.
    pub fn lane(&self) -> u8 {
        let sent = match &self.content {
            Content::Results(results) => {
                results.blocks.first().map(|block| block.claim.identifiers.as_slice())
            }
            Content::Refused(..) | Content::StrayAck => None,
        };
        // The medical record number, wherever it stands: a sender may put its numbers in another order next time.
        let identifiers = sent.unwrap_or_default();
        let record_number = identifiers.iter().find(|identifier| identifier.kind.as_deref() == Some("MR"));
        let key = record_number
            .or(identifiers.first())
            .map_or(self.hash.as_bytes(), |identifier| identifier.value.trim().as_bytes());
        key.iter().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(*byte))
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
        if matches!(self.content, Content::StrayAck) {
            return (None, Vec::new());
        }
        let time = format_dtm(&self.now(ctx));
        let header = &self.header;
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
                warnings: &[],
            };
            ack.build()
        });
        (codes.last().map(|code| code.as_str()), frames.collect())
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

fn refused(verdict: Verdict, fault: Fault) -> Content {
    Content::Refused(verdict, vec![fault])
}

/// A line that was meant as one of the segments we file by and cannot be read as one (`obx|…`, a byte order mark before
/// `OBX|…`) is a result lost, or another patient's results filed under the patient before: never an AA.
fn whole(message: &Message<'_>) -> Result<(), Content> {
    const FILED_BY: [&str; 5] = ["PID", "ORC", "OBR", "OBX", "DSC"];
    let separator = char::from(message.delimiters().field);
    let meant = |line: &str| {
        let name = line.split(separator).next().filter(|name| name.len() < line.len()).unwrap_or_default();
        let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        FILED_BY.iter().any(|known| known.eq_ignore_ascii_case(&letters))
    };
    match message.strays().iter().find(|stray| meant(stray.text)) {
        Some(_) => {
            let fault = Fault::new(ErrorCode::SegmentSequence, "a line of results is not a readable segment");
            Err(refused(Verdict::Error, fault))
        }
        None => Ok(()),
    }
}

/// What we take: a control id to answer with, and a type and version that we read.
fn supported(header: &Header) -> Result<(), Content> {
    let msh = |field| Location::segment(SegmentName::MSH, 1).field(field);
    let reject = |code, reason, field| Err(refused(Verdict::Reject, Fault::new(code, reason).at(msh(field))));
    if header.control_id.is_none() {
        return reject(ErrorCode::RequiredFieldMissing, "no control id", 10);
    }
    match header.message_code.as_deref() {
        Some("ORU") => {}
        _ => return reject(ErrorCode::UnsupportedMessageType, "message type is not taken", 9),
    }
    if header.trigger.as_deref().is_some_and(|trigger| trigger != "R01") {
        return reject(ErrorCode::UnsupportedEvent, "event is not taken", 9);
    }
    if !matches!(header.processing_id.as_deref(), None | Some("P" | "T" | "D")) {
        return reject(ErrorCode::UnsupportedProcessingId, "processing id is not taken", 11);
    }
    // An absent version is read like the newest: the layout of results has not moved since 2.1.
    let version = header.version.as_deref().unwrap_or("2");
    if version != "2" && !version.starts_with("2.") {
        return reject(ErrorCode::UnsupportedVersion, "version is not taken", 12);
    }
    Ok(())
}

/// Header values that would not fit their column are refused here, so that one message cannot fail a whole batch.
fn storable(header: &Header) -> Result<(), Content> {
    let length = |text: &Option<String>| text.as_deref().map_or(0, |text| text.chars().count());
    let too_long = [
        (length(&header.control_id) > CONTROL_ID_MAX, 10),
        (
            length(&header.message_code) > 20
                || length(&header.trigger) > 20
                || length(&header.structure) > 30,
            9,
        ),
        (length(&header.processing_id) > 10, 11),
        (length(&header.version) > 20, 12),
    ];
    match too_long.iter().find(|(found, _)| *found) {
        Some((_, field)) => {
            let msh = Location::segment(SegmentName::MSH, 1).field(*field);
            Err(refused(Verdict::Error, Fault::new(ErrorCode::ValueTooLong, "header value too long").at(msh)))
        }
        None => Ok(()),
    }
}
