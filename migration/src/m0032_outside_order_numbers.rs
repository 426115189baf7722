//! Tests that somebody else ordered through us keep the number they were ordered under.

use crate::add_columns::AddColumns;
use crate::column::{opt, varchar};

/// Adds the numbers to `lab_order_tests`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0032_outside_order_numbers",
    table: "lab_order_tests",
    columns: || {
        vec![opt(varchar("outside_placer_number", 100)), opt(varchar("outside_placer_namespace", 200))]
    },
    indexes: &[&["outside_placer_number"]],
};
