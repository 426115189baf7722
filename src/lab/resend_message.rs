//! Sending a message once more: the same bytes under the same control id, behind what waits. Promise: whoever got it before
//! can tell that it is the same, and an order never stands worse for it than before.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::{
    access::{self, Resource},
    error::LabError,
    order_progress::{Cause, note},
    read_messages::light,
    requeue::{is_called_off, message_waits, requeue, takes_messages},
    views::MessageView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        entity::{
            hl7_message::{Column, Entity, Model},
            lab_order, outbox as outbox_row,
        },
        is_unique_violation, orders, outbox,
    },
};

const KIND: &str = "hl7_message";

/// Puts a message that we sent into the queue again. Errors: `Conflict` while it waits there, when it was replaced by another
/// one or its order was called off, and for a message that came in.
pub async fn resend_message(ctx: &Ctx, caller: &Caller, id: i64) -> Result<MessageView, LabError> {
    access::permit(ctx, caller, Action::ReplayMessage, KIND).await?;
    let mut tx = db::write(&ctx.db, "resend_message").await?;
    // Before the message itself: so do those who write down what came of a try.
    let sent = outbox::lock_of_message(&*tx, id).await?;
    let message = read(&tx, id).await?.ok_or(LabError::NotFound("Message"))?;
    let last = last_sent(&message, sent)?;
    if let Some(newer) = replaced_by(&tx, id).await? {
        return Err(LabError::Conflict(format!(
            "This message was replaced by message {newer}; send that one"
        )));
    }
    let order = match last.lab_order_id {
        Some(order) => orders::lock(&*tx, &[order]).await?.pop(),
        None => None,
    };
    if last.status == outbox::SENT {
        queue_again(ctx, &tx, caller, &last, order).await?;
    } else {
        requeue(ctx, &mut tx, &caller.username, last, order).await?;
    }
    let message = read(&tx, id).await?.ok_or(LabError::NotFound("Message"))?;
    let patients = message.patient_id.as_slice();
    access::wrote(ctx, &tx, caller, Action::ReplayMessage, Resource::one(KIND, id, patients)).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    ctx.hints.orders.wake();
    tracing::info!(message = id, "queued to be sent again");
    Ok(MessageView::from(&message))
}

async fn read(tx: &Tx, id: i64) -> Result<Option<Model>, DbErr> {
    light().filter(Column::Id.eq(id)).one(&**tx).await
}

/// The row under which a message was sent last.
fn last_sent(message: &Model, sent: Vec<outbox_row::Model>) -> Result<outbox_row::Model, LabError> {
    if message.direction != "outbound" {
        let text = "This message came in; it can be replayed, and only one that we sent can be sent again";
        return Err(LabError::Conflict(text.into()));
    }
    if sent.iter().any(|row| row.status == outbox::QUEUED) {
        return Err(waits_already());
    }
    if sent.is_empty() {
        return Err(LabError::Conflict("This message tested a connection; test it again instead".into()));
    }
    match sent.into_iter().next_back() {
        Some(row) if row.status != outbox::CANCELLED => Ok(row),
        _ => Err(LabError::Conflict("This message was called off before it was sent".into())),
    }
}

fn waits_already() -> LabError {
    LabError::Conflict("This message waits to be sent already".into())
}

/// The message that a correction put in its place.
async fn replaced_by(tx: &Tx, id: i64) -> Result<Option<i64>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::OriginalMessageId.eq(id))
        .filter(Column::Direction.eq("outbound"))
        .order_by_desc(Column::Id)
        .into_tuple()
        .one(&**tx)
        .await
}

/// Adds a row behind those that wait.
async fn queue_again(
    ctx: &Ctx,
    tx: &Tx,
    caller: &Caller,
    last: &outbox_row::Model,
    order: Option<lab_order::Model>,
) -> Result<(), LabError> {
    takes_messages(tx, last.lis_endpoint_id).await?;
    if last.kind != outbox::CANCEL_ORDER && order.as_ref().is_some_and(is_called_off) {
        return Err(LabError::Conflict("The order was cancelled; it is not sent any more".into()));
    }
    let now = ctx.clock.now();
    let row = outbox_row::ActiveModel {
        lis_endpoint_id: Set(last.lis_endpoint_id),
        hl7_message_id: Set(last.hl7_message_id),
        lab_order_id: Set(last.lab_order_id),
        kind: Set(last.kind.clone()),
        status: Set(outbox::QUEUED.into()),
        attempts: Set(0),
        again: Set(true),
        application_ack: Set(last.application_ack.as_ref().map(|_| outbox::ASKED.to_owned())),
        next_attempt_at: Set(now),
        created_at: Set(now),
        ..Default::default()
    };
    // Of two who do this at once the index lets one.
    let taken = |error: DbErr| if is_unique_violation(&error) { waits_already() } else { error.into() };
    row.insert(&**tx).await.map_err(taken)?;
    message_waits(tx, last.hl7_message_id).await?;
    if let Some(order) = order {
        let message_id = Some(last.hl7_message_id);
        let cause = Cause { actor: &caller.username, kind: "queued_again", detail: None, message_id };
        note(ctx, tx, &order, cause, None).await?;
    }
    Ok(())
}
