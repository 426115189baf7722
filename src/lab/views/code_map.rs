use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::entity::{code_map, unmapped_code};

/// What a local code of a laboratory means.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = CodeMap)]
pub struct CodeMapView {
    /// Id.
    pub id: i64,
    /// Whose code; 0 for every laboratory.
    pub lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    pub local_code: String,
    /// Its coding system; empty for any.
    pub local_system: String,
    /// LOINC it means.
    pub loinc_code: String,
    /// Name.
    pub name: Option<String>,
}

impl From<code_map::Model> for CodeMapView {
    fn from(row: code_map::Model) -> Self {
        Self {
            id: row.id,
            lis_endpoint_id: row.lis_endpoint_id,
            local_code: row.local_code,
            local_system: row.local_system,
            loinc_code: row.loinc_code,
            name: row.name,
        }
    }
}

/// A local code that results came under and that nobody has mapped.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = UnmappedCode)]
pub struct UnmappedCodeView {
    /// Id.
    pub id: i64,
    /// Whose code.
    pub lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    pub local_code: String,
    /// Its coding system; empty when none was named.
    pub local_system: String,
    /// Name that came with it.
    pub name: Option<String>,
    /// Units that came with it.
    pub units: Option<String>,
    /// A message it came in.
    pub hl7_message_id: i64,
    /// When it was seen first.
    pub first_seen_at: DateTime<Utc>,
    /// When it was seen last, to the day.
    pub last_seen_at: DateTime<Utc>,
}

impl From<unmapped_code::Model> for UnmappedCodeView {
    fn from(row: unmapped_code::Model) -> Self {
        Self {
            id: row.id,
            lis_endpoint_id: row.lis_endpoint_id,
            local_code: row.local_code,
            local_system: row.local_system,
            name: row.name,
            units: row.units,
            hl7_message_id: row.hl7_message_id,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
        }
    }
}
