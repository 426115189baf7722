//! What a lab's application says of a message after its system has taken it (HL7 v2.5.1 §2.9.3): on the connection that the
//! message went out on, on a later one, or by a message to our listener. It is matched by MSA-2 and by nothing else.
//!
//! | the message stands as | what the word does |
//! |---|---|
//! | sent, the word awaited, overdue, or never asked for after a commit answer | it decides: an acceptance acts on the order like an order reply; a refusal makes the message a dead letter and the order rejected, or leaves a cancelled order where it stood |
//! | sent, after a bare answer; the word decides on tests by ORC | the same: a laboratory may acknowledge at once and decide later |
//! | sent, the word was heard | nothing: it is the second time |
//! | tried, no answer yet, and the word was asked for | it decides, and the try is over: the application has what it speaks of, so the commit answer is on its way or lost |
//! | queued otherwise, or given up | a line in the order's history. It is never credited: the answer to the try that is under way is |

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};

use super::{
    error::LabError,
    order_progress::{Cause, move_order, note},
    order_reply,
    record_attempt::{Attempt, note_try},
    settle_message::{BeforeConsent, cause, give_up, locked_order, remember_order, settle, write_answer},
};
use crate::{
    context::Ctx,
    domain::{
        order::{OrderEvent, OrderStatus},
        retry::{AckCode, AttemptOutcome, DeadLetterReason, Next, refusal_by_application},
    },
    hl7::ack::Reply,
    store::{
        db::{self, Tx},
        entity::{hl7_message, lab_order, lab_order_test, outbox as outbox_row},
        orders, outbox,
    },
};

