//! Endpoints know what their laboratory calls our tests when it is asked for them.

use crate::add_columns::AddColumns;
use crate::column::{json, opt};

/// Adds the map to `lis_endpoints`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0036_endpoint_code_maps",
    table: "lis_endpoints",
    columns: || vec![opt(json("code_map"))],
    indexes: &[],
};
