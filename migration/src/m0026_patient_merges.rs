//! Merges of patients, each with what it moved, so that it can be undone.

use crate::column::{big, id, json, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `patient_merges`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0026_patient_merges",
    table: "patient_merges",
    columns: || {
        vec![
            id(),
            big("survivor_id"),
            big("merged_id"),
            json("moved"),
            opt(big("hl7_message_id")),
            varchar("merged_by", 100),
            ts("merged_at"),
            opt(varchar("undone_by", 100)),
            opt(ts("undone_at")),
        ]
    },
    foreign_keys: &[
        ("survivor_id", "patients"),
        ("merged_id", "patients"),
        ("hl7_message_id", "hl7_messages"),
    ],
    indexes: &[&["survivor_id", "id"], &["merged_id", "id"]],
    ..EMPTY
};
