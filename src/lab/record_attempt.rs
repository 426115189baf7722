//! What came of a try to deliver a message: written down in one transaction with everything that follows from it for
//! the message and its order.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use super::{
    deliver::{Outbound, retry_policy},
    error::LabError,
    order_progress::{Cause, move_order, note},
    order_reply,
};
use crate::{
    context::Ctx,
    domain::{
        order::OrderEvent,
        retry::{AttemptOutcome, DeadLetterReason, Next, Tally},
    },
    hl7::ack::{Reply, codes_only},
    store::{
        db::{self, Tx},
        entity::{hl7_message, lab_order, outbox as outbox_row},
        orders, outbox,
    },
};

/// What came of a try.
pub struct Attempt {
    /// As a value for the retry rule.
    pub outcome: AttemptOutcome,
    /// The answer with its bytes, when there was one.
    pub reply: Option<(Reply, Vec<u8>)>,
    /// From the last byte out to the last byte in.
    pub latency: Duration,
    /// In words, for people; never content of a message.
    pub detail: String,
}

impl Attempt {
    /// A try that brought no answer.
    pub fn failed(outcome: AttemptOutcome, detail: &str) -> Self {
        Self { outcome, reply: None, latency: Duration::ZERO, detail: detail.to_owned() }
    }

    /// A message that is given up without another try.
    fn last(detail: &str) -> Self {
        Self::failed(AttemptOutcome::Unreachable, detail)
    }

    fn code(&self) -> Option<String> {
        self.reply.as_ref().map(|(reply, _)| reply.code.as_str().to_owned())
    }

    /// As it stands in `delivery_attempts`.
    fn name(&self) -> &'static str {
        match &self.outcome {
            AttemptOutcome::Answered { code, .. } if code.is_positive() => "accepted",
            AttemptOutcome::Answered { .. } => "refused",
            AttemptOutcome::TimedOut => "timed_out",
            AttemptOutcome::Closed => "closed",
            AttemptOutcome::Mismatched => "mismatched",
            AttemptOutcome::Unreachable => "unreachable",
        }
    }
}

/// Writes down what came of a try that put the message on the wire, and decides what happens to it next. `chance` in
/// 0..1 spreads the retries. `None`: somebody else settled the message meanwhile, and their word stands.
pub async fn record_attempt(
    ctx: &Ctx,
    sent: &Outbound,
    attempt: &Attempt,
    chance: f64,
) -> Result<Option<Next>, LabError> {
    let mut tx = db::write(&ctx.db, "record_attempt").await?;
    let Some(row) = outbox::lock(&*tx, sent.outbox_id).await?.filter(|row| row.status == outbox::QUEUED)
    else {
        tracing::warn!(control_id = sent.control_id, "a late outcome changes nothing");
        return Ok(None);
    };
    let tally = Tally { attempts: row.attempts.unsigned_abs(), unreachable: 0 };
    let next = retry_policy(&ctx.config).after(&attempt.outcome, tally, chance);
    let outcome = (attempt.name(), attempt.code(), Some(attempt.detail.clone()));
    outbox::add_attempt(&*tx, row.id, row.attempts, ctx.clock.now(), outcome).await?;
    settle(ctx, &mut tx, &row, attempt, &next).await?;
    tx.commit().await?;
    ctx.hints.orders.wake();
    log(&sent.control_id, attempt, &next);
    Ok(Some(next))
}

