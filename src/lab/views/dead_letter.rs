use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::retry::DeadLetterReason,
    store::entity::{delivery_attempt, outbox},
};

/// A message that was given up. Nothing in it tells of a patient.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub struct DeadLetterView {
    /// Id.
    pub id: i64,
    /// The order it carries; null for news that are published.
    pub lab_order_id: Option<i64>,
    /// The message.
    pub hl7_message_id: i64,
    /// Its control id (MSH-10).
    pub message_control_id: String,
    /// To whom it was to go.
    pub lis_endpoint_id: i64,
    /// What it asks for (`new_order`, `cancel_order`) or tells (`discharge`, `booking`).
    pub kind: String,
    /// Whether it had been sent before, and was to go out once more.
    pub again: bool,
    /// `dead`; after a decision `queued` or `discarded`.
    pub status: String,
    /// Why it was given up, in words.
    pub reason: String,
    /// The same as a word: `content_refused`, `not_supported`, `retries_exhausted`, `unreadable`.
    pub category: Option<String>,
    /// What the laboratory gave as the cause: its error code (table 0357), else its MSA-1; null when it gave no answer.
    pub code: Option<String>,
    /// MSA-1 of the last answer.
    pub ack_status: Option<String>,
    /// Tries since it was queued last.
    pub attempts: i32,
    /// When it was queued first.
    pub created_at: DateTime<Utc>,
    /// When it was given up.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Who put it aside.
    pub discarded_by: Option<String>,
    /// When.
    pub discarded_at: Option<DateTime<Utc>>,
    /// Why.
    pub discard_reason: Option<String>,
}

/// A try to send a message.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct TryView {
    /// Which, from 1; anew from 1 after the message was put back into the queue.
    pub attempt: i32,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// `accepted`, `refused`, `timed_out`, `closed`, `mismatched`, `unreachable`, or `late`: its sender had lost the right
    /// to speak for the message by then.
    pub outcome: String,
    /// MSA-1 of the answer.
    pub code: Option<String>,
    /// More, in words.
    pub detail: Option<String>,
}

/// A dead letter with all that was tried.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = DeadLetterDetail)]
pub struct DeadLetterDetail {
    /// The letter.
    #[serde(flatten)]
    pub letter: DeadLetterView,
    /// Where its order stands; null where it carries none.
    pub order_status: Option<String>,
    /// Oldest first.
    pub tries: Vec<TryView>,
}

impl DeadLetterView {
    /// The letter of a row.
    pub fn new(row: outbox::Model, message_control_id: String) -> Self {
        let category: Option<DeadLetterReason> =
            row.dead_reason.as_deref().and_then(|reason| reason.parse().ok());
        let given_up = matches!(row.status.as_str(), "dead" | "discarded");
        Self {
            id: row.id,
            lab_order_id: row.lab_order_id,
            hl7_message_id: row.hl7_message_id,
            message_control_id,
            lis_endpoint_id: row.lis_endpoint_id,
            kind: row.kind,
            again: row.again,
            status: row.status,
            reason: reason(category, row.last_error),
            category: row.dead_reason,
            code: row.error_code.or_else(|| row.last_code.clone()),
            ack_status: row.last_code,
            attempts: row.attempts,
            created_at: row.created_at,
            given_up_at: row.finished_at.filter(|_| given_up),
            discarded_by: row.discarded_by,
            discarded_at: row.discarded_at,
            discard_reason: row.discard_reason,
        }
    }
}

fn reason(category: Option<DeadLetterReason>, last: Option<String>) -> String {
    match (category.map(DeadLetterReason::sentence), last) {
        (Some(sentence), Some(last)) => format!("{sentence}: {last}"),
        (Some(sentence), None) => sentence.to_owned(),
        (None, last) => last.unwrap_or_default(),
    }
}

impl From<delivery_attempt::Model> for TryView {
    fn from(row: delivery_attempt::Model) -> Self {
        Self { attempt: row.attempt, at: row.at, outcome: row.outcome, code: row.code, detail: row.detail }
    }
}
