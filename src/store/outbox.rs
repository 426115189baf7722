//! Messages that wait to be sent, and every try to send them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{Expr, ExprTrait},
};

use super::entity::{delivery_attempt, hl7_message, outbox};

/// Waiting.
pub const QUEUED: &str = "queued";
/// Taken by the peer.
pub const SENT: &str = "sent";
/// Given up; somebody must decide.
pub const DEAD: &str = "dead";
/// Given up, and put aside by somebody.
pub const DISCARDED: &str = "discarded";
/// Called off before it was sent.
pub const CANCELLED: &str = "cancelled";

/// A word of the lab's application is asked for, should its system take the message.
pub const ASKED: &str = "asked";
/// What the lab's application has to say is awaited.
pub const AWAITED: &str = "awaited";
/// It came.
pub const RECEIVED: &str = "received";
/// It did not come in time.
pub const MISSING: &str = "missing";

/// Messages of a queue that are looked at to know how long one has waited.
const FIRST_OF_QUEUE: u64 = 100;

/// Kind of a message that asks for tests.
pub const NEW_ORDER: &str = "new_order";
/// Kind of a message that calls an order off.
pub const CANCEL_ORDER: &str = "cancel_order";
/// Kind of a message that tells of the end of a visit. It carries no order.
pub const DISCHARGE: &str = "discharge";
/// Kind of a message that tells of a new appointment. It carries no order.
pub const BOOKING: &str = "booking";

/// The oldest message that waits for an endpoint. Order is kept: nothing younger overtakes it, not even while it
/// pauses between two tries.
pub async fn oldest(
    connection: &impl ConnectionTrait,
    endpoint: i64,
) -> Result<Option<outbox::Model>, DbErr> {
    outbox::Entity::find()
        .filter(outbox::Column::LisEndpointId.eq(endpoint))
        .filter(outbox::Column::Status.eq(QUEUED))
        .order_by_asc(outbox::Column::Id)
        .limit(1)
        .one(connection)
        .await
}

/// Since when the message waits that has waited longest for an endpoint: a pause between two tries is no waiting. Among the
/// first of the queue, since what is behind them was queued later.
pub async fn waiting_since(
    connection: &impl ConnectionTrait,
    endpoint: i64,
) -> Result<Option<DateTime<Utc>>, DbErr> {
    let due: Vec<DateTime<Utc>> = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::NextAttemptAt)
        .filter(outbox::Column::LisEndpointId.eq(endpoint))
        .filter(outbox::Column::Status.eq(QUEUED))
        .order_by_asc(outbox::Column::Id)
        .limit(FIRST_OF_QUEUE)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(due.into_iter().min())
}

/// How many messages of an endpoint have a status.
pub async fn count(connection: &impl ConnectionTrait, endpoint: i64, status: &str) -> Result<u64, DbErr> {
    outbox::Entity::find()
        .filter(outbox::Column::LisEndpointId.eq(endpoint))
        .filter(outbox::Column::Status.eq(status))
        .count(connection)
        .await
}

/// One row, held until the end of the transaction.
pub async fn lock(connection: &impl ConnectionTrait, id: i64) -> Result<Option<outbox::Model>, DbErr> {
    outbox::Entity::find_by_id(id).lock_exclusive().one(connection).await
}

/// Counts a try of a message that waits, unless it pauses: its next try is due after `now`, but not after `latest`. Answers
/// which try it is; `None` when none may begin. The row is held until the end of the transaction.
pub async fn begin_attempt(
    connection: &impl ConnectionTrait,
    id: i64,
    now: DateTime<Utc>,
    latest: DateTime<Utc>,
) -> Result<Option<i32>, DbErr> {
    let due = outbox::Column::NextAttemptAt.lte(now).or(outbox::Column::NextAttemptAt.gt(latest));
    let begun = outbox::Entity::update_many()
        .col_expr(outbox::Column::Attempts, Expr::col(outbox::Column::Attempts).add(1))
        .filter(outbox::Column::Id.eq(id))
        .filter(outbox::Column::Status.eq(QUEUED))
        .filter(due)
        .exec_with_returning(connection)
        .await?;
    Ok(begun.first().map(|row| row.attempts))
}

/// The messages of an order, held until the end of the transaction. Whoever needs both takes these first and the order
/// second: two writers cannot wait for each other.
pub async fn lock_of_order(
    connection: &impl ConnectionTrait,
    order: i64,
) -> Result<Vec<outbox::Model>, DbErr> {
    outbox::Entity::find()
        .filter(outbox::Column::LabOrderId.eq(order))
        .order_by_asc(outbox::Column::Id)
        .lock_exclusive()
        .all(connection)
        .await
}

/// Messages to an endpoint whose application has not said yet what it thinks of them, oldest first, each with its control
/// id.
pub async fn awaiting_application(
    connection: &impl ConnectionTrait,
    endpoint: i64,
) -> Result<Vec<(outbox::Model, String)>, DbErr> {
    let awaited = outbox::Entity::find()
        .filter(outbox::Column::LisEndpointId.eq(endpoint))
        .filter(outbox::Column::ApplicationAck.eq(AWAITED));
    let rows = awaited.clone().order_by_asc(outbox::Column::Id).all(connection).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let messages = awaited.select_only().column(outbox::Column::Hl7MessageId).into_query();
    let control_ids: Vec<(i64, String)> = hl7_message::Entity::find()
        .select_only()
        .columns([hl7_message::Column::Id, hl7_message::Column::MessageControlId])
        .filter(hl7_message::Column::Id.in_subquery(messages))
        .into_tuple()
        .all(connection)
        .await?;
    let control_ids: HashMap<i64, String> = control_ids.into_iter().collect();
    let with_id = |row: outbox::Model| control_ids.get(&row.hl7_message_id).cloned().map(|id| (row, id));
    Ok(rows.into_iter().filter_map(with_id).collect())
}

