//! Whether a result is critical, and why.
//!
//! Two independent voices are heard, and either is enough: the flag of the laboratory and the threshold rules
//! of this clinic. What cannot be judged is never called normal: it is "not evaluated", with the reason in
//! view. Every reason is kept, because the person who is woken up asks "why".

mod compare;
mod finding;
mod flags;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use self::compare::{Verdict, against_limits};
use self::finding::positive_finding;
pub use self::flags::{Abnormality, CriticalFlags, abnormality, is_abnormal};
use super::person::Sex;
use super::result::ResultStatus;
use super::spelling::spelled;
use super::thresholds::{LOINC, PatientClass, ThresholdRule};
use super::units::{Analyte, Unit, convert};
use super::value::{Comparator, Quantity};

/// A code of the observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRef<'a> {
    /// `LN`, `L`, …
    pub system: &'a str,
    /// The code.
    pub code: &'a str,
}

/// What the rules look at. Codes hold everything known: as sent, and as mapped to LOINC.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// For the text of a reason.
    pub test_name: &'a str,
    /// All codes of the observation.
    pub codes: &'a [CodeRef<'a>],
    /// The status shown.
    pub status: ResultStatus,
    /// The value as a number, when it is one.
    pub number: Option<&'a Quantity>,
    /// The value as a reader sees it.
    pub text: &'a str,
    /// Whether the value is a code (CE, CWE, CNE) and not free text.
    pub is_coded: bool,
    /// OBX-6.
    pub units: Option<&'a str>,
    /// OBX-8.
    pub flags: &'a [String],
}

/// The patient, as far as rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// At the time of the observation; None when unknown.
    pub age_days: Option<i64>,
    /// Administrative sex.
    pub sex: Sex,
    /// None when unknown.
    pub class: Option<PatientClass>,
}

spelled! {
    /// What the threshold rules said. Never "normal": a rule only knows what is critical.
    pub enum ThresholdStatus {
        /// A rule was met.
        Critical = "critical",
        /// A rule looked at the value and was not met.
        NotCritical = "not_critical",
        /// There is a rule, and it could not judge this value.
        NotEvaluated = "not_evaluated",
        /// There is no rule for this test.
        NoRule = "no_rule",
    }
}

spelled! {
    /// What kind of reason it is.
    pub enum ReasonKind {
        /// The laboratory flagged it.
        LisFlag = "lis_flag",
        /// A threshold rule was met.
        Threshold = "threshold",
        /// A threshold rule could not judge it.
        NotEvaluated = "not_evaluated",
    }
}

spelled! {
    /// Why a rule could not judge a value.
    pub enum NotEvaluated {
        /// The result has no value (pending, cancelled, not asked, empty).
        NoValue = "no_value",
        /// The value is not a number.
        NotNumeric = "not_numeric",
        /// The unit is missing or unknown, or cannot be converted to the unit of the rule.
        Unit = "unit",
        /// The value is a bound, such as `>3`, and the limit lies beyond it.
        Straddles = "straddles_limit",
        /// Only rules for certain ages exist, and the age is unknown.
        AgeUnknown = "age_unknown",
        /// A finding that is neither clearly positive nor clearly negative.
        Unclear = "unclear_finding",
    }
}

spelled! {
    /// What had to be assumed to apply a rule.
    pub enum Assumption {
        /// The age is unknown; the limits for adults were used.
        AgeUnknown = "age_unknown",
        /// No rule for this age; the limits for adults were used for a child.
        AdultLimitsForChild = "adult_limits_for_child",
        /// The sex is unknown; a rule for one sex was used.
        SexUnknown = "sex_unknown",
    }
}

/// One reason, readable as it stands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Whose voice.
    pub kind: ReasonKind,
    /// For the reader: "K 6.8 mmol/L > 6.2 mmol/L; rule #1 v1, source …".
    pub text: String,
    /// The flag, for a reason of the laboratory.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flag: Option<String>,
    /// The rule.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule_id: Option<i64>,
    /// Its version at the time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule_version: Option<i32>,
    /// Who set the limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// Why the rule could not judge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_evaluated: Option<NotEvaluated>,
    /// What had to be assumed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assumptions: Vec<Assumption>,
}

impl std::fmt::Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reason")
            .field("kind", &self.kind)
            .field("rule_id", &self.rule_id)
            .finish_non_exhaustive()
    }
}

/// The judgement over one result version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Somebody must be told at once.
    pub critical: bool,
    /// Flagged abnormal by the laboratory, or critical.
    pub abnormal: bool,
    /// Everything that made it critical, and everything that could not be judged. Laboratory first.
    pub reasons: Vec<Reason>,
    /// What the threshold rules said.
    pub threshold_status: ThresholdStatus,
}

