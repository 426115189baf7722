//! Orders against results: what a laboratory still owes, what came that nobody ordered, what it will not do. Pure.
//!
//! Each rule stands here once. A list in the API, the board of worklists and the events on the stream all ask it.

mod feed;
mod overdue;
mod panel;
mod refusal;

pub use self::feed::{Feed, Stray, StrayReason, stray};
pub use self::overdue::{Duty, Limits, Placed, Window, overdue, says_it_takes, scheduled_or_placed, windows};
pub use self::panel::{Came, Panel, panel};
pub use self::refusal::{Refusal, refusal};
use super::spelling::spelled;

spelled! {
    /// One kind of thing that somebody should look into.
    pub enum Worklist {
        /// The laboratory has not taken the order in time.
        NotAcknowledged = "sent_not_acknowledged",
        /// It took the order, and no result has come in time.
        NoResult = "acknowledged_without_result",
        /// Some of what was ordered has come, and something lacks.
        PartialPanel = "partial_panels",
        /// A result that answers no order of ours, from a laboratory that normally answers them.
        Unordered = "results_without_order",
        /// The laboratory could not use the specimen: it has to be taken again.
        SpecimenRejected = "specimen_rejected",
        /// The laboratory will not do what was ordered, for another reason.
        LabCancelled = "lab_cancelled",
    }
}

spelled! {
    /// Something that is told of once.
    pub enum Concern {
        /// An order was not taken in time.
        NotAcknowledged = "not_acknowledged",
        /// No result came in time.
        NoResult = "no_result",
        /// The rest of the results did not come in time.
        Partial = "partial",
        /// A specimen was rejected.
        SpecimenRejected = "specimen_rejected",
        /// A test was reported as not done.
        NotDone = "not_done",
        /// The laboratory called a test off or refused it.
        Ended = "test_ended",
    }
}

impl Concern {
    /// Name of its event on the stream.
    pub const fn event(self) -> &'static str {
        match self {
            Self::NotAcknowledged | Self::NoResult | Self::Partial => "order_overdue",
            Self::SpecimenRejected => "specimen_rejected",
            Self::NotDone | Self::Ended => "lab_cancelled",
        }
    }
}

impl From<Duty> for Concern {
    fn from(duty: Duty) -> Self {
        match duty {
            Duty::Acknowledge => Self::NotAcknowledged,
            Duty::Report => Self::NoResult,
            Duty::Complete => Self::Partial,
        }
    }
}

impl From<Refusal> for Concern {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Specimen => Self::SpecimenRejected,
            Refusal::NotDone => Self::NotDone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finders ask by the spelling of the one, rows are written under that of the other.
    #[test]
    fn concerns_are_spelled_as_what_they_are_about() {
        for duty in Duty::ALL {
            assert_eq!(Concern::from(*duty).as_str(), duty.as_str());
        }
        for refusal in Refusal::ALL {
            assert_eq!(Concern::from(*refusal).as_str(), refusal.as_str());
        }
    }
}
