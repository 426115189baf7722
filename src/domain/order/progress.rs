//! From the words of the laboratory about one test to the status of the whole order.

use super::{OrderEvent, OrderStatus, Reported};
use crate::domain::spelling::spelled;

spelled! {
    /// Where one test of an order stands.
    pub enum TestStatus {
        /// Nothing heard.
        Ordered = "ordered",
        /// The laboratory works on it.
        InLab = "in_lab",
        /// Something was reported, more will come.
        Partial = "partial",
        /// Its placer number came back with OBR-25 F, C or X.
        Done = "done",
        /// The laboratory will not do it.
        Rejected = "rejected",
        /// Called off.
        Cancelled = "cancelled",
    }
}

impl TestStatus {
    /// What one ORC/OBR pair says about its test: OBR-25 first, because a report outweighs an order's state,
    /// then ORC-5, then ORC-1. None when it says nothing.
    pub fn from_hl7(obr_25: Option<&str>, orc_5: Option<&str>, orc_1: Option<&str>) -> Option<Self> {
        obr_25
            .and_then(Self::from_obr_25)
            .or_else(|| orc_5.and_then(Self::from_orc_5))
            .or_else(|| orc_1.and_then(Self::from_orc_1))
    }

    /// Table 0123. Y and Z answer queries and say nothing about an order.
    fn from_obr_25(code: &str) -> Option<Self> {
        match code.trim() {
            "F" | "C" | "X" => Some(Self::Done),
            "A" | "P" | "R" | "M" => Some(Self::Partial),
            "O" | "I" | "S" | "N" => Some(Self::InLab),
            _ => None,
        }
    }

    /// Table 0038. CM without a report is not "done": a test is done when its results were reported.
    fn from_orc_5(code: &str) -> Option<Self> {
        match code.trim() {
            "A" => Some(Self::Partial),
            "IP" | "SC" | "CM" => Some(Self::InLab),
            "CA" | "DC" => Some(Self::Cancelled),
            "ER" => Some(Self::Rejected),
            _ => None,
        }
    }

    /// Table 0119, filler to placer.
    fn from_orc_1(code: &str) -> Option<Self> {
        match code.trim() {
            "OK" | "NA" | "SC" => Some(Self::InLab),
            "UA" => Some(Self::Rejected),
            "OC" | "CR" | "OD" | "DR" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Table 0038: how the test stands, for whoever asks.
    pub const fn to_orc_5(self) -> &'static str {
        match self {
            Self::Ordered => "SC",
            Self::InLab => "IP",
            Self::Partial => "A",
            Self::Done => "CM",
            Self::Cancelled => "CA",
            Self::Rejected => "DC",
        }
    }

    /// The status after a new word about the test. Done stays done; a report revives what was cancelled or
    /// rejected; "in the laboratory" takes nothing back.
    #[must_use]
    pub const fn advance(self, news: Self) -> Self {
        match (self, news) {
            (Self::Done, _)
            | (_, Self::Ordered)
            | (Self::Partial | Self::Cancelled, Self::InLab | Self::Rejected) => self,
            (_, news) => news,
        }
    }

    /// Whether nothing more is expected. A rejected test is not settled: somebody has to order it elsewhere
    /// or call it off.
    const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// The status an order has because of its tests. Never backwards; unchanged when the tests say nothing new.
pub fn order_status_from_tests(current: OrderStatus, tests: &[TestStatus]) -> OrderStatus {
    let Some(event) = event_from_tests(tests) else {
        return current;
    };
    current.advance(event).unwrap_or(current)
}

/// How much is reported, going by the tests.
pub fn reported(tests: &[TestStatus]) -> Option<Reported> {
    match event_from_tests(tests) {
        Some(OrderEvent::Results(reported)) => Some(reported),
        _ => None,
    }
}

fn event_from_tests(tests: &[TestStatus]) -> Option<OrderEvent> {
    let any = |status| tests.contains(&status);
    let all =
        |accepted: fn(TestStatus) -> bool| !tests.is_empty() && tests.iter().all(|test| accepted(*test));
    if any(TestStatus::Done) && all(TestStatus::is_settled) {
        return Some(OrderEvent::Results(Reported::All));
    }
    if any(TestStatus::Done) || any(TestStatus::Partial) {
        return Some(OrderEvent::Results(Reported::Some));
    }
    if any(TestStatus::InLab) {
        return Some(OrderEvent::LabAccepted);
    }
    if all(|test| test == TestStatus::Cancelled) {
        return Some(OrderEvent::CancelledByLab);
    }
    let nothing_left = all(|test| matches!(test, TestStatus::Rejected | TestStatus::Cancelled));
    nothing_left.then_some(OrderEvent::LabRefused)
}
