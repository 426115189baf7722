//! Every HL7 message received or sent, raw bytes encrypted.

use crate::column::{big, blob, id, int, json, opt, or, text, ts, varchar};
use crate::create_table::CreateTable;

/// Creates `hl7_messages`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0005_hl7_messages",
    table: "hl7_messages",
    columns: || {
        vec![
            id(),
            varchar("message_uid", 32),
            varchar("direction", 10),
            or(big("lis_endpoint_id"), 0_i64),
            varchar("message_type", 20),
            opt(varchar("trigger_event", 20)),
            opt(varchar("message_structure", 30)),
            opt(varchar("hl7_version", 20)),
            varchar("message_control_id", 199),
            opt(varchar("processing_id", 10)),
            opt(text("sending_application")),
            opt(text("sending_facility")),
            opt(text("receiving_application")),
            opt(text("receiving_facility")),
            text("raw_message"),
            varchar("message_hash", 64),
            big("size_bytes"),
            opt(varchar("charset", 30)),
            varchar("status", 20),
            opt(varchar("ack_status", 10)),
            opt(blob("ack_bytes")),
            opt(varchar("ack_control_id", 40)),
            opt(ts("acked_at")),
            opt(big("ack_latency_us")),
            opt(varchar("source_ip", 45)),
            opt(big("patient_id")),
            opt(big("lab_order_id")),
            opt(big("original_message_id")),
            opt(text("error_detail")),
            json("warnings"),
            or(int("observations_received"), 0),
            or(int("observations_stored"), 0),
            or(int("observations_in_review"), 0),
            or(int("observations_rejected"), 0),
            or(int("duplicates_seen"), 0),
            opt(ts("message_time")),
            ts("received_at"),
            opt(ts("processed_at")),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints"), ("patient_id", "patients")],
    unique: &[
        ("uq_hl7_messages_message_uid", &["message_uid"]),
        // The control id first: it alone tells nearly every message apart, and it is what people look for.
        ("uq_hl7_messages_resend", &["message_control_id", "lis_endpoint_id", "direction", "message_hash"]),
    ],
    unique_among: &[],
    indexes: &[&["lis_endpoint_id", "id"], &["received_at"]],
    partial: &[
        (&["patient_id", "id"], "patient_id IS NOT NULL"),
        (&["lab_order_id"], "lab_order_id IS NOT NULL"),
        // What waits or went wrong is looked for; what went well is the rest.
        (&["status", "id"], "status <> 'stored'"),
    ],
};
