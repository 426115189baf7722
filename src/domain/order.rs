//! Where an order stands.
//!
//! The status of an order moves only through [`OrderStatus::advance`], and the status of a test only through
//! [`TestStatus::advance`]. Both are total over what a laboratory can send in any sequence: a result may
//! overtake the ACK, arrive for an order we gave up on, or for one that was cancelled. **Results win**: what
//! was reported is always shown, and an order that has results says so. Nothing that arrives late moves an
//! order backwards.

mod progress;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::progress::{TestStatus, order_status_from_tests, reported};
use super::UnknownSpelling;
use super::retry::AckCode;
use super::spelling::spelled;

spelled! {
    /// The status every client sees.
    pub enum OrderStatus {
        /// Committed here; the laboratory has not confirmed that it received it.
        Pending = "pending",
        /// The laboratory confirmed the receipt of the message (AA or CA).
        Sent = "sent",
        /// The laboratory took the order on.
        Acknowledged = "acknowledged",
        /// Some results are here.
        Partial = "partial",
        /// Everything that will come is here.
        Resulted = "resulted",
        /// The laboratory will not do it.
        Rejected = "rejected",
        /// Delivery was given up; a person has to look.
        Failed = "failed",
        /// Called off before anything was reported.
        Cancelled = "cancelled",
    }
}

spelled! {
    /// How much of an order has been reported.
    pub enum Reported {
        /// Something.
        Some = "some",
        /// Everything that will come.
        All = "all",
    }
}

/// What can happen to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// AA or CA for the order message, matched to the attempt in flight.
    Delivered,
    /// The laboratory works on it: ORC-1 OK, NA or SC, ORC-5 IP or SC, OBR-25 O, I or S.
    LabAccepted,
    /// The laboratory will do none of its tests: ORC-1 UA.
    LabRefused,
    /// Results came in.
    Results(Reported),
    /// The message went to the dead letters.
    DeliveryExhausted,
    /// A person put the message back into the queue.
    Requeued,
    /// The laboratory agreed to our cancellation.
    CancelConsented,
    /// The laboratory cancelled on its own (ORC-1 OC).
    CancelledByLab,
    /// Cancelled before a byte left the house.
    CancelledHere,
    /// The laboratory's system had taken our cancellation, which we took for consent; its application then declined.
    CancelDeclined {
        /// Where it stood before.
        before: OrderStatus,
    },
    /// Results that a person had filed to it were not this patient's: it stands where it stood before they came, unless
    /// others are there.
    ResultsWithdrawn {
        /// Where it stood.
        before: OrderStatus,
        /// What is still reported without them.
        left: Option<Reported>,
    },
}

impl OrderEvent {
    const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::LabAccepted => "accepted by the laboratory",
            Self::LabRefused => "refused by the laboratory",
            Self::Results(_) => "reported",
            Self::DeliveryExhausted => "given up",
            Self::Requeued => "sent again",
            Self::CancelConsented | Self::CancelledByLab | Self::CancelledHere => "cancelled",
            Self::CancelDeclined { .. } => "taken up again",
            Self::ResultsWithdrawn { .. } => "without its results",
        }
    }
}

/// The event does not fit the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {status} cannot be {}", event.name())]
pub struct NotAllowed {
    /// Where the order stands.
    pub status: OrderStatus,
    /// What was tried.
    pub event: OrderEvent,
}

impl OrderStatus {
    /// The only way a status changes.
    pub fn advance(self, event: OrderEvent) -> Result<Self, NotAllowed> {
        let refused = Err(NotAllowed { status: self, event });
        match event {
            OrderEvent::Delivered => self.delivered().map_or(refused, Ok),
            OrderEvent::LabAccepted => Ok(self.accepted()),
            OrderEvent::LabRefused => Ok(self.refused()),
            OrderEvent::Results(reported) => Ok(self.reported(reported)),
            OrderEvent::DeliveryExhausted => Ok(if self == Self::Pending { Self::Failed } else { self }),
            OrderEvent::Requeued if matches!(self, Self::Failed | Self::Rejected) => Ok(Self::Pending),
            OrderEvent::CancelledHere if matches!(self, Self::Pending | Self::Failed) => Ok(Self::Cancelled),
            OrderEvent::CancelDeclined { before } if self == Self::Cancelled => Ok(before),
            OrderEvent::Requeued | OrderEvent::CancelledHere | OrderEvent::CancelDeclined { .. } => refused,
            OrderEvent::CancelConsented | OrderEvent::CancelledByLab => Ok(self.called_off()),
            OrderEvent::ResultsWithdrawn { before, left } => Ok(match left {
                Some(Reported::All) => Self::Resulted,
                Some(Reported::Some) => Self::Partial,
                None => before,
            }),
        }
    }

    /// A matched ACK proves that the laboratory holds the order, even if we had given up. For an order
    /// cancelled or rejected in the meantime that is refused rather than swallowed: laboratory and clinic
    /// disagree, and a cancellation has to follow.
    const fn delivered(self) -> Option<Self> {
        match self {
            Self::Pending | Self::Failed => Some(Self::Sent),
            Self::Sent | Self::Acknowledged | Self::Partial | Self::Resulted => Some(self),
            Self::Cancelled | Self::Rejected => None,
        }
    }

