//! Leniencies that a strict profile refuses: missing required fields, wrong data types, unknown codes.

use crate::hl7::{ErrorCode, Fault, Warning};

/// The faults among the leniencies used, one for each.
pub(super) fn faults(warnings: &[Warning]) -> Vec<Fault> {
    let fault = |warning: &Warning| {
        let fault = Fault::new(code(warning.code)?, "the profile of this sender is strict");
        Some(match warning.location {
            Some(location) => fault.at(location),
            None => fault,
        })
    };
    warnings.iter().filter_map(fault).collect()
}

/// What a leniency is in table 0357; none for those that concern framing and layout, where nothing of the content is in
/// doubt.
fn code(warning: &str) -> Option<ErrorCode> {
    match warning {
        "status_missing" | "obx2_missing" | "obx3_missing" | "pid_missing" => {
            Some(ErrorCode::RequiredFieldMissing)
        }
        "not_a_number" | "number_lenient" | "document_unreadable" | "escape_unknown" | "obx2_components" => {
            Some(ErrorCode::DataType)
        }
        "status_unknown" | "status_from_obx10" | "status_from_obr24" | "code_in_alternate"
        | "charset_unknown" | "charset_not_ascii" => Some(ErrorCode::TableValueNotFound),
        "not_a_segment" | "line_break_in_field" | "orc_without_obr" | "note_without_owner" => {
            Some(ErrorCode::SegmentSequence)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_judged_and_layout_is_not() {
        let warnings = ["status_missing", "not_a_number", "status_unknown", "line_ends", "bom"];
        let found = faults(&warnings.map(Warning::new));
        let codes: Vec<u16> = found.iter().map(|fault| fault.code.number()).collect();
        assert_eq!(codes, [101, 102, 103]);
    }
}
