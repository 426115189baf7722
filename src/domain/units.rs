//! Units: which spellings mean the same, and which values may be converted into which.
//!
//! A threshold compares nothing it does not understand. An unknown unit is no unit, and a conversion between
//! mass and amount of substance exists only for the analyte whose molar mass it uses.

use super::spelling::spelled;

spelled! {
    /// What the conversions depend on. Analytes that need no factor of their own are not listed.
    pub enum Analyte {
        /// Sodium.
        Sodium = "sodium",
        /// Potassium.
        Potassium = "potassium",
        /// Chloride.
        Chloride = "chloride",
        /// Bicarbonate or total CO2.
        Bicarbonate = "bicarbonate",
        /// Lithium.
        Lithium = "lithium",
        /// Glucose.
        Glucose = "glucose",
        /// Calcium, total or ionised.
        Calcium = "calcium",
        /// Bilirubin.
        Bilirubin = "bilirubin",
        /// Creatinine.
        Creatinine = "creatinine",
        /// INR, which laboratories mostly send without a unit.
        Inr = "inr",
        /// pH, likewise.
        Ph = "ph",
    }
}

impl Analyte {
    /// The analyte of a LOINC code, for the codes this product seeds.
    pub fn of_loinc(code: &str) -> Option<Self> {
        Some(match code {
            "2951-2" => Self::Sodium,
            "2823-3" | "6298-4" => Self::Potassium,
            "2075-0" => Self::Chloride,
            "2028-9" | "1963-8" => Self::Bicarbonate,
            "14334-7" => Self::Lithium,
            "2345-7" | "2339-0" | "14749-6" => Self::Glucose,
            "17861-6" | "1995-0" | "1994-3" => Self::Calcium,
            "1975-2" => Self::Bilirubin,
            "2160-0" => Self::Creatinine,
            "6301-6" => Self::Inr,
            "2744-1" => Self::Ph,
            _ => return None,
        })
    }

    /// One positive or negative charge per particle: only then is mEq/L the same number as mmol/L.
    const fn is_monovalent(self) -> bool {
        matches!(self, Self::Sodium | Self::Potassium | Self::Chloride | Self::Bicarbonate | Self::Lithium)
    }

    /// Milligrams in a millimole.
    const fn mg_per_mmol(self) -> Option<f64> {
        match self {
            Self::Glucose => Some(180.16),
            Self::Calcium => Some(40.08),
            // Given as µmol/L per mg/dL: 17.1 and 88.4.
            Self::Bilirubin => Some(10_000.0 / 17.1),
            Self::Creatinine => Some(10_000.0 / 88.4),
            _ => None,
        }
    }
}

/// What a unit measures; only within one of these do factors alone convert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Mass,
    Substance,
    Equivalents,
    Count,
    Fraction,
    Time,
    Pressure,
    Inr,
    Acidity,
    Enzyme,
    Volume,
    CellMass,
}

/// A unit we understand, under its UCUM code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    code: &'static str,
    dimension: Dimension,
    /// Multiplies into the base unit of the dimension (g/L, mmol/L, 10*9/L, %, s, `mm[Hg]`, U/L, fL, pg).
    factor: f64,
}

impl Unit {
    /// The UCUM code.
    pub const fn code(self) -> &'static str {
        self.code
    }

    /// Reads a unit in any of its usual spellings; None when it is missing or not understood.
    pub fn parse(text: &str) -> Option<Self> {
        let key = key(text);
        UNITS
            .iter()
            .find(|(_, spellings)| spellings.split(' ').any(|spelling| spelling == key))
            .map(|(unit, _)| *unit)
    }

    /// Reads the unit of a result. INR and pH have no unit to speak of, so leaving it out there is no
    /// ambiguity; anywhere else it is.
    pub fn of_result(text: &str, analyte: Option<Analyte>) -> Option<Self> {
        let bare = matches!(key(text).as_str(), "" | "1" | "ratio" | "{ratio}");
        match analyte {
            Some(Analyte::Inr) if bare => Self::parse("{INR}"),
            Some(Analyte::Ph) if bare => Self::parse("[pH]"),
            _ => Self::parse(text),
        }
    }
}

