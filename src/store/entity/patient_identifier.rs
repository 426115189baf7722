//! Table `patient_identifiers`.

use sea_orm::entity::prelude::*;

/// One identifier of a patient in one assigning authority.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "patient_identifiers")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Whose identifier it is.
    pub patient_id: i64,
    /// Assigning authority (CX.4); empty when the sender names none, because NULLs would
    /// not collide.
    pub authority: String,
    /// Identifier type (CX.5), such as `MR`.
    pub id_type: String,
    /// The identifier itself.
    pub value: String,
    /// False after a merge or a correction; the row stays, so that the number is never
    /// handed to another patient.
    pub active: bool,
    /// When the row was written.
    pub created_at: DateTimeUtc,
}

super::plain_entity!("patient_identifier");
