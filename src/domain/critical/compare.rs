//! Values against limits. A value with a comparator is not a point but everything on one side of it.

use super::{Facts, NotEvaluated};
use crate::domain::thresholds::{Limit, ThresholdRule};
use crate::domain::units::Unit;
use crate::domain::value::Comparator;

/// What one rule says about one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Critical,
    NotCritical,
    NotEvaluated(NotEvaluated),
}

/// `>7` is critical for a limit of 6.2: all of it lies beyond. `<0.01` is not. `>3` reaches beyond the limit and may stop short of
/// it, so nobody can say.
pub(super) fn against_limits(
    comparator: Option<Comparator>,
    value: f64,
    low: Option<Limit>,
    high: Option<Limit>,
) -> Verdict {
    let verdicts = [low, high]
        .map(|limit| limit.map_or(Verdict::NotCritical, |limit| against(comparator, value, limit)));
    if verdicts.contains(&Verdict::Critical) {
        return Verdict::Critical;
    }
    let unclear = verdicts.into_iter().find(|verdict| *verdict != Verdict::NotCritical);
    unclear.unwrap_or(Verdict::NotCritical)
}

fn against(comparator: Option<Comparator>, value: f64, limit: Limit) -> Verdict {
    let Some(comparator) = comparator else {
        return if is_beyond(value, limit) { Verdict::Critical } else { Verdict::NotCritical };
    };
    let upward = limit.comparator.is_upward();
    if comparator.is_upward() == upward {
        // The value runs away from the range. At the limit it counts as beyond: `>=6.2` against "above 6.2"
        // is not worth the doubt.
        let at_or_beyond = if upward { value >= limit.value } else { value <= limit.value };
        return if at_or_beyond { Verdict::Critical } else { Verdict::NotEvaluated(NotEvaluated::Straddles) };
    }
    // The value runs back over the range: it is safe when it starts before the limit. `<6.2` never reaches
    // "6.2 or more".
    let touches =
        matches!(comparator, Comparator::LessOrEqual | Comparator::GreaterOrEqual) && is_beyond(value, limit);
    let past = if upward { value > limit.value } else { value < limit.value };
    if touches || past { Verdict::NotEvaluated(NotEvaluated::Straddles) } else { Verdict::NotCritical }
}

fn is_beyond(value: f64, limit: Limit) -> bool {
    match limit.comparator {
        Comparator::Less => value < limit.value,
        Comparator::LessOrEqual => value <= limit.value,
        Comparator::Greater => value > limit.value,
        Comparator::GreaterOrEqual => value >= limit.value,
    }
}

/// The comparison in words, after the reported value: ` (= 6.8 mmol/L) > 6.2 mmol/L`.
pub(super) fn explain(facts: &Facts<'_>, converted: f64, rule: &ThresholdRule) -> String {
    let unit = rule.parsed_unit().map_or("", Unit::code);
    let comparator = facts.comparator();
    let met = [rule.low, rule.high]
        .into_iter()
        .flatten()
        .find(|limit| against(comparator, converted, *limit) == Verdict::Critical);
    let limit =
        met.map_or_else(String::new, |limit| format!(" {} {} {unit}", limit.comparator.sign(), limit.value));
    let same_spelling = facts.units.is_none_or(|units| units.trim() == unit);
    if same_spelling { limit } else { format!(" (= {} {unit}){limit}", rounded(converted)) }
}

/// Four decimals are enough for a reader.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