/// What we sent to an endpoint under a control id, and how it stands, newest first; held until the end of the transaction.
pub async fn lock_of_control_id(
    connection: &impl ConnectionTrait,
    endpoint: i64,
    control_id: &str,
) -> Result<Vec<outbox::Model>, DbErr> {
    let messages = hl7_message::Entity::find()
        .select_only()
        .column(hl7_message::Column::Id)
        .filter(hl7_message::Column::MessageControlId.eq(control_id))
        .filter(hl7_message::Column::LisEndpointId.eq(endpoint))
        .filter(hl7_message::Column::Direction.eq("outbound"))
        .into_query();
    outbox::Entity::find()
        .filter(outbox::Column::Hl7MessageId.in_subquery(messages))
        .order_by_desc(outbox::Column::Id)
        .lock_exclusive()
        .all(connection)
        .await
}

/// The endpoint among these that we sent a message to under a control id, if its receiver has these names (MSH-5 and MSH-6).
pub async fn endpoint_of_control_id(
    connection: &impl ConnectionTrait,
    among: Vec<i64>,
    control_id: &str,
    (application, facility): (&str, &str),
) -> Result<Option<i64>, DbErr> {
    hl7_message::Entity::find()
        .filter(hl7_message::Column::LisEndpointId.is_in(among))
        .select_only()
        .column(hl7_message::Column::LisEndpointId)
        .filter(hl7_message::Column::MessageControlId.eq(control_id))
        .filter(hl7_message::Column::Direction.eq("outbound"))
        .filter(hl7_message::Column::ReceivingApplication.eq(application))
        .filter(hl7_message::Column::ReceivingFacility.eq(facility))
        .order_by_desc(hl7_message::Column::Id)
        .into_tuple()
        .one(connection)
        .await
}

/// What was answered to a message, as far as it is kept.
pub async fn answer_to(connection: &impl ConnectionTrait, message: i64) -> Result<Option<Vec<u8>>, DbErr> {
    let answer: Option<Option<Vec<u8>>> = hl7_message::Entity::find_by_id(message)
        .select_only()
        .column(hl7_message::Column::AckBytes)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(answer.flatten())
}

/// How many messages were queued of an order.
pub async fn count_of_order(connection: &impl ConnectionTrait, order: i64) -> Result<u64, DbErr> {
    outbox::Entity::find().filter(outbox::Column::LabOrderId.eq(order)).count(connection).await
}

/// Everything that was queued of a message, the oldest first, held until the end of the transaction.
pub async fn lock_of_message(
    connection: &impl ConnectionTrait,
    message: i64,
) -> Result<Vec<outbox::Model>, DbErr> {
    outbox::Entity::find()
        .filter(outbox::Column::Hl7MessageId.eq(message))
        .order_by_asc(outbox::Column::Id)
        .lock_exclusive()
        .all(connection)
        .await
}

/// What was given up and waits for somebody to decide, as a list asks for it.
pub fn dead_letters(endpoint: Option<i64>) -> Select<outbox::Entity> {
    let dead = outbox::Entity::find().filter(outbox::Column::Status.eq(DEAD));
    endpoint.into_iter().fold(dead, |dead, id| dead.filter(outbox::Column::LisEndpointId.eq(id)))
}

/// Every try to send what a row of the outbox holds, oldest first.
pub async fn tries_of(
    connection: &impl ConnectionTrait,
    outbox_id: i64,
) -> Result<Vec<delivery_attempt::Model>, DbErr> {
    delivery_attempt::Entity::find()
        .filter(delivery_attempt::Column::OutboxId.eq(outbox_id))
        .order_by_asc(delivery_attempt::Column::Id)
        .all(connection)
        .await
}

/// Whether one of these messages was ever put on the wire. The count of tries alone does not say: it starts anew when a
/// dead letter is queued again.
pub async fn ever_tried(connection: &impl ConnectionTrait, rows: &[outbox::Model]) -> Result<bool, DbErr> {
    if rows.iter().any(|row| row.attempts > 0) {
        return Ok(true);
    }
    let tried = delivery_attempt::Entity::find()
        .filter(delivery_attempt::Column::OutboxId.is_in(rows.iter().map(|row| row.id)))
        .limit(1)
        .one(connection)
        .await?;
    Ok(tried.is_some())
}

/// Writes down a try.
pub async fn add_attempt(
    connection: &impl ConnectionTrait,
    outbox_id: i64,
    attempt: i32,
    at: chrono::DateTime<chrono::Utc>,
    outcome: (&str, Option<String>, Option<String>),
) -> Result<(), DbErr> {
    let (outcome, code, detail) = outcome;
    let row = delivery_attempt::ActiveModel {
        outbox_id: Set(outbox_id),
        attempt: Set(attempt),
        at: Set(at),
        outcome: Set(outcome.to_owned()),
        code: Set(code),
        detail: Set(detail),
        ..Default::default()
    };
    row.insert(connection).await.map(|_| ())
}
