//! Putting a message that was given up back into the queue: the same bytes under the same control id, at the place it had.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::{
    cancel_order::status_of,
    error::LabError,
    order_progress::{Cause, move_order, note},
};
use crate::{
    context::Ctx,
    domain::order::{OrderEvent, OrderStatus},
    store::{
        db::Tx,
        endpoints,
        entity::{hl7_message, lab_order, outbox as outbox_row},
        outbox,
    },
};

/// Puts a dead letter back into the queue with all its tries before it, and its order back to waiting. Errors: `Conflict`
/// when the lab takes no messages any more, or the order was called off meanwhile.
pub(super) async fn requeue(
    ctx: &Ctx,
    tx: &mut Tx,
    actor: &str,
    letter: outbox_row::Model,
    order: Option<lab_order::Model>,
) -> Result<Option<lab_order::Model>, LabError> {
    takes_messages(tx, letter.lis_endpoint_id).await?;
    let asks_for_tests = letter.kind != outbox::CANCEL_ORDER;
    if asks_for_tests && order.as_ref().is_some_and(is_called_off) {
        return Err(LabError::Conflict("The order was cancelled; it is not sent any more".into()));
    }
    message_waits(tx, letter.hl7_message_id).await?;
    let cause = Cause { actor, kind: "queued_again", detail: None, message_id: Some(letter.hl7_message_id) };
    let is_order = letter.kind == outbox::NEW_ORDER && !letter.again;
    row_waits(ctx, letter).update(&**tx).await?;
    let Some(order) = order else { return Ok(None) };
    if is_order {
        return Ok(Some(move_order(ctx, tx, order, OrderEvent::Requeued, cause).await?));
    }
    note(ctx, tx, &order, cause, None).await?;
    Ok(Some(order))
}

fn row_waits(ctx: &Ctx, letter: outbox_row::Model) -> outbox_row::ActiveModel {
    let asks = letter.application_ack.is_some();
    let mut change: outbox_row::ActiveModel = letter.into();
    change.status = Set(outbox::QUEUED.into());
    change.attempts = Set(0);
    change.next_attempt_at = Set(ctx.clock.now());
    change.last_error = Set(None);
    change.finished_at = Set(None);
    change.dead_reason = Set(None);
    change.error_code = Set(None);
    change.discarded_by = Set(None);
    change.discarded_at = Set(None);
    change.discard_reason = Set(None);
    if asks {
        change.application_ack = Set(Some(outbox::ASKED.into()));
    }
    change.application_ack_until = Set(None);
    change.before_consent = Set(None);
    change
}

/// Keeps an endpoint in use until the end of the transaction. Errors: `Conflict` when nothing can be sent there.
pub(super) async fn takes_messages(tx: &Tx, endpoint: i64) -> Result<(), LabError> {
    let held = endpoints::hold(&**tx, endpoint).await?;
    let row = endpoints::find(&**tx, endpoint).await?;
    if held && row.is_some_and(|row| endpoints::takes_orders(&row)) {
        return Ok(());
    }
    Err(LabError::Conflict("The lab of this message takes no messages any more".into()))
}

/// Says in the log of messages that one waits to be sent.
pub(super) async fn message_waits(tx: &Tx, message: i64) -> Result<(), LabError> {
    let change = hl7_message::ActiveModel {
        id: Set(message),
        status: Set("queued".into()),
        error_detail: Set(None),
        processed_at: Set(None),
        ..Default::default()
    };
    change.update(&**tx).await?;
    Ok(())
}

/// Whether nobody wants an order any more.
pub(super) fn is_called_off(order: &lab_order::Model) -> bool {
    status_of(order) == OrderStatus::Cancelled
}
