//! Table `review_items`.

use sea_orm::entity::prelude::*;

/// One message that waits for a person to say whose it is.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "review_items")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Message held; at most one item each.
    pub hl7_message_id: i64,
    /// Why it could not be filed.
    pub reason: String,
    /// Charts it could belong to.
    #[sea_orm(column_type = "JsonBinary")]
    pub candidates: Json,
    /// Observations it holds.
    pub observation_count: i32,
    /// `open` until resolved.
    pub status: String,
    /// What was decided.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub resolution: Option<Json>,
    /// Username of who decided.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<DateTimeUtc>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
}

super::plain_entity!("review_item");
