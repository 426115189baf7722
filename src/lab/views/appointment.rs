use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::order::strings;
use crate::store::entity::appointment;

/// An appointment, as its scheduling system last told of it.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Appointment)]
pub struct AppointmentView {
    /// Id.
    pub id: i64,
    /// The scheduling system.
    pub lis_endpoint_id: i64,
    /// Its number for the appointment.
    pub appointment_number: String,
    /// Whose it is; null while that is not certain.
    pub patient_id: Option<i64>,
    /// Who the message says it is, when `patient_id` is null.
    #[schema(value_type = Option<Object>)]
    pub claimed_patient: Option<Value>,
    /// `booked` or `cancelled`.
    pub status: String,
    /// Begin; null when only a day was given.
    pub starts_at: Option<DateTime<Utc>>,
    /// Begin as sent.
    pub starts_at_text: Option<String>,
    /// End.
    pub ends_at: Option<DateTime<Utc>>,
    /// Why the patient comes.
    pub reason: Option<String>,
    /// What is done.
    pub service: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// With whom.
    pub provider: Option<String>,
    /// Comments.
    pub notes: Vec<String>,
    /// The message that told of it last.
    pub hl7_message_id: i64,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<appointment::Model> for AppointmentView {
    fn from(row: appointment::Model) -> Self {
        Self {
            id: row.id,
            lis_endpoint_id: row.lis_endpoint_id,
            appointment_number: row.appointment_number,
            patient_id: row.patient_id,
            claimed_patient: row.claimed_patient,
            status: row.status,
            starts_at: row.starts_at,
            starts_at_text: row.starts_at_text,
            ends_at: row.ends_at,
            reason: row.reason,
            service: row.service,
            location: row.location,
            provider: row.provider,
            notes: strings(&row.notes),
            hl7_message_id: row.hl7_message_id,
            updated_at: row.updated_at,
        }
    }
}
