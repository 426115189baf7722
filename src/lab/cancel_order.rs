//! Calling an order off. Promise: an order is called "cancelled" only when nobody works on it; whether that is so is ours to
//! say only while no byte of it has left the house.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::{
    access::{self, Resource},
    error::LabError,
    order_progress::{Cause, move_order, note},
    order_reply::cancel_tests,
    queue_message::queue_message,
    views::OrderView,
};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        order::{CancelRoute, OrderEvent, OrderStatus},
    },
    hl7::orm::OrderAction,
    store::{
        db::{self, Tx},
        endpoints,
        entity::{hl7_message, lab_order, outbox as outbox_row},
        orders, outbox,
    },
};

/// Calls an order off: here while it was never tried, else by asking the lab, whose answer decides. Errors: `Conflict`
/// when there is nothing left to cancel, or the lab was asked already.
pub async fn cancel_order(ctx: &Ctx, caller: &Caller, id: i64) -> Result<OrderView, LabError> {
    access::permit(ctx, caller, Action::CancelOrder, "lab_order").await?;
    let mut tx = db::write(&ctx.db, "cancel_order").await?;
    let (messages, order) = locked(&tx, id).await?;
    if is_asked(&messages) {
        return Err(LabError::Conflict(
            "The lab has been asked to cancel this order; its answer is awaited".into(),
        ));
    }
    let ever_sent = outbox::ever_tried(&*tx, &messages).await?;
    let order = match status_of(&order).cancel_route(ever_sent) {
        Some(CancelRoute::Here) => cancel_here(ctx, &mut tx, cause(caller), messages, order).await?,
        Some(CancelRoute::AskLab) => ask_lab(ctx, &tx, cause(caller), order).await?,
        None => {
            return Err(LabError::Conflict(format!(
                "This order is {} and cannot be cancelled",
                order.status
            )));
        }
    };
    finish(ctx, tx, caller, Action::CancelOrder, order).await
}

fn cause(caller: &Caller) -> Cause<'_> {
    Cause { actor: &caller.username, ..Cause::default() }
}

/// Whether a lab was asked to cancel and has not answered.
pub(super) fn is_asked(messages: &[outbox_row::Model]) -> bool {
    let awaited = |row: &outbox_row::Model| row.application_ack.as_deref() == Some(outbox::AWAITED);
    let asked = |row: &outbox_row::Model| row.status == outbox::QUEUED || awaited(row);
    messages.iter().any(|row| row.kind == outbox::CANCEL_ORDER && asked(row))
}

pub(super) fn status_of(order: &lab_order::Model) -> OrderStatus {
    order.status.parse().unwrap_or(OrderStatus::Pending)
}

/// The order and its messages. While they are held no try can begin, so what is decided here holds.
pub(super) async fn locked(tx: &Tx, id: i64) -> Result<(Vec<outbox_row::Model>, lab_order::Model), LabError> {
    let messages = outbox::lock_of_order(&**tx, id).await?;
    let order = orders::lock(&**tx, &[id]).await?.pop().ok_or(LabError::NotFound("Lab order"))?;
    Ok((messages, order))
}

/// Writes down who did it, commits, wakes whoever waits, and shows the order.
pub(super) async fn finish(
    ctx: &Ctx,
    tx: Tx,
    caller: &Caller,
    action: Action,
    order: lab_order::Model,
) -> Result<OrderView, LabError> {
    let tests = orders::tests_of(&*tx, &[order.id]).await?;
    access::wrote(ctx, &tx, caller, action, Resource::one("lab_order", order.id, &[order.patient_id]))
        .await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    ctx.hints.orders.wake();
    Ok(OrderView::new(order, tests))
}

/// Nothing was sent: the message must not go any more, and nobody needs to be asked. `by`: who wants it.
pub(super) async fn cancel_here(
    ctx: &Ctx,
    tx: &mut Tx,
    by: Cause<'_>,
    messages: Vec<outbox_row::Model>,
    order: lab_order::Model,
) -> Result<lab_order::Model, LabError> {
    withdraw(ctx, tx, messages).await?;
    cancel_tests(ctx, tx, order.id).await?;
    let cause = Cause { kind: "cancelled", ..by };
    Ok(move_order(ctx, tx, order, OrderEvent::CancelledHere, cause).await?)
}

/// Takes messages that never left out of the queue.
pub(super) async fn withdraw(ctx: &Ctx, tx: &Tx, messages: Vec<outbox_row::Model>) -> Result<(), LabError> {
    let now = ctx.clock.now();
    let waits = |row: &outbox_row::Model| matches!(row.status.as_str(), outbox::QUEUED | outbox::DEAD);
    for row in messages.into_iter().filter(waits) {
        let message = hl7_message::ActiveModel {
            id: Set(row.hl7_message_id),
            status: Set("cancelled".into()),
            processed_at: Set(Some(now)),
            ..Default::default()
        };
        message.update(&**tx).await?;
        let mut change: outbox_row::ActiveModel = row.into();
        change.status = Set(outbox::CANCELLED.into());
        change.finished_at = Set(Some(now));
        change.update(&**tx).await?;
    }
    Ok(())
}

/// Queues ORC-1 CA behind the order's own message. The order keeps its status until the lab has answered.
pub(super) async fn ask_lab(
    ctx: &Ctx,
    tx: &Tx,
    by: Cause<'_>,
    order: lab_order::Model,
) -> Result<lab_order::Model, LabError> {
    let gone = || LabError::Conflict("The lab of this order takes no messages any more".into());
    let id = order.lis_endpoint_id.ok_or_else(gone)?;
    let endpoint = endpoints::find(&**tx, id).await?.filter(endpoints::takes_orders).ok_or_else(gone)?;
    let message = queue_message(ctx, tx, &order, &endpoint, OrderAction::Cancel).await?;
    let cause = Cause { kind: "cancellation_requested", detail: None, message_id: Some(message), ..by };
    note(ctx, tx, &order, cause, None).await?;
    Ok(order)
}
