#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::domain::thresholds::{Limit, seed};

struct Case {
    code: (&'static str, &'static str),
    status: ResultStatus,
    value: &'static str,
    units: Option<&'static str>,
    flags: &'static [&'static str],
    coded: bool,
    subject: Subject,
}

const ADULT: Subject =
    Subject { age_days: Some(40 * 365), sex: Sex::Female, class: Some(PatientClass::Outpatient) };

fn loinc(code: &'static str, value: &'static str, units: &'static str) -> Case {
    Case {
        code: ("LN", code),
        status: ResultStatus::Final,
        value,
        units: Some(units).filter(|u| !u.is_empty()),
        flags: &[],
        coded: false,
        subject: ADULT,
    }
}

impl Case {
    fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    fn age(self, age_days: Option<i64>) -> Self {
        Self { subject: Subject { age_days, ..self.subject }, ..self }
    }

    fn status(self, status: ResultStatus) -> Self {
        Self { status, ..self }
    }

    fn assess_by(&self, rules: &[ThresholdRule]) -> Assessment {
        let number = Quantity::parse(self.value);
        let codes =
            [CodeRef { system: "L", code: "LOCAL" }, CodeRef { system: self.code.0, code: self.code.1 }];
        let flags: Vec<String> = self.flags.iter().map(ToString::to_string).collect();
        let facts = Facts {
            test_name: "Test",
            codes: &codes,
            status: self.status,
            number: number.as_ref(),
            text: self.value,
            is_coded: self.coded,
            units: self.units,
            flags: &flags,
        };
        assess(&facts, &self.subject, rules, &CriticalFlags::default())
    }

    fn assess(&self) -> Assessment {
        self.assess_by(&seed())
    }
}

fn check(cases: Vec<(Case, ThresholdStatus)>) {
    for (case, expected) in cases {
        let assessment = case.assess();
        assert_eq!(assessment.threshold_status, expected, "{} {} {:?}", case.code.1, case.value, case.units);
        assert_eq!(
            assessment.critical,
            expected == ThresholdStatus::Critical,
            "{} {}",
            case.code.1,
            case.value
        );
    }
}

use ThresholdStatus::{Critical, NoRule, NotCritical, NotEvaluated as Unjudged};

#[test]
fn the_guides_potassium_is_critical_twice_and_says_why() {
    let assessment = loinc("2823-3", "6.8", "mEq/L").flags(&["HH"]).assess();
    assert!(assessment.critical && assessment.abnormal);
    let texts: Vec<&str> = assessment.reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "LIS flag HH",
            "Test 6.8 mEq/L (= 6.8 mmol/L) > 6.2 mmol/L; rule #1 v1, source IOWA adults, K90 means"
        ]
    );
    assert_eq!(assessment.reasons[1].rule_id, Some(1));
    assert!(!format!("{assessment:?}").contains("6.8"));
    let json = serde_json::to_value(&assessment).unwrap();
    assert_eq!(
        json["reasons"][0],
        serde_json::json!({"kind": "lis_flag", "text": "LIS flag HH", "flag": "HH"})
    );
}

#[test]
fn limits_are_met_on_their_own_terms() {
    check(vec![
        (loinc("2823-3", "6.2", "mmol/L"), NotCritical),
        (loinc("2823-3", "6.21", "mmol/L"), Critical),
        (loinc("2823-3", "2.8", "mmol/L"), NotCritical),
        (loinc("2823-3", "2.79", "mmol/L"), Critical),
        (loinc("718-7", "7.0", "g/dL"), Critical),
        (loinc("718-7", "7.1", "g/dL"), NotCritical),
        (loinc("718-7", "70", "g/L"), Critical),
        (loinc("777-3", "20", "10*9/L"), Critical),
        (loinc("777-3", "250", "K/uL"), NotCritical),
        (loinc("777-3", "250,000", "/uL"), NotCritical),
        (loinc("2345-7", "25.1", "mmol/L"), Critical),
        (loinc("2345-7", "5.5", "mmol/L"), NotCritical),
        (loinc("2345-7", "450", "mg/dL"), NotCritical),
        (loinc("2345-7", "4.5", "g/L"), NotCritical),
        (loinc("6301-6", "5.2", ""), Critical),
        (loinc("2160-0", "9", "mg/dL"), NoRule),
        (loinc("89579-7", "5000", "ng/L"), NoRule),
        (loinc("785-6", "30", "pg"), NoRule),
    ]);
}

