//! What was told of an order that needs somebody's eyes: each thing once.

use crate::column::{big, id, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `order_concerns`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0045_order_concerns",
    table: "order_concerns",
    columns: || {
        vec![
            id(),
            varchar("kind", 30),
            // An order, one of its tests or a report, as the kind says.
            big("subject_id"),
            opt(big("lab_order_id")),
            ts("raised_at"),
            opt(ts("resolved_at")),
        ]
    },
    foreign_keys: &[("lab_order_id", "lab_orders")],
    unique: &[("uq_order_concerns_subject", &["kind", "subject_id"])],
    partial: &[(&["id"], "resolved_at IS NULL")],
    ..EMPTY
};