/// Spellings differ in case, in the micro sign, in how a power of ten is written and in blanks; none of these
/// changes a meaning here.
fn key(text: &str) -> String {
    let mut key = String::with_capacity(text.len());
    for c in text.trim().chars().filter(|c| !c.is_whitespace()) {
        match c {
            'µ' | 'μ' => key.push('u'),
            '×' => key.push('x'),
            '³' => key.push_str("^3"),
            '⁶' => key.push_str("^6"),
            '⁹' => key.push_str("^9"),
            '¹' => key.push('1'),
            '²' => key.push('2'),
            other => key.extend(other.to_lowercase()),
        }
    }
    let power = key.strip_prefix('x').filter(|rest| rest.starts_with("10")).unwrap_or(&key);
    for spelled in ["10^", "10e+", "10e", "10exp", "10**"] {
        if let Some(exponent) = power.strip_prefix(spelled) {
            return format!("10*{}", exponent.trim_start_matches('0'));
        }
    }
    power.to_owned()
}

const fn unit(code: &'static str, dimension: Dimension, factor: f64) -> Unit {
    Unit { code, dimension, factor }
}

/// Each unit with its spellings as [`key`] leaves them.
const UNITS: &[(Unit, &str)] = &[
    (unit("g/L", Dimension::Mass, 1.0), "g/l gm/l mg/ml"),
    (unit("g/dL", Dimension::Mass, 10.0), "g/dl gm/dl gms/dl g% g/100ml"),
    (unit("mg/dL", Dimension::Mass, 0.01), "mg/dl mg% mg/100ml mgs/dl"),
    (unit("mg/L", Dimension::Mass, 1e-3), "mg/l ug/ml mcg/ml"),
    (unit("ug/dL", Dimension::Mass, 1e-5), "ug/dl mcg/dl"),
    (unit("ng/mL", Dimension::Mass, 1e-6), "ng/ml ug/l mcg/l"),
    (unit("ng/dL", Dimension::Mass, 1e-8), "ng/dl"),
    (unit("ng/L", Dimension::Mass, 1e-9), "ng/l pg/ml"),
    (unit("mol/L", Dimension::Substance, 1000.0), "mol/l"),
    (unit("mmol/L", Dimension::Substance, 1.0), "mmol/l mmoles/l mmol/liter"),
    (unit("umol/L", Dimension::Substance, 1e-3), "umol/l mcmol/l umoles/l"),
    (unit("nmol/L", Dimension::Substance, 1e-6), "nmol/l"),
    (unit("pmol/L", Dimension::Substance, 1e-9), "pmol/l"),
    (unit("meq/L", Dimension::Equivalents, 1.0), "meq/l meq/liter mval/l"),
    (
        unit("10*3/uL", Dimension::Count, 1.0),
        "10*3/ul 10*3/mcl 10*3/mm3 10*3/mm^3 10*3/cmm k/ul k/mcl k/mm3 k/cmm thou/ul thou/mcl thou/mm3 \
         th/ul thousand/ul 10*9/l gpt/l bil/l billion/l",
    ),
    (
        unit("10*6/uL", Dimension::Count, 1000.0),
        "10*6/ul 10*6/mcl 10*6/mm3 10*6/mm^3 10*6/cmm m/ul m/mcl m/mm3 mil/ul mill/ul million/ul \
         10*12/l tpt/l",
    ),
    (
        unit("/uL", Dimension::Count, 1e-3),
        "/ul /mcl /mm3 /cmm cells/ul cells/mcl cells/mm3 {cells}/ul 10*6/l",
    ),
    (unit("%", Dimension::Fraction, 1.0), "% percent pct vol%"),
    (unit("L/L", Dimension::Fraction, 100.0), "l/l"),
    (unit("s", Dimension::Time, 1.0), "s sec secs second seconds sec."),
    (unit("mm[Hg]", Dimension::Pressure, 1.0), "mm[hg] mmhg mm/hg torr"),
    (unit("kPa", Dimension::Pressure, 7.500_62), "kpa"),
    (unit("{INR}", Dimension::Inr, 1.0), "{inr} inr"),
    (unit("[pH]", Dimension::Acidity, 1.0), "[ph] ph phunits ph_units {ph}"),
    (unit("U/L", Dimension::Enzyme, 1.0), "u/l iu/l [iu]/l"),
    (unit("m[IU]/L", Dimension::Enzyme, 1e-3), "m[iu]/l miu/l uiu/ml u[iu]/ml mu/l uu/ml"),
    (unit("fL", Dimension::Volume, 1.0), "fl um3 um^3"),
    (unit("pg", Dimension::CellMass, 1.0), "pg"),
];

