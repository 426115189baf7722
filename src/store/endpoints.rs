//! LIS endpoints and the lease on each that lets one process at a time send to it.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};

use super::{
    db::Tx,
    entity::lis_endpoint::{Column, Entity, Model},
};

/// The turn in which one process at a time imports endpoints.
const IMPORT_TURN: i64 = 0x504d_535f_494d; // "PMS_IM"

/// Endpoints that were not deleted. The loopback sender's row 0 is not one.
pub async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::Id.ne(0))
        .filter(Column::DeletedAt.is_null())
        .order_by_asc(Column::Id)
        .all(connection)
        .await
}

/// All endpoints, those that were deleted too, oldest first.
pub async fn with_deleted(connection: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::Id.ne(0)).order_by_asc(Column::Id).all(connection).await
}

/// Lets one transaction at a time import endpoints.
pub async fn take_turn_to_import(tx: &Tx) -> Result<(), DbErr> {
    tx.take_turn(IMPORT_TURN).await
}

/// Keeps the entry that an endpoint was imported from.
pub async fn remember_entry(connection: &impl ConnectionTrait, id: i64, entry: &str) -> Result<(), DbErr> {
    let query = Entity::update_many().col_expr(Column::ImportedEntry, Expr::value(entry));
    query.filter(Column::Id.eq(id)).exec(connection).await.map(|_| ())
}

/// One endpoint that was not deleted.
pub async fn find(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Ok(Entity::find_by_id(id).one(connection).await?.filter(|row| row.id != 0 && row.deleted_at.is_none()))
}

/// Keeps an endpoint in use until the end of the transaction; false when it was deleted. Whoever queues a message holds
/// it, whoever deletes it takes [`lock`]: a message must not be queued behind the count that found none. A lease moves
/// on meanwhile.
pub async fn hold(connection: &impl ConnectionTrait, id: i64) -> Result<bool, DbErr> {
    let held = Entity::find_by_id(id).filter(Column::DeletedAt.is_null()).lock(LockType::KeyShare);
    Ok(held.one(connection).await?.is_some())
}

/// One endpoint that was not deleted, held against every other transaction until the end of this one.
pub async fn lock(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    let row = Entity::find_by_id(id).filter(Column::DeletedAt.is_null()).lock_exclusive();
    Ok(row.one(connection).await?.filter(|row| row.id != 0))
}

/// One endpoint, also one that was deleted.
pub async fn find_any(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(connection).await
}

/// The same, held until the end of the transaction against others that hold it so. Messages of the endpoint come in meanwhile.
pub async fn hold_any(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(connection).await
}

/// Whether orders and news can be sent there.
pub fn takes_orders(row: &Model) -> bool {
    row.enabled && row.direction != "inbound" && row.host.is_some() && row.port.is_some()
}

/// Whether messages can come from there.
pub fn sends(row: &Model) -> bool {
    row.enabled && row.direction != "outbound"
}

/// Takes or renews the lease. False: another process holds it. One conditional statement decides, so two processes
/// that ask at the same moment cannot both be told yes.
pub async fn take_lease(
    connection: &impl ConnectionTrait,
    id: i64,
    owner: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let free = Condition::any()
        .add(Column::LeaseOwner.is_null())
        .add(Column::LeaseOwner.eq(owner))
        .add(Column::LeaseUntil.lt(now));
    let taken = Entity::update_many()
        .col_expr(Column::LeaseOwner, Expr::value(owner))
        .col_expr(Column::LeaseUntil, Expr::value(until))
        .filter(Column::Id.eq(id))
        .filter(free)
        .exec(connection)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// Renews a lease that a process still has. False: another process took it over, or it was given back. The row is held until
/// the end of the transaction, so nobody takes it meanwhile.
pub async fn keep_lease(
    connection: &impl ConnectionTrait,
    id: i64,
    owner: &str,
    until: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let kept = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(until))
        .filter(Column::Id.eq(id))
        .filter(Column::LeaseOwner.eq(owner))
        .exec(connection)
        .await?;
    Ok(kept.rows_affected == 1)
}

/// Gives the leases of a process back, so that another need not wait for them to run out.
pub async fn release_leases(connection: &impl ConnectionTrait, owner: &str) -> Result<(), DbErr> {
    clear(connection, Condition::all().add(Column::LeaseOwner.eq(owner))).await
}

/// Drops every lease: on SQLite there is one process, so a lease found at the start is a dead one's.
pub async fn clear_leases(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    clear(connection, Condition::all().add(Column::LeaseOwner.is_not_null())).await
}

async fn clear(connection: &impl ConnectionTrait, which: Condition) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::LeaseOwner, Expr::value(Option::<String>::None))
        .col_expr(Column::LeaseUntil, Expr::value(Option::<DateTime<Utc>>::None))
        .filter(which)
        .exec(connection)
        .await
        .map(|_| ())
}

/// Writes the state of the sending side, in words for the operator.
pub async fn set_connection_state(
    connection: &impl ConnectionTrait,
    id: i64,
    state: &str,
    detail: Option<&str>,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ConnectionState, Expr::value(state))
        .col_expr(Column::ConnectionDetail, Expr::value(detail))
        .filter(Column::Id.eq(id))
        .exec(connection)
        .await
        .map(|_| ())
}

/// Puts a state in place of another one; where it is a third by now, nothing changes.
pub async fn end_connection_state(
    connection: &impl ConnectionTrait,
    id: i64,
    ended: &str,
    next: &str,
) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::ConnectionState, Expr::value(next))
        .col_expr(Column::ConnectionDetail, Expr::value(Option::<String>::None))
        .filter(Column::Id.eq(id))
        .filter(Column::ConnectionState.eq(ended))
        .exec(connection)
        .await
        .map(|_| ())
}
