use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::message::Observations;

/// What a message would do.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Hl7Preview)]
pub struct PreviewView {
    /// What would become of it: `stored`, `unmatched`, `ignored`, `refused`, `logged`, or `duplicate` when the same bytes
    /// are stored already.
    pub outcome: String,
    /// The message that is stored already.
    pub duplicate_of: Option<i64>,
    /// Family (MSH-9.1).
    pub message_type: Option<String>,
    /// Event (MSH-9.2).
    pub trigger_event: Option<String>,
    /// Version (MSH-12.1).
    pub hl7_version: Option<String>,
    /// Control id (MSH-10).
    pub message_control_id: String,
    /// Character set it was read in.
    pub charset: Option<String>,
    /// The acknowledgments that would be sent, each as one text with a segment a line.
    pub ack: Vec<String>,
    /// Why it would be refused: codes and locations.
    pub error_detail: Option<String>,
    /// Leniency that was used to read it.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Value,
    /// What would become of its observations.
    pub observations: Observations,
    /// What would be stored.
    pub would_store: WouldStore,
    /// Segments and fields with their names; null for what cannot be read as a message.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tree: Value,
}

/// What a message would store.
#[derive(Clone, Default, Serialize, ToSchema)]
pub struct WouldStore {
    /// The chart it would be part of.
    pub patient_id: Option<i64>,
    /// The order it would concern.
    pub lab_order_id: Option<i64>,
    /// What it tells, when it is no report of results: `appointment`, …
    pub event: Option<String>,
    /// What happened, in a word.
    pub event_detail: Option<String>,
    /// Result versions.
    pub results: Vec<PreviewResult>,
    /// Ids of results that would no longer be current.
    pub superseded: Vec<i64>,
    /// Critical alerts.
    pub alerts: usize,
    /// Why it would wait for a person.
    pub review_reason: Option<String>,
    /// Who it might be.
    #[schema(value_type = Vec<Object>)]
    pub candidates: Value,
}

/// A result version that would be stored.
#[derive(Clone, Serialize, ToSchema)]
pub struct PreviewResult {
    /// Code as sent.
    pub test_code: String,
    /// Name.
    pub test_name: String,
    /// LOINC, sent or mapped; null: on the worklist of unmapped codes.
    pub loinc_code: Option<String>,
    /// OBX-2.
    pub value_type: String,
    /// As a reader would see it.
    pub value: Option<String>,
    /// Units.
    pub units: Option<String>,
    /// Reference range.
    pub reference_range: Option<String>,
    /// Flags.
    pub abnormal_flag: Option<String>,
    /// Status as understood.
    pub result_status: String,
    /// 1 for the first.
    pub version: i32,
    /// Whether readers would see this version.
    pub is_current: bool,
    /// Whether an alert would be due.
    pub is_critical: bool,
    /// Why.
    #[schema(value_type = Vec<Object>)]
    pub critical_reasons: Value,
    /// Media type of the document in it.
    pub document_type: Option<String>,
    /// Words for what was odd.
    pub warnings: Vec<String>,
}
