//! Appointments that scheduling systems tell us of.

use crate::column::{big, id, json, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `appointments`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0021_appointments",
    table: "appointments",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            text("appointment_number"),
            opt(big("patient_id")),
            opt(json("claimed_patient")),
            varchar("status", 20),
            opt(ts("starts_at")),
            opt(text("starts_at_text")),
            opt(ts("ends_at")),
            opt(text("reason")),
            opt(text("service")),
            opt(text("location")),
            opt(text("provider")),
            json("notes"),
            big("hl7_message_id"),
            opt(ts("message_time")),
            ts("created_at"),
            ts("updated_at"),
        ]
    },
    foreign_keys: &[
        ("lis_endpoint_id", "lis_endpoints"),
        ("patient_id", "patients"),
        ("hl7_message_id", "hl7_messages"),
    ],
    unique: &[("uq_appointments_number", &["lis_endpoint_id", "appointment_number"])],
    indexes: &[&["patient_id", "id"], &["starts_at"]],
    ..EMPTY
};
