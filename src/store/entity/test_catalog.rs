//! Table `test_catalog`.

use sea_orm::entity::prelude::*;

/// One test or panel that can be ordered.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "test_catalog")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Code to order it by.
    pub code: String,
    /// Name shown to people.
    pub name: String,
    /// Its LOINC.
    pub loinc_code: Option<String>,
    /// Name of that LOINC.
    pub loinc_name: Option<String>,
    /// LOINC codes of the tests a panel consists of.
    #[sea_orm(column_type = "JsonBinary")]
    pub members: Json,
    /// Can be ordered.
    pub active: bool,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
}

super::plain_entity!("test_catalog");
