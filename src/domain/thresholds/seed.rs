//! The rules a new installation starts with.

use super::{LOINC, Limit, PatientClass, ThresholdRule};
use crate::domain::value::Comparator::{self, Greater, GreaterOrEqual, Less, LessOrEqual};

type Bound = Option<(Comparator, f64)>;

/// One line of the table: the LOINC codes it holds for, unit, low, high, source. A row stands for everybody
/// unless a band says otherwise.
struct Row {
    analyte: &'static str,
    codes: &'static [&'static str],
    unit: &'static str,
    low: Bound,
    high: Bound,
    source: &'static str,
    age_days: Option<(i64, i64)>,
    class: Option<PatientClass>,
    positive: bool,
    enabled: bool,
}

const fn row(
    analyte: &'static str,
    codes: &'static [&'static str],
    unit: &'static str,
    limits: (Bound, Bound),
    source: &'static str,
) -> Row {
    let (low, high) = limits;
    Row {
        analyte,
        codes,
        unit,
        low,
        high,
        source,
        age_days: None,
        class: None,
        positive: false,
        enabled: true,
    }
}

impl Row {
    const fn aged(mut self, from: i64, to: i64) -> Self {
        self.age_days = Some((from, to));
        self
    }

    const fn outpatients(mut self) -> Self {
        self.class = Some(PatientClass::Outpatient);
        self
    }

    const fn any_positive(mut self) -> Self {
        self.positive = true;
        self
    }

    const fn off(mut self) -> Self {
        self.enabled = false;
        self
    }
}

const fn lt(value: f64) -> (Comparator, f64) {
    (Less, value)
}
const fn le(value: f64) -> (Comparator, f64) {
    (LessOrEqual, value)
}
const fn gt(value: f64) -> (Comparator, f64) {
    (Greater, value)
}
const fn ge(value: f64) -> (Comparator, f64) {
    (GreaterOrEqual, value)
}

const GLUCOSE: &[&str] = &["2345-7", "2339-0", "14749-6"];

