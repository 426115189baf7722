//! Findings that are not numbers: cultures. A false alarm costs a call, a missed one costs more; still, free
//! text is not guessed at.

use super::compare::Verdict;
use super::{Facts, NotEvaluated};

/// Openings of a text that says "nothing found".
const NEGATIVE: [&str; 9] = [
    "negative",
    "neg",
    "no growth",
    "no organism",
    "no bacteria",
    "not detected",
    "none detected",
    "none seen",
    "sterile",
];
/// SNOMED CT: negative, not detected, no growth.
const NEGATIVE_CODES: [&str; 3] = ["260385009", "260415000", "264868006"];
/// Openings of a text that says "something found".
const POSITIVE: [&str; 7] =
    ["positive", "pos", "detected", "growth of", "gram positive", "gram negative", "gram-"];
/// Openings of a text that says neither.
const UNDECIDED: [&str; 9] = [
    "pending",
    "in progress",
    "in process",
    "preliminary",
    "see ",
    "indeterminate",
    "not ",
    "no ",
    "specimen",
];

/// Flags first, then the text. A code that is not negative names what was found.
pub(super) fn positive_finding(facts: &Facts<'_>) -> Verdict {
    let flagged = |wanted: &[&str]| {
        facts.flags.iter().any(|flag| wanted.contains(&flag.trim().to_ascii_uppercase().as_str()))
    };
    if flagged(&["POS", "DET"]) {
        return Verdict::Critical;
    }
    let text = facts.text.trim().to_lowercase();
    if flagged(&["NEG", "ND"]) || NEGATIVE_CODES.contains(&text.as_str()) || opens(&text, &NEGATIVE) {
        return said_nothing_found(&text);
    }
    if opens(&text, &POSITIVE) {
        return Verdict::Critical;
    }
    if opens(&text, &UNDECIDED) || !facts.is_coded {
        return Verdict::NotEvaluated(NotEvaluated::Unclear);
    }
    Verdict::Critical
}

/// "No growth in bottle 1. Positive: bottle 2" is not a negative finding.
fn said_nothing_found(text: &str) -> Verdict {
    let also_positive = ["positive", "growth of", "gram-", "gram "].iter().any(|word| text.contains(word));
    if also_positive { Verdict::NotEvaluated(NotEvaluated::Unclear) } else { Verdict::NotCritical }
}

/// Whether the text begins with one of the words, as whole words.
fn opens(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        text.strip_prefix(word).is_some_and(|rest| {
            !word.ends_with(char::is_alphanumeric) || !rest.starts_with(char::is_alphanumeric)
        })
    })
}
