//! What the use cases answer: values for people and programs outside, never database rows. Field names are the
//! contract's.

mod alert;
mod appointment;
mod encounter;
mod endpoint;
mod message;
mod order;
mod patient;
mod result;

pub use alert::{AlertEventView, AlertPatient, AlertView};
pub use appointment::AppointmentView;
pub use encounter::EncounterView;
pub use endpoint::EndpointView;
pub use message::{AckView, MessageDetail, MessageView, Observations};
pub(crate) use order::strings;
pub use order::{OrderDetail, OrderTestView, OrderView, TimelineEntry};
pub use patient::{IdentifierView, PatientView};
pub use result::{CriticalResultView, ResultView};