/// Judges one result.
pub fn assess(
    facts: &Facts<'_>,
    subject: &Subject,
    rules: &[ThresholdRule],
    critical_flags: &CriticalFlags,
) -> Assessment {
    let mut reasons =
        if facts.status.is_retraction() { Vec::new() } else { flag_reasons(facts, critical_flags) };
    let (threshold_status, by_rules) = by_thresholds(facts, subject, rules);
    reasons.extend(by_rules);
    let critical = reasons.iter().any(|reason| reason.kind != ReasonKind::NotEvaluated);
    let abnormal = critical || (!facts.status.is_retraction() && is_abnormal(facts.flags));
    Assessment { critical, abnormal, reasons, threshold_status }
}

fn flag_reasons(facts: &Facts<'_>, critical_flags: &CriticalFlags) -> Vec<Reason> {
    let mut seen = Vec::new();
    for flag in facts.flags.iter().map(|flag| flag.trim().to_ascii_uppercase()) {
        if critical_flags.contains(&flag) && !seen.contains(&flag) {
            seen.push(flag);
        }
    }
    let reason = |flag: String| Reason {
        flag: Some(flag.clone()),
        ..Reason::bare(ReasonKind::LisFlag, format!("LIS flag {flag}"))
    };
    seen.into_iter().map(reason).collect()
}

fn by_thresholds(
    facts: &Facts<'_>,
    subject: &Subject,
    rules: &[ThresholdRule],
) -> (ThresholdStatus, Vec<Reason>) {
    let for_test: Vec<&ThresholdRule> = rules
        .iter()
        .filter(|rule| rule.enabled && is_for_test(rule, facts) && is_for_patient(rule, subject))
        .collect();
    let Some(first) = for_test.first() else {
        return (ThresholdStatus::NoRule, Vec::new());
    };
    let chosen = for_age(&for_test, subject.age());
    if chosen.is_empty() {
        return match subject.age() {
            Some(_) => (ThresholdStatus::NoRule, Vec::new()),
            None => {
                (ThresholdStatus::NotEvaluated, vec![not_evaluated(facts, first, NotEvaluated::AgeUnknown)])
            }
        };
    }
    let judged: Vec<(Verdict, Reason)> =
        chosen.iter().filter_map(|rule| judge(facts, subject, rule)).collect();
    let said = |wanted: fn(Verdict) -> bool| judged.iter().any(|(verdict, _)| wanted(*verdict));
    let status = if said(|verdict| verdict == Verdict::Critical) {
        ThresholdStatus::Critical
    } else if said(|verdict| matches!(verdict, Verdict::NotEvaluated(_))) {
        ThresholdStatus::NotEvaluated
    } else {
        ThresholdStatus::NotCritical
    };
    (status, judged.into_iter().map(|(_, reason)| reason).collect())
}

fn is_for_test(rule: &ThresholdRule, facts: &Facts<'_>) -> bool {
    let system =
        |system: &str| if is_loinc(system) { LOINC.to_owned() } else { system.trim().to_ascii_uppercase() };
    facts.codes.iter().any(|code| {
        code.code.trim().eq_ignore_ascii_case(rule.code.trim())
            && system(code.system) == system(&rule.code_system)
    })
}

fn is_loinc(system: &str) -> bool {
    matches!(system.trim().to_ascii_uppercase().as_str(), "LN" | "LOINC" | "HTTP://LOINC.ORG")
}

/// What is unknown about the patient excludes no rule.
fn is_for_patient(rule: &ThresholdRule, subject: &Subject) -> bool {
    let sex_fits = rule.sex.is_none_or(|sex| subject.sex == Sex::Unknown || subject.sex == sex);
    let class_fits = rule.patient_class.is_none_or(|class| subject.class.is_none_or(|known| known == class));
    sex_fits && class_fits
}

/// Rules made for this age replace the general ones: a newborn's haemoglobin of 21 is no emergency.
fn for_age<'a>(rules: &[&'a ThresholdRule], age_days: Option<i64>) -> Vec<&'a ThresholdRule> {
    let (banded, general): (Vec<&ThresholdRule>, Vec<&ThresholdRule>) =
        rules.iter().copied().partition(|rule| rule.is_banded());
    let in_band: Vec<&ThresholdRule> =
        banded.into_iter().filter(|rule| age_days.is_some_and(|days| rule.covers_age(days))).collect();
    if in_band.is_empty() { general } else { in_band }
}

/// One rule over one result. None when the rule looked and found nothing.
fn judge(facts: &Facts<'_>, subject: &Subject, rule: &ThresholdRule) -> Option<(Verdict, Reason)> {
    let verdict = verdict(facts, rule);
    let mut reason = match verdict {
        Verdict::NotCritical => return None,
        Verdict::NotEvaluated(cause) => not_evaluated(facts, rule, cause),
        Verdict::Critical => met(facts, rule),
    };
    reason.assumptions = subject.assumptions_for(rule);
    Some((verdict, reason))
}

