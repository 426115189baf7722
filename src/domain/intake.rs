//! What a message of results does: pure and total. A bad message is a value, not an error, and a batch
//! decided in one go leaves the same rows as its messages one by one, because every decision is applied to
//! [`Known`] before the next message is looked at.

mod again;
mod decide;
mod known;
mod ties;

pub use self::{
    again::{Judgement, NewTie, judge_again, tie_again},
    decide::{any_held, certain_owner, decide, decide_for},
    known::{CurrentResult, Known, KnownOrder, KnownPatient, KnownTest, Shown, ShownDocument},
};
use super::{
    critical::{Assessment, CriticalFlags},
    ids::{AlertId, EncounterId, EndpointId, OrderId, OrderTestId, PatientId, ReportId, ResultId},
    matching::{ReviewReason, ScoredCandidate},
    order::{Reported, TestStatus},
    result::{Effect, ResultStatus, Stamp},
    thresholds::ThresholdRule,
};

/// What the clinic has set: thresholds, flags, codes.
pub struct Rules {
    /// Critical limits.
    pub thresholds: Vec<ThresholdRule>,
    /// Flags that are critical by themselves.
    pub critical_flags: CriticalFlags,
    /// (endpoint, coding system, local code) → LOINC. Endpoint 0 and an empty system hold for all.
    pub codes: std::collections::HashMap<(EndpointId, String, String), String>,
    /// Authority that gave our medical record numbers.
    pub local_authority: String,
}

impl Rules {
    /// LOINC code of a local code, the endpoint's own map first.
    pub fn loinc(&self, endpoint: EndpointId, system: &str, code: &str) -> Option<&str> {
        let everyone = EndpointId::new(0);
        let places = [(endpoint, system), (endpoint, ""), (everyone, system), (everyone, "")];
        places.into_iter().find_map(|(endpoint, system)| {
            self.codes.get(&(endpoint, system.to_uppercase(), code.to_uppercase())).map(String::as_str)
        })
    }
}

/// Ids reserved before deciding, so that rows can name each other.
#[derive(Default)]
pub struct Ids {
    /// For reports.
    pub reports: std::collections::VecDeque<i64>,
    /// For results.
    pub results: std::collections::VecDeque<i64>,
    /// For alerts.
    pub alerts: std::collections::VecDeque<i64>,
}

/// The place of an observation in its message: block, report, observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the patient's block.
    pub block: usize,
    /// Index of the report in the block.
    pub report: usize,
    /// Index of the observation in the report.
    pub observation: usize,
}

/// Everything a message does. What is not named here does not change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Patients it was tied to.
    pub patients: Vec<PatientId>,
    /// New report rows.
    pub reports: Vec<NewReport>,
    /// New result rows.
    pub results: Vec<NewResult>,
    /// Result rows that are no longer current.
    pub superseded: Vec<ResultId>,
    /// Current rows confirmed by a newer message that says the same.
    pub confirmed: Vec<(ResultId, Stamp)>,
    /// New alerts.
    pub alerts: Vec<NewAlert>,
    /// Changes of what somebody may have seen.
    pub corrections: Vec<Correction>,
    /// Progress of orders.
    pub orders: Vec<OrderMove>,
    /// What could not be tied safely to a patient.
    pub reviews: Vec<Review>,
    /// Words for what was lenient or odd; no content.
    pub warnings: Vec<String>,
}

/// A report to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewReport {
    /// Its id.
    pub id: ReportId,
    /// Block and report in the message.
    pub at: (usize, usize),
    /// Whose it is.
    pub patient: PatientId,
    /// The order it answers or hangs on.
    pub order: Option<(OrderId, OrderTestId)>,
    /// It hangs on that order without answering its test: a reflex, susceptibilities.
    pub is_child: bool,
}

/// A result version to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewResult {
    /// Its id.
    pub id: ResultId,
    /// Its report.
    pub report: ReportId,
    /// Where it stands in the message.
    pub at: Place,
    /// Whose it is.
    pub patient: PatientId,
    /// The order it answers.
    pub order: Option<OrderId>,
    /// The visit of the order.
    pub encounter: Option<EncounterId>,
    /// 1 for the first.
    pub version: i32,
    /// Whether readers see it.
    pub is_current: bool,
    /// Status readers see.
    pub status: ResultStatus,
    /// The value readers keep seeing, when this version brings none of its own.
    pub kept: Option<Shown>,
    /// LOINC code, sent or mapped.
    pub loinc: Option<String>,
    /// Critical or not, and why.
    pub assessment: Assessment,
    /// What it means for those who saw the version before.
    pub effect: Effect,
    /// Words for what was odd.
    pub warnings: Vec<String>,
}

/// An alert to raise.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlert {
    /// Its id.
    pub id: AlertId,
    /// Where its result stands in the message.
    pub at: Place,
    /// The result, or none while it waits in the review queue.
    pub result: Option<(ResultId, PatientId)>,
    /// The order it answers.
    pub order: Option<OrderId>,
    /// Why.
    pub assessment: Assessment,
}

/// A corrected or retracted result, or a critical preliminary that the final does not bear out.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// The version that was shown before.
    pub old: ResultId,
    /// The version that is shown now.
    pub new: ResultId,
    /// Its number: what was raised by earlier ones is what it concerns.
    pub version: i32,
    /// Whose it is.
    pub patient: PatientId,
    /// The value that was shown.
    pub old_value: Option<String>,
    /// Where the new one stands in the message.
    pub at: Place,
    /// Correction or retraction.
    pub effect: Effect,
}

/// Progress of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderMove {
    /// Which order.
    pub order: OrderId,
    /// Tests whose status changed.
    pub tests: Vec<(OrderTestId, TestStatus, Option<String>)>,
    /// Whether the lab took it, or how much is reported.
    pub news: Option<OrderNews>,
}

impl Decision {
    /// Observations that wait for a person.
    pub fn observations_in_review(&self) -> usize {
        self.reviews.iter().map(|review| review.observations).sum()
    }
}

/// What a message says of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderNews {
    /// The lab works on it.
    Accepted,
    /// Results are here.
    Results(Reported),
    /// The lab will do none of its tests.
    Refused,
    /// The lab called it off.
    Cancelled,
}

/// Why results wait for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The patient is not certain.
    Patient(ReviewReason),
    /// The patient is certain, but the order number is that of another patient's order: a mix-up of specimens or
    /// labels, which nobody but a person can tell apart.
    OrderOfAnotherPatient,
}

impl Held {
    /// The word for the review queue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient(reason) => reason.as_str(),
            Self::OrderOfAnotherPatient => "order_of_another_patient",
        }
    }
}

/// Whose a block of a message is, as far as that is settled before the message is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The message has to say it.
    Matched,
    /// A person has said it.
    Said(PatientId),
    /// Nothing is decided about the block now: it is filed already, or waits for a decision of its own.
    Settled,
}

/// What waits for a person: one decision, so the blocks of one stated patient. Two strangers in one message are two.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// Indexes of the blocks, never empty.
    pub blocks: Vec<usize>,
    /// Why they were not tied to a patient.
    pub reason: Held,
    /// Who it might be.
    pub candidates: Vec<ScoredCandidate>,
    /// Observations that wait.
    pub observations: usize,
}