#[test]
fn what_cannot_be_judged_is_said_to_be_so() {
    let table = [
        (loinc("2823-3", "6.8", ""), NotEvaluated::Unit),
        (loinc("2823-3", "6.8", "furlong"), NotEvaluated::Unit),
        (loinc("2823-3", "26", "mg/dL"), NotEvaluated::Unit),
        (loinc("1995-0", "2.5", "mEq/L"), NotEvaluated::Unit),
        (loinc("2823-3", "HEMOLYZED", "mmol/L"), NotEvaluated::NotNumeric),
        (loinc("2823-3", "", "mmol/L"), NotEvaluated::NoValue),
        (loinc("2823-3", "6.8", "mmol/L").status(ResultStatus::NotObtainable), NotEvaluated::NoValue),
        (loinc("2823-3", "6.8", "mmol/L").status(ResultStatus::NotAsked), NotEvaluated::NoValue),
        (loinc("2823-3", "6.8", "mmol/L").status(ResultStatus::PostedWrong), NotEvaluated::NoValue),
        (loinc("2823-3", ">3.0", "mmol/L"), NotEvaluated::Straddles),
        (loinc("1975-2", "15", "mg/dL").age(None), NotEvaluated::AgeUnknown),
        (loinc("1975-2", "15", "mg/dL").age(Some(-1)), NotEvaluated::AgeUnknown),
    ];
    for (case, cause) in table {
        let assessment = case.assess();
        assert_eq!((assessment.critical, assessment.threshold_status), (false, Unjudged), "{}", case.value);
        assert_eq!(assessment.reasons[0].not_evaluated, Some(cause), "{}", case.value);
    }
    assert!(
        loinc("2823-3", "6.8", "furlong").assess().reasons[0]
            .text
            .contains("unit furlong cannot be compared with mmol/L")
    );
}

#[test]
fn a_bound_is_critical_only_when_all_of_it_is() {
    check(vec![
        (loinc("2823-3", ">7.0", "mmol/L"), Critical),
        (loinc("2823-3", ">6.2", "mmol/L"), Critical),
        (loinc("2823-3", ">=6.2", "mmol/L"), Critical),
        (loinc("2823-3", "<2.5", "mmol/L"), Critical),
        (loinc("2823-3", "<3.5", "mmol/L"), Unjudged),
        (loinc("10839-9", "<0.01", "ng/mL"), NotCritical),
        (loinc("10839-9", "<0.30", "ng/mL"), NotCritical),
        (loinc("10839-9", "<=0.30", "ng/mL"), Unjudged),
        (loinc("10839-9", ">50", "ng/mL"), Critical),
        (loinc("2345-7", "600", "mg/dL").flags(&[">"]), Critical),
        (loinc("2345-7", "400", "mg/dL").flags(&[">"]), Unjudged),
        (loinc("10839-9", "0.01", "ng/mL").flags(&["<"]), NotCritical),
    ]);
}

#[test]
fn ages_choose_their_own_limits() {
    check(vec![
        (loinc("718-7", "21", "g/dL").age(Some(3)), NotCritical),
        (loinc("718-7", "21", "g/dL").age(Some(50)), Critical),
        (loinc("718-7", "21", "g/dL").age(None), Critical),
        (loinc("718-7", "21", "g/dL").age(Some(-4)), Critical),
        (loinc("2345-7", "45", "mg/dL").age(Some(3)), NotCritical),
        (loinc("2345-7", "45", "mg/dL"), Critical),
        (loinc("1975-2", "11", "mg/dL").age(Some(0)), Critical),
        (loinc("1975-2", "11", "mg/dL").age(Some(1)), Critical),
        (loinc("1975-2", "11", "mg/dL").age(Some(2)), NotCritical),
        (loinc("1975-2", "13.5", "mg/dL").age(Some(30)), Critical),
        (loinc("1975-2", "20", "mg/dL"), NoRule),
    ]);
    let assumed = |case: Case| case.assess().reasons[0].assumptions.clone();
    assert_eq!(assumed(loinc("718-7", "21", "g/dL").age(None)), [Assumption::AgeUnknown]);
    assert_eq!(assumed(loinc("2823-3", "7", "mmol/L").age(Some(3000))), [Assumption::AdultLimitsForChild]);
    assert_eq!(assumed(loinc("2823-3", "7", "mmol/L")), []);
}

#[test]
fn sex_and_class_exclude_only_when_known() {
    let mut rules = seed();
    let rule = rules.iter_mut().find(|rule| rule.code == "2951-2").unwrap();
    (rule.sex, rule.high) = (Some(Sex::Male), Some(Limit { comparator: Comparator::Greater, value: 150.0 }));
    let with = |sex| Case { subject: Subject { sex, ..ADULT }, ..loinc("2951-2", "155", "mmol/L") };
    assert_eq!(with(Sex::Female).assess_by(&rules).threshold_status, NoRule);
    assert_eq!(with(Sex::Male).assess_by(&rules).threshold_status, Critical);
    assert_eq!(with(Sex::Unknown).assess_by(&rules).reasons[0].assumptions, [Assumption::SexUnknown]);
    let class = |class| {
        Case { subject: Subject { class, ..ADULT }, ..loinc("67151-1", "150", "ng/L") }
            .assess()
            .threshold_status
    };
    assert_eq!(
        [Some(PatientClass::Inpatient), Some(PatientClass::Outpatient), None].map(class),
        [NoRule, Critical, Critical]
    );
}

