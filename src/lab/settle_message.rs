//! How a message stands after the lab's answer, or after none, and what that means for its order. All in the caller's
//! transaction.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    error::LabError,
    order_progress::{Cause, move_order, note},
    order_reply,
    record_attempt::Attempt,
};
use crate::{
    context::Ctx,
    domain::{
        order::OrderEvent,
        retry::{DeadLetterReason, Next},
    },
    hl7::ack::codes_only,
    store::{
        db::Tx,
        entity::{hl7_message, lab_order, outbox as outbox_row},
        orders, outbox,
    },
};

/// Where an order and its tests stood before a cancellation took effect.
#[derive(Serialize, Deserialize)]
pub(super) struct BeforeConsent {
    /// The order.
    pub(super) status: String,
    /// Each test by id.
    pub(super) tests: Vec<(i64, String)>,
}

/// Writes down how a message stands after a try, and what that means for its order.
pub(super) async fn settle(
    ctx: &Ctx,
    tx: &mut Tx,
    row: &outbox_row::Model,
    attempt: &Attempt,
    next: &Next,
) -> Result<(), LabError> {
    settled_outbox(ctx, row, attempt, next).update(&**tx).await?;
    settled_message(ctx, row, attempt, next).update(&**tx).await?;
    let Some(order) = locked_order(tx, row).await? else { return Ok(()) };
    let cause = cause_of(row, attempt);
    if row.kind == outbox::CANCEL_ORDER {
        return settle_cancellation(ctx, tx, row, order, (attempt, next)).await;
    }
    if row.again {
        return settle_again(ctx, tx, order, cause, (attempt, next)).await;
    }
    settle_order(ctx, tx, order, cause, (attempt, next)).await
}

/// Whether the lab's system took the message, and its application has still to say what it thinks of it.
fn waits_for_application(row: &outbox_row::Model, attempt: &Attempt, next: &Next) -> bool {
    let committed = matches!(&attempt.reply, Some((reply, _)) if reply.code.is_commit());
    *next == Next::Done && committed && row.application_ack.is_some()
}

/// Where a lab was asked to cancel. A commit answer says only that it was heard. Where more was asked for, that is awaited;
/// else it counts as consent, and where the order stood is kept for the day the application says otherwise.
async fn settle_cancellation(
    ctx: &Ctx,
    tx: &mut Tx,
    row: &outbox_row::Model,
    order: lab_order::Model,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let cause = cause_of(row, attempt);
    if waits_for_application(row, attempt, next) {
        return Ok(note(ctx, tx, &order, Cause { kind: "cancellation_received", ..cause }, None).await?);
    }
    if *next == Next::Done {
        remember_order(tx, row, &order).await?;
    }
    order_reply::settle_cancellation(ctx, tx, order, cause, (attempt, next)).await
}

/// Keeps where an order and its tests stand before a cancellation takes effect.
pub(super) async fn remember_order(
    tx: &Tx,
    row: &outbox_row::Model,
    order: &lab_order::Model,
) -> Result<(), LabError> {
    let tests = orders::tests_of(&**tx, &[order.id]).await?;
    let before = BeforeConsent {
        status: order.status.clone(),
        tests: tests.into_iter().map(|test| (test.id, test.status)).collect(),
    };
    let change = outbox_row::ActiveModel {
        id: Set(row.id),
        before_consent: Set(Some(json!(before))),
        ..Default::default()
    };
    change.update(&**tx).await?;
    Ok(())
}

/// The order of a message, held until the end of the transaction.
pub(super) async fn locked_order(
    tx: &Tx,
    row: &outbox_row::Model,
) -> Result<Option<lab_order::Model>, LabError> {
    let Some(id) = row.lab_order_id else { return Ok(None) };
    Ok(orders::lock(&**tx, &[id]).await?.pop())
}

fn settled_outbox(
    ctx: &Ctx,
    row: &outbox_row::Model,
    attempt: &Attempt,
    next: &Next,
) -> outbox_row::ActiveModel {
    let now = ctx.clock.now();
    let mut change: outbox_row::ActiveModel = row.clone().into();
    change.last_code = Set(attempt.code());
    change.last_error = Set((*next != Next::Done).then(|| attempt.detail.clone()));
    match next {
        Next::Done => {
            change.status = Set(outbox::SENT.into());
            change.finished_at = Set(Some(now));
            if waits_for_application(row, attempt, next) {
                let span = chrono::Duration::from_std(ctx.config.application_ack_timeout);
                change.application_ack = Set(Some(outbox::AWAITED.into()));
                change.application_ack_until = Set(Some(now + span.unwrap_or_default()));
            } else if row.application_ack.is_some() {
                change.application_ack = Set(Some(outbox::RECEIVED.into()));
            }
        }
        Next::DeadLetter { reason, code } => {
            give_up(&mut change, (*reason, code.as_deref()), now);
        }
        Next::RetryAt(pause) | Next::WaitForPeer(pause) => {
            change.next_attempt_at = Set(now + chrono::Duration::from_std(*pause).unwrap_or_default());
        }
    }
    change
}

