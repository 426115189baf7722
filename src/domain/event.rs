//! What a message tells that is no report of results: one thing happened.

mod admission;
mod appointment;
mod orders;
mod placement;

pub use self::admission::{
    Admission, AdmissionKind, AdmittedPerson, Demographics, Said, StoredPerson, VisitFacts, has_ended,
    is_older, is_somebody_else,
};
pub use self::appointment::{Appointment, AppointmentChange, AppointmentStatus};
pub use self::orders::{Imaging, OrderControl, OrderRequest, Orders, OrdersOf, SentNumber};
pub use self::placement::{Placement, Unplaceable};
use super::matching::PatientClaim;

/// One thing that happened somewhere else.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// An appointment was made, moved, changed or called off.
    Appointment(Box<Appointment>),
    /// A person was registered, a visit changed, or records were merged.
    Admission(Admission),
    /// Something about orders.
    Orders(Orders),
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
            Self::Admission(_) => "admission",
            Self::Orders(_) => "orders",
        }
    }

    /// What happened, in words without content.
    pub fn what(&self) -> String {
        match self {
            Self::Appointment(appointment) => appointment.change.to_string(),
            Self::Admission(admission) => admission.kind.to_string(),
            Self::Orders(orders) => orders.what(),
        }
    }

    /// Whether it makes two charts one.
    pub fn is_merge(&self) -> bool {
        matches!(self, Self::Admission(admission) if admission.kind.is_merge())
    }

    /// All patients it is about.
    pub fn claims(&self) -> Vec<&PatientClaim> {
        match self {
            Self::Appointment(appointment) => appointment.claim.iter().collect(),
            Self::Admission(admission) => admission.people.iter().map(|person| &person.claim).collect(),
            Self::Orders(orders) => orders.people.iter().filter_map(|person| person.claim.as_ref()).collect(),
        }
    }
}