/// A message whose lab has still to say what it thinks of it.
pub struct Awaited {
    /// MSH-10.
    pub control_id: String,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What a word of a lab was about.
pub(super) struct Matched {
    /// The message that it answers.
    pub(super) message: i64,
    /// Its order.
    pub(super) order: Option<i64>,
}

/// Applies a word that came on a connection to an endpoint.
pub async fn apply_application_ack(
    ctx: &Ctx,
    endpoint: i64,
    reply: &Reply,
    bytes: &[u8],
) -> Result<(), LabError> {
    let mut tx = db::write(&ctx.db, "application_ack").await?;
    if apply(ctx, &mut tx, endpoint, (reply, bytes)).await?.is_none() {
        tracing::warn!(endpoint, "an acknowledgment of nothing that we sent there changes nothing");
    }
    tx.commit().await?;
    ctx.hints.orders.wake();
    Ok(())
}

/// The same in the caller's transaction. `None`: nothing was sent to the endpoint under that control id.
pub(super) async fn apply(
    ctx: &Ctx,
    tx: &mut Tx,
    endpoint: i64,
    (reply, bytes): (&Reply, &[u8]),
) -> Result<Option<Matched>, LabError> {
    let Some(id) = reply.acknowledged_id.as_deref() else { return Ok(None) };
    let Some(row) = outbox::lock_of_control_id(&**tx, endpoint, id).await?.into_iter().next() else {
        return Ok(None);
    };
    let matched = Matched { message: row.hl7_message_id, order: row.lab_order_id };
    let attempt = Attempt::answered(reply.clone(), bytes.to_vec(), std::time::Duration::ZERO);
    // A commit answer that comes by itself says nothing that is not known.
    if reply.code.is_commit() {
        return Ok(Some(matched));
    }
    match row.status.as_str() {
        outbox::SENT if may_still_decide(tx, &row, reply).await? => decide(ctx, tx, row, &attempt).await?,
        outbox::QUEUED if overtakes_commit(&row) => end_try(ctx, tx, &row, &attempt).await?,
        outbox::SENT | outbox::CANCELLED => {
            tracing::info!(message = row.hl7_message_id, "a second word on a message changes nothing");
        }
        _ => {
            if let Some(order) = locked_order(tx, &row).await? {
                let detail = format!("{}; it is not credited to any try", attempt.detail);
                note(ctx, tx, &order, cause(&row, "late_answer", &detail), None).await?;
            }
        }
    }
    Ok(Some(matched))
}

/// Whether the lab's application has not spoken of a message yet, as far as we know. One that said no more than AA has not
/// decided on any test.
async fn may_still_decide(tx: &Tx, row: &outbox_row::Model, reply: &Reply) -> Result<bool, DbErr> {
    let waits = match row.application_ack.as_deref() {
        Some(state) => state != outbox::RECEIVED,
        // Never asked for; the lab does as it likes after its commit answer.
        None => row.last_code.as_deref() == Some(AckCode::CA.as_str()),
    };
    if waits || reply.orders.is_empty() {
        return Ok(waits);
    }
    let answer = outbox::answer_to(&**tx, row.hl7_message_id).await?;
    let heard = answer.and_then(|bytes| Reply::parse(&bytes).ok());
    Ok(heard.is_some_and(|heard| heard.orders.is_empty()))
}

/// Whether a word that was asked for has come before the commit answer of the try that is under way.
fn overtakes_commit(row: &outbox_row::Model) -> bool {
    row.attempts > 0 && row.application_ack.as_deref() == Some(outbox::ASKED)
}

/// Ends a try by the word of the application.
async fn end_try(ctx: &Ctx, tx: &mut Tx, row: &outbox_row::Model, attempt: &Attempt) -> Result<(), LabError> {
    let AttemptOutcome::Answered { code, errors } = &attempt.outcome else { return Ok(()) };
    let next = match refusal_by_application(*code, errors) {
        Some((reason, code)) => Next::DeadLetter { reason, code },
        None => Next::Done,
    };
    note_try(ctx, tx, row, attempt).await?;
    settle(ctx, tx, row, attempt, &next).await
}

async fn decide(ctx: &Ctx, tx: &mut Tx, row: outbox_row::Model, attempt: &Attempt) -> Result<(), LabError> {
    let AttemptOutcome::Answered { code, errors } = &attempt.outcome else { return Ok(()) };
    let refusal = refusal_by_application(*code, errors);
    write_down(ctx, tx, &row, attempt, refusal.as_ref()).await?;
    let Some(order) = locked_order(tx, &row).await? else { return Ok(()) };
    let next = match refusal {
        Some((reason, code)) => Next::DeadLetter { reason, code },
        None => Next::Done,
    };
    if row.kind == outbox::CANCEL_ORDER {
        return decide_cancellation(ctx, tx, &row, order, (attempt, &next)).await;
    }
    decide_order(ctx, tx, &row, order, (attempt, &next)).await
}

async fn write_down(
    ctx: &Ctx,
    tx: &Tx,
    row: &outbox_row::Model,
    attempt: &Attempt,
    refusal: Option<&(DeadLetterReason, Option<String>)>,
) -> Result<(), LabError> {
    let now = ctx.clock.now();
    let mut message = hl7_message::ActiveModel { id: Set(row.hl7_message_id), ..Default::default() };
    write_answer(&mut message, attempt, now);
    let mut change: outbox_row::ActiveModel = row.clone().into();
    change.application_ack = Set(Some(outbox::RECEIVED.into()));
    change.last_code = Set(attempt.code());
    if let Some((reason, code)) = refusal {
        give_up(&mut change, (*reason, code.as_deref()), now);
        change.last_error = Set(Some(attempt.detail.clone()));
        if !row.again {
            message.status = Set("failed".into());
            message.error_detail = Set(Some(attempt.detail.clone()));
        }
    }
    change.update(&**tx).await?;
    message.update(&**tx).await?;
    Ok(())
}

async fn decide_order(
    ctx: &Ctx,
    tx: &mut Tx,
    row: &outbox_row::Model,
    order: lab_order::Model,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let (Next::Done, Some((reply, _))) = (next, &attempt.reply) else {
        if row.again {
            let cause = cause(row, "copy_refused_by_lab", &attempt.detail);
            return Ok(note(ctx, tx, &order, cause, None).await?);
        }
        let cause = cause(row, "refused_by_lab", &attempt.detail);
        return Ok(move_order(ctx, tx, order, OrderEvent::LabRefused, cause).await.map(|_| ())?);
    };
    let cause = cause(row, "accepted_by_application", &attempt.detail);
    note(ctx, tx, &order, cause, None).await?;
    if row.again {
        return order_reply::apply_consent(ctx, tx, order, reply, cause).await;
    }
    order_reply::apply(ctx, tx, order, reply, cause).await
}

/// A refusal to cancel leaves the order where it is, or, where the commit answer was taken for consent, puts it back where it
/// stood.
async fn decide_cancellation(
    ctx: &Ctx,
    tx: &mut Tx,
    row: &outbox_row::Model,
    order: lab_order::Model,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let cause = cause(row, "", &attempt.detail);
    let cancelled = order.status == OrderStatus::Cancelled.as_str();
    let before = row.before_consent.clone().and_then(|before| serde_json::from_value(before).ok());
    match before.filter(|_| cancelled && order_reply::declines(attempt)) {
        Some(before) => restore(ctx, tx, order, before, cause).await,
        None => order_reply::settle_cancellation(ctx, tx, order, cause, (attempt, next)).await,
    }
}

/// Lets a lab decline, by an order message (ORC-1 UC or UD), a cancellation that its system had taken. `messages`: the
/// order's, held. False: no such cancellation stands.
pub(super) async fn decline_cancellation(
    ctx: &Ctx,
    tx: &mut Tx,
    (order, messages): (&lab_order::Model, Vec<outbox_row::Model>),
    cause: Cause<'_>,
) -> Result<bool, LabError> {
    let taken = |row: &outbox_row::Model| row.kind == outbox::CANCEL_ORDER && row.status == outbox::SENT;
    let Some(row) = messages.into_iter().rev().find(taken) else { return Ok(false) };
    let before = row.before_consent.clone().and_then(|before| serde_json::from_value(before).ok());
    let before = before.filter(|_| order.status == OrderStatus::Cancelled.as_str());
    let awaited = row.application_ack.as_deref() == Some(outbox::AWAITED);
    if awaited {
        let mut change: outbox_row::ActiveModel = row.into();
        change.application_ack = Set(Some(outbox::RECEIVED.into()));
        change.update(&**tx).await?;
    }
    match before {
        Some(before) => restore(ctx, tx, order.clone(), before, cause).await?,
        None if awaited => {
            note(ctx, tx, order, Cause { kind: "cancellation_refused", ..cause }, None).await?;
        }
        None => return Ok(false),
    }
    Ok(true)
}

async fn restore(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    stood: BeforeConsent,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    for test in orders::tests_of(&**tx, &[order.id]).await? {
        let Some((_, status)) = stood.tests.iter().find(|(id, _)| *id == test.id) else { continue };
        // What was reported meanwhile stands.
        if test.status != "cancelled" || *status == test.status {
            continue;
        }
        let mut change: lab_order_test::ActiveModel = test.into();
        change.status = Set(status.clone());
        change.updated_at = Set(ctx.clock.now());
        change.update(&**tx).await?;
    }
    let before = stood.status.parse().unwrap_or(OrderStatus::Sent);
    let cause = Cause { kind: "cancellation_refused", ..cause };
    Ok(move_order(ctx, tx, order, OrderEvent::CancelDeclined { before }, cause).await.map(|_| ())?)
}

/// What is still awaited of an endpoint. What is overdue is awaited no more: an order was taken by the lab's system, and that
/// is what it says; of a cancellation the commit answer counts.
pub async fn awaited(ctx: &Ctx, endpoint: i64) -> Result<Vec<Awaited>, LabError> {
    let now = ctx.clock.now();
    let mut awaited = Vec::new();
    for (row, control_id) in outbox::awaiting_application(ctx.db.reader(), endpoint).await? {
        match row.application_ack_until.filter(|until| *until > now) {
            Some(until) => awaited.push(Awaited { control_id, until }),
            None => await_no_more(ctx, row.id).await?,
        }
    }
    Ok(awaited)
}

async fn await_no_more(ctx: &Ctx, id: i64) -> Result<(), LabError> {
    let mut tx = db::write(&ctx.db, "application_ack_missing").await?;
    let row = outbox::lock(&*tx, id).await?;
    let Some(row) = row.filter(|row| row.application_ack.as_deref() == Some(outbox::AWAITED)) else {
        return Ok(());
    };
    let mut change: outbox_row::ActiveModel = row.clone().into();
    change.application_ack = Set(Some(outbox::MISSING.into()));
    change.update(&*tx).await?;
    if let Some(order) = locked_order(&tx, &row).await? {
        let missing = cause(&row, "application_ack_missing", "the lab's application said nothing in time");
        note(ctx, &tx, &order, missing, None).await?;
        if row.kind == outbox::CANCEL_ORDER {
            remember_order(&tx, &row, &order).await?;
            let cause = cause(&row, "cancelled_by_lab", "its commit answer counts");
            order_reply::cancel_by_consent(ctx, &mut tx, order, cause).await?;
        }
    }
    tx.commit().await?;
    ctx.hints.orders.wake();
    tracing::warn!(message = row.hl7_message_id, "no word of the lab's application in time");
    Ok(())
}
