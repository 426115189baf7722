//! Critical alerts, one per critical result version or held observation.

use crate::column::{big, id, int, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `critical_alerts`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0011_critical_alerts",
    table: "critical_alerts",
    columns: || {
        vec![
            id(),
            varchar("source_ref", 60),
            opt(big("lab_result_id")),
            opt(big("review_item_id")),
            opt(big("hl7_message_id")),
            opt(big("patient_id")),
            opt(json("claimed_patient")),
            opt(big("lab_order_id")),
            text("test_code"),
            text("test_name"),
            opt(text("value")),
            opt(text("units")),
            opt(text("abnormal_flag")),
            opt(text("reference_range")),
            json("reasons"),
            or(varchar("status", 20), "open"),
            ts("raised_at"),
            opt(ts("result_time")),
            opt(text("acknowledged_by")),
            opt(ts("acknowledged_at")),
            opt(text("note")),
            opt(json("read_back")),
            json("escalations"),
            opt(ts("escalate_at")),
            or(int("escalation_level"), 0),
            json("annotations"),
            opt(ts("resolved_at")),
        ]
    },
    foreign_keys: &[
        ("lab_result_id", "lab_results"),
        ("hl7_message_id", "hl7_messages"),
        ("patient_id", "patients"),
        ("lab_order_id", "lab_orders"),
    ],
    unique: &[("uq_critical_alerts_source", &["source_ref"])],
    indexes: &[&["status", "escalate_at"], &["patient_id", "id"], &["lab_result_id"]],
    ..EMPTY
};
