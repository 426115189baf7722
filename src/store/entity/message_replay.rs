//! Table `message_replays`.

use sea_orm::entity::prelude::*;

/// A message that was run again and changed something.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "message_replays")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Which message.
    pub hl7_message_id: i64,
    /// Username of who ran it.
    pub replayed_by: String,
    /// When.
    pub replayed_at: DateTimeUtc,
    /// What had become of it before.
    pub status_before: String,
    /// What became of it.
    pub status_after: String,
    /// MSA-1 that had been answered.
    pub ack_status_before: Option<String>,
    /// The answer that had been given; a resend gets the new one.
    pub ack_bytes_before: Option<Vec<u8>>,
    /// Rows inserted and changed, by table.
    #[sea_orm(column_type = "JsonBinary")]
    pub tables: Json,
}

super::plain_entity!("message_replay");
