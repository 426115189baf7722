//! Table `code_map_changes`.

use sea_orm::entity::prelude::*;

/// One version of an entry of the code maps.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "code_map_changes")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose code.
    pub lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    pub local_code: String,
    /// Its coding system; empty when none is named.
    pub local_system: String,
    /// 1 for the first.
    pub version: i32,
    /// LOINC it meant from then on; null: the entry was removed.
    pub loinc_code: Option<String>,
    /// Name of the local code.
    pub name: Option<String>,
    /// Who changed it.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTimeUtc,
}

super::plain_entity!("code_map_change");
