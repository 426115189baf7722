//! Alarms about LIS endpoints.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, OnConflict},
};

use super::entity::endpoint_alarm::{ActiveModel, Column as C, Entity, Model};

/// Alarms that are open, or that are over, or all; of one endpoint or of all.
pub fn listed(open: Option<bool>, endpoint: Option<i64>) -> Select<Entity> {
    let mut query = Entity::find();
    if let Some(open) = open {
        query = query.filter(if open { C::ClosedAt.is_null() } else { C::ClosedAt.is_not_null() });
    }
    if let Some(endpoint) = endpoint {
        query = query.filter(C::LisEndpointId.eq(endpoint));
    }
    query
}

/// The open alarms of an endpoint.
pub async fn open_of(connection: &impl ConnectionTrait, endpoint: i64) -> Result<Vec<Model>, DbErr> {
    listed(Some(true), Some(endpoint)).order_by_asc(C::Id).all(connection).await
}

/// All open alarms.
pub async fn all_open(connection: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    listed(Some(true), None).order_by_asc(C::Id).all(connection).await
}

/// Opens an alarm. `None`: one of its kind is open for the endpoint already.
pub async fn open(connection: &impl ConnectionTrait, alarm: ActiveModel) -> Result<Option<Model>, DbErr> {
    let (endpoint, kind) = (alarm.lis_endpoint_id.clone().take(), alarm.kind.clone().take());
    let one_open = OnConflict::columns([C::LisEndpointId, C::Kind])
        .target_and_where(Expr::cust("closed_at IS NULL"))
        .do_nothing()
        .to_owned();
    let written = Entity::insert(alarm).on_conflict(one_open).exec_without_returning(connection).await?;
    if written == 0 {
        return Ok(None);
    }
    listed(Some(true), endpoint).filter(C::Kind.eq(kind)).limit(1).one(connection).await
}

/// Closes an alarm. False: it is closed already.
pub async fn close(
    connection: &impl ConnectionTrait,
    id: i64,
    at: DateTime<Utc>,
    reason: &str,
) -> Result<bool, DbErr> {
    let closed = Entity::update_many()
        .col_expr(C::ClosedAt, Expr::value(at))
        .col_expr(C::ClosedReason, Expr::value(reason))
        .filter(C::Id.eq(id))
        .filter(C::ClosedAt.is_null())
        .exec(connection)
        .await?;
    Ok(closed.rows_affected == 1)
}
