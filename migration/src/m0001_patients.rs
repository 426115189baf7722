//! Patients; every other clinical row points here.

use crate::column::{big, date, flag, id, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `patients`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0001_patients",
    table: "patients",
    columns: || {
        vec![
            id(),
            text("mrn"),
            text("last_name"),
            text("first_name"),
            opt(text("middle_name")),
            opt(date("date_of_birth")),
            varchar("gender", 10),
            opt(text("phone")),
            opt(text("email")),
            opt(text("address")),
            or(flag("restricted"), false),
            opt(big("merged_into_id")),
            opt(ts("last_event_at")),
            or(big("row_version"), 1_i64),
            ts("created_at"),
            ts("updated_at"),
        ]
    },
    foreign_keys: &[("merged_into_id", "patients")],
    indexes: &[&["mrn"], &["last_name", "first_name"], &["date_of_birth"]],
    ..EMPTY
};
