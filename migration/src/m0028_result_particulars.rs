//! How a result came about, and what tells two documents apart.

use crate::add_columns::AddColumns;
use crate::column::{json, opt, varchar};

/// Extends `lab_results`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0028_result_particulars",
    table: "lab_results",
    columns: || vec![opt(json("particulars")), opt(varchar("document_hash", 64))],
    indexes: &[],
};
