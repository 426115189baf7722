//! Keys of machines that hand in messages by HTTP.

use crate::column::{big, id, opt, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `api_keys`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0024_api_keys",
    table: "api_keys",
    columns: || {
        vec![
            id(),
            text("name"),
            varchar("prefix", 20),
            varchar("key_hash", 64),
            opt(big("lis_endpoint_id")),
            varchar("created_by", 100),
            ts("created_at"),
            opt(ts("last_used_at")),
            opt(ts("revoked_at")),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    unique: &[("uq_api_keys_prefix", &["prefix"])],
    ..EMPTY
};