fn verdict(facts: &Facts<'_>, rule: &ThresholdRule) -> Verdict {
    if !facts.status.carries_value() || (facts.number.is_none() && facts.text.trim().is_empty()) {
        return Verdict::NotEvaluated(NotEvaluated::NoValue);
    }
    if rule.positive {
        return positive_finding(facts);
    }
    let Some(number) = facts.number else {
        return Verdict::NotEvaluated(NotEvaluated::NotNumeric);
    };
    match in_unit_of(rule, number.number, facts.units) {
        Some(converted) => against_limits(facts.comparator(), converted, rule.low, rule.high),
        None => Verdict::NotEvaluated(NotEvaluated::Unit),
    }
}

fn in_unit_of(rule: &ThresholdRule, number: f64, units: Option<&str>) -> Option<f64> {
    let analyte = if is_loinc(&rule.code_system) { Analyte::of_loinc(rule.code.trim()) } else { None };
    convert(number, Unit::of_result(units.unwrap_or_default(), analyte)?, rule.parsed_unit()?, analyte)
}

impl Facts<'_> {
    /// The comparator in the value, else the one in the flags: `600` flagged `>` is above what the instrument
    /// can measure.
    fn comparator(&self) -> Option<Comparator> {
        let flagged = |wanted: &str| self.flags.iter().any(|flag| flag.trim() == wanted);
        self.number?.comparator.or(match (flagged(">"), flagged("<")) {
            (true, false) => Some(Comparator::Greater),
            (false, true) => Some(Comparator::Less),
            _ => None,
        })
    }

    /// Value and unit as reported.
    fn reported(&self) -> String {
        let text = self.number.map_or(self.text, |number| number.text.as_str());
        format!("{} {text} {}", self.test_name, self.units.unwrap_or_default()).trim().to_owned()
    }
}

const ADULT_FROM_DAYS: i64 = 18 * 365;

impl Subject {
    /// A negative age is a wrong date of birth, so it is no age.
    fn age(&self) -> Option<i64> {
        self.age_days.filter(|days| *days >= 0)
    }

    fn assumptions_for(&self, rule: &ThresholdRule) -> Vec<Assumption> {
        let mut assumptions = Vec::new();
        match self.age() {
            None => assumptions.push(Assumption::AgeUnknown),
            Some(days) if !rule.is_banded() && days < ADULT_FROM_DAYS => {
                assumptions.push(Assumption::AdultLimitsForChild);
            }
            Some(_) => {}
        }
        if rule.sex.is_some() && self.sex == Sex::Unknown {
            assumptions.push(Assumption::SexUnknown);
        }
        assumptions
    }
}

impl Reason {
    fn bare(kind: ReasonKind, text: String) -> Self {
        Self {
            kind,
            text,
            flag: None,
            rule_id: None,
            rule_version: None,
            source: None,
            not_evaluated: None,
            assumptions: Vec::new(),
        }
    }

    fn of_rule(kind: ReasonKind, rule: &ThresholdRule, text: &str) -> Self {
        let text = format!("{text}; rule #{} v{}, source {}", rule.id, rule.version, rule.source);
        Self {
            rule_id: Some(rule.id),
            rule_version: Some(rule.version),
            source: Some(rule.source.clone()),
            ..Self::bare(kind, text)
        }
    }
}

fn met(facts: &Facts<'_>, rule: &ThresholdRule) -> Reason {
    let converted = facts.number.and_then(|number| in_unit_of(rule, number.number, facts.units));
    let text = match (converted, rule.positive) {
        (Some(value), false) => format!("{}{}", facts.reported(), compare::explain(facts, value, rule)),
        _ => format!("{}: positive finding", facts.test_name),
    };
    Reason::of_rule(ReasonKind::Threshold, rule, &text)
}

fn not_evaluated(facts: &Facts<'_>, rule: &ThresholdRule, cause: NotEvaluated) -> Reason {
    let why = match cause {
        NotEvaluated::NoValue => "there is no value".to_owned(),
        NotEvaluated::NotNumeric => "the value is not a number".to_owned(),
        NotEvaluated::Unit => match facts.units.map(str::trim).filter(|units| !units.is_empty()) {
            Some(units) => {
                format!("unit {units} cannot be compared with {}", rule.unit.as_deref().unwrap_or("the rule"))
            }
            None => "the unit is missing".to_owned(),
        },
        NotEvaluated::Straddles => "the limit lies beyond what was measured".to_owned(),
        NotEvaluated::AgeUnknown => "the limits depend on an age that is unknown".to_owned(),
        NotEvaluated::Unclear => "the finding is neither clearly positive nor clearly negative".to_owned(),
    };
    let text = format!("{} not evaluated: {why}", facts.test_name);
    Reason { not_evaluated: Some(cause), ..Reason::of_rule(ReasonKind::NotEvaluated, rule, &text) }
}
