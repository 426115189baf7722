//! Orders know who sent them, where that was not one of our own, and what only imaging needs.

use crate::add_columns::AddColumns;
use crate::column::{big, json, opt};

/// Adds the source to `lab_orders`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0033_order_sources",
    table: "lab_orders",
    columns: || vec![opt(big("source_endpoint_id")), opt(json("imaging"))],
    indexes: &[],
};