/// The sources: ARUP CORP-APPEND-0104A (2024), Mayo CL 041647.009, University of Iowa
/// UN_CRIT_LAB_VAL, Main Line Health, Houston Methodist, Sunrise, Kost JAMA 1990.
const ROWS: &[Row] = &[
    row(
        "Potassium",
        &["2823-3", "6298-4"],
        "mmol/L",
        (Some(lt(2.8)), Some(gt(6.2))),
        "IOWA adults, K90 means",
    ),
    row("Sodium", &["2951-2"], "mmol/L", (Some(lt(120.0)), Some(gt(160.0))), "ARUP, IOWA"),
    row("Glucose", GLUCOSE, "mg/dL", (Some(lt(50.0)), Some(gt(450.0))), "IOWA"),
    row("Glucose, newborn", GLUCOSE, "mg/dL", (Some(lt(40.0)), Some(gt(300.0))), "IOWA, 0-1 month")
        .aged(0, 30),
    row("Haemoglobin", &["718-7"], "g/dL", (Some(le(7.0)), Some(ge(20.0))), "MLH"),
    row("Haemoglobin, newborn", &["718-7"], "g/dL", (Some(le(6.0)), Some(ge(24.0))), "MAYO, 0-7 weeks")
        .aged(0, 49),
    row("Haematocrit", &["4544-3", "20570-8"], "%", (Some(le(21.0)), Some(ge(65.0))), "ARUP"),
    row("Platelets", &["777-3"], "10*3/uL", (Some(le(20.0)), Some(ge(1000.0))), "ARUP"),
    row("Leukocytes", &["6690-2"], "10*3/uL", (Some(le(2.0)), Some(ge(40.0))), "ARUP"),
    row("Neutrophils", &["751-8"], "10*3/uL", (Some(le(0.5)), None), "MAYO"),
    row("INR", &["6301-6"], "{INR}", (None, Some(ge(5.0))), "ARUP, MAYO"),
    row("aPTT", &["14979-9"], "s", (None, Some(ge(85.0))), "ARUP"),
    row("Fibrinogen", &["3255-7"], "mg/dL", (Some(lt(100.0)), None), "ARUP"),
    row("Troponin I", &["10839-9"], "ng/mL", (None, Some(ge(0.30))), "ARUP, conventional assay"),
    // No number holds for every assay: the site sets its own and switches the rule on.
    row(
        "Troponin I, high sensitivity",
        &["89579-7"],
        "ng/L",
        (None, None),
        "assay specific, no consensus number",
    )
    .off(),
    row("Troponin T, high sensitivity", &["67151-1"], "ng/L", (None, Some(gt(100.0))), "IOWA, outpatients")
        .outpatients(),
    row("Lactate", &["2524-7", "32693-4"], "mmol/L", (None, Some(ge(5.0))), "ARUP, IOWA"),
    row("pH, arterial", &["2744-1"], "[pH]", (Some(le(7.20)), Some(ge(7.60))), "HM"),
    row("pCO2, arterial", &["2019-8"], "mm[Hg]", (Some(le(20.0)), Some(ge(60.0))), "ARUP, HM"),
    row("pO2, arterial", &["2703-7"], "mm[Hg]", (Some(le(40.0)), None), "ARUP"),
    row("Calcium, total", &["17861-6"], "mg/dL", (Some(lt(6.0)), Some(gt(13.0))), "ARUP, IOWA"),
    row("Calcium, ionised", &["1995-0", "1994-3"], "mmol/L", (Some(le(0.78)), Some(ge(1.58))), "ARUP"),
    row("Magnesium", &["19123-9"], "mg/dL", (Some(lt(1.0)), Some(gt(4.7))), "IOWA"),
    row("Phosphate", &["2777-1"], "mg/dL", (Some(lt(1.0)), Some(gt(9.0))), "ARUP"),
    row("CO2, total", &["2028-9", "1963-8"], "mmol/L", (Some(lt(10.0)), Some(gt(40.0))), "ARUP"),
    row("Chloride", &["2075-0"], "mmol/L", (Some(le(75.0)), Some(ge(121.0))), "HM"),
    row("Urea nitrogen", &["3094-0"], "mg/dL", (None, Some(gt(100.0))), "SUN"),
    // Most laboratories have no critical creatinine.
    row("Creatinine", &["2160-0"], "mg/dL", (None, Some(gt(7.5))), "SUN").off(),
    // Ages are calendar days: a child still in its first 24 hours can already be one day old, so the stricter
    // limit covers that day too.
    row("Bilirubin, first day", &["1975-2"], "mg/dL", (None, Some(gt(10.0))), "IOWA, 0-24 hours").aged(0, 1),
    row("Bilirubin, newborn", &["1975-2"], "mg/dL", (None, Some(gt(13.0))), "IOWA, 1-30 days").aged(2, 30),
    row("Digoxin", &["10535-3"], "ng/mL", (None, Some(ge(3.0))), "HM"),
    row("Lithium", &["14334-7"], "mmol/L", (None, Some(ge(1.51))), "HM"),
    row("Blood culture", &["600-7"], "", (None, None), "HM, any positive").any_positive(),
];

/// The rules of a new installation, version 1, one per LOINC code.
pub fn seed() -> Vec<ThresholdRule> {
    let lines = ROWS.iter().flat_map(|row| row.codes.iter().map(move |code| (row, *code)));
    lines.zip(1..).map(|((row, code), id)| rule(row, code, id)).collect()
}

