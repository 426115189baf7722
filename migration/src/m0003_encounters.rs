//! Encounters (visits) of patients.

use crate::column::{big, id, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `encounters`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0003_encounters",
    table: "encounters",
    columns: || {
        vec![
            id(),
            big("patient_id"),
            varchar("class", 20),
            varchar("status", 20),
            opt(text("visit_number")),
            opt(text("location")),
            opt(text("attending_provider")),
            opt(ts("started_at")),
            opt(ts("ended_at")),
            ts("created_at"),
            ts("updated_at"),
        ]
    },
    foreign_keys: &[("patient_id", "patients")],
    indexes: &[&["patient_id", "id"], &["visit_number"]],
    ..EMPTY
};
