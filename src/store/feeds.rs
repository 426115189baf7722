//! When senders were heard: their messages in the order of their ids, and the hours that were counted from them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};

use super::entity::{feed_hour, hl7_message, lis_endpoint};
use crate::domain::silence::{Extent, HeardHour};

/// Direction of messages that came in.
const INBOUND: &str = "inbound";

/// A message, as far as it says when its sender spoke.
#[derive(Clone, FromQueryResult)]
pub struct Passed {
    /// `hl7_messages.id`.
    pub id: i64,
    /// `inbound`, or `outbound` when it went the other way.
    pub direction: String,
    /// When.
    pub received_at: DateTime<Utc>,
}

impl Passed {
    /// Whether it came in.
    pub fn is_inbound(&self) -> bool {
        self.direction == INBOUND
    }
}

/// The messages of an endpoint behind an id, both ways: what went out is passed over once, and never looked at again.
pub async fn messages_after(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    after: i64,
    limit: u64,
) -> Result<Vec<Passed>, DbErr> {
    use hl7_message::Column as C;
    hl7_message::Entity::find()
        .select_only()
        .columns([C::Id, C::Direction, C::ReceivedAt])
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::Id.gt(after))
        .order_by_asc(C::Id)
        .limit(limit)
        .into_model()
        .all(connection)
        .await
}

/// When the last message came in behind an id.
pub async fn last_after(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    after: i64,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    use hl7_message::Column as C;
    hl7_message::Entity::find()
        .select_only()
        .column(C::ReceivedAt)
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::Id.gt(after))
        .filter(C::Direction.eq(INBOUND))
        .order_by_desc(C::Id)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await
}

/// Notes how far the messages of an endpoint were counted. False: another process has counted them meanwhile.
pub async fn advance(
    connection: &impl ConnectionTrait,
    endpoint: &lis_endpoint::Model,
    to: i64,
    last_message_at: Option<DateTime<Utc>>,
) -> Result<bool, DbErr> {
    use lis_endpoint::Column as C;
    let advanced = lis_endpoint::Entity::update_many()
        .col_expr(C::HeardToId, Expr::value(to))
        .col_expr(C::LastMessageAt, Expr::value(last_message_at))
        .filter(C::Id.eq(endpoint.id))
        .filter(C::HeardToId.eq(endpoint.heard_to_id))
        .exec(connection)
        .await?;
    Ok(advanced.rows_affected == 1)
}

/// Adds to what is known of an endpoint's hours.
pub async fn add_hours(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    hours: Vec<HeardHour>,
) -> Result<(), DbErr> {
    use feed_hour::Column as C;
    let longer = "CASE WHEN excluded.longest_gap_seconds > feed_hours.longest_gap_seconds \
        THEN excluded.longest_gap_seconds ELSE feed_hours.longest_gap_seconds END";
    let known = OnConflict::columns([C::LisEndpointId, C::HourStart])
        .value(C::Messages, Expr::cust("feed_hours.messages + excluded.messages"))
        .value(C::LongestGapSeconds, Expr::cust(longer))
        .to_owned();
    let row = |hour: &HeardHour| feed_hour::ActiveModel {
        lis_endpoint_id: Set(endpoint),
        hour_start: Set(hour.start),
        messages: Set(hour.messages),
        longest_gap_seconds: Set(hour.longest_gap.num_seconds()),
        ..Default::default()
    };
    for part in hours.chunks(500) {
        let rows: Vec<_> = part.iter().map(row).collect();
        let insert = feed_hour::Entity::insert_many(rows).on_conflict(known.clone());
        insert.exec_without_returning(connection).await?;
    }
    Ok(())
}

/// Drops the hours of an endpoint that nobody looks back on any more.
pub async fn forget_before(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    before: DateTime<Utc>,
) -> Result<(), DbErr> {
    use feed_hour::Column as C;
    feed_hour::Entity::delete_many()
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::HourStart.lt(before))
        .exec(connection)
        .await
        .map(|_| ())
}

/// The longest gap in each of these hours, as far as they are known.
pub async fn gaps_in(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    hours: Vec<DateTime<Utc>>,
) -> Result<BTreeMap<DateTime<Utc>, TimeDelta>, DbErr> {
    use feed_hour::Column as C;
    let rows: Vec<(DateTime<Utc>, i64)> = feed_hour::Entity::find()
        .select_only()
        .columns([C::HourStart, C::LongestGapSeconds])
        .filter(C::LisEndpointId.eq(endpoint))
        .filter(C::HourStart.is_in(hours))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|(start, seconds)| (start, TimeDelta::seconds(seconds))).collect())
}

/// The first hour of an endpoint and its longest gap; `None` when nothing is known of it.
pub async fn extent(connection: &impl ConnectionTrait, endpoint: i64) -> Result<Option<Extent>, DbErr> {
    use feed_hour::Column as C;
    let of_endpoint = || feed_hour::Entity::find().filter(C::LisEndpointId.eq(endpoint));
    let first = of_endpoint().order_by_asc(C::HourStart).limit(1).one(connection).await?;
    let longest = of_endpoint()
        .select_only()
        .column_as(C::LongestGapSeconds.max(), "longest")
        .into_tuple::<Option<i64>>()
        .one(connection)
        .await?
        .flatten();
    let extent = |first: feed_hour::Model, longest| Extent {
        first: first.hour_start,
        longest_gap: TimeDelta::seconds(longest),
    };
    Ok(first.zip(longest).map(|(first, longest)| extent(first, longest)))
}
