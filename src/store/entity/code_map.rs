//! Table `code_maps`.

use sea_orm::entity::prelude::*;

/// A local code of one laboratory and the LOINC it means.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "code_maps")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose code; 0 for codes of every laboratory.
    pub lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    pub local_code: String,
    /// Its coding system; empty when none is named, because NULLs would not collide.
    pub local_system: String,
    /// LOINC it means.
    pub loinc_code: String,
    /// Name of the local code.
    pub name: Option<String>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
}

super::plain_entity!("code_map");
