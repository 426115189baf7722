//! Reported values as numbers, where they are numbers. The reported text is always kept: it is what the
//! laboratory said.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::redacted::Redacted;
use super::spelling::spelled;

spelled! {
    /// How a value relates to its number: `<0.01` is not 0.01.
    pub enum Comparator {
        /// Below.
        Less = "<",
        /// At or below.
        LessOrEqual = "<=",
        /// Above.
        Greater = ">",
        /// At or above.
        GreaterOrEqual = ">=",
    }
}

impl Comparator {
    /// Splits a comparator off the front of a text.
    fn strip(text: &str) -> (Option<Self>, &str) {
        const SPELLINGS: [(&str, Comparator); 8] = [
            ("<=", Comparator::LessOrEqual),
            ("=<", Comparator::LessOrEqual),
            ("≤", Comparator::LessOrEqual),
            (">=", Comparator::GreaterOrEqual),
            ("=>", Comparator::GreaterOrEqual),
            ("≥", Comparator::GreaterOrEqual),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
        ];
        let found = SPELLINGS
            .iter()
            .find_map(|(spelling, comparator)| Some((*comparator, text.strip_prefix(spelling)?)));
        match found {
            Some((comparator, rest)) => (Some(comparator), rest.trim_start()),
            None => (None, text),
        }
    }

    /// Whether the value lies above its number.
    pub const fn is_upward(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    /// For readers.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "≤",
            Self::Greater => ">",
            Self::GreaterOrEqual => "≥",
        }
    }
}

/// A numeric value with the text it was read from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// `<`, `>` and their kin, when sent.
    pub comparator: Option<Comparator>,
    /// The number; always finite.
    pub number: f64,
    /// What the laboratory wrote.
    pub text: String,
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Quantity").field(&Redacted).finish()
    }
}

impl Quantity {
    /// Reads a reported value leniently: `<0.01`, `1,234`, `5.0 H`. None when it is not exactly one number,
    /// such as `1+`, `1:128`,
    /// `2-5` or `HEMOLYZED`; the text then speaks for itself.
    pub fn parse(reported: &str) -> Option<Self> {
        let (comparator, rest) = Comparator::strip(reported.trim());
        let number = number(without_flag(rest))?;
        Some(Self { comparator, number, text: reported.trim().to_owned() })
    }

    /// Builds the value of a structured numeric (SN): a comparator and one number. Ratios, ranges and titres
    /// are none.
    pub fn structured(comparator: &str, number: &str, separator: &str) -> Option<Self> {
        if !separator.trim().is_empty() {
            return None;
        }
        let comparator = match comparator.trim() {
            "" | "=" => "",
            known => known.parse::<Comparator>().ok()?.as_str(),
        };
        Self::parse(&format!("{comparator}{}", number.trim()))
    }

    /// Whether two values say the same, however many zeros they are written with.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.comparator == other.comparator && self.number.total_cmp(&other.number).is_eq()
    }
}

/// Whether two reported values say the same thing: equal texts, or equal numbers in different spelling (`5`,
/// `5.0`).
pub fn same_value(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim(), b.trim());
    if a == b {
        return true;
    }
    match (Quantity::parse(a), Quantity::parse(b)) {
        (Some(a), Some(b)) => a.says_the_same(&b),
        _ => false,
    }
}

/// Analysers print the flag behind the number. Only whole flag words are dropped: a unit there would change
/// the number's meaning.
fn without_flag(text: &str) -> &str {
    match text.rsplit_once(' ') {
        Some((number, "H" | "L" | "HH" | "LL" | "A" | "AA" | "N" | "*" | "(H)" | "(L)")) => number.trim_end(),
        _ => text.strip_suffix('*').unwrap_or(text),
    }
}

/// Decimal text to a finite number. `f64::from_str` alone would also take `NaN` and `inf`, which compare in
/// ways no threshold expects.
fn number(text: &str) -> Option<f64> {
    let plain = plain_decimal(text)?;
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if !digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+')) {
        return None;
    }
    // `0.0` and `-0.0` are one value.
    plain.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n + 0.0)
}

/// Commas: groups of three digits are thousands (`250,000`), a single other comma is a decimal comma (`1,5`),
/// the rest is not a number.
fn plain_decimal(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.to_owned());
    }
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let mut groups = whole.trim_start_matches(['-', '+']).split(',');
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let is_digits = |group: &&str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(&first) || !rest.iter().all(is_digits) || fraction.is_some_and(|f| f.contains(',')) {
        return None;
    }
    if (1..=3).contains(&first.len()) && !first.starts_with('0') && rest.iter().all(|group| group.len() == 3)
    {
        return Some(text.replace(',', ""));
    }
    (rest.len() == 1 && fraction.is_none()).then(|| text.replace(',', "."))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_laboratories_write() {
        let table: [(&str, Option<(&str, f64)>); 24] = [
            ("6.8", Some(("", 6.8))),
            (" 6.8 ", Some(("", 6.8))),
            ("<0.01", Some(("<", 0.01))),
            ("> 100", Some((">", 100.0))),
            (">=5", Some((">=", 5.0))),
            ("≤ 5", Some(("<=", 5.0))),
            ("1,234", Some(("", 1234.0))),
            ("1,234.5", Some(("", 1234.5))),
            ("1,5", Some(("", 1.5))),
            ("0,123", Some(("", 0.123))),
            ("5.0 H", Some(("", 5.0))),
            ("5.0*", Some(("", 5.0))),
            ("-2.5", Some(("", -2.5))),
            (".5", Some(("", 0.5))),
            ("1e3", Some(("", 1000.0))),
            ("1,23,4", None),
            ("HEMOLYZED", None),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("1e999", None),
            ("1:128", None),
            ("2-5", None),
            ("6.8 mmol/L", None),
        ];
        for (text, expected) in table {
            let read = Quantity::parse(text).map(|q| (q.comparator.map_or("", Comparator::as_str), q.number));
            assert_eq!(read, expected, "{text:?}");
        }
        for text in ["1+", "+", "-", "<", "> >5", "5 5", "0x10", "--5", "1,,2"] {
            assert!(Quantity::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn structured_numerics_are_single_numbers_only() {
        assert_eq!(Quantity::structured(">", "100", "").unwrap().comparator, Some(Comparator::Greater));
        assert!(Quantity::structured("=", "7", "").unwrap().comparator.is_none());
        assert!(Quantity::structured("", "1", ":").is_none());
        assert!(Quantity::structured("<>", "1", "").is_none());
    }

    #[test]
    fn trailing_zeros_do_not_make_another_value() {
        assert!(same_value("5.0", "5") && same_value("neg", " neg ") && same_value("0", "-0.0"));
        assert!(!same_value("<5", "5") && !same_value("5", "5.1") && !same_value("neg", "pos"));
    }

    #[test]
    fn the_value_stays_out_of_debug_output() {
        assert_eq!(format!("{:?}", Quantity::parse("6.8").unwrap()), "Quantity([phi])");
    }

    proptest! {
        #[test]
        fn any_text_is_safe_and_any_number_is_finite(text in ".{0,40}") {
            if let Some(quantity) = Quantity::parse(&text) {
                prop_assert!(quantity.number.is_finite());
                prop_assert_eq!(quantity.text, text.trim());
            }
        }

        #[test]
        fn a_printed_number_is_read_back(number in -1e9..1e9_f64) {
            let read = Quantity::parse(&number.to_string());
            prop_assert!(read.is_some_and(|quantity| quantity.number.total_cmp(&number).is_eq()));
        }
    }
}
