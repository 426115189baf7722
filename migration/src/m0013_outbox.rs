//! Messages to be delivered; written in the transaction that decided to send them.

use crate::column::{big, id, int, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `outbox`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0013_outbox",
    table: "outbox",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            big("hl7_message_id"),
            opt(big("lab_order_id")),
            varchar("kind", 20),
            varchar("status", 20),
            or(int("attempts"), 0),
            ts("next_attempt_at"),
            opt(varchar("last_code", 10)),
            opt(text("last_error")),
            ts("created_at"),
            opt(ts("finished_at")),
        ]
    },
    foreign_keys: &[
        ("lis_endpoint_id", "lis_endpoints"),
        ("hl7_message_id", "hl7_messages"),
        ("lab_order_id", "lab_orders"),
    ],
    unique: &[("uq_outbox_hl7_message", &["hl7_message_id"])],
    indexes: &[&["lis_endpoint_id", "status", "id"], &["lab_order_id"]],
    ..EMPTY
};
