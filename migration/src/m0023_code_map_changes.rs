//! What the code maps said before: every change of an entry, never edited.

use crate::column::{big, id, int, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `code_map_changes`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0023_code_map_changes",
    table: "code_map_changes",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            varchar("local_code", 100),
            varchar("local_system", 50),
            int("version"),
            opt(varchar("loinc_code", 20)),
            opt(text("name")),
            varchar("changed_by", 100),
            ts("changed_at"),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    unique: &[("uq_code_map_changes_version", &["lis_endpoint_id", "local_system", "local_code", "version"])],
    ..EMPTY
};
