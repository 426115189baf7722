//! Endpoints remember the entry of the operator's file that they were last imported from.

use crate::add_columns::AddColumns;
use crate::column::{opt, text};

/// Adds the entry to `lis_endpoints`. As text and not as JSON: PostgreSQL would write numbers in its own way, and the entry
/// is compared with what stands in the file.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0052_endpoint_imports",
    table: "lis_endpoints",
    columns: || vec![opt(text("imported_entry"))],
    indexes: &[],
};
