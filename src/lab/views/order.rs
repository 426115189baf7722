use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::ResultView;
use crate::store::entity::{lab_order, lab_order_event, lab_order_test};

/// A laboratory order.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LabOrderResponse)]
pub struct OrderView {
    /// Id in this system.
    pub id: i64,
    /// The patient.
    pub patient_id: i64,
    /// The visit, when one was given.
    pub encounter_id: Option<i64>,
    /// The codes as ordered.
    pub test_codes: Vec<String>,
    /// One entry for each code; a correction leaves those that it called off, as `cancelled`.
    pub tests: Vec<OrderTestView>,
    /// Who ordered.
    pub ordering_provider: String,
    /// `R` routine, `S` stat, `A` as soon as possible; from outside also `P` before surgery and `T` at a stated time.
    pub priority: String,
    /// `pending`, `sent`, `acknowledged`, `partial`, `resulted`, `failed`, `rejected` or `cancelled`.
    pub status: String,
    /// Why the status is what it is, when the lab or the delivery gave a reason. Never patient data.
    pub status_reason: Option<String>,
    /// Placer order number of the whole order; each test has its own.
    pub placer_order_number: String,
    /// Order number of the lab.
    pub filler_order_number: Option<String>,
    /// The lab it goes to; null while there is none.
    pub lis_endpoint_id: Option<i64>,
    /// Who sent it, when it was placed by somebody else's message; null when one of our own people placed it.
    pub source: Option<OrderSource>,
    /// What only imaging needs, from a sender whose profile says where it stands: `accession_number`, `procedure_code`,
    /// `procedure`, `modality`, `priority`, `order_status`, `ae_title`, `station`, `location`, `scheduled_at`; of further
    /// tests in `further_studies`.
    #[schema(value_type = Option<Object>)]
    pub imaging: Option<Value>,
    /// Diagnoses (DG1).
    pub diagnosis_codes: Vec<String>,
    /// Note to the lab (NTE).
    pub note: Option<String>,
    /// The message that carries it.
    pub hl7_message_id: Option<i64>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When the lab's system took the message.
    pub sent_at: Option<DateTime<Utc>>,
    /// When the lab took the order.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// When the last test was done.
    pub resulted_at: Option<DateTime<Utc>>,
}

/// Where an order came from.
#[derive(Clone, Serialize, ToSchema)]
pub struct OrderSource {
    /// The endpoint whose message placed it; 0 is a sender that no endpoint names.
    pub lis_endpoint_id: i64,
}

/// One test of an order.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LabOrderTest)]
pub struct OrderTestView {
    /// Code as ordered (OBR-4.1).
    pub test_code: String,
    /// Name from the catalogue.
    pub test_name: Option<String>,
    /// LOINC code from the catalogue.
    pub loinc_code: Option<String>,
    /// Placer order number on the wire (OBR-2).
    pub placer_order_number: String,
    /// Order number of the lab (OBR-3).
    pub filler_order_number: Option<String>,
    /// The number that somebody else ordered it under through us.
    pub outside_placer_number: Option<String>,
    /// How far the test is.
    pub status: String,
}

/// One step in the life of an order.
#[derive(Clone, Serialize, ToSchema)]
pub struct TimelineEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: String,
    /// Status before, when it changed.
    pub from_status: Option<String>,
    /// Status after, when it changed.
    pub to_status: Option<String>,
    /// Who: a user, the lab, or the service.
    pub actor: String,
    /// Reason or code. Never patient data.
    pub detail: Option<String>,
    /// The message that did it.
    pub hl7_message_id: Option<i64>,
}

/// An order with its results and its history.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LabOrderDetail)]
pub struct OrderDetail {
    /// The order.
    #[serde(flatten)]
    pub order: OrderView,
    /// Current version of each result.
    pub results: Vec<ResultView>,
    /// Oldest first.
    pub timeline: Vec<TimelineEntry>,
}

/// The strings of a JSON array; anything else in it is left out.
pub(crate) fn strings(json: &Value) -> Vec<String> {
    let items = json.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

impl From<lab_order_test::Model> for OrderTestView {
    fn from(row: lab_order_test::Model) -> Self {
        Self {
            test_code: row.test_code,
            test_name: row.test_name,
            loinc_code: row.loinc_code,
            placer_order_number: row.placer_order_number,
            filler_order_number: row.filler_order_number,
            outside_placer_number: row.outside_placer_number,
            status: row.status,
        }
    }
}

impl From<lab_order_event::Model> for TimelineEntry {
    fn from(row: lab_order_event::Model) -> Self {
        Self {
            at: row.at,
            kind: row.kind,
            from_status: row.from_status,
            to_status: row.to_status,
            actor: row.actor,
            detail: row.detail,
            hl7_message_id: row.hl7_message_id,
        }
    }
}

impl OrderView {
    /// The order with its tests.
    pub fn new(row: lab_order::Model, tests: Vec<lab_order_test::Model>) -> Self {
        Self {
            id: row.id,
            patient_id: row.patient_id,
            encounter_id: row.encounter_id,
            test_codes: strings(&row.test_codes),
            tests: tests.into_iter().map(OrderTestView::from).collect(),
            ordering_provider: row.ordering_provider,
            priority: row.priority,
            status: row.status,
            status_reason: row.status_reason,
            placer_order_number: row.placer_order_number,
            filler_order_number: row.filler_order_number,
            lis_endpoint_id: row.lis_endpoint_id,
            source: row.source_endpoint_id.map(|lis_endpoint_id| OrderSource { lis_endpoint_id }),
            imaging: row.imaging,
            diagnosis_codes: strings(&row.diagnosis_codes),
            note: row.note,
            hl7_message_id: row.hl7_message_id,
            created_at: row.created_at,
            sent_at: row.sent_at,
            acknowledged_at: row.acknowledged_at,
            resulted_at: row.resulted_at,
        }
    }
}
