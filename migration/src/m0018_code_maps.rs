//! Local codes of laboratories and the LOINC they mean.

use crate::column::{big, id, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `code_maps`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0018_code_maps",
    table: "code_maps",
    columns: || {
        vec![
            id(),
            or(big("lis_endpoint_id"), 0_i64),
            varchar("local_code", 100),
            or(varchar("local_system", 50), ""),
            varchar("loinc_code", 20),
            opt(text("name")),
            ts("created_at"),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    unique: &[("uq_code_maps_local", &["lis_endpoint_id", "local_system", "local_code"])],
    ..EMPTY
};
