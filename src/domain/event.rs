//! What a message tells that is no report of results: one thing happened.

mod appointment;

pub use self::appointment::{Appointment, AppointmentChange, AppointmentStatus};
use super::matching::PatientClaim;

/// One thing that happened somewhere else.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// An appointment was made, moved, changed or called off.
    Appointment(Appointment),
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event([phi])")
    }
}

impl Event {
    /// What kind of thing happened, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Appointment(_) => "appointment",
        }
    }

    /// What happened, in words without content.
    pub fn what(&self) -> String {
        match self {
            Self::Appointment(appointment) => appointment.change.to_string(),
        }
    }

    /// The patient it is about first.
    pub fn claim(&self) -> Option<&PatientClaim> {
        match self {
            Self::Appointment(appointment) => appointment.claim.as_ref(),
        }
    }
}
