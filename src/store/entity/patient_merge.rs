//! Table `patient_merges`.

use sea_orm::entity::prelude::*;

/// One merge of two patients.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "patient_merges")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The chart that stays.
    pub survivor_id: i64,
    /// The chart that went.
    pub merged_id: i64,
    /// Ids of the rows that moved, by table.
    #[sea_orm(column_type = "JsonBinary")]
    pub moved: Json,
    /// The message that asked for it; null for a person.
    pub hl7_message_id: Option<i64>,
    /// Username.
    pub merged_by: String,
    /// When.
    pub merged_at: DateTimeUtc,
    /// Who undid it.
    pub undone_by: Option<String>,
    /// When.
    pub undone_at: Option<DateTimeUtc>,
}

super::plain_entity!("patient_merge");
