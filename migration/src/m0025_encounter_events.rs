//! Visits know when they were last told of.

use crate::add_columns::AddColumns;
use crate::column::{opt, ts};

/// Adds the time of the newest event to `encounters`.
pub(crate) const STEP: AddColumns = AddColumns {
    name: "m0025_encounter_events",
    table: "encounters",
    columns: || vec![opt(ts("last_event_at"))],
    indexes: &[],
};
