//! Messages held because their patient is unknown or ambiguous.

use crate::column::{big, id, int, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `review_items`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0015_review_items",
    table: "review_items",
    columns: || {
        vec![
            id(),
            big("hl7_message_id"),
            varchar("reason", 60),
            json("candidates"),
            int("observation_count"),
            or(varchar("status", 20), "open"),
            opt(json("resolution")),
            opt(text("resolved_by")),
            opt(ts("resolved_at")),
            ts("created_at"),
        ]
    },
    foreign_keys: &[("hl7_message_id", "hl7_messages")],
    unique: &[("uq_review_items_hl7_message", &["hl7_message_id"])],
    indexes: &[&["status", "id"]],
    ..EMPTY
};
