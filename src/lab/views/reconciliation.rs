use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// What of orders and results needs somebody's eyes, as it stands at one moment.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub struct ReconciliationView {
    /// The moment.
    pub as_of: DateTime<Utc>,
    /// How many rows each worklist has.
    pub counts: WorklistCounts,
    /// The rows, each list cut to `limit`. Empty for those who may read figures but no charts.
    pub worklists: Worklists,
}

/// Rows of each worklist in all; null when there are more than were counted.
#[derive(Clone, Default, Serialize, ToSchema)]
pub struct WorklistCounts {
    /// The laboratory has not taken the order in time.
    pub sent_not_acknowledged: Option<u64>,
    /// It took the order, and no result has come in time.
    pub acknowledged_without_result: Option<u64>,
    /// Some of what was ordered has come, and something lacks.
    pub partial_panels: Option<u64>,
    /// Results that answer no order, from laboratories that normally answer them.
    pub results_without_order: Option<u64>,
    /// Specimens that have to be taken again.
    pub specimen_rejected: Option<u64>,
    /// Tests that the laboratory called off, refused or did not do.
    pub lab_cancelled: Option<u64>,
}

/// The rows of each worklist.
#[derive(Clone, Default, Serialize, ToSchema)]
pub struct Worklists {
    /// The laboratory has not taken the order in time; the most urgent first.
    pub sent_not_acknowledged: Vec<WorklistRow>,
    /// It took the order, and no result has come in time; the most urgent first.
    pub acknowledged_without_result: Vec<WorklistRow>,
    /// Some of what was ordered has come, and something lacks.
    pub partial_panels: Vec<WorklistRow>,
    /// Results that answer no order, from laboratories that normally answer them.
    pub results_without_order: Vec<WorklistRow>,
    /// Specimens that have to be taken again.
    pub specimen_rejected: Vec<WorklistRow>,
    /// Tests that the laboratory called off, refused or did not do.
    pub lab_cancelled: Vec<WorklistRow>,
}

/// One row of a worklist.
#[derive(Clone, Serialize, ToSchema)]
pub struct WorklistRow {
    /// The order; of a result without one, the open order that it may answer.
    pub order_id: Option<i64>,
    /// The report.
    pub report_id: Option<i64>,
    /// The message that the report came in.
    pub hl7_message_id: Option<i64>,
    /// Whose it is.
    pub patient_id: i64,
    /// Who that is.
    pub patient: Option<WorklistPatient>,
    /// The laboratory; null while the order waits for one.
    pub lis_endpoint_id: Option<i64>,
    /// Its name.
    pub lab: Option<String>,
    /// Priority of the order.
    pub priority: Option<String>,
    /// Status of the order.
    pub status: Option<String>,
    /// What was ordered, or what the report is about.
    pub test_codes: Vec<String>,
    /// Who ordered.
    pub ordering_provider: Option<String>,
    /// When the order was placed.
    pub ordered_at: Option<DateTime<Utc>>,
    /// Since when it is late, or when it happened.
    pub since: DateTime<Utc>,
    /// Minutes since the order was placed; without an order, since the report came.
    pub age_minutes: i64,
    /// Why it stands here, in a word.
    pub reason: String,
    /// The laboratory's words.
    pub said: Option<String>,
    /// What lacks.
    pub missing: Vec<MissingView>,
}

/// Who a patient is, so that nobody acts on the wrong one.
#[derive(Clone, Serialize, ToSchema)]
pub struct WorklistPatient {
    /// Medical record number.
    pub mrn: String,
    /// Family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
    /// Birth date.
    pub date_of_birth: Option<NaiveDate>,
}

/// Something that was expected and has not come.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = MissingResult)]
pub struct MissingView {
    /// The test as ordered.
    pub test_code: String,
    /// Its name.
    pub test_name: Option<String>,
    /// The member of the panel; null where the test as a whole lacks.
    pub loinc_code: Option<String>,
    /// Name of the member.
    pub name: Option<String>,
    /// `not_reported` (nothing of the test has come), `not_final` (the laboratory is not done with it) or `member` (this
    /// member of the panel has not come).
    pub what: String,
}

impl MissingView {
    /// In one text, for tables.
    pub fn text(&self) -> String {
        let name = |code: &str, name: &Option<String>| match name {
            Some(name) if name != code => format!("{code} ({name})"),
            _ => code.to_owned(),
        };
        match (&self.loinc_code, self.what.as_str()) {
            (Some(loinc), _) => format!("{}: {}", self.test_code, name(loinc, &self.name)),
            (None, "not_final") => format!("{} not final", name(&self.test_code, &self.test_name)),
            (None, _) => name(&self.test_code, &self.test_name),
        }
    }
}

impl Worklists {
    /// Each list with its name.
    pub fn named(&self) -> [(&'static str, &[WorklistRow]); 6] {
        [
            ("sent_not_acknowledged", &self.sent_not_acknowledged),
            ("acknowledged_without_result", &self.acknowledged_without_result),
            ("partial_panels", &self.partial_panels),
            ("results_without_order", &self.results_without_order),
            ("specimen_rejected", &self.specimen_rejected),
            ("lab_cancelled", &self.lab_cancelled),
        ]
    }
}
