//! Order messages as others send them: a laboratory that speaks of our orders, a clinic that orders through us (HL7 v2.5.1
//! §4.5.1, table 0119). Pure: what each control means, and how it is answered.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{matching::PatientClaim, order::TestStatus, report::Term, spelling::spelled};

spelled! {
    /// What is said of an order (ORC-1).
    pub enum OrderControl {
        /// The laboratory takes it.
        Accepted = "OK",
        /// The laboratory gives it a number.
        NumberAssigned = "NA",
        /// Its status changed.
        StatusChanged = "SC",
        /// Its status, as it was asked for.
        StatusReply = "SR",
        /// The laboratory cannot take it.
        Refused = "UA",
        /// The laboratory could not read it.
        DataErrors = "DE",
        /// The laboratory called it off by itself.
        LabCancelled = "OC",
        /// The laboratory ended it by itself.
        LabDiscontinued = "OD",
        /// Called off, as it was asked to be.
        Cancelled = "CR",
        /// Ended, as it was asked to be.
        Discontinued = "DR",
        /// It cannot be called off.
        CannotCancel = "UC",
        /// It cannot be ended.
        CannotDiscontinue = "UD",
        /// The laboratory changed it.
        LabChanged = "XX",
        /// Changed, as it was asked to be.
        Changed = "XR",
        /// It cannot be changed.
        CannotChange = "UX",
        /// The laboratory holds it.
        LabHeld = "OH",
        /// Held, as it was asked to be.
        Held = "HR",
        /// It cannot be held.
        CannotHold = "UH",
        /// The laboratory goes on with it.
        LabReleased = "OE",
        /// Released, as it was asked to be.
        Released = "OR",
        /// It cannot be released.
        CannotRelease = "UR",
        /// A new order for us.
        New = "NW",
        /// It is to be called off.
        Cancel = "CA",
        /// It is to be ended.
        Discontinue = "DC",
        /// It is to be changed.
        Change = "XO",
        /// It is to be replaced.
        Replace = "RP",
        /// What is to stand in its place.
        Replacement = "RO",
        /// It is to be held.
        Hold = "HD",
        /// It is no longer to be held.
        Release = "RL",
        /// How does it stand?
        StatusRequest = "SS",
        /// Results that go with a new order.
        Previous = "PR",
    }
}

impl OrderControl {
    /// Whether who ordered through us speaks, and not the laboratory.
    pub const fn is_placers(self) -> bool {
        matches!(self, Self::New | Self::StatusRequest | Self::Replacement | Self::Hold | Self::Release)
            || self.changes()
    }

    /// Whether it is to change an order that is here.
    pub const fn changes(self) -> bool {
        matches!(self, Self::Cancel | Self::Discontinue | Self::Change | Self::Replace)
    }

    /// Whether the laboratory says that it goes on with what it was asked to call off.
    pub const fn keeps_order(self) -> bool {
        matches!(self, Self::CannotCancel | Self::CannotDiscontinue)
    }

    /// ORC-1 of an answer that does it.
    pub const fn consent(self) -> &'static str {
        match self {
            Self::Cancel => "CR",
            Self::Discontinue => "DR",
            Self::Change => "XR",
            Self::Replace => "RQ",
            Self::StatusRequest => "SR",
            _ => "OK",
        }
    }

    /// ORC-1 of an answer that does not do it.
    pub const fn refusal(self) -> &'static str {
        match self {
            Self::Cancel => "UC",
            Self::Discontinue => "UD",
            Self::Change => "UX",
            Self::Replace => "UM",
            Self::Hold => "UH",
            Self::Release => "UR",
            _ => "UA",
        }
    }

    /// What it makes of a test by itself, whatever the status fields beside it still say.
    const fn ends(self) -> Option<TestStatus> {
        match self {
            Self::LabCancelled | Self::LabDiscontinued | Self::Cancelled | Self::Discontinued => {
                Some(TestStatus::Cancelled)
            }
            Self::Refused | Self::DataErrors => Some(TestStatus::Rejected),
            _ => None,
        }
    }
}

