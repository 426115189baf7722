//! The one way an order's status moves: through the state machine, with a line in its history and an event on the
//! stream, all in the caller's transaction.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::json;

use crate::{
    context::Ctx,
    domain::order::{OrderEvent, OrderStatus},
    store::{
        db::Tx,
        entity::{alert_event, lab_order, lab_order_event},
    },
};

/// Who moved an order, and why.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause<'a> {
    /// A username, `lab` or `system`.
    pub actor: &'a str,
    /// What happened, for the history.
    pub kind: &'a str,
    /// Reason or code. Never patient data.
    pub detail: Option<&'a str>,
    /// The message that did it.
    pub message_id: Option<i64>,
}

/// Lets an event act on an order. An event that the state does not allow changes no status (a late ACK never undoes
/// a result) but still leaves its line in the history.
pub async fn move_order(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    event: OrderEvent,
    cause: Cause<'_>,
) -> Result<lab_order::Model, DbErr> {
    let from: OrderStatus = order.status.parse().unwrap_or(OrderStatus::Pending);
    let to = from.advance(event).unwrap_or(from);
    note(ctx, tx, &order, cause, Some((from, to)).filter(|(from, to)| from != to)).await?;
    if from == to {
        return if event == OrderEvent::Delivered { received(ctx, tx, order).await } else { Ok(order) };
    }
    tx.emit(status_event(ctx, &order, to));
    tx.moves(order.id);
    let mut change: lab_order::ActiveModel = order.clone().into();
    change.status = Set(to.to_string());
    change.status_reason = Set(cause.detail.map(str::to_owned));
    stamp(ctx, &mut change, &order, to);
    change.update(&**tx).await
}

/// Keeps when the lab confirmed that it has an order which stands further on already: its results were faster than its answer.
async fn received(ctx: &Ctx, tx: &Tx, order: lab_order::Model) -> Result<lab_order::Model, DbErr> {
    if order.sent_at.is_some() {
        return Ok(order);
    }
    let mut change: lab_order::ActiveModel = order.into();
    change.sent_at = Set(Some(ctx.clock.now()));
    change.update(&**tx).await
}

/// Sets the times that belong to a status, once.
fn stamp(ctx: &Ctx, change: &mut lab_order::ActiveModel, order: &lab_order::Model, to: OrderStatus) {
    let now = Some(ctx.clock.now());
    change.updated_at = Set(ctx.clock.now());
    match to {
        OrderStatus::Sent => change.sent_at = Set(order.sent_at.or(now)),
        OrderStatus::Acknowledged => {
            change.sent_at = Set(order.sent_at.or(now));
            change.acknowledged_at = Set(order.acknowledged_at.or(now));
        }
        OrderStatus::Resulted => change.resulted_at = Set(order.resulted_at.or(now)),
        _ => {}
    }
}

/// Adds a line to an order's history.
pub async fn note(
    ctx: &Ctx,
    tx: &Tx,
    order: &lab_order::Model,
    cause: Cause<'_>,
    change: Option<(OrderStatus, OrderStatus)>,
) -> Result<(), DbErr> {
    let line = lab_order_event::ActiveModel {
        lab_order_id: Set(order.id),
        at: Set(ctx.clock.now()),
        kind: Set(cause.kind.to_owned()),
        from_status: Set(change.map(|(from, _)| from.to_string())),
        to_status: Set(change.map(|(_, to)| to.to_string())),
        actor: Set(cause.actor.to_owned()),
        detail: Set(cause.detail.map(str::to_owned)),
        hl7_message_id: Set(cause.message_id),
        ..Default::default()
    };
    line.insert(&**tx).await.map(|_| ())
}

/// Tells the stream where an order stands.
pub(super) fn status_event(ctx: &Ctx, order: &lab_order::Model, to: OrderStatus) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set("order_status".into()),
        patient_id: Set(Some(order.patient_id)),
        lab_order_id: Set(Some(order.id)),
        payload: Set(json!({
            "order_id": order.id,
            "patient_id": order.patient_id,
            "status": to.to_string(),
        })),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}
