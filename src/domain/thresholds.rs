//! Threshold rules: at which values somebody must be told at once.
//!
//! The seeded rules are starting values from published lists, not medical advice; each names its source.
//! Every site sets its own.

mod seed;

use serde::{Deserialize, Serialize};

pub use self::seed::seed;
use super::person::Sex;
use super::spelling::spelled;
use super::units::Unit;
use super::value::Comparator;

/// The short name of LOINC in HL7 (table 0396).
pub const LOINC: &str = "LN";

spelled! {
    /// Where the patient is treated, as far as limits differ.
    pub enum PatientClass {
        /// Admitted, or treated as an emergency.
        Inpatient = "inpatient",
        /// Everybody else.
        Outpatient = "outpatient",
    }
}

/// One end of the range in which nobody is woken up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// `<` or `<=` for a low limit, `>` or `>=` for a high one.
    pub comparator: Comparator,
    /// In the unit of the rule.
    pub value: f64,
}

/// When a result of one test is critical.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRule {
    /// Stays the same over all versions of the rule.
    pub id: i64,
    /// Grows with every change; alerts name the version they were raised by.
    pub version: i32,
    /// `LN` for LOINC, otherwise the local system.
    pub code_system: String,
    /// The code of the observation.
    pub code: String,
    /// For readers.
    pub analyte: String,
    /// Only for this sex, when given.
    pub sex: Option<Sex>,
    /// Youngest age in days, inclusive.
    pub age_from_days: Option<i64>,
    /// Oldest age in days, inclusive.
    pub age_to_days: Option<i64>,
    /// Only for patients treated this way, when given.
    pub patient_class: Option<PatientClass>,
    /// UCUM unit of the limits.
    pub unit: Option<String>,
    /// Critical below.
    pub low: Option<Limit>,
    /// Critical above.
    pub high: Option<Limit>,
    /// Any positive finding is critical (cultures); such a rule has no limits.
    pub positive: bool,
    /// A rule that is switched off is as good as absent.
    pub enabled: bool,
    /// Who says so.
    pub source: String,
}

impl ThresholdRule {
    /// Whether the rule is meant for an age band rather than for everybody.
    pub const fn is_banded(&self) -> bool {
        self.age_from_days.is_some() || self.age_to_days.is_some()
    }

    /// Whether the age lies in the band.
    pub fn covers_age(&self, days: i64) -> bool {
        self.age_from_days.is_none_or(|from| from <= days) && self.age_to_days.is_none_or(|to| days <= to)
    }

    /// What is wrong with the rule. An enabled rule with a fault would be silent just when it is needed, so
    /// it must not be stored.
    pub fn faults(&self) -> Vec<RuleFault> {
        let mut faults = Vec::new();
        let mut check = |fault, found: bool| found.then(|| faults.push(fault));
        check(RuleFault::NoCode, self.code.trim().is_empty() || self.code_system.trim().is_empty());
        check(RuleFault::LowDirection, self.low.is_some_and(|low| low.comparator.is_upward()));
        check(RuleFault::HighDirection, self.high.is_some_and(|high| !high.comparator.is_upward()));
        check(
            RuleFault::NotFinite,
            [self.low, self.high].iter().flatten().any(|limit| !limit.value.is_finite()),
        );
        check(
            RuleFault::Crossed,
            matches!((self.low, self.high), (Some(low), Some(high)) if low.value >= high.value),
        );
        check(RuleFault::AgeBand, self.has_bad_age_band());
        let has_limits = self.low.is_some() || self.high.is_some();
        check(RuleFault::NoTrigger, self.enabled && !has_limits && !self.positive);
        check(RuleFault::TwoTriggers, has_limits && self.positive);
        check(RuleFault::UnknownUnit, has_limits && self.parsed_unit().is_none());
        faults
    }

    fn has_bad_age_band(&self) -> bool {
        let negative = [self.age_from_days, self.age_to_days].iter().flatten().any(|days| *days < 0);
        negative || matches!((self.age_from_days, self.age_to_days), (Some(from), Some(to)) if from > to)
    }

    /// The unit of the limits, when we understand it.
    pub fn parsed_unit(&self) -> Option<Unit> {
        Unit::parse(self.unit.as_deref()?)
    }
}

spelled! {
    /// Why a rule cannot be stored.
    pub enum RuleFault {
        /// Code or code system is missing.
        NoCode = "no_code",
        /// A low limit must be `<` or `<=`.
        LowDirection = "low_direction",
        /// A high limit must be `>` or `>=`.
        HighDirection = "high_direction",
        /// A limit is not a number.
        NotFinite = "not_finite",
        /// The low limit is not below the high one.
        Crossed = "crossed",
        /// The age band is empty or negative.
        AgeBand = "age_band",
        /// An enabled rule that nothing can trigger.
        NoTrigger = "no_trigger",
        /// Limits and a positive trigger in one rule.
        TwoTriggers = "two_triggers",
        /// A unit that no result could be converted to.
        UnknownUnit = "unknown_unit",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Spoil = fn(&mut ThresholdRule);

    fn potassium() -> ThresholdRule {
        seed().into_iter().find(|rule| rule.code == "2823-3").unwrap()
    }

    #[test]
    fn names_every_fault() {
        let high = |comparator, value| Some(Limit { comparator, value });
        let table: [(RuleFault, Spoil); 9] = [
            (RuleFault::NoCode, |rule| rule.code = " ".to_owned()),
            (RuleFault::LowDirection, |rule| {
                rule.low = Some(Limit { comparator: Comparator::Greater, value: 1.0 });
            }),
            (RuleFault::HighDirection, |rule| {
                rule.high = Some(Limit { comparator: Comparator::Less, value: 9.0 });
            }),
            (RuleFault::NotFinite, |rule| {
                rule.high = Some(Limit { comparator: Comparator::Greater, value: f64::NAN });
            }),
            (RuleFault::Crossed, |rule| {
                rule.high = Some(Limit { comparator: Comparator::Greater, value: 2.0 });
            }),
            (RuleFault::AgeBand, |rule| (rule.age_from_days, rule.age_to_days) = (Some(9), Some(3))),
            (RuleFault::NoTrigger, |rule| (rule.low, rule.high) = (None, None)),
            (RuleFault::TwoTriggers, |rule| rule.positive = true),
            (RuleFault::UnknownUnit, |rule| rule.unit = Some("furlong".to_owned())),
        ];
        assert_eq!(potassium().faults(), []);
        for (fault, spoil) in table {
            let mut rule = potassium();
            spoil(&mut rule);
            assert_eq!(rule.faults(), [fault]);
        }
        let mut single = potassium();
        (single.low, single.high) = (None, high(Comparator::GreaterOrEqual, 6.0));
        assert_eq!(single.faults(), []);
    }

    #[test]
    fn an_age_band_includes_both_ends() {
        let mut rule = potassium();
        assert!(!rule.is_banded() && rule.covers_age(0) && rule.covers_age(40_000));
        (rule.age_from_days, rule.age_to_days) = (Some(1), Some(30));
        assert!(rule.is_banded());
        assert_eq!([0, 1, 30, 31].map(|days| rule.covers_age(days)), [false, true, true, false]);
    }

    #[test]
    fn a_rule_survives_the_wire() {
        let rule = potassium();
        let json = serde_json::to_string(&rule).unwrap();
        assert!(json.contains(r#""high":{"comparator":">","value":6.2}"#), "{json}");
        assert_eq!(serde_json::from_str::<ThresholdRule>(&json).unwrap(), rule);
    }
}
