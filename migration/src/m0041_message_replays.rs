//! Messages that were run again and changed something: who did it, and what had been answered before.

use crate::column::{big, blob, id, json, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `message_replays`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0041_message_replays",
    table: "message_replays",
    columns: || {
        vec![
            id(),
            big("hl7_message_id"),
            varchar("replayed_by", 100),
            ts("replayed_at"),
            varchar("status_before", 20),
            varchar("status_after", 20),
            opt(varchar("ack_status_before", 10)),
            opt(blob("ack_bytes_before")),
            json("tables"),
        ]
    },
    foreign_keys: &[("hl7_message_id", "hl7_messages")],
    indexes: &[&["hl7_message_id", "id"]],
    ..EMPTY
};