/// An order's number, and who gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentNumber {
    /// The number.
    pub id: String,
    /// Name space of the giver.
    pub namespace: Option<String>,
    /// Universal id of the giver.
    pub universal_id: Option<String>,
    /// Type of the universal id.
    pub universal_type: Option<String>,
}

impl SentNumber {
    /// Who gave it, as far as it is said.
    pub fn giver(&self) -> Option<&str> {
        self.namespace.as_deref().or(self.universal_id.as_deref())
    }

    /// Whether it can be the same number as one that this giver gave: a giver who is not named may be anybody.
    pub fn may_be_of(&self, giver: Option<&str>) -> bool {
        self.giver().zip(giver).is_none_or(|(own, other)| own == other)
    }
}

/// An order message.
#[derive(Clone, PartialEq)]
pub struct Orders {
    /// One for each patient.
    pub people: Vec<OrdersOf>,
}

/// The orders of one patient in a message.
#[derive(Clone, PartialEq)]
pub struct OrdersOf {
    /// Whose they are, when the message says so.
    pub claim: Option<PatientClaim>,
    /// The visit they were placed in (PV1-19, else PID-18).
    pub visit: Option<String>,
    /// Comments on the patient.
    pub notes: Vec<String>,
    /// One for each order.
    pub requests: Vec<OrderRequest>,
}

/// What is said of one order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OrderRequest {
    /// ORC-1; `None` when it is missing or none that is known.
    pub control: Option<OrderControl>,
    /// Number of who placed it (ORC-2, else OBR-2).
    pub placer: Option<SentNumber>,
    /// Number of who does it (ORC-3, else OBR-3).
    pub filler: Option<SentNumber>,
    /// ORC-2 and OBR-2 name two orders: nobody but the sender can say which is meant.
    pub names_two: bool,
    /// Status of the order (ORC-5, table 0038).
    pub status: Option<String>,
    /// Status of its report (OBR-25, table 0123).
    pub report_status: Option<String>,
    /// What is ordered (OBR-4).
    pub service: Term,
    /// Priorities as sent, the one that counts most first (TQ1-9, OBR-27.6, ORC-7.6, OBR-5).
    pub priorities: Vec<String>,
    /// Who orders (OBR-16, else ORC-12).
    pub provider: Option<String>,
    /// Why it is ordered (DG1).
    pub diagnoses: Vec<Term>,
    /// Comments, and what else the laboratory is to know in words.
    pub notes: Vec<String>,
    /// Whether a specimen goes with it.
    pub has_specimen: bool,
    /// What only imaging needs.
    pub imaging: Option<Imaging>,
}

/// What only imaging needs of an order.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Imaging {
    /// Number under which the pictures are filed.
    pub accession_number: Option<String>,
    /// Code of the procedure.
    pub procedure_code: String,
    /// Its name.
    pub procedure: Option<String>,
    /// Such as `CT` or `MR`.
    pub modality: Option<String>,
    /// Urgency, as sent.
    pub priority: Option<String>,
    /// Where the order stands, as sent.
    pub order_status: Option<String>,
    /// Name of the device on its network.
    pub ae_title: Option<String>,
    /// Name of the device.
    pub station: Option<String>,
    /// Where it is done.
    pub location: Option<String>,
    /// When it is to be done.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The same as sent.
    pub scheduled_at_text: Option<String>,
}

impl OrderRequest {
    /// What it says about its test. A status is no report: a test whose results are said to exist is "in the laboratory"
    /// until they are here, or an order whose results were lost would leave the list of those that are overdue.
    pub fn news(&self) -> Option<TestStatus> {
        let control = self.control?;
        if let Some(end) = control.ends() {
            return Some(end);
        }
        let said = TestStatus::from_hl7(
            self.report_status.as_deref(),
            self.status.as_deref(),
            Some(control.as_str()),
        );
        if self.promises_results() { Some(TestStatus::InLab) } else { said }
    }

    /// Whether it speaks of results, which an order message does not bring.
    pub fn promises_results(&self) -> bool {
        let said = TestStatus::from_hl7(self.report_status.as_deref(), self.status.as_deref(), None);
        let is_report = matches!(said, Some(TestStatus::Done | TestStatus::Partial));
        // X: there will be none.
        is_report && self.report_status.as_deref() != Some("X")
    }
}

