//! Sending an order again that was given up or refused: as it was, or corrected.

pub use super::correct_order::Correction;
use super::{
    access,
    cancel_order::{finish, locked, status_of},
    correct_order::correct,
    dead_letters::put_aside,
    error::LabError,
    requeue::requeue,
    views::OrderView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        entity::{lab_order, outbox as outbox_row},
        outbox,
    },
};

/// Puts an order that was given up or refused back on its way. Without a correction its message goes out as it was: the same
/// bytes under the same control id. With one a new message does, which points at the one before. Errors: `Conflict` when
/// the order was not given up, or the lab has refused these very bytes as a whole order; `Invalid` for a field.
pub async fn resend_order(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    correction: Correction,
) -> Result<OrderView, LabError> {
    access::permit(ctx, caller, Action::ResendOrder, "lab_order").await?;
    if !correction.is_empty() {
        // What is ordered is a clinician's word.
        access::permit(ctx, caller, Action::PlaceOrder, "lab_order").await?;
    }
    let mut tx = db::write(&ctx.db, "resend_order").await?;
    let (messages, order) = locked(&tx, id).await?;
    if !status_of(&order).can_be_resent() {
        return Err(LabError::Conflict(format!("This order is {} and cannot be sent again", order.status)));
    }
    if messages.iter().any(|row| row.status == outbox::QUEUED) {
        return Err(LabError::Conflict("A message of this order waits to be sent".into()));
    }
    let order = if correction.is_empty() {
        as_it_was(ctx, &mut tx, caller, messages, order).await?
    } else {
        corrected(ctx, &mut tx, caller, (messages, order), correction).await?
    };
    finish(ctx, tx, caller, Action::ResendOrder, order).await
}

async fn as_it_was(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    messages: Vec<outbox_row::Model>,
    order: lab_order::Model,
) -> Result<lab_order::Model, LabError> {
    let Some(letter) = given_up(messages) else {
        return Err(LabError::Conflict(
            "The lab received this order and refused it; correct it, or place a new one".into(),
        ));
    };
    let before = order.clone();
    Ok(requeue(ctx, tx, &caller.username, letter, Some(order)).await?.unwrap_or(before))
}

async fn corrected(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    (messages, order): (Vec<outbox_row::Model>, lab_order::Model),
    correction: Correction,
) -> Result<lab_order::Model, LabError> {
    let order = correct(ctx, tx, &caller.username, order, correction).await?;
    let asks_for_tests = |row: &outbox_row::Model| row.kind == outbox::NEW_ORDER;
    for letter in messages.into_iter().filter(asks_for_tests).filter(|row| row.status == outbox::DEAD) {
        let reason = match order.hl7_message_id {
            Some(message) => format!("corrected: message {message} was sent in its place"),
            None => "corrected".to_owned(),
        };
        put_aside(ctx, tx, &caller.username, letter, &reason).await?;
    }
    Ok(order)
}

/// The order's own message, the newest if there are several, where it was given up. One that was put aside counts too: who
/// wants the order sent again has decided anew.
fn given_up(messages: Vec<outbox_row::Model>) -> Option<outbox_row::Model> {
    let newest = messages.into_iter().rev().find(|row| row.kind == outbox::NEW_ORDER && !row.again)?;
    matches!(newest.status.as_str(), outbox::DEAD | outbox::DISCARDED).then_some(newest)
}
