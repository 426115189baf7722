//! What stands in `Debug` output where a patient's data would.

use std::fmt;

/// Prints `[phi]`. Types that hold patient data name their fields in `Debug` but not the contents, because
/// `Debug` ends up in logs.
pub(crate) struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[phi]")
    }
}
