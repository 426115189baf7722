//! What came of a try to deliver a message: written down in one transaction with everything that follows from it for
//! the message and its order. Only who has the lease of the endpoint speaks for its messages: what a process saw that was
//! frozen past its lease stays as a note, because another one has sent the message since, and that one's word counts.

use std::time::Duration;

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};

use super::{
    deliver::{Outbound, lease_end, retry_policy},
    error::LabError,
    order_progress::note,
    settle_message::{cause, locked_order, settle},
};
use crate::{
    context::Ctx,
    domain::retry::{AttemptOutcome, DeadLetterReason, Next, Tally},
    hl7::ack::Reply,
    security::tls::Secured,
    store::{
        db::{self, Tx},
        endpoints,
        entity::outbox as outbox_row,
        outbox,
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
    /// What TLS had agreed on, where the connection was encrypted.
    pub secured: Option<Secured>,
}

impl Attempt {
    /// A try that brought no answer.
    pub fn failed(outcome: AttemptOutcome, detail: &str) -> Self {
        Self { outcome, reply: None, latency: Duration::ZERO, detail: detail.to_owned(), secured: None }
    }

    /// A try that brought one.
    pub fn answered(reply: Reply, bytes: Vec<u8>, latency: Duration) -> Self {
        let errors: Vec<String> = reply.error_codes.iter().filter(|code| is_code(code)).cloned().collect();
        let code = reply.code.as_str();
        let mut detail = format!("answered {code}");
        if !errors.is_empty() {
            detail = format!("{detail}, error {}", errors.join(", "));
        }
        let outcome = match code.parse() {
            Ok(code) => AttemptOutcome::Answered { code, errors },
            Err(_) => AttemptOutcome::Mismatched,
        };
        Self { outcome, reply: Some((reply, bytes)), latency, detail, secured: None }
    }

    /// The same on a connection that TLS protected.
    #[must_use]
    pub fn over(self, secured: Option<Secured>) -> Self {
        Self { secured, ..self }
    }

    /// A message that is given up without another try.
    fn last(detail: &str) -> Self {
        Self::failed(AttemptOutcome::Unreachable, detail)
    }

    /// MSA-1 of the answer.
    pub(super) fn code(&self) -> Option<String> {
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

/// A lab may put a sentence where a code belongs, and a name into the sentence.
fn is_code(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Writes down what came of a try that put the message on the wire, and decides what happens to it next. `owner`: who sent it;
/// `chance` in 0..1 spreads the retries. `None`: somebody else speaks for the message by now, and their word stands.
pub async fn record_attempt(
    ctx: &Ctx,
    owner: &str,
    sent: &Outbound,
    attempt: &Attempt,
    chance: f64,
) -> Result<Option<Next>, LabError> {
    let mut tx = db::write(&ctx.db, "record_attempt").await?;
    // Before the message itself: so do those who begin a try.
    let ours = endpoints::keep_lease(&*tx, sent.endpoint, owner, lease_end(ctx)).await?;
    let Some(row) = outbox::lock(&*tx, sent.outbox_id).await? else { return Ok(None) };
    if !ours || row.status != outbox::QUEUED || row.attempts != sent.attempt {
        note_late(ctx, &tx, (&row, ours), sent, attempt).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let tally = Tally { attempts: row.attempts.unsigned_abs(), unreachable: 0 };
    let next = retry_policy(&ctx.config).after(&attempt.outcome, tally, chance);
    note_try(ctx, &tx, &row, attempt).await?;
    settle(ctx, &mut tx, &row, attempt, &next).await?;
    tx.commit().await?;
    ctx.hints.orders.wake();
    log(&sent.control_id, attempt, &next);
    Ok(Some(next))
}

/// Adds a try to the list of those of its message.
pub(super) async fn note_try(
    ctx: &Ctx,
    tx: &Tx,
    row: &outbox_row::Model,
    attempt: &Attempt,
) -> Result<(), DbErr> {
    let outcome = (attempt.name(), attempt.code(), Some(attempt.detail.clone()));
    outbox::add_attempt(&**tx, row.id, row.attempts, ctx.clock.now(), outcome).await
}

/// Keeps what was seen by one who has no say any more: another process had taken over, or the lab's application had spoken
/// before its system did.
async fn note_late(
    ctx: &Ctx,
    tx: &Tx,
    (row, ours): (&outbox_row::Model, bool),
    sent: &Outbound,
    attempt: &Attempt,
) -> Result<(), LabError> {
    tracing::warn!(control_id = sent.control_id, detail = attempt.detail, "a late outcome changes nothing");
    let why = if ours { "the message had been settled" } else { "another process had taken over" };
    let detail = format!("{}; {why}", attempt.detail);
    let outcome = ("late", attempt.code(), Some(detail.clone()));
    outbox::add_attempt(&**tx, row.id, sent.attempt, ctx.clock.now(), outcome).await?;
    if let Some(order) = locked_order(tx, row).await? {
        note(ctx, tx, &order, cause(row, "late_outcome", &detail), None).await?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_reach_the_log() {
        for (text, expected) in
            [("101", true), ("E_7", true), ("", false), ("Roe is unknown", false), ("ä", false)]
        {
            assert_eq!(is_code(text), expected, "{text}");
        }
        assert!(!is_code(&"1".repeat(21)));
    }
}
