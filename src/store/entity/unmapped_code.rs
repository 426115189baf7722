//! Table `unmapped_codes`.

use sea_orm::entity::prelude::*;

/// A local code that results came under and that leads to no LOINC.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "unmapped_codes")]
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
    /// Name that came with it.
    pub name: Option<String>,
    /// Units that came with it.
    pub units: Option<String>,
    /// A message to look at.
    pub hl7_message_id: i64,
    /// When it was seen first.
    pub first_seen_at: DateTimeUtc,
    /// When it was seen last, to the day.
    pub last_seen_at: DateTimeUtc,
}

super::plain_entity!("unmapped_code");