#[test]
fn the_laboratorys_flag_is_enough_and_a_retraction_silences_it() {
    let flagged = loinc("2823-3", "5.0", "mmol/L").flags(&["hh", "HH", "H"]).assess();
    assert_eq!((flagged.critical, flagged.threshold_status, flagged.reasons.len()), (true, NotCritical, 1));
    assert!(loinc("2823-3", ">3", "mmol/L").flags(&["HH"]).assess().critical);
    assert!(loinc("no-such", "GNR", "").flags(&["AA"]).assess().critical);
    assert!(loinc("2823-3", "6.8", "mmol/L").flags(&["N"]).assess().critical);
    let withdrawn = loinc("2823-3", "6.8", "mmol/L").flags(&["HH"]).status(ResultStatus::Deleted).assess();
    assert_eq!((withdrawn.critical, withdrawn.abnormal), (false, false));
    assert!(!loinc("2823-3", "5", "mmol/L").flags(&["H"]).assess().critical);
    let promoted = CriticalFlags::new(["pos", " "]);
    assert!(promoted.contains("POS") && !promoted.contains("") && !promoted.contains("HH"));
}

#[test]
fn local_codes_meet_local_rules_only_in_their_own_system() {
    let mut rule = seed().remove(0);
    (rule.code, rule.code_system) = ("K".to_owned(), "L".to_owned());
    let case = |system| Case { code: (system, "K"), ..loinc("", "6.8", "mmol/L") };
    assert_eq!(case("L").assess_by(&[rule.clone()]).threshold_status, Critical);
    assert_eq!(case("99LAB").assess_by(&[rule.clone()]).threshold_status, NoRule);
    let http = Case { code: ("http://loinc.org", "2823-3"), ..loinc("", "6.8", "mmol/L") };
    assert_eq!(http.assess().threshold_status, Critical);
}

#[test]
fn positive_cultures_are_critical() {
    let text = |value| loinc("600-7", value, "");
    let coded = |value| Case { coded: true, ..loinc("600-7", value, "") };
    check(vec![
        (coded("Staphylococcus aureus"), Critical),
        (coded("No growth"), NotCritical),
        (coded("264868006"), NotCritical),
        (coded("Pending"), Unjudged),
        (text("Positive for gram positive cocci"), Critical),
        (text("GROWTH OF E. COLI"), Critical),
        (text("No growth after 5 days"), NotCritical),
        (text("No growth aerobic. POSITIVE anaerobic"), Unjudged),
        (text("Not sterile"), Unjudged),
        (text("see comment"), Unjudged),
        (text("").status(ResultStatus::Pending), Unjudged),
        (text("x").flags(&["POS"]), Critical),
    ]);
}

#[test]
fn a_missing_flag_is_not_a_normal_one() {
    let table: [(&[&str], Abnormality); 10] = [
        (&[], Abnormality::NotFlagged),
        (&[""], Abnormality::NotFlagged),
        (&["<"], Abnormality::NotFlagged),
        (&["N"], Abnormality::Normal),
        (&["S"], Abnormality::Normal),
        (&["N", "H"], Abnormality::Abnormal),
        (&["R"], Abnormality::Abnormal),
        (&["POS"], Abnormality::Abnormal),
        (&["hx"], Abnormality::Abnormal),
        (&["*"], Abnormality::Abnormal),
    ];
    for (flags, expected) in table {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        assert_eq!(abnormality(&flags), expected, "{flags:?}");
        assert_eq!(is_abnormal(&flags), expected == Abnormality::Abnormal);
    }
}

proptest! {
    /// The verdict over a bound must agree with the verdicts over values inside it.
    #[test]
    fn a_verdict_over_a_bound_holds_for_what_lies_in_it(bound in 0.0..10.0_f64, step in 0.001..20.0_f64, upward: bool) {
        let low = Some(Limit { comparator: Comparator::LessOrEqual, value: 3.0 });
        let high = Some(Limit { comparator: Comparator::GreaterOrEqual, value: 6.0 });
        let (comparator, inside) = if upward { (Comparator::Greater, bound + step) } else { (Comparator::Less, bound - step) };
        let whole = compare::against_limits(Some(comparator), bound, low, high);
        let point = compare::against_limits(None, inside, low, high);
        prop_assert!(matches!(whole, Verdict::NotEvaluated(_)) || whole == point, "{comparator}{bound} is {whole:?}, {inside} is {point:?}");
    }
}
