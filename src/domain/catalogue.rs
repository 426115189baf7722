//! The tests a clinic orders, and what the usual local codes mean in LOINC.
//!
//! This material contains content from LOINC (<http://loinc.org>), copyright Regenstrief Institute, Inc. and
//! the LOINC Committee, available at no cost under the license at <http://loinc.org/license>.

/// An orderable test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueTest {
    /// The local code.
    pub code: &'static str,
    /// The name clinicians know.
    pub name: &'static str,
    /// The LOINC code of the order.
    pub loinc: &'static str,
    /// Its LOINC name.
    pub loinc_name: &'static str,
    /// The observations that usually come back (LOINC). Empty where every laboratory has its own list; then
    /// none is ever missed.
    pub members: &'static [&'static str],
}

/// The eight tests of a new installation.
pub const TESTS: [CatalogueTest; 8] = [
    CatalogueTest {
        code: "CBC",
        name: "Complete Blood Count",
        loinc: "58410-2",
        loinc_name: "CBC panel - Blood by Automated count",
        members: &["6690-2", "789-8", "718-7", "4544-3", "787-2", "785-6", "786-4", "788-0", "777-3"],
    },
    CatalogueTest {
        code: "BMP",
        name: "Basic Metabolic Panel",
        loinc: "24321-2",
        loinc_name: "Basic metabolic 2000 panel - Serum or Plasma",
        members: &["2345-7", "3094-0", "2160-0", "2951-2", "2823-3", "2075-0", "2028-9", "17861-6"],
    },
    CatalogueTest {
        code: "CMP",
        name: "Comprehensive Metabolic Panel",
        loinc: "24323-8",
        loinc_name: "Comprehensive metabolic 2000 panel - Serum or Plasma",
        members: &[
            "2345-7", "3094-0", "2160-0", "2951-2", "2823-3", "2075-0", "2028-9", "17861-6", "2885-2",
            "1751-7", "1975-2", "6768-6", "1742-6", "1920-8",
        ],
    },
    CatalogueTest {
        code: "UA",
        name: "Urinalysis",
        loinc: "24356-8",
        loinc_name: "Urinalysis complete panel - Urine",
        members: &[],
    },
    CatalogueTest {
        code: "TSH",
        name: "Thyroid Stimulating Hormone",
        loinc: "3016-3",
        loinc_name: "Thyrotropin [Units/volume] in Serum or Plasma",
        members: &["3016-3"],
    },
    CatalogueTest {
        code: "HBA1C",
        name: "Hemoglobin A1c",
        loinc: "4548-4",
        loinc_name: "Hemoglobin A1c/Hemoglobin.total in Blood",
        members: &["4548-4"],
    },
    CatalogueTest {
        code: "LIPID",
        name: "Lipid Panel",
        loinc: "24331-1",
        loinc_name: "Lipid 1996 panel - Serum or Plasma",
        members: &["2093-3", "2571-8", "2085-9", "13457-7"],
    },
    CatalogueTest {
        code: "PT_INR",
        name: "PT/INR",
        loinc: "34528-0",
        loinc_name: "PT panel - Platelet poor plasma by Coagulation assay",
        members: &["5902-2", "6301-6"],
    },
];

/// Finds an orderable test by its local code, in any case.
pub fn find(code: &str) -> Option<&'static CatalogueTest> {
    TESTS.iter().find(|test| test.code.eq_ignore_ascii_case(code.trim()))
}

/// What a local code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalCode {
    /// As laboratories send it.
    pub code: &'static str,
    /// LOINC.
    pub loinc: &'static str,
    /// For readers.
    pub name: &'static str,
}

const fn local(code: &'static str, loinc: &'static str, name: &'static str) -> LocalCode {
    LocalCode { code, loinc, name }
}

