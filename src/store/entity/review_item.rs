//! Table `review_items`.

use sea_orm::entity::prelude::*;

/// Part of a message, or all of it, that waits for a person to say whose it is.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "review_items")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Message held; one item for each patient it states and holds.
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
    /// Index of the first block held; with the message it is unique.
    pub block: i32,
    /// Indexes of all blocks held; none in items written before there was an item for each patient.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub blocks: Option<Json>,
    /// Who the message says the patient is.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub claimed: Option<Json>,
    /// Chart it was filed to, while it is.
    pub patient_id: Option<i64>,
    /// Decisions that were taken back, oldest first.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub history: Option<Json>,
}

super::plain_entity!("review_item");
