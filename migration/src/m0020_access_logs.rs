//! Who did what to which record; rows are only added.

use crate::column::{big, id, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `access_logs`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0020_access_logs",
    table: "access_logs",
    columns: || {
        vec![
            id(),
            big("user_id"),
            varchar("username", 100),
            varchar("role", 30),
            varchar("action", 60),
            varchar("resource_type", 40),
            opt(text("resource_id")),
            opt(big("patient_id")),
            varchar("outcome", 20),
            opt(text("purpose")),
            opt(varchar("source_ip", 45)),
            varchar("request_id", 64),
            opt(text("detail")),
            ts("at"),
        ]
    },
    indexes: &[&["patient_id", "id"], &["username", "id"], &["at"]],
    ..EMPTY
};
