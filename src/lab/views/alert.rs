use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::store::entity::{alert_event, critical_alert, patient};

/// A critical result that somebody must see.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertView {
    /// Id.
    pub id: i64,
    /// The patient; null while the result waits in the review queue.
    pub patient_id: Option<i64>,
    /// Who the patient is, or who the message says it is.
    pub patient: Option<AlertPatient>,
    /// The result version; null while it waits in the review queue.
    pub lab_result_id: Option<i64>,
    /// The order it answers, when known.
    pub lab_order_id: Option<i64>,
    /// Code of the test.
    pub test_code: String,
    /// Name of the test.
    pub test_name: String,
    /// Value.
    pub value: Option<String>,
    /// Units.
    pub units: Option<String>,
    /// The lab's flag.
    pub abnormal_flag: Option<String>,
    /// Reference range as sent.
    pub reference_range: Option<String>,
    /// `open`, `acknowledged`, `escalated` or `resolved`.
    pub status: String,
    /// Why it is critical: the flag, the threshold rule, or both.
    #[schema(value_type = Vec<Object>)]
    pub reasons: Value,
    /// When the alert was raised.
    pub raised_at: DateTime<Utc>,
    /// Who acknowledged it.
    pub acknowledged_by: Option<String>,
    /// When.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// What was done.
    pub note: Option<String>,
    /// Telephone read-back.
    #[schema(value_type = Option<Object>)]
    pub read_back: Option<Value>,
    /// Whom it was escalated to, and when.
    #[schema(value_type = Vec<Object>)]
    pub escalations: Value,
    /// Later corrections and retractions of the value.
    #[schema(value_type = Vec<Object>)]
    pub annotations: Value,
    /// The message the result came in.
    pub hl7_message_id: Option<i64>,
}

/// Two identifiers and the name, so that nobody acts on the wrong patient.
#[derive(Clone, Serialize, ToSchema)]
pub struct AlertPatient {
    /// Medical record number.
    pub mrn: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Birth date.
    pub date_of_birth: Option<String>,
}

/// One row of the event stream.
#[derive(Clone, Debug, Serialize)]
pub struct AlertEventView {
    /// Monotonic id, the SSE `id`.
    pub id: i64,
    /// The SSE `event`.
    pub kind: String,
    /// The SSE `data`.
    pub data: Value,
}

impl From<alert_event::Model> for AlertEventView {
    fn from(row: alert_event::Model) -> Self {
        Self { id: row.id, kind: row.kind, data: row.payload }
    }
}

impl From<&patient::Model> for AlertPatient {
    fn from(row: &patient::Model) -> Self {
        Self {
            mrn: Some(row.mrn.clone()),
            last_name: Some(row.last_name.clone()),
            first_name: Some(row.first_name.clone()),
            date_of_birth: row.date_of_birth.map(|date| date.to_string()),
        }
    }
}

impl AlertPatient {
    /// What an unmatched message says of its patient.
    fn claimed(claim: &Value) -> Self {
        let text = |name: &str| claim.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            mrn: text("mrn"),
            last_name: text("last_name"),
            first_name: text("first_name"),
            date_of_birth: text("date_of_birth"),
        }
    }
}

impl AlertView {
    /// The alert with its patient.
    pub fn new(row: critical_alert::Model, patient: Option<&patient::Model>) -> Self {
        let claimed = row.claimed_patient.as_ref().map(AlertPatient::claimed);
        Self {
            id: row.id,
            patient_id: row.patient_id,
            patient: patient.map(AlertPatient::from).or(claimed),
            lab_result_id: row.lab_result_id,
            lab_order_id: row.lab_order_id,
            test_code: row.test_code,
            test_name: row.test_name,
            value: row.value,
            units: row.units,
            abnormal_flag: row.abnormal_flag,
            reference_range: row.reference_range,
            status: row.status,
            reasons: row.reasons,
            raised_at: row.raised_at,
            acknowledged_by: row.acknowledged_by,
            acknowledged_at: row.acknowledged_at,
            note: row.note,
            read_back: row.read_back,
            escalations: row.escalations,
            annotations: row.annotations,
            hl7_message_id: row.hl7_message_id,
        }
    }
}
