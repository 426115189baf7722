//! Identifiers of patients, each unique within its assigning authority.

use crate::column::{big, flag, id, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `patient_identifiers`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0002_patient_identifiers",
    table: "patient_identifiers",
    columns: || {
        vec![
            id(),
            big("patient_id"),
            text("authority"),
            varchar("id_type", 20),
            text("value"),
            or(flag("active"), true),
            ts("created_at"),
        ]
    },
    foreign_keys: &[("patient_id", "patients")],
    unique: &[("uq_patient_identifiers_value", &["authority", "id_type", "value"])],
    indexes: &[&["value"], &["patient_id"]],
    ..EMPTY
};
