//! Reports, one row per OBR received.

use crate::column::{big, id, json, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lab_reports`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0009_lab_reports",
    table: "lab_reports",
    columns: || {
        vec![
            id(),
            big("hl7_message_id"),
            big("patient_id"),
            opt(big("lab_order_id")),
            opt(big("lab_order_test_id")),
            big("lis_endpoint_id"),
            opt(text("filler_order_number")),
            opt(text("placer_order_number")),
            text("service_code"),
            opt(text("service_text")),
            opt(text("service_system")),
            opt(varchar("status", 4)),
            opt(ts("observed_at")),
            opt(ts("reported_at")),
            opt(text("ordering_provider")),
            opt(text("specimen")),
            json("notes"),
            ts("created_at"),
        ]
    },
    foreign_keys: &[
        ("hl7_message_id", "hl7_messages"),
        ("patient_id", "patients"),
        ("lab_order_id", "lab_orders"),
        ("lab_order_test_id", "lab_order_tests"),
        ("lis_endpoint_id", "lis_endpoints"),
    ],
    indexes: &[&["hl7_message_id"], &["patient_id", "id"], &["filler_order_number"]],
    partial: &[(&["lab_order_id"], "lab_order_id IS NOT NULL")],
    ..EMPTY
};
