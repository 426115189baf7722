//! Local codes of laboratories that lead to no LOINC yet: a worklist.

use crate::column::{big, id, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `unmapped_codes`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0022_unmapped_codes",
    table: "unmapped_codes",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            varchar("local_code", 100),
            or(varchar("local_system", 50), ""),
            opt(text("name")),
            opt(text("units")),
            big("hl7_message_id"),
            ts("first_seen_at"),
            ts("last_seen_at"),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints"), ("hl7_message_id", "hl7_messages")],
    unique: &[("uq_unmapped_codes_local", &["lis_endpoint_id", "local_system", "local_code"])],
    ..EMPTY
};