impl OrdersOf {
    /// Whether the message says nothing of whose these are.
    pub fn is_nobodys(&self) -> bool {
        self.claim.as_ref().is_none_or(|claim| {
            claim.identifiers.is_empty()
                && claim.family.is_none()
                && claim.given.is_none()
                && claim.birth_date.is_none()
        })
    }
}

impl Orders {
    /// Every order of the message.
    pub fn requests(&self) -> impl Iterator<Item = &OrderRequest> {
        self.people.iter().flat_map(|person| &person.requests)
    }

    /// The controls in it, each once.
    pub fn what(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        for request in self.requests() {
            let word = request.control.map_or("?", OrderControl::as_str);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TestStatus::{Cancelled, Done, InLab, Rejected};

    fn news(control: OrderControl, orc_5: &str, obr_25: &str) -> Option<TestStatus> {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let request = OrderRequest {
            control: Some(control),
            status: some(orc_5),
            report_status: some(obr_25),
            ..OrderRequest::default()
        };
        request.news()
    }

    #[test]
    fn what_a_laboratory_says() {
        let table = [
            (OrderControl::Accepted, "", "", Some(InLab)),
            (OrderControl::StatusChanged, "IP", "", Some(InLab)),
            (OrderControl::StatusChanged, "CA", "", Some(Cancelled)),
            (OrderControl::StatusChanged, "HD", "", Some(InLab)),
            (OrderControl::StatusChanged, "", "X", Some(Done)),
            (OrderControl::Refused, "", "", Some(Rejected)),
            (OrderControl::DataErrors, "IP", "", Some(Rejected)),
            (OrderControl::LabCancelled, "", "", Some(Cancelled)),
            (OrderControl::LabDiscontinued, "", "", Some(Cancelled)),
            (OrderControl::CannotCancel, "IP", "", Some(InLab)),
            (OrderControl::CannotCancel, "", "", None),
            (OrderControl::LabChanged, "", "", None),
            (OrderControl::LabHeld, "", "", None),
        ];
        for (control, orc_5, obr_25, expected) in table {
            assert_eq!(news(control, orc_5, obr_25), expected, "{control} {orc_5} {obr_25}");
        }
    }

    #[test]
    fn a_cancellation_beats_a_status_that_was_left_standing() {
        assert_eq!(news(OrderControl::LabCancelled, "IP", "S"), Some(Cancelled));
        assert_eq!(news(OrderControl::LabCancelled, "", "X"), Some(Cancelled));
    }

    #[test]
    fn a_status_without_results_ends_no_test() {
        for obr_25 in ["F", "C", "P", "A"] {
            assert_eq!(news(OrderControl::StatusChanged, "CM", obr_25), Some(InLab), "{obr_25}");
        }
        assert_eq!(news(OrderControl::StatusChanged, "A", ""), Some(InLab));
    }

    #[test]
    fn every_request_has_its_answers() {
        let table = [
            (OrderControl::New, "OK", "UA"),
            (OrderControl::Cancel, "CR", "UC"),
            (OrderControl::Discontinue, "DR", "UD"),
            (OrderControl::Change, "XR", "UX"),
            (OrderControl::Replace, "RQ", "UM"),
            (OrderControl::StatusRequest, "SR", "UA"),
            (OrderControl::LabCancelled, "OK", "UA"),
        ];
        for (control, consent, refusal) in table {
            assert_eq!((control.consent(), control.refusal()), (consent, refusal), "{control}");
        }
        assert_eq!((OrderControl::Hold.refusal(), OrderControl::Release.refusal()), ("UH", "UR"));
    }

    #[test]
    fn controls_are_named_once() {
        let request = |control| OrderRequest { control, ..OrderRequest::default() };
        let requests = vec![request(Some(OrderControl::Accepted)), request(None), request(None)];
        let orders =
            Orders { people: vec![OrdersOf { claim: None, visit: None, notes: Vec::new(), requests }] };
        assert_eq!(orders.what(), "OK, ?");
        assert!(orders.people[0].is_nobodys());
    }
}
