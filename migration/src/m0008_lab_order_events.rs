//! The history of orders; rows are only added.

use crate::column::{big, id, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lab_order_events`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0008_lab_order_events",
    table: "lab_order_events",
    columns: || {
        vec![
            id(),
            big("lab_order_id"),
            ts("at"),
            varchar("kind", 40),
            opt(varchar("from_status", 20)),
            opt(varchar("to_status", 20)),
            varchar("actor", 100),
            opt(text("detail")),
            opt(big("hl7_message_id")),
        ]
    },
    foreign_keys: &[("lab_order_id", "lab_orders")],
    indexes: &[&["lab_order_id", "id"]],
    ..EMPTY
};
