use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::store::entity::message_replay;

/// What running a message again changes, or would.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = MessageReplay)]
pub struct ReplayView {
    /// The message.
    pub message_id: i64,
    /// Whether it was only looked at.
    pub dry_run: bool,
    /// Whether anything was written.
    pub applied: bool,
    /// Whether the rows differ at all.
    pub changes: bool,
    /// What had become of it.
    pub status_before: String,
    /// What becomes of it.
    pub status_after: String,
    /// MSA-1 that had been answered.
    pub ack_status_before: Option<String>,
    /// MSA-1 that a resend gets.
    pub ack_status_after: Option<String>,
    /// Why it is not taken: codes and places, never content.
    pub refusal: Option<String>,
    /// Why something stays as it is: `applied_already` (an event is never applied twice), `still_waits` (its patient is not
    /// certain), `still_ignored`, `reads_otherwise` (today's profile finds other observations than are stored),
    /// `nothing_to_do`.
    pub notes: Vec<String>,
    /// By table.
    pub tables: Vec<ReplayTable>,
    /// Each row that is new or not as before.
    pub rows: Vec<ReplayRow>,
    /// Events that go on the stream.
    pub events: usize,
}

/// Rows of a table that belong to a message.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReplayTable {
    /// Which table.
    pub table: String,
    /// New rows.
    pub inserted: usize,
    /// Rows that are not as before.
    pub changed: usize,
    /// Rows that stay.
    pub unchanged: usize,
}

/// A row that is new or not as before.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReplayRow {
    /// Which table.
    pub table: String,
    /// Its id. That of a new row of a dry run is not kept for it.
    pub id: i64,
    /// `insert`, `change` or `delete`.
    pub effect: String,
    /// What differs.
    pub columns: Vec<ReplayColumn>,
}

/// A value before and after; both null for those who may not read contents.
#[derive(Clone, Serialize, ToSchema)]
pub struct ReplayColumn {
    /// Which column.
    pub column: String,
    /// Before.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// After.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
}

/// A run of a message that changed something.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = PastReplay)]
pub struct PastReplayView {
    /// Who ran it.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What had become of it before.
    pub status_before: String,
    /// What became of it.
    pub status_after: String,
    /// MSA-1 that had been answered.
    pub ack_status_before: Option<String>,
    /// The answer that had been given, one segment a line, if a resend gets another one since.
    pub ack_text_before: Option<String>,
    /// Rows inserted and changed, by table.
    #[schema(value_type = Object)]
    pub tables: Value,
}

impl From<message_replay::Model> for PastReplayView {
    fn from(row: message_replay::Model) -> Self {
        let text = row.ack_bytes_before.map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "\n"));
        Self {
            by: row.replayed_by,
            at: row.replayed_at,
            status_before: row.status_before,
            status_after: row.status_after,
            ack_status_before: row.ack_status_before,
            ack_text_before: text,
            tables: row.tables,
        }
    }
}