/// Converts a value, or says that it cannot be done. The comparator of the value stays valid: every factor is
/// positive.
pub fn convert(value: f64, from: Unit, to: Unit, analyte: Option<Analyte>) -> Option<f64> {
    if from.code == to.code {
        return Some(value);
    }
    let base = value * from.factor;
    let in_base = match (from.dimension, to.dimension) {
        (from, to) if from == to => base,
        (Dimension::Equivalents, Dimension::Substance) | (Dimension::Substance, Dimension::Equivalents)
            if analyte.is_some_and(Analyte::is_monovalent) =>
        {
            base
        }
        (Dimension::Mass, Dimension::Substance) => base * 1000.0 / analyte?.mg_per_mmol()?,
        (Dimension::Substance, Dimension::Mass) => base * analyte?.mg_per_mmol()? / 1000.0,
        _ => return None,
    };
    Some(tidy(in_base / to.factor)).filter(|converted| converted.is_finite())
}

/// Rounds to twelve significant digits. 4.5 g/L must be 450 mg/dL, not a hair above it, when the limit is
/// "above 450".
fn tidy(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn converted(value: f64, from: &str, to: &str, analyte: Option<Analyte>) -> Option<f64> {
        convert(value, Unit::parse(from)?, Unit::parse(to)?, analyte)
    }

    #[test]
    fn every_spelling_reads_as_its_unit_and_no_spelling_stands_twice() {
        let mut seen = std::collections::HashSet::new();
        for (unit, spellings) in UNITS {
            assert_eq!(Unit::parse(unit.code()).unwrap().code(), unit.code());
            for spelling in spellings.split(' ') {
                assert!(seen.insert(spelling), "{spelling} stands twice");
                assert_eq!(key(spelling), spelling, "{spelling} is not in normal form");
            }
        }
    }

    #[test]
    fn reads_the_spellings_of_the_field() {
        let table = [
            ("mEq/L", "meq/L"),
            ("MMOL/L", "mmol/L"),
            ("mg/dl", "mg/dL"),
            ("gm/dL", "g/dL"),
            ("10*9/L", "10*3/uL"),
            ("10^9/L", "10*3/uL"),
            ("x10^3/uL", "10*3/uL"),
            ("x10E3/µL", "10*3/uL"),
            ("10e09/L", "10*3/uL"),
            ("× 10³/μL", "10*3/uL"),
            ("K/uL", "10*3/uL"),
            ("M/uL", "10*6/uL"),
            ("cells/mm3", "/uL"),
            ("%", "%"),
            ("ng/mL", "ng/mL"),
            ("ug/L", "ng/mL"),
            ("sec", "s"),
            ("mmHg", "mm[Hg]"),
            ("INR", "{INR}"),
        ];
        for (spelling, code) in table {
            assert_eq!(Unit::parse(spelling).map(Unit::code), Some(code), "{spelling}");
        }
        for unknown in ["", "mg", "furlong", "mg/24h", "ratio", "mmol", "g/dLx", "10*4/uL"] {
            assert!(Unit::parse(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn inr_and_ph_need_no_unit_and_nothing_else_goes_without() {
        assert_eq!(Unit::of_result("", Some(Analyte::Inr)).unwrap().code(), "{INR}");
        assert_eq!(Unit::of_result(" ratio", Some(Analyte::Inr)).unwrap().code(), "{INR}");
        assert_eq!(Unit::of_result("", Some(Analyte::Ph)).unwrap().code(), "[pH]");
        assert!(Unit::of_result("", Some(Analyte::Potassium)).is_none());
        assert!(Unit::of_result("", None).is_none());
        assert!(Unit::of_result("%", Some(Analyte::Inr)).is_some_and(|unit| unit.code() == "%"));
    }

    #[test]
    fn converts_as_the_facts_sheet_says() {
        let table = [
            (6.8, "mEq/L", "mmol/L", Some(Analyte::Potassium), 6.8),
            (180.16, "mg/dL", "mmol/L", Some(Analyte::Glucose), 10.0),
            (25.0, "mmol/L", "mg/dL", Some(Analyte::Glucose), 450.4),
            (4.008, "mg/dL", "mmol/L", Some(Analyte::Calcium), 1.0),
            (171.0, "umol/L", "mg/dL", Some(Analyte::Bilirubin), 10.0),
            (663.0, "umol/L", "mg/dL", Some(Analyte::Creatinine), 7.5),
            (70.0, "g/L", "g/dL", None, 7.0),
            (20.0, "10*9/L", "10*3/uL", None, 20.0),
            (20_000.0, "/uL", "10*3/uL", None, 20.0),
            (0.65, "L/L", "%", None, 65.0),
            (4.5, "g/L", "mg/dL", None, 450.0),
            (100.0, "pg/mL", "ng/L", None, 100.0),
            (8.0, "kPa", "mm[Hg]", None, 60.004_96),
        ];
        for (value, from, to, analyte, expected) in table {
            let actual = converted(value, from, to, analyte).unwrap();
            assert!((actual - expected).abs() < 1e-9, "{value} {from} -> {actual} {to}, not {expected}");
        }
    }

    #[test]
    fn conversion_leaves_no_dust_behind_a_limit() {
        for (value, from, to, expected) in
            [(0.29, "L/L", "%", "29"), (0.57, "L/L", "%", "57"), (4.5, "g/L", "mg/dL", "450")]
        {
            assert_eq!(converted(value, from, to, None).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn refuses_what_would_be_a_guess() {
        let table = [
            (5.0, "mEq/L", "mmol/L", Some(Analyte::Calcium)),
            (5.0, "mEq/L", "mmol/L", None),
            (100.0, "mg/dL", "mmol/L", Some(Analyte::Potassium)),
            (100.0, "mg/dL", "mmol/L", None),
            (5.0, "%", "g/dL", None),
            (5.0, "U/L", "mg/dL", Some(Analyte::Glucose)),
            (5.0, "fL", "pg", None),
        ];
        for (value, from, to, analyte) in table {
            assert_eq!(converted(value, from, to, analyte), None, "{from} -> {to} {analyte:?}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_where_one_started(
            value in 0.001..10_000.0_f64,
            from in 0..UNITS.len(),
            to in 0..UNITS.len(),
        ) {
            let (from, to) = (UNITS[from].0, UNITS[to].0);
            for analyte in Analyte::ALL.iter().copied().map(Some).chain([None]) {
                let Some(there) = convert(value, from, to, analyte) else { continue };
                let back = convert(there, to, from, analyte).unwrap();
                prop_assert!((back - value).abs() <= value * 1e-9);
            }
        }

        #[test]
        fn any_text_is_safe(text in ".{0,30}") {
            let _ = Unit::parse(&text);
        }
    }
}
