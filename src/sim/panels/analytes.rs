//! The tables: panels with what is measured in them, in adults.

/// A number or a word.
#[derive(Clone, Copy)]
pub(in crate::sim) enum Kind {
    /// A number.
    Number {
        /// Lower end of the reference range.
        low: Option<f64>,
        /// Its upper end.
        high: Option<f64>,
        /// What is drawn from: a little wider than the reference range, well inside the critical limits.
        usual: (f64, f64),
        /// A value beyond the critical limits.
        critical: Option<f64>,
        /// Digits after the point.
        decimals: usize,
    },
    /// A word.
    Finding {
        /// What most people have.
        expected: &'static str,
        /// What some have.
        other: &'static str,
    },
}

/// One thing that is measured.
pub(in crate::sim) struct Analyte {
    pub(super) local: &'static str,
    pub(super) loinc: &'static str,
    pub(super) name: &'static str,
    pub(super) units: &'static str,
    pub(super) kind: Kind,
}

/// What one order code stands for.
pub(in crate::sim) struct Panel {
    /// The code in the catalogue.
    pub(in crate::sim) code: &'static str,
    pub(super) name: &'static str,
    pub(super) loinc: &'static str,
    /// Reports local codes without LOINC, as many analyzers do.
    pub(super) local_only: bool,
    pub(super) analytes: &'static [Analyte],
}

const fn of(local: &'static str, loinc: &'static str, name: &'static str, units: &'static str) -> Analyte {
    let kind = Kind::Finding { expected: "Negative", other: "Trace" };
    Analyte { local, loinc, name, units, kind }
}

impl Analyte {
    const fn between(self, low: f64, high: f64, decimals: usize) -> Self {
        let margin = (high - low) * 0.12;
        let lowest = if low * 0.5 > low - margin { low * 0.5 } else { low - margin };
        let usual = (lowest, high + margin);
        let kind = Kind::Number { low: Some(low), high: Some(high), usual, critical: None, decimals };
        Self { kind, ..self }
    }

    const fn below(self, high: f64, decimals: usize) -> Self {
        let usual = (high * 0.4, high * 1.15);
        let kind = Kind::Number { low: None, high: Some(high), usual, critical: None, decimals };
        Self { kind, ..self }
    }

    const fn above(self, low: f64, decimals: usize) -> Self {
        let usual = (low * 0.85, low * 1.8);
        let kind = Kind::Number { low: Some(low), high: None, usual, critical: None, decimals };
        Self { kind, ..self }
    }

    const fn critical(self, value: f64) -> Self {
        let kind = match self.kind {
            Kind::Number { low, high, usual, decimals, .. } => {
                Kind::Number { low, high, usual, critical: Some(value), decimals }
            }
            word @ Kind::Finding { .. } => word,
        };
        Self { kind, ..self }
    }

    const fn finding(self, expected: &'static str, other: &'static str) -> Self {
        Self { kind: Kind::Finding { expected, other }, ..self }
    }
}

const GLUCOSE: Analyte = of("GLU", "2345-7", "Glucose", "mg/dL").between(70.0, 99.0, 0).critical(38.0);
const UREA: Analyte = of("BUN", "3094-0", "Urea nitrogen", "mg/dL").between(7.0, 20.0, 0);
const CREATININE: Analyte = of("CREA", "2160-0", "Creatinine", "mg/dL").between(0.6, 1.2, 2);
const SODIUM: Analyte = of("NA", "2951-2", "Sodium", "mmol/L").between(136.0, 145.0, 0).critical(117.0);
const POTASSIUM: Analyte = of("K", "2823-3", "Potassium", "mmol/L").between(3.5, 5.1, 1).critical(6.8);
const CHLORIDE: Analyte = of("CL", "2075-0", "Chloride", "mmol/L").between(98.0, 107.0, 0);
const CARBON_DIOXIDE: Analyte = of("CO2", "2028-9", "Carbon dioxide, total", "mmol/L").between(22.0, 29.0, 0);
const CALCIUM: Analyte = of("CA", "17861-6", "Calcium", "mg/dL").between(8.6, 10.3, 1).critical(5.6);

const CBC: &[Analyte] = &[
    of("WBC", "6690-2", "White blood cells", "10*3/uL").between(4.5, 11.0, 1).critical(1.4),
    of("RBC", "789-8", "Red blood cells", "10*6/uL").between(4.0, 5.5, 2),
    of("HGB", "718-7", "Hemoglobin", "g/dL").between(12.0, 16.0, 1).critical(5.4),
    of("HCT", "4544-3", "Hematocrit", "%").between(36.0, 47.0, 1),
    of("MCV", "787-2", "Mean corpuscular volume", "fL").between(80.0, 100.0, 1),
    of("MCH", "785-6", "Mean corpuscular hemoglobin", "pg").between(27.0, 33.0, 1),
    of("MCHC", "786-4", "Mean corpuscular hemoglobin concentration", "g/dL").between(32.0, 36.0, 1),
    of("RDW", "788-0", "Red cell distribution width", "%").between(11.5, 14.5, 1),
    of("PLT", "777-3", "Platelets", "10*3/uL").between(150.0, 400.0, 0).critical(14.0),
];

