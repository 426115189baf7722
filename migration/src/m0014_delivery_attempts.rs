//! Attempts at delivery; rows are only added.

use crate::column::{big, id, int, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `delivery_attempts`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0014_delivery_attempts",
    table: "delivery_attempts",
    columns: || {
        vec![
            id(),
            big("outbox_id"),
            int("attempt"),
            ts("at"),
            varchar("outcome", 30),
            opt(varchar("code", 10)),
            opt(text("detail")),
        ]
    },
    foreign_keys: &[("outbox_id", "outbox")],
    indexes: &[&["outbox_id", "id"]],
    ..EMPTY
};
