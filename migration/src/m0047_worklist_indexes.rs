//! Indexes of the questions that the worklists ask.

use crate::add_indexes::AddIndexes;

/// Adds the indexes.
pub(crate) const STEP: AddIndexes = AddIndexes {
    name: "m0047_worklist_indexes",
    indexes: &[
        ("lab_orders", &["lis_endpoint_id", "status", "id"], ""),
        ("lab_orders", &["resulted_at"], "resulted_at IS NOT NULL"),
        ("lab_order_tests", &["updated_at"], "status IN ('cancelled', 'rejected')"),
        // Of most senders every report answers an order, and their reports are not in it.
        ("lab_reports", &["lis_endpoint_id", "id"], "lab_order_id IS NULL"),
    ],
};
