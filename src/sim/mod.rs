//! The other side of the wire: a laboratory that takes orders and reports results ([`lis`]), a writer of sample
//! messages ([`generate`]) and a sender that measures the answers ([`send`]).
//!
//! None of it knows the service: what it knows, it learned from the messages. Everything random comes from a seed, so
//! that a run can be repeated; only the numbers that must never repeat come from the clock ([`numbering`]).

mod dice;
pub mod generate;
pub mod lis;
mod numbering;
mod panels;
pub mod send;

use crate::hl7::{charset::Charset, delimiters::Delimiters, outbound::Envelope};

/// Somebody with a chart: what PID says of a patient.
pub type SimPatient = crate::hl7::outbound::PersonOut;

/// MSH-3 of the simulated laboratory.
pub const APPLICATION: &str = "SIM_LIS";
/// MSH-4 of the simulated laboratory.
pub const FACILITY: &str = "SIM_LAB";
/// Whom messages are for that answer nobody: the names the service has unless it is told others.
const SERVICE: (&str, &str) = ("PMS_LAB", "MPS_PMS");

/// The header of a message from the laboratory, `to` an application at a facility.
fn envelope(to: (&str, &str), control_id: String, time: chrono::DateTime<chrono::FixedOffset>) -> Envelope {
    Envelope {
        delimiters: Delimiters::DEFAULT,
        sending_application: APPLICATION.into(),
        sending_facility: FACILITY.into(),
        receiving_application: to.0.into(),
        receiving_facility: to.1.into(),
        time,
        control_id,
        processing_id: "P".into(),
        version: "2.5.1".into(),
        accept_ack: None,
        application_ack: None,
        charset: Charset::UTF_8,
    }
}
