//! Tests that can be ordered.

use crate::column::{flag, id, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `test_catalog`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0017_test_catalog",
    table: "test_catalog",
    columns: || {
        vec![
            id(),
            varchar("code", 50),
            varchar("name", 200),
            opt(varchar("loinc_code", 20)),
            opt(text("loinc_name")),
            json("members"),
            or(flag("active"), true),
            ts("created_at"),
            ts("updated_at"),
        ]
    },
    unique: &[("uq_test_catalog_code", &["code"])],
    ..EMPTY
};
