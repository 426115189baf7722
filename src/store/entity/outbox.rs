//! Table `outbox`.

use sea_orm::entity::prelude::*;

/// One message to be delivered to one endpoint, in order of id.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// To whom.
    pub lis_endpoint_id: i64,
    /// What. A message waits once at a time; one that is sent again has a row for each time.
    pub hl7_message_id: i64,
    /// Order it carries; null for news that are published.
    pub lab_order_id: Option<i64>,
    /// What it asks for or tells, such as a new order, a cancellation or a discharge.
    pub kind: String,
    /// `queued`, `sent`, `dead`, `discarded` or `cancelled`.
    pub status: String,
    /// Attempts made.
    pub attempts: i32,
    /// Not before.
    pub next_attempt_at: DateTimeUtc,
    /// MSA-1 of the last attempt.
    pub last_code: Option<String>,
    /// Why the last attempt failed; never content.
    pub last_error: Option<String>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When it was sent, given up or cancelled.
    pub finished_at: Option<DateTimeUtc>,
    /// Why it was given up, as the retry rule calls it.
    pub dead_reason: Option<String>,
    /// Error code of the peer (table 0357), where it gave one.
    pub error_code: Option<String>,
    /// Who put a dead letter aside.
    pub discarded_by: Option<String>,
    /// When.
    pub discarded_at: Option<DateTimeUtc>,
    /// Why, in that person's words.
    pub discard_reason: Option<String>,
    /// Whether it was sent before: what comes of it now never takes its order back.
    pub again: bool,
    /// What the lab's application has to say once its system has taken the message: `asked` for; `awaited`, `received` or
    /// `missing`.
    pub application_ack: Option<String>,
    /// Until when it is awaited.
    pub application_ack_until: Option<DateTimeUtc>,
    /// Where the order and its tests stood when a bare commit answer was taken for consent to a cancellation.
    #[sea_orm(column_type = "JsonBinary")]
    pub before_consent: Option<Json>,
}

super::plain_entity!("outbox");