/// Makes a row a dead letter.
pub(super) fn give_up(
    change: &mut outbox_row::ActiveModel,
    (reason, code): (DeadLetterReason, Option<&str>),
    now: DateTime<Utc>,
) {
    change.status = Set(outbox::DEAD.into());
    change.finished_at = Set(Some(now));
    change.dead_reason = Set(Some(reason.to_string()));
    change.error_code = Set(code.map(|code| code.chars().take(20).collect()));
}

fn settled_message(
    ctx: &Ctx,
    row: &outbox_row::Model,
    attempt: &Attempt,
    next: &Next,
) -> hl7_message::ActiveModel {
    let now = Some(ctx.clock.now());
    let (status, settled) = match next {
        Next::Done => ("sent", true),
        // It arrived once; that it could not be sent once more changes nothing of that.
        Next::DeadLetter { .. } if row.again => ("sent", true),
        Next::DeadLetter { .. } => ("failed", true),
        Next::RetryAt(_) | Next::WaitForPeer(_) => ("queued", false),
    };
    let mut change = hl7_message::ActiveModel {
        id: Set(row.hl7_message_id),
        status: Set(status.into()),
        error_detail: Set((*next != Next::Done).then(|| attempt.detail.clone())),
        ..Default::default()
    };
    if attempt.reply.is_some() {
        write_answer(&mut change, attempt, ctx.clock.now());
        let latency = i64::try_from(attempt.latency.as_micros()).ok();
        // A word that came by a message of its own was not waited for.
        change.ack_latency_us = Set(latency.filter(|latency| *latency > 0));
    }
    if settled {
        change.processed_at = Set(now);
    }
    change
}

/// The answer beside the message that it answers.
pub(super) fn write_answer(change: &mut hl7_message::ActiveModel, attempt: &Attempt, now: DateTime<Utc>) {
    if let Some((reply, bytes)) = &attempt.reply {
        change.ack_status = Set(attempt.code());
        change.ack_bytes = Set(Some(codes_only(bytes)));
        change.ack_control_id = Set(reply.control_id.as_ref().map(|id| id.chars().take(40).collect()));
        change.acked_at = Set(Some(now));
    }
    if let Some(secured) = attempt.secured {
        let (version, certificate) = secured.kept();
        change.tls_version = Set(Some(version));
        change.peer_certificate = Set(certificate);
    }
}

/// What a try means for the order that was sent.
async fn settle_order(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    cause: Cause<'_>,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let (event, kind) = match next {
        Next::Done => (OrderEvent::Delivered, "delivered"),
        Next::DeadLetter { reason, .. } if reason.is_refusal() => (OrderEvent::LabRefused, "refused_by_lab"),
        Next::DeadLetter { .. } => (OrderEvent::DeliveryExhausted, "delivery_given_up"),
        Next::RetryAt(_) | Next::WaitForPeer(_) => {
            return Ok(note(ctx, tx, &order, Cause { kind: "delivery_tried", ..cause }, None).await?);
        }
    };
    let order = move_order(ctx, tx, order, event, Cause { kind, ..cause }).await?;
    match &attempt.reply {
        Some((reply, _)) if *next == Next::Done => order_reply::apply(ctx, tx, order, reply, cause).await,
        _ => Ok(()),
    }
}

/// What a try means for an order whose message had been sent before. A lab that has it may well refuse a second copy: that
/// is no word on the order.
async fn settle_again(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    cause: Cause<'_>,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let kind = match next {
        Next::Done => "delivered_again",
        Next::DeadLetter { reason, .. } if reason.is_refusal() => "copy_refused_by_lab",
        Next::DeadLetter { .. } => "delivery_given_up",
        Next::RetryAt(_) | Next::WaitForPeer(_) => "delivery_tried",
    };
    let cause = Cause { kind, ..cause };
    match &attempt.reply {
        Some((reply, _)) if *next == Next::Done => {
            let order = move_order(ctx, tx, order, OrderEvent::Delivered, cause).await?;
            order_reply::apply_consent(ctx, tx, order, reply, cause).await
        }
        _ => Ok(note(ctx, tx, &order, cause, None).await?),
    }
}

fn cause_of<'a>(row: &outbox_row::Model, attempt: &'a Attempt) -> Cause<'a> {
    cause(row, "", &attempt.detail)
}

/// The lab, speaking of a message of ours.
pub(super) fn cause<'a>(row: &outbox_row::Model, kind: &'a str, detail: &'a str) -> Cause<'a> {
    Cause { actor: "lab", kind, detail: Some(detail), message_id: Some(row.hl7_message_id) }
}
