use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::entity::encounter;

/// A visit.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Encounter)]
pub struct EncounterView {
    /// Id in this system.
    pub id: i64,
    /// The patient.
    pub patient_id: i64,
    /// Patient class (PV1-2, table 0004): `O` outpatient, `I` inpatient, `E` emergency, …
    pub class: String,
    /// `planned`, `in-progress`, `finished` or `cancelled`.
    pub status: String,
    /// Visit number (PV1-19).
    pub visit_number: Option<String>,
    /// Place (PV1-3).
    pub location: Option<String>,
    /// Attending provider (PV1-7).
    pub attending_provider: Option<String>,
    /// Begin of the visit (PV1-44).
    pub started_at: Option<DateTime<Utc>>,
    /// End of the visit (PV1-45).
    pub ended_at: Option<DateTime<Utc>>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl From<encounter::Model> for EncounterView {
    fn from(row: encounter::Model) -> Self {
        Self {
            id: row.id,
            patient_id: row.patient_id,
            class: row.class,
            status: row.status,
            visit_number: row.visit_number,
            location: row.location,
            attending_provider: row.attending_provider,
            started_at: row.started_at,
            ended_at: row.ended_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
