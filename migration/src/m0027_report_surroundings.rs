//! Specimens of a report, and the order and observation that it grew out of.

use crate::add_columns::AddColumns;
use crate::column::{flag, json, opt, or, text};

/// Extends `lab_reports`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0027_report_surroundings",
    table: "lab_reports",
    columns: || {
        vec![
            opt(json("specimens")),
            or(flag("is_child"), false),
            or(flag("is_reflex"), false),
            opt(text("parent_placer_number")),
            opt(text("parent_filler_number")),
            opt(text("parent_code")),
            opt(text("parent_sub_id")),
            opt(text("parent_text")),
        ]
    },
    indexes: &[],
};