fn rule(row: &Row, code: &str, id: i64) -> ThresholdRule {
    let limit = |bound: Bound| bound.map(|(comparator, value)| Limit { comparator, value });
    ThresholdRule {
        id,
        version: 1,
        code_system: LOINC.to_owned(),
        code: code.to_owned(),
        analyte: row.analyte.to_owned(),
        sex: None,
        age_from_days: row.age_days.map(|(from, _)| from),
        age_to_days: row.age_days.map(|(_, to)| to),
        patient_class: row.class,
        unit: Some(row.unit).filter(|unit| !unit.is_empty()).map(ToOwned::to_owned),
        low: limit(row.low),
        high: limit(row.high),
        positive: row.positive,
        enabled: row.enabled,
        source: row.source.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The check digit of LOINC (Luhn, mod 10).
    fn check_digit_holds(code: &str) -> bool {
        let (number, check) = code.split_once('-').unwrap();
        let sum: u32 = number
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, digit)| {
                let digit = u32::from(digit - b'0') * if i % 2 == 0 { 2 } else { 1 };
                digit / 10 + digit % 10
            })
            .sum();
        check == ((10 - sum % 10) % 10).to_string()
    }

    #[test]
    fn every_seeded_rule_can_be_stored_and_names_its_source() {
        for rule in seed() {
            assert_eq!(rule.faults(), [], "{}", rule.analyte);
            assert!(!rule.source.is_empty() && check_digit_holds(&rule.code), "{}", rule.code);
        }
    }

    /// Code, unit, low, high of the facts sheet; `@` opens the age band in days, `off` ends a line that is
    /// switched off.
    const SHEET: &str = "
        2823-3 mmol/L <2.8 >6.2
        6298-4 mmol/L <2.8 >6.2
        2951-2 mmol/L <120 >160
        2345-7 mg/dL <50 >450
        2339-0 mg/dL <50 >450
        14749-6 mg/dL <50 >450
        2345-7 mg/dL <40 >300 @0-30
        2339-0 mg/dL <40 >300 @0-30
        14749-6 mg/dL <40 >300 @0-30
        718-7 g/dL <=7 >=20
        718-7 g/dL <=6 >=24 @0-49
        4544-3 % <=21 >=65
        20570-8 % <=21 >=65
        777-3 10*3/uL <=20 >=1000
        6690-2 10*3/uL <=2 >=40
        751-8 10*3/uL <=0.5 -
        6301-6 {INR} - >=5
        14979-9 s - >=85
        3255-7 mg/dL <100 -
        10839-9 ng/mL - >=0.3
        89579-7 ng/L - - off
        67151-1 ng/L - >100
        2524-7 mmol/L - >=5
        32693-4 mmol/L - >=5
        2744-1 [pH] <=7.2 >=7.6
        2019-8 mm[Hg] <=20 >=60
        2703-7 mm[Hg] <=40 -
        17861-6 mg/dL <6 >13
        1995-0 mmol/L <=0.78 >=1.58
        1994-3 mmol/L <=0.78 >=1.58
        19123-9 mg/dL <1 >4.7
        2777-1 mg/dL <1 >9
        2028-9 mmol/L <10 >40
        1963-8 mmol/L <10 >40
        2075-0 mmol/L <=75 >=121
        3094-0 mg/dL - >100
        2160-0 mg/dL - >7.5 off
        1975-2 mg/dL - >10 @0-1
        1975-2 mg/dL - >13 @2-30
        10535-3 ng/mL - >=3
        14334-7 mmol/L - >=1.51
        600-7 - - -
    ";

    fn as_line(rule: &ThresholdRule) -> String {
        let bound = |limit: Option<Limit>| {
            limit.map_or("-".to_owned(), |limit| format!("{}{}", limit.comparator, limit.value))
        };
        let unit = rule.unit.as_deref().unwrap_or("-");
        let band = rule.age_from_days.zip(rule.age_to_days);
        let band = band.map_or(String::new(), |(from, to)| format!(" @{from}-{to}"));
        let off = if rule.enabled { "" } else { " off" };
        format!("{} {unit} {} {}{band}{off}", rule.code, bound(rule.low), bound(rule.high))
    }

    #[test]
    fn the_rules_are_those_of_the_facts_sheet() {
        let rules = seed();
        let lines: Vec<String> = rules.iter().map(as_line).collect();
        assert_eq!(lines, SHEET.trim().lines().map(str::trim).collect::<Vec<_>>());
        assert!(rules.iter().map(|rule| rule.id).eq(1..=42));
        assert!(rules.iter().all(|rule| rule.positive == (rule.code == "600-7")));
    }
}
