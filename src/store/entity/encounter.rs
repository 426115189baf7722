//! Table `encounters`.

use sea_orm::entity::prelude::*;

/// One visit of a patient.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "encounters")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Who visits.
    pub patient_id: i64,
    /// Patient class, such as inpatient or outpatient.
    pub class: String,
    /// State of the visit.
    pub status: String,
    /// Visit number (PV1-19).
    pub visit_number: Option<String>,
    /// Assigned location (PV1-3).
    pub location: Option<String>,
    /// Attending doctor (PV1-7).
    pub attending_provider: Option<String>,
    /// Admission.
    pub started_at: Option<DateTimeUtc>,
    /// Discharge.
    pub ended_at: Option<DateTimeUtc>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// Event time of the newest ADT applied, so that an older one cannot overwrite it.
    pub last_event_at: Option<DateTimeUtc>,
}

super::plain_entity!("encounter");