const BMP: &[Analyte] = &[GLUCOSE, UREA, CREATININE, SODIUM, POTASSIUM, CHLORIDE, CARBON_DIOXIDE, CALCIUM];

const CMP: &[Analyte] = &[
    GLUCOSE,
    UREA,
    CREATININE,
    SODIUM,
    POTASSIUM,
    CHLORIDE,
    CARBON_DIOXIDE,
    CALCIUM,
    of("TP", "2885-2", "Protein, total", "g/dL").between(6.0, 8.3, 1),
    of("ALB", "1751-7", "Albumin", "g/dL").between(3.5, 5.0, 1),
    of("TBIL", "1975-2", "Bilirubin, total", "mg/dL").between(0.1, 1.2, 1),
    of("ALP", "6768-6", "Alkaline phosphatase", "U/L").between(44.0, 147.0, 0),
    of("ALT", "1742-6", "Alanine aminotransferase", "U/L").between(7.0, 56.0, 0),
    of("AST", "1920-8", "Aspartate aminotransferase", "U/L").between(10.0, 40.0, 0),
];

/// Always with LOINC: a local GLU or WBC would be read as one of blood.
const URINALYSIS: &[Analyte] = &[
    of("UCOL", "5778-6", "Color of urine", "").finding("Yellow", "Amber"),
    of("UAPP", "5767-9", "Appearance of urine", "").finding("Clear", "Cloudy"),
    of("USG", "5811-5", "Specific gravity of urine", "").between(1.005, 1.030, 3),
    of("UPH", "5803-2", "pH of urine", "[pH]").between(5.0, 8.0, 1),
    of("UPRO", "20454-5", "Protein in urine", "").finding("Negative", "Trace"),
    of("UGLU", "25428-4", "Glucose in urine", "").finding("Negative", "1+"),
    of("UKET", "2514-8", "Ketones in urine", "").finding("Negative", "Trace"),
    of("UBLD", "5794-3", "Hemoglobin in urine", "").finding("Negative", "Trace"),
    of("UNIT", "5802-4", "Nitrite in urine", "").finding("Negative", "Positive"),
    of("ULEU", "5799-2", "Leukocyte esterase in urine", "").finding("Negative", "1+"),
];

const LIPIDS: &[Analyte] = &[
    of("CHOL", "2093-3", "Cholesterol", "mg/dL").below(200.0, 0),
    of("TRIG", "2571-8", "Triglycerides", "mg/dL").below(150.0, 0),
    of("HDL", "2085-9", "HDL cholesterol", "mg/dL").above(40.0, 0),
    of("LDL", "13457-7", "LDL cholesterol, calculated", "mg/dL").below(130.0, 0),
];

const COAGULATION: &[Analyte] = &[
    of("PT", "5902-2", "Prothrombin time", "s").between(11.0, 13.5, 1),
    of("INR", "6301-6", "INR", "{INR}").between(0.8, 1.2, 1).critical(6.8),
];

const THYROID: &[Analyte] = &[of("TSH", "3016-3", "Thyrotropin", "m[IU]/L").between(0.4, 4.5, 2)];
const GLYCATED: &[Analyte] = &[of("HBA1C", "4548-4", "Hemoglobin A1c", "%").between(4.0, 5.6, 1)];

const fn panel(
    code: &'static str,
    name: &'static str,
    loinc: &'static str,
    analytes: &'static [Analyte],
) -> Panel {
    Panel { code, name, loinc, local_only: false, analytes }
}

/// Every panel.
pub(in crate::sim) const PANELS: &[Panel] = &[
    panel("BMP", "Basic Metabolic Panel", "24321-2", BMP),
    Panel { local_only: true, ..panel("CBC", "Complete Blood Count", "58410-2", CBC) },
    panel("CMP", "Comprehensive Metabolic Panel", "24323-8", CMP),
    panel("UA", "Urinalysis", "24356-8", URINALYSIS),
    panel("TSH", "Thyroid Stimulating Hormone", "3016-3", THYROID),
    panel("HBA1C", "Hemoglobin A1c", "4548-4", GLYCATED),
    panel("LIPID", "Lipid Panel", "24331-1", LIPIDS),
    panel("PT_INR", "PT/INR", "34528-0", COAGULATION),
];
