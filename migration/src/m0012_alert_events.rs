//! What the event stream replays, with ids in commit order.

use crate::column::{big, id, json, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `alert_events`.
pub(crate) const STEP: CreateTable = CreateTable {
    name: "m0012_alert_events",
    table: "alert_events",
    columns: || {
        vec![
            id(),
            varchar("kind", 40),
            opt(big("alert_id")),
            opt(big("patient_id")),
            opt(big("lab_order_id")),
            json("payload"),
            ts("created_at"),
        ]
    },
    foreign_keys: &[("alert_id", "critical_alerts")],
    ..EMPTY
};