/// The map of a new installation; every site edits its own. Codes whose specimen or assay cannot be told from
/// the code (PH, PO2, PCO2, the troponins) are left out: under the wrong LOINC a result meets the wrong
/// limits.
pub const LOCAL_CODES: &[LocalCode] = &[
    local("WBC", "6690-2", "White blood cells"),
    local("RBC", "789-8", "Red blood cells"),
    local("HGB", "718-7", "Hemoglobin"),
    local("HB", "718-7", "Hemoglobin"),
    local("HCT", "4544-3", "Hematocrit"),
    local("MCV", "787-2", "Mean corpuscular volume"),
    local("MCH", "785-6", "Mean corpuscular hemoglobin"),
    local("MCHC", "786-4", "Mean corpuscular hemoglobin concentration"),
    local("RDW", "788-0", "Red cell distribution width"),
    local("PLT", "777-3", "Platelets"),
    local("ANC", "751-8", "Neutrophils, absolute"),
    local("K", "2823-3", "Potassium"),
    local("NA", "2951-2", "Sodium"),
    local("CL", "2075-0", "Chloride"),
    local("CO2", "2028-9", "Carbon dioxide, total"),
    local("HCO3", "1963-8", "Bicarbonate"),
    local("GLU", "2345-7", "Glucose"),
    local("GLUC", "2345-7", "Glucose"),
    local("BUN", "3094-0", "Urea nitrogen"),
    local("CREA", "2160-0", "Creatinine"),
    local("CREAT", "2160-0", "Creatinine"),
    local("CA", "17861-6", "Calcium"),
    local("ICA", "1995-0", "Calcium, ionized"),
    local("MG", "19123-9", "Magnesium"),
    local("PHOS", "2777-1", "Phosphate"),
    local("TP", "2885-2", "Protein, total"),
    local("ALB", "1751-7", "Albumin"),
    local("TBIL", "1975-2", "Bilirubin, total"),
    local("ALP", "6768-6", "Alkaline phosphatase"),
    local("ALT", "1742-6", "Alanine aminotransferase"),
    local("AST", "1920-8", "Aspartate aminotransferase"),
    local("LACT", "2524-7", "Lactate"),
    local("TSH", "3016-3", "Thyrotropin"),
    local("FT4", "3024-7", "Thyroxine, free"),
    local("HBA1C", "4548-4", "Hemoglobin A1c"),
    local("A1C", "4548-4", "Hemoglobin A1c"),
    local("CHOL", "2093-3", "Cholesterol"),
    local("TRIG", "2571-8", "Triglycerides"),
    local("HDL", "2085-9", "HDL cholesterol"),
    local("LDL", "13457-7", "LDL cholesterol, calculated"),
    local("PT", "5902-2", "Prothrombin time"),
    local("INR", "6301-6", "INR"),
    local("APTT", "14979-9", "Partial thromboplastin time"),
    local("PTT", "14979-9", "Partial thromboplastin time"),
    local("FIB", "3255-7", "Fibrinogen"),
    local("DIG", "10535-3", "Digoxin"),
    local("LI", "14334-7", "Lithium"),
];

/// The meaning of a local code within an order. In a urinalysis GLU, WBC and their like are findings in
/// urine, which the map of a blood count would give limits they must not have.
pub fn local_code(code: &str, service_code: Option<&str>) -> Option<&'static LocalCode> {
    if service_code.is_some_and(is_urine) {
        return None;
    }
    LOCAL_CODES.iter().find(|local| local.code.eq_ignore_ascii_case(code.trim()))
}

fn is_urine(service_code: &str) -> bool {
    matches!(service_code.trim().to_ascii_uppercase().as_str(), "UA" | "24356-8" | "24357-6")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::thresholds;

    #[test]
    fn codes_are_unique_and_found_in_any_case() {
        let codes: HashSet<&str> = TESTS.iter().map(|test| test.code).collect();
        assert_eq!(codes.len(), 8);
        assert_eq!(find(" cbc ").unwrap().loinc, "58410-2");
        assert!(find("XYZ").is_none());
        let locals: HashSet<&str> = LOCAL_CODES.iter().map(|local| local.code).collect();
        assert_eq!(locals.len(), LOCAL_CODES.len());
    }

    #[test]
    fn the_guides_sample_can_be_read() {
        for (code, loinc) in
            [("WBC", "6690-2"), ("RBC", "789-8"), ("HGB", "718-7"), ("PLT", "777-3"), ("K", "2823-3")]
        {
            assert_eq!(local_code(code, Some("CBC")).unwrap().loinc, loinc);
        }
        assert_eq!(local_code("k", None).unwrap().name, "Potassium");
    }

    #[test]
    fn findings_in_urine_are_not_findings_in_blood() {
        assert!(local_code("GLU", Some("UA")).is_none());
        assert!(local_code("WBC", Some("24356-8")).is_none());
    }

    #[test]
    fn every_member_that_has_limits_can_meet_them() {
        let ruled: HashSet<String> = thresholds::seed().into_iter().map(|rule| rule.code).collect();
        for panel in ["CBC", "BMP"] {
            let met = find(panel).unwrap().members.iter().filter(|member| ruled.contains(**member)).count();
            assert!(met >= 4, "{panel}");
        }
        let mapped: HashSet<&str> = LOCAL_CODES.iter().map(|local| local.loinc).collect();
        for member in TESTS.iter().flat_map(|test| test.members) {
            assert!(mapped.contains(member), "{member} has no local code");
        }
    }
}
