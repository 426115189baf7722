//! How a critical alert is closed.
//!
//! Only a person closes an alert, and says what was done. A corrected or retracted result annotates its
//! alert; nothing closes one in silence.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::redacted::Redacted;
use super::spelling::spelled;
use super::value::same_value;

spelled! {
    /// Where an alert stands.
    pub enum AlertStatus {
        /// Nobody has taken it yet.
        Open = "open",
        /// Somebody took it on.
        Acknowledged = "acknowledged",
        /// Nobody took it in time, and the next in line was told.
        Escalated = "escalated",
        /// Dealt with.
        Resolved = "resolved",
    }
}

spelled! {
    /// What can happen to an alert.
    pub enum AlertEvent {
        /// A person took it on.
        Acknowledge = "acknowledge",
        /// Its deadline passed.
        Escalate = "escalate",
        /// A person closed it.
        Resolve = "resolve",
        /// What it was taken on or closed for turned out to be wrong.
        Reopen = "reopen",
    }
}

/// The event does not fit the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an alert that is {status} cannot take this step: {event}")]
pub struct NotAllowed {
    /// Where the alert stands.
    pub status: AlertStatus,
    /// What was tried.
    pub event: AlertEvent,
}

impl AlertStatus {
    /// The only way a status changes. An alert may escalate more than once; it is resolved only after
    /// somebody took it on, and it waits again when that was for the wrong patient.
    pub const fn advance(self, event: AlertEvent) -> Result<Self, NotAllowed> {
        match (self, event) {
            (Self::Open | Self::Escalated, AlertEvent::Acknowledge) => Ok(Self::Acknowledged),
            (Self::Open | Self::Escalated, AlertEvent::Escalate) => Ok(Self::Escalated),
            (Self::Acknowledged, AlertEvent::Resolve) => Ok(Self::Resolved),
            (Self::Acknowledged | Self::Resolved, AlertEvent::Reopen) => Ok(Self::Open),
            _ => Err(NotAllowed { status: self, event }),
        }
    }

    /// Whether somebody still has to take it on.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Open | Self::Escalated)
    }
}

/// What the person on the other end of the telephone repeated.
#[derive(Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The value they repeated.
    pub value: String,
    /// Why it differs from ours, when it does.
    pub mismatch_reason: Option<String>,
}

/// What a person states when taking an alert on.
#[derive(Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// What was done.
    pub note: String,
    /// When the value was passed on by voice.
    pub read_back: Option<ReadBack>,
}

impl fmt::Debug for ReadBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadBack").field(&Redacted).finish()
    }
}

impl fmt::Debug for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acknowledgement").field(&Redacted).finish()
    }
}

/// The result an alert is about, as shown.
#[derive(Clone, Copy)]
pub struct AlertedValue<'a> {
    /// The value.
    pub value: &'a str,
    /// Its unit.
    pub units: Option<&'a str>,
}

spelled! {
    /// How the value read back compares.
    pub enum ReadBackCheck {
        /// None was given.
        NotGiven = "not_given",
        /// The same.
        Matches = "matches",
        /// Another one, with a reason.
        DiffersWithReason = "differs_with_reason",
    }
}

/// Why an acknowledgement was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AckRefusal {
    /// The note is empty.
    #[error("a note is required")]
    NoteMissing,
    /// Somebody was faster.
    #[error("the alert is already acknowledged")]
    AlreadyDone,
    /// The value read back is another one, and no reason was given.
    #[error("the value read back differs from the result; a reason is required")]
    ReadBackDiffers,
}

/// Decides whether an acknowledgement stands. The note comes first: a request that is incomplete is so
/// whoever was faster.
pub fn acknowledge(
    status: AlertStatus,
    statement: &Acknowledgement,
    alerted: AlertedValue<'_>,
) -> Result<ReadBackCheck, AckRefusal> {
    if statement.note.trim().is_empty() {
        return Err(AckRefusal::NoteMissing);
    }
    if status.advance(AlertEvent::Acknowledge).is_err() {
        return Err(AckRefusal::AlreadyDone);
    }
    let Some(read_back) = &statement.read_back else {
        return Ok(ReadBackCheck::NotGiven);
    };
    if repeats(&read_back.value, alerted) {
        return Ok(ReadBackCheck::Matches);
    }
    let explained = read_back.mismatch_reason.as_deref().is_some_and(|reason| !reason.trim().is_empty());
    if explained { Ok(ReadBackCheck::DiffersWithReason) } else { Err(AckRefusal::ReadBackDiffers) }
}

