//! Table `endpoint_alarms`.

use sea_orm::entity::prelude::*;

/// Something that was wrong with a LIS endpoint. At most one of a kind is open for it.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "endpoint_alarms")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The endpoint.
    pub lis_endpoint_id: i64,
    /// `silent` or `queue_age`.
    pub kind: String,
    /// When the trouble began: the last message of a silent sender, or since when the oldest message waits.
    pub since: DateTimeUtc,
    /// How long the sender is usually silent at most at this hour, where that was learnt.
    pub usual_gap_seconds: Option<i64>,
    /// How long it may last before it is an alarm.
    pub limit_seconds: i64,
    /// When it was found.
    pub opened_at: DateTimeUtc,
    /// When it was over; null while it lasts.
    pub closed_at: Option<DateTimeUtc>,
    /// `over`, or `not_watched` when the endpoint was switched off.
    pub closed_reason: Option<String>,
}

super::plain_entity!("endpoint_alarm");
