//! Which messages are taken: type and event (MSH-9), processing id (MSH-11), version (MSH-12). HL7 v2.5.1 §2.9.2: what
//! is not acceptable there is a reject, because no change of the content could help.

use super::reading::{Content, msh, refused};
use crate::{
    domain::event::{AdmissionKind, AppointmentChange},
    hl7::{ErrorCode, Fault, header::Header, message::Message},
    lab::{
        answer::Verdict,
        endpoint_profile::{Profile, Unsupported},
    },
};

/// What a message is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// ORU^R01, and R30 to R32.
    Results,
    /// SIU^S12 to S15.
    Appointment(AppointmentChange),
    /// ADT: registrations, visits, merges.
    Admission(AdmissionKind),
    /// ORM^O01 and OML^O21.
    Orders,
}

/// Whether a message is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is, as this.
    As(Kind),
    /// It is kept and otherwise ignored, because its endpoint says so.
    Ignored,
}

/// Decides by the header, or says what in it is not acceptable.
pub(super) fn taken(header: &Header, message: &Message<'_>, profile: &Profile) -> Result<Taken, Content> {
    let reject = |code, reason, field| Err(refused(Verdict::Reject, Fault::new(code, reason).at(msh(field))));
    if header.control_id.is_none() {
        return reject(ErrorCode::RequiredFieldMissing, "no control id", 10);
    }
    let habits = &profile.habits;
    // An absent id is P: the field was optional in practice long before it was required.
    let processing_id = header.processing_id.as_deref().unwrap_or("P");
    if !habits.processing_ids.iter().any(|taken| taken == processing_id) {
        return reject(ErrorCode::UnsupportedProcessingId, "processing id is not taken", 11);
    }
    // An absent version is read like the newest: the layout of results has not moved since 2.1.
    let version = header.version.as_deref().unwrap_or("2");
    if (version != "2" && !version.starts_with("2.")) || !habits.takes_version(version) {
        return reject(ErrorCode::UnsupportedVersion, "version is not taken", 12);
    }
    let family = header.message_code.as_deref().unwrap_or_default();
    let kind = if habits.takes_family(family) {
        kind(header, message, profile)
    } else {
        Err(ErrorCode::UnsupportedMessageType)
    };
    match kind {
        Ok(kind) => Ok(Taken::As(kind)),
        Err(_) if habits.unsupported == Unsupported::Store => Ok(Taken::Ignored),
        Err(ErrorCode::UnsupportedEvent) => reject(ErrorCode::UnsupportedEvent, "event is not taken", 9),
        Err(code) => reject(code, "message type is not taken", 9),
    }
}

/// By MSH-9. Its third component, the structure, is often missing or wrong and decides nothing.
fn kind(header: &Header, message: &Message<'_>, profile: &Profile) -> Result<Kind, ErrorCode> {
    let event = header.trigger.as_deref();
    match header.message_code.as_deref() {
        // R30 to R32 come from devices at the bedside: the same layout, with or without an order.
        Some("ORU") if matches!(event, None | Some("R01" | "R30" | "R31" | "R32")) => Ok(Kind::Results),
        Some("SIU") => {
            let change = event.and_then(AppointmentChange::from_hl7);
            change.map(Kind::Appointment).ok_or(ErrorCode::UnsupportedEvent)
        }
        Some("ADT") => {
            // Senders of 2.1 name the event in EVN-1 only; where that is missing too, the profile may know.
            let named = event.map(str::to_owned).or_else(|| event_segment(message));
            let event = named.or_else(|| profile.habits.adt_default_event.clone());
            let kind = event.and_then(|event| event.parse().ok());
            kind.map(Kind::Admission).ok_or(ErrorCode::UnsupportedEvent)
        }
        Some("ORM") if matches!(event, None | Some("O01")) => Ok(Kind::Orders),
        Some("OML") if matches!(event, None | Some("O21")) => Ok(Kind::Orders),
        Some("ORU" | "ORM" | "OML") => Err(ErrorCode::UnsupportedEvent),
        _ => Err(ErrorCode::UnsupportedMessageType),
    }
}

/// EVN-1.
fn event_segment(message: &Message<'_>) -> Option<String> {
    message.segment("EVN")?.value(1).map(std::borrow::Cow::into_owned)
}
