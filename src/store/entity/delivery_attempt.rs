//! Table `delivery_attempts`.

use sea_orm::entity::prelude::*;

/// One attempt to deliver an outbox row.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery_attempts")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What was sent.
    pub outbox_id: i64,
    /// Which attempt, from 1.
    pub attempt: i32,
    /// When.
    pub at: DateTimeUtc,
    /// How it ended.
    pub outcome: String,
    /// MSA-1, where one came.
    pub code: Option<String>,
    /// More for people; never content.
    pub detail: Option<String>,
}

super::plain_entity!("delivery_attempt");
