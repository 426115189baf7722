//! Alarms about LIS endpoints, one row from when the trouble was found to when it was over.

use crate::column::{big, id, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates the table, with a key that lets one alarm of a kind be open for an endpoint, whichever process opens it.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0051_endpoint_alarms",
    table: "endpoint_alarms",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            varchar("kind", 20),
            ts("since"),
            opt(big("usual_gap_seconds")),
            big("limit_seconds"),
            ts("opened_at"),
            opt(ts("closed_at")),
            opt(varchar("closed_reason", 20)),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    unique_among: &[("uq_endpoint_alarms_open", &["lis_endpoint_id", "kind"], "closed_at IS NULL")],
    indexes: &[&["lis_endpoint_id", "id"]],
    partial: &[(&["id"], "closed_at IS NULL")],
    ..EMPTY
};
