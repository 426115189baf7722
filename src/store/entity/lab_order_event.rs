//! Table `lab_order_events`.

use sea_orm::entity::prelude::*;

/// One thing that happened to an order.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lab_order_events")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Order it happened to.
    pub lab_order_id: i64,
    /// When.
    pub at: DateTimeUtc,
    /// What happened.
    pub kind: String,
    /// Status before.
    pub from_status: Option<String>,
    /// Status after.
    pub to_status: Option<String>,
    /// Username, or the part of the system that acted.
    pub actor: String,
    /// More for people; never clinical content.
    pub detail: Option<String>,
    /// Message that caused it; no foreign key, so that the history outlives it.
    pub hl7_message_id: Option<i64>,
}

super::plain_entity!("lab_order_event");