/// `6.8`, `6.80` and `6.8 mmol/L` repeat 6.8 mmol/L; `6.8 mg/dL` does not.
fn repeats(said: &str, alerted: AlertedValue<'_>) -> bool {
    let (said, value) = (said.trim(), alerted.value.trim());
    let without_unit = alerted
        .units
        .map(str::trim)
        .filter(|units| !units.is_empty())
        .and_then(|units| said.strip_suffix(units));
    same_value(said, value)
        || said.eq_ignore_ascii_case(value)
        || without_unit.is_some_and(|said| same_value(said, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POTASSIUM: AlertedValue<'_> = AlertedValue { value: "6.8", units: Some("mmol/L") };

    fn told(value: &str, mismatch_reason: Option<&str>) -> Acknowledgement {
        let read_back =
            ReadBack { value: value.to_owned(), mismatch_reason: mismatch_reason.map(ToOwned::to_owned) };
        Acknowledgement { note: "called ward 3".to_owned(), read_back: Some(read_back) }
    }

    #[test]
    fn every_transition_is_as_the_table_says() {
        // A line per status, a column per event: acknowledge, escalate, resolve, reopen.
        let table = [
            (AlertStatus::Open, ["acknowledged", "escalated", "-", "-"]),
            (AlertStatus::Acknowledged, ["-", "-", "resolved", "open"]),
            (AlertStatus::Escalated, ["acknowledged", "escalated", "-", "-"]),
            (AlertStatus::Resolved, ["-", "-", "-", "open"]),
        ];
        for (status, expected) in table {
            let actual: Vec<&str> = AlertEvent::ALL
                .iter()
                .map(|event| status.advance(*event).map_or("-", AlertStatus::as_str))
                .collect();
            assert_eq!(actual, expected, "{status}");
            assert_eq!(status.is_waiting(), actual[0] != "-");
        }
    }

    #[test]
    fn a_note_is_required_and_only_the_first_one_counts() {
        let silent = Acknowledgement { note: " \n".to_owned(), read_back: None };
        let noted = Acknowledgement { note: "seen".to_owned(), read_back: None };
        assert_eq!(acknowledge(AlertStatus::Open, &silent, POTASSIUM), Err(AckRefusal::NoteMissing));
        assert_eq!(acknowledge(AlertStatus::Open, &noted, POTASSIUM), Ok(ReadBackCheck::NotGiven));
        assert_eq!(acknowledge(AlertStatus::Escalated, &noted, POTASSIUM), Ok(ReadBackCheck::NotGiven));
        for done in [AlertStatus::Acknowledged, AlertStatus::Resolved] {
            assert_eq!(acknowledge(done, &noted, POTASSIUM), Err(AckRefusal::AlreadyDone));
        }
    }

    #[test]
    fn the_value_read_back_is_compared() {
        for same in ["6.8", " 6.80 ", "6.8 mmol/L", "6.8mmol/L"] {
            assert_eq!(
                acknowledge(AlertStatus::Open, &told(same, None), POTASSIUM),
                Ok(ReadBackCheck::Matches),
                "{same}"
            );
        }
        for other in ["8.6", "", "6.8 mg/dL", ">6.8"] {
            assert_eq!(
                acknowledge(AlertStatus::Open, &told(other, None), POTASSIUM),
                Err(AckRefusal::ReadBackDiffers),
                "{other}"
            );
            assert_eq!(
                acknowledge(AlertStatus::Open, &told(other, Some(" ")), POTASSIUM),
                Err(AckRefusal::ReadBackDiffers),
                "{other}"
            );
            assert_eq!(
                acknowledge(AlertStatus::Open, &told(other, Some("misheard")), POTASSIUM),
                Ok(ReadBackCheck::DiffersWithReason)
            );
        }
        let culture = AlertedValue { value: "Positive", units: None };
        assert_eq!(
            acknowledge(AlertStatus::Open, &told("positive", None), culture),
            Ok(ReadBackCheck::Matches)
        );
    }

    #[test]
    fn notes_stay_out_of_debug_output() {
        assert!(!format!("{:?}", told("6.8", Some("misheard"))).contains("ward"));
    }
}
