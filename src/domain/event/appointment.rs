//! Appointments, as a scheduling system tells of them.

use chrono::{DateTime, Utc};

use super::SentNumber;
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
    /// The number given by who asked (SCH-1).
    pub placer: Option<SentNumber>,
    /// The number given by the scheduling system (SCH-2).
    pub filler: Option<SentNumber>,
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
    /// How long it takes, when both its begin and its end are known.
    pub fn minutes(&self) -> Option<i64> {
        let begin = self.starts_at.as_ref()?.instant?;
        Some((self.ends_at? - begin).num_minutes()).filter(|minutes| *minutes > 0)
    }

    /// Whether what is stored already was told later than this. Without a time on both sides the order of arrival holds.
    pub fn is_older_than(&self, stored: Option<DateTime<Utc>>) -> bool {
        self.sent_at.zip(stored).is_some_and(|(sent, stored)| sent < stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_as_long_as_is_known() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().ok();
        let table = [
            (at("2026-03-05T09:00:00Z"), at("2026-03-05T09:30:00Z"), Some(30)),
            (at("2026-03-05T09:00:00Z"), at("2026-03-05T09:00:00Z"), None),
            (at("2026-03-05T09:00:00Z"), at("2026-03-05T08:00:00Z"), None),
            (at("2026-03-05T09:00:00Z"), None, None),
            (None, at("2026-03-05T09:30:00Z"), None),
        ];
        for (instant, ends_at, expected) in table {
            let begin =
                ClinicalTime { text: String::new(), precision: "minute", instant, zone_assumed: false };
            let told = Appointment {
                change: AppointmentChange::Booked,
                number: "F9".into(),
                placer: None,
                filler: None,
                claim: None,
                starts_at: Some(begin),
                ends_at,
                reason: None,
                service: None,
                location: None,
                provider: None,
                notes: Vec::new(),
                sent_at: None,
            };
            assert_eq!(told.minutes(), expected);
        }
    }
}
