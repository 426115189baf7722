//! Rules that make a number critical; a change closes one row and opens another.

use crate::column::{double, flag, id, int, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `critical_thresholds`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0016_critical_thresholds",
    table: "critical_thresholds",
    columns: || {
        vec![
            id(),
            varchar("code_system", 20),
            varchar("code", 50),
            text("analyte"),
            opt(varchar("sex", 10)),
            opt(int("age_from_days")),
            opt(int("age_to_days")),
            opt(varchar("patient_class", 20)),
            opt(varchar("unit", 30)),
            opt(varchar("low_comparator", 2)),
            opt(double("low_value")),
            opt(varchar("high_comparator", 2)),
            opt(double("high_value")),
            flag("positive"),
            flag("enabled"),
            text("source"),
            or(int("row_version"), 1),
            ts("valid_from"),
            opt(ts("valid_to")),
            text("author"),
            ts("created_at"),
        ]
    },
    indexes: &[&["code"]],
    ..EMPTY
};
