//! An index from a message to those that repeat it, correct it or pass on what it told.

use crate::add_indexes::AddIndexes;

/// Adds the index.
pub(crate) const STEP: AddIndexes = AddIndexes {
    name: "m0053_passed_on_messages",
    indexes: &[("hl7_messages", &["original_message_id"], "original_message_id IS NOT NULL")],
};
