//! Appointments, as a scheduling system tells of them.

use chrono::{DateTime, Utc};

use crate::domain::{matching::PatientClaim, report::ClinicalTime, spelling::spelled};

spelled! {
    /// Whether the patient is expected.
    pub enum AppointmentStatus {
        /// The patient is expected.
        Booked = "booked",
        /// The patient is no longer expected.
        Cancelled = "cancelled",
    }
}

spelled! {
    /// What happened to an appointment.
    pub enum AppointmentChange {
        /// It was made (S12).
        Booked = "booked",
        /// It was moved (S13).
        Rescheduled = "rescheduled",
        /// Something else about it changed (S14).
        Modified = "modified",
        /// It was called off (S15).
        Cancelled = "cancelled",
    }
}

impl AppointmentChange {
    /// By the trigger event of SIU.
    pub fn from_hl7(trigger: &str) -> Option<Self> {
        match trigger {
            "S12" => Some(Self::Booked),
            "S13" => Some(Self::Rescheduled),
            "S14" => Some(Self::Modified),
            "S15" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// What the appointment is afterwards.
    pub const fn status(self) -> AppointmentStatus {
        match self {
            Self::Booked | Self::Rescheduled | Self::Modified => AppointmentStatus::Booked,
            Self::Cancelled => AppointmentStatus::Cancelled,
        }
    }
}

/// A message about one appointment.
#[derive(Clone, PartialEq)]
pub struct Appointment {
    /// What happened.
    pub change: AppointmentChange,
    /// The scheduling system's number, else the one given by who asked.
    pub number: String,
    /// Whom it is for, when the message says so.
    pub claim: Option<PatientClaim>,
    /// When it begins.
    pub starts_at: Option<ClinicalTime>,
    /// When it ends.
    pub ends_at: Option<DateTime<Utc>>,
    /// Why the patient comes.
    pub reason: Option<String>,
    /// What is done.
    pub service: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// With whom.
    pub provider: Option<String>,
    /// Comments.
    pub notes: Vec<String>,
    /// MSH-7.
    pub sent_at: Option<DateTime<Utc>>,
}

impl Appointment {
    /// Whether what is stored already was told later than this. Without a time on both sides the order of arrival holds.
    pub fn is_older_than(&self, stored: Option<DateTime<Utc>>) -> bool {
        self.sent_at.zip(stored).is_some_and(|(sent, stored)| sent < stored)
    }
}
