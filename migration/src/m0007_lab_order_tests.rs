//! Tests of an order, one row per OBR.

use crate::column::{big, id, int, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lab_order_tests`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0007_lab_order_tests",
    table: "lab_order_tests",
    columns: || {
        vec![
            id(),
            big("lab_order_id"),
            int("position"),
            varchar("test_code", 50),
            opt(varchar("test_name", 200)),
            varchar("code_system", 20),
            opt(varchar("loinc_code", 20)),
            varchar("placer_order_number", 100),
            opt(varchar("filler_order_number", 100)),
            varchar("status", 20),
            ts("updated_at"),
        ]
    },
    foreign_keys: &[("lab_order_id", "lab_orders")],
    unique: &[
        ("uq_lab_order_tests_placer", &["placer_order_number"]),
        ("uq_lab_order_tests_position", &["lab_order_id", "position"]),
    ],
    indexes: &[&["filler_order_number"]],
    ..EMPTY
};