    /// The laboratory's own word beats a missing ACK. A cancelled order stays cancelled: "in process" may
    /// have crossed the cancellation.
    const fn accepted(self) -> Self {
        match self {
            Self::Pending | Self::Sent | Self::Failed | Self::Rejected => Self::Acknowledged,
            Self::Acknowledged | Self::Partial | Self::Resulted | Self::Cancelled => self,
        }
    }

    const fn refused(self) -> Self {
        match self {
            Self::Pending | Self::Sent | Self::Acknowledged | Self::Failed => Self::Rejected,
            Self::Partial | Self::Resulted | Self::Rejected | Self::Cancelled => self,
        }
    }

    /// Also for failed, rejected and cancelled orders: a result under a status that nobody looks through is a
    /// result nobody sees.
    const fn reported(self, reported: Reported) -> Self {
        match (self, reported) {
            (Self::Resulted, _) | (_, Reported::All) => Self::Resulted,
            (_, Reported::Some) => Self::Partial,
        }
    }

    /// With results there, calling off the rest means that nothing more will come.
    const fn called_off(self) -> Self {
        match self {
            Self::Partial | Self::Resulted => Self::Resulted,
            _ => Self::Cancelled,
        }
    }

    /// How a cancellation has to go, or None when there is nothing left to cancel. `ever_sent`: at least one
    /// attempt put bytes on the wire. After a time-out nobody knows whether the laboratory has the order, so
    /// it is asked.
    pub const fn cancel_route(self, ever_sent: bool) -> Option<CancelRoute> {
        match self {
            Self::Pending | Self::Failed if !ever_sent => Some(CancelRoute::Here),
            Self::Pending | Self::Failed | Self::Sent | Self::Acknowledged | Self::Partial => {
                Some(CancelRoute::AskLab)
            }
            Self::Resulted | Self::Rejected | Self::Cancelled => None,
        }
    }

    /// Whether a person may put the order message back into the queue.
    pub const fn can_be_resent(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected)
    }

    /// Whether the laboratory still owes something, for the overdue worklist.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Sent | Self::Acknowledged | Self::Partial)
    }
}

spelled! {
    /// Who has to agree to a cancellation.
    pub enum CancelRoute {
        /// Nobody: the order never left. Its message must not be sent any more.
        Here = "here",
        /// The laboratory.
        AskLab = "ask_lab",
    }
}

spelled! {
    /// A cancellation under way. It is kept beside the status, so that a refusal needs no memory of the
    /// status before.
    pub enum CancelState {
        /// Nobody asked.
        None = "none",
        /// We asked; no answer yet.
        Requested = "requested",
        /// The laboratory refused; the order goes on.
        Refused = "refused",
        /// The laboratory agreed.
        Consented = "consented",
    }
}

impl CancelState {
    /// Reads the answer to a cancellation: the ACK code and ORC-1, when the answer carries an ORC. A positive
    /// ACK without one is consent; UC, UA, DE or a negative ACK is a refusal and leaves the order as it was.
    pub fn from_answer(ack: AckCode, order_control: Option<&str>) -> Self {
        if !ack.is_positive() {
            return Self::Refused;
        }
        match order_control.map(str::trim) {
            Some("UC" | "UA" | "UD" | "DE") => Self::Refused,
            _ => Self::Consented,
        }
    }
}

/// How urgent an order is (tables 0485 and 0027).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Priority {
    /// In its turn.
    #[default]
    Routine,
    /// At once.
    Stat,
    /// As soon as possible.
    Asap,
    /// At the stated time. From HL7 only.
    Timed,
    /// Before surgery. From HL7 only.
    Preoperative,
}

impl Priority {
    /// Every priority.
    pub const ALL: &'static [Self] =
        &[Self::Routine, Self::Stat, Self::Asap, Self::Timed, Self::Preoperative];

    /// The HL7 code, which the REST contract uses too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "R",
            Self::Stat => "S",
            Self::Asap => "A",
            Self::Timed => "T",
            Self::Preoperative => "P",
        }
    }

    /// Whether the REST contract lets a clinician choose it.
    pub const fn is_orderable(self) -> bool {
        matches!(self, Self::Routine | Self::Stat | Self::Asap)
    }
}

impl std::str::FromStr for Priority {
    type Err = UnknownSpelling;

    /// Takes the codes and the words some systems send instead, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownSpelling> {
        match text.trim().to_ascii_uppercase().as_str() {
            "R" | "ROUTINE" => Ok(Self::Routine),
            "S" | "STAT" => Ok(Self::Stat),
            "A" | "ASAP" => Ok(Self::Asap),
            "T" | "TIMING" | "TIMED" => Ok(Self::Timed),
            "P" | "PREOP" => Ok(Self::Preoperative),
            _ => Err(UnknownSpelling { kind: "Priority" }),
        }
    }
}

impl TryFrom<String> for Priority {
    type Error = UnknownSpelling;

    fn try_from(text: String) -> Result<Self, UnknownSpelling> {
        text.parse()
    }
}

impl From<Priority> for &'static str {
    fn from(priority: Priority) -> Self {
        priority.as_str()
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