/// Writes down, once, that the lab of a message cannot be reached. It uses up no try, and the waiting itself belongs to
/// the endpoint: a line a minute on each order would bury the rest of its history.
pub async fn note_unreachable(ctx: &Ctx, waiting: &Outbound, detail: &str) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "note_unreachable").await?;
    let row = outbox::lock(&*tx, waiting.outbox_id).await?.filter(|row| row.status == outbox::QUEUED);
    let Some(row) = row.filter(|row| row.last_error.as_deref() != Some(detail)) else { return Ok(()) };
    if let Some(order) = locked_order(&tx, &row).await? {
        note(ctx, &tx, &order, cause(&row, "lab_unreachable", detail), None).await?;
    }
    let mut change: outbox_row::ActiveModel = row.into();
    change.last_error = Set(Some(detail.to_owned()));
    change.update(&*tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes a message a dead letter that cannot be tried at all.
pub(super) async fn give_up(ctx: &Ctx, outbox_id: i64, detail: &str) -> Result<(), LabError> {
    let mut tx = db::write(&ctx.db, "give_up").await?;
    let row = outbox::lock(&*tx, outbox_id).await?.filter(|row| row.status == outbox::QUEUED);
    let Some(row) = row else { return Ok(()) };
    let next = Next::DeadLetter { reason: DeadLetterReason::Unreadable, code: None };
    settle(ctx, &mut tx, &row, &Attempt::last(detail), &next).await?;
    tx.commit().await?;
    ctx.hints.orders.wake();
    tracing::error!(outbox_id, detail, "message given up");
    Ok(())
}

fn log(control_id: &str, attempt: &Attempt, next: &Next) {
    let detail = &attempt.detail;
    match next {
        Next::Done => tracing::info!(control_id, detail, "ACK received"),
        Next::DeadLetter { reason, .. } => tracing::warn!(control_id, detail, %reason, "message given up"),
        Next::RetryAt(_) | Next::WaitForPeer(_) => {
            tracing::warn!(control_id, detail, "message not delivered yet");
        }
    }
}

async fn settle(
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
        return order_reply::settle_cancellation(ctx, tx, order, cause, (attempt, next)).await;
    }
    if row.again {
        return settle_again(ctx, tx, order, cause, (attempt, next)).await;
    }
    settle_order(ctx, tx, order, cause, (attempt, next)).await
}

async fn locked_order(tx: &Tx, row: &outbox_row::Model) -> Result<Option<lab_order::Model>, LabError> {
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
        }
        Next::DeadLetter { reason, code } => {
            change.status = Set(outbox::DEAD.into());
            change.finished_at = Set(Some(now));
            change.dead_reason = Set(Some(reason.to_string()));
            change.error_code = Set(code.as_ref().map(|code| code.chars().take(20).collect()));
        }
        Next::RetryAt(pause) | Next::WaitForPeer(pause) => {
            change.next_attempt_at = Set(now + chrono::Duration::from_std(*pause).unwrap_or_default());
        }
    }
    change
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
    if let Some((reply, bytes)) = &attempt.reply {
        change.ack_status = Set(attempt.code());
        change.ack_bytes = Set(Some(codes_only(bytes)));
        change.ack_control_id = Set(reply.control_id.as_ref().map(|id| id.chars().take(40).collect()));
        change.acked_at = Set(now);
        change.ack_latency_us = Set(i64::try_from(attempt.latency.as_micros()).ok());
    }
    if settled {
        change.processed_at = Set(now);
    }
    change
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
        Next::DeadLetter {
            reason: DeadLetterReason::RetriesExhausted | DeadLetterReason::Unreadable,
            ..
        } => (OrderEvent::DeliveryExhausted, "delivery_given_up"),
        Next::DeadLetter { .. } => (OrderEvent::LabRefused, "refused_by_lab"),
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
        Next::DeadLetter {
            reason: DeadLetterReason::RetriesExhausted | DeadLetterReason::Unreadable,
            ..
        } => "delivery_given_up",
        Next::DeadLetter { .. } => "copy_refused_by_lab",
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
    cause(row, attempt.name(), &attempt.detail)
}

fn cause<'a>(row: &outbox_row::Model, kind: &'a str, detail: &'a str) -> Cause<'a> {
    Cause { actor: "lab", kind, detail: Some(detail), message_id: Some(row.hl7_message_id) }
}
