//! From bytes to what a message is. Pure: the same bytes read with the same profile give the same value.

use chrono::{DateTime, Utc};

use super::{
    kinds::{self, Kind, Taken},
    strict,
};
use crate::domain::event::Event;
use crate::{
    domain::report::ReportedMessage,
    hl7::{
        ErrorCode, Fault, Location, SegmentName, Warning,
        adt::Adt,
        charset,
        header::{Header, peek_header},
        message::Message,
        orm::Orm,
        oru::Oru,
        siu::Siu,
    },
    lab::{answer::Verdict, endpoint_profile::Profile, translate},
};

/// Characters of a control id that the database holds.
pub(super) const CONTROL_ID_MAX: usize = 199;

/// What a message is.
pub enum Content {
    /// Results to store.
    Results(Box<ReportedMessage>),
    /// Something happened elsewhere.
    Event(Box<Event>),
    /// Of a type or event that is not taken, and the endpoint says to accept it all the same: kept, nothing more.
    Ignored,
    /// It cannot be taken.
    Refused(Verdict, Vec<Fault>),
    /// An acknowledgment that comes by itself: kept, never answered.
    StrayAck,
}

/// A message, read.
pub struct Reading {
    /// What it says of itself.
    pub header: Header,
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
}

/// Reads a message. `known`: whether the sender is who its address says.
pub fn read(bytes: &[u8], profile: &Profile, known: bool, received_at: DateTime<Utc>) -> Reading {
    let mut reading = Reading {
        header: Header { echo: peek_header(bytes).unwrap_or_default(), ..Header::default() },
        charset: None,
        warnings: Vec::new(),
        told: Vec::new(),
        content: Content::StrayAck,
        observations: 0,
        sent_at: None,
    };
    let content = reading.decode(bytes, profile, known, received_at).unwrap_or_else(|refusal| refusal);
    reading.content = reading.strictly(content, profile);
    reading
}

impl Reading {
    fn decode(
        &mut self,
        bytes: &[u8],
        profile: &Profile,
        known: bool,
        received_at: DateTime<Utc>,
    ) -> Result<Content, Content> {
        let decoded = charset::decode_as(bytes, profile.charset, profile.habits.charset_over_declared)
            .map_err(error)?;
        self.charset = Some(decoded.charset.name());
        self.warnings.extend(decoded.warnings);
        let message = Message::parse(&decoded.text).map_err(error)?;
        self.warnings.extend(message.warnings().iter().cloned());
        self.header = Header::read(&message);
        self.sent_at = translate::sent_at(&self.header, profile);
        self.observations = message.segments_named("OBX").count();
        storable(&self.header)?;
        if self.header.message_code.as_deref() == Some("ACK") {
            return Ok(Content::StrayAck);
        }
        if !known {
            let fault = Fault::new(ErrorCode::TableValueNotFound, "sender is not known at this address");
            return Err(refused(Verdict::Reject, fault.at(msh(3))));
        }
        let taken = kinds::taken(&self.header, &message, profile)?;
        if matches!(self.header.processing_id.as_deref(), Some("T" | "D")) {
            self.warnings.push(Warning::at("not_production", msh(11)));
        }
        let Taken::As(kind) = taken else {
            self.tell_of_observations(&message);
            return Ok(Content::Ignored);
        };
        whole(&message)?;
        finished(&message, &self.header)?;
        if profile.positions.is_empty() {
            return self.view(&message, kind, profile, received_at);
        }
        let standard = profile.positions.apply(&message);
        self.view(&Message::parse(&standard).map_err(error)?, kind, profile, received_at)
    }

    /// The message as what it is.
    fn view(
        &mut self,
        message: &Message<'_>,
        kind: Kind,
        profile: &Profile,
        received_at: DateTime<Utc>,
    ) -> Result<Content, Content> {
        match kind {
            Kind::Results => {
                let view = Oru::read(message).map_err(error)?;
                self.warnings.extend(view.warnings.iter().cloned());
                let results = translate::results(&view, profile, received_at, &mut self.warnings);
                Ok(Content::Results(Box::new(results)))
            }
            Kind::Admission(kind) => {
                let view = Adt::read(message).map_err(error)?;
                if message.segment("EVN").is_none() {
                    self.warnings.push(Warning::new("evn_missing"));
                }
                self.tell_of_observations(message);
                let admission = translate::admission(&view, kind, profile);
                Ok(Content::Event(Box::new(Event::Admission(admission))))
            }
            Kind::Orders => {
                let view = Orm::read(message).map_err(error)?;
                self.warnings.extend(view.warnings.iter().cloned());
                self.tell_of_observations(message);
                Ok(Content::Event(Box::new(Event::Orders(translate::orders(&view, profile)))))
            }
            Kind::Appointment(change) => {
                let view = Siu::read(message).map_err(error)?;
                self.tell_of_observations(message);
                let appointment = translate::appointment(&view, change, profile);
                Ok(Content::Event(Box::new(Event::Appointment(Box::new(appointment)))))
            }
        }
    }

    /// Observations outside a report (a weight in a registration, a question answered with an order) go into no chart.
    /// The sender is told of each, so that none of them vanishes without a word.
    fn tell_of_observations(&mut self, message: &Message<'_>) {
        let places = message.segments_named("OBX").map(|obx| obx.location());
        self.told.extend(places.map(|place| Warning::at("observation_not_filed", place)));
    }

    /// Under a strict profile a fault of the content refuses the message.
    fn strictly(&self, content: Content, profile: &Profile) -> Content {
        let taken = matches!(content, Content::Results(_) | Content::Event(_));
        if !profile.habits.strict || !taken {
            return content;
        }
        let faults = strict::faults(&self.warnings);
        if faults.is_empty() { content } else { Content::Refused(Verdict::Error, faults) }
    }
}

pub(super) fn msh(field: u16) -> Location {
    Location::segment(SegmentName::MSH, 1).field(field)
}

pub(super) fn refused(verdict: Verdict, fault: Fault) -> Content {
    Content::Refused(verdict, vec![fault])
}

fn error(fault: Fault) -> Content {
    refused(Verdict::Error, fault)
}

/// A message that goes on in another one (MSH-14, DSC) is half a message, whatever its type: HL7 v2.5.1 §2.10.2.
fn finished(message: &Message<'_>, header: &Header) -> Result<(), Content> {
    let fault = Fault::new(ErrorCode::OtherHl7, "continued messages are not taken");
    if header.continuation.is_some() {
        return Err(error(fault.at(msh(14))));
    }
    match message.segments_named("DSC").find(|segment| segment.value(1).is_some()) {
        Some(segment) => Err(error(fault.at(segment.at(1)))),
        None => Ok(()),
    }
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
            Err(error(fault))
        }
        None => Ok(()),
    }
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
            Err(error(Fault::new(ErrorCode::ValueTooLong, "header value too long").at(msh(*field))))
        }
        None => Ok(()),
    }
}
