//! Sending an order again that was given up or refused.

use super::{
    access,
    cancel_order::{finish, locked, status_of},
    error::LabError,
    requeue::requeue,
    views::OrderView,
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{db, entity::outbox as outbox_row, outbox},
};

/// Puts the message of an order back into the queue: the same bytes under the same control id. Errors: `Conflict` when
/// the order was not given up, or the lab has it and refused it.
pub async fn resend_order(ctx: &Ctx, caller: &Caller, id: i64) -> Result<OrderView, LabError> {
    access::permit(ctx, caller, Action::ResendOrder, "lab_order").await?;
    let mut tx = db::write(&ctx.db, "resend_order").await?;
    let (messages, order) = locked(&tx, id).await?;
    if !status_of(&order).can_be_resent() {
        return Err(LabError::Conflict(format!("This order is {} and cannot be sent again", order.status)));
    }
    let Some(letter) = given_up(messages) else {
        return Err(LabError::Conflict("The lab received this order and refused it; place a new one".into()));
    };
    let sent = order.clone();
    let order = requeue(ctx, &mut tx, &caller.username, letter, Some(order)).await?.unwrap_or(sent);
    finish(ctx, tx, caller, Action::ResendOrder, order).await
}

/// The order's own message, the newest if there are several, where it was given up. One that was put aside counts too: who
/// wants the order sent again has decided anew.
fn given_up(messages: Vec<outbox_row::Model>) -> Option<outbox_row::Model> {
    let newest = messages.into_iter().rev().find(|row| row.kind == outbox::NEW_ORDER && !row.again)?;
    matches!(newest.status.as_str(), outbox::DEAD | outbox::DISCARDED).then_some(newest)
}
