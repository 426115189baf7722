//! Laboratory orders.

use crate::column::{big, id, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lab_orders`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0006_lab_orders",
    table: "lab_orders",
    columns: || {
        vec![
            id(),
            big("patient_id"),
            opt(big("encounter_id")),
            json("test_codes"),
            varchar("ordering_provider", 200),
            or(varchar("priority", 10), "R"),
            or(varchar("status", 20), "pending"),
            varchar("placer_order_number", 100),
            opt(varchar("filler_order_number", 100)),
            opt(big("hl7_message_id")),
            opt(big("lis_endpoint_id")),
            json("diagnosis_codes"),
            opt(text("note")),
            opt(varchar("idempotency_key", 200)),
            opt(varchar("request_hash", 64)),
            opt(text("status_reason")),
            varchar("created_by", 100),
            ts("created_at"),
            opt(ts("sent_at")),
            opt(ts("acknowledged_at")),
            opt(ts("resulted_at")),
            ts("updated_at"),
        ]
    },
    foreign_keys: &[
        ("patient_id", "patients"),
        ("encounter_id", "encounters"),
        ("lis_endpoint_id", "lis_endpoints"),
    ],
    indexes: &[&["patient_id", "id"], &["status", "id"], &["placer_order_number"], &["idempotency_key"]],
    ..EMPTY
};
