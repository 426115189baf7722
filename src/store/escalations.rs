//! Alerts whose deadline passes.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::entity::critical_alert::{Column, Entity, Model};

/// Waiting for somebody to take them.
fn waiting() -> Condition {
    Condition::all().add(Column::Status.is_in(["open", "escalated"])).add(Column::EscalateAt.is_not_null())
}

/// The next deadline, passed or not.
pub async fn next_deadline(connection: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>, DbErr> {
    let first =
        Entity::find().filter(waiting()).order_by_asc(Column::EscalateAt).limit(1).one(connection).await?;
    Ok(first.and_then(|row| row.escalate_at))
}

/// Alerts whose deadline has passed, held until the end of the transaction. Another process that waits for the same
/// rows finds them settled.
pub async fn due(
    connection: &impl ConnectionTrait,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(waiting())
        .filter(Column::EscalateAt.lte(now))
        .order_by_asc(Column::Id)
        .limit(limit)
        .lock_exclusive()
        .all(connection)
        .await
}
