//! Table `appointments`.

use sea_orm::entity::prelude::*;

/// One appointment, as the scheduling system last told of it.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "appointments")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The scheduling system.
    pub lis_endpoint_id: i64,
    /// Its number for the appointment (SCH-2, else SCH-1).
    pub appointment_number: String,
    /// Whose it is, when that is certain.
    pub patient_id: Option<i64>,
    /// Who the message says it is, when it is not.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub claimed_patient: Option<Json>,
    /// `booked` or `cancelled`.
    pub status: String,
    /// Begin; null for a bare date.
    pub starts_at: Option<DateTimeUtc>,
    /// Begin as sent.
    pub starts_at_text: Option<String>,
    /// End.
    pub ends_at: Option<DateTimeUtc>,
    /// Why the patient comes.
    pub reason: Option<String>,
    /// What is done.
    pub service: Option<String>,
    /// Where.
    pub location: Option<String>,
    /// With whom.
    pub provider: Option<String>,
    /// Comments.
    #[sea_orm(column_type = "JsonBinary")]
    pub notes: Json,
    /// The message that told of it last.
    pub hl7_message_id: i64,
    /// When that message was made (MSH-7).
    pub message_time: Option<DateTimeUtc>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

super::plain_entity!("appointment");
