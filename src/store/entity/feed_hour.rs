//! Table `feed_hours`.

use sea_orm::entity::prelude::*;

/// What was heard of a sender in one hour.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "feed_hours")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The sender.
    pub lis_endpoint_id: i64,
    /// When the hour began, by the clock of UTC.
    pub hour_start: DateTimeUtc,
    /// Messages in it.
    pub messages: i32,
    /// How long the sender had said nothing, at most, while the hour ran.
    pub longest_gap_seconds: i64,
}

super::plain_entity!("feed_hour");
