use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::entity::{patient, patient_identifier};

/// A patient.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Patient)]
pub struct PatientView {
    /// Id in this system.
    pub id: i64,
    /// Medical record number, as it stands on the wire in PID-3.
    pub mrn: String,
    /// All identifiers, those of merged records included.
    pub identifiers: Vec<IdentifierView>,
    /// Family name.
    pub last_name: String,
    /// Given name.
    pub first_name: String,
    /// Second and further given names.
    pub middle_name: Option<String>,
    /// Birth date.
    pub date_of_birth: Option<NaiveDate>,
    /// `male`, `female`, `other` or `unknown`.
    pub gender: String,
    /// Phone number.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Postal address.
    pub address: Option<String>,
    /// Whether the chart opens only by break-glass.
    pub restricted: bool,
    /// The surviving record, when this one was merged away.
    pub merged_into_id: Option<i64>,
    /// When the record was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// One identifier of a patient (PID-3).
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PatientIdentifier)]
pub struct IdentifierView {
    /// The identifier (CX.1).
    pub value: String,
    /// Assigning authority (CX.4).
    pub authority: String,
    /// Identifier type (CX.5, table 0203).
    #[serde(rename = "type")]
    pub id_type: String,
    /// False for an identifier that was merged away and only finds old results.
    pub active: bool,
}

impl From<patient_identifier::Model> for IdentifierView {
    fn from(row: patient_identifier::Model) -> Self {
        Self { value: row.value, authority: row.authority, id_type: row.id_type, active: row.active }
    }
}

impl PatientView {
    /// The patient with its identifiers.
    pub fn new(row: patient::Model, identifiers: Vec<patient_identifier::Model>) -> Self {
        Self {
            id: row.id,
            mrn: row.mrn,
            identifiers: identifiers.into_iter().map(IdentifierView::from).collect(),
            last_name: row.last_name,
            first_name: row.first_name,
            middle_name: row.middle_name,
            date_of_birth: row.date_of_birth,
            gender: row.gender,
            phone: row.phone,
            email: row.email,
            address: row.address,
            restricted: row.restricted,
            merged_into_id: row.merged_into_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
