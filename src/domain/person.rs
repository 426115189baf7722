//! Sex and age, as far as the rules need them.

use chrono::NaiveDate;

use super::spelling::spelled;

spelled! {
    /// Administrative sex, in the words of the REST contract and of FHIR.
    pub enum Sex {
        /// Male.
        Male = "male",
        /// Female.
        Female = "female",
        /// Stated, and neither of the two.
        Other = "other",
        /// Not stated, or stated in a way we do not read.
        Unknown = "unknown",
    }
}

impl Sex {
    /// Reads table 0001 (F M O U A N). Anything else, such as the `M-` seen in the wild, is unknown: a guess
    /// could pick the wrong rule.
    pub fn from_hl7(code: &str) -> Self {
        match code.trim() {
            "M" | "m" => Self::Male,
            "F" | "f" => Self::Female,
            "O" | "o" | "A" | "a" => Self::Other,
            _ => Self::Unknown,
        }
    }

    /// The code of table 0001 we send.
    pub const fn hl7(self) -> &'static str {
        match self {
            Self::Male => "M",
            Self::Female => "F",
            Self::Other => "O",
            Self::Unknown => "U",
        }
    }

    /// Whether two statements exclude each other. Unknown excludes nothing.
    pub fn contradicts(self, other: Self) -> bool {
        self != Self::Unknown && other != Self::Unknown && self != other
    }
}

/// Age in whole calendar days. None when the date of birth lies after the day asked for: such an age is an
/// error, not a newborn.
pub fn age_in_days(birth: NaiveDate, on: NaiveDate) -> Option<i64> {
    let days = on.signed_duration_since(birth).num_days();
    (days >= 0).then_some(days)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_table_0001() {
        let table = [
            ("M", Sex::Male),
            ("f", Sex::Female),
            ("A", Sex::Other),
            ("N", Sex::Unknown),
            ("M-", Sex::Unknown),
        ];
        for (code, sex) in table {
            assert_eq!(Sex::from_hl7(code), sex, "{code}");
        }
        for sex in Sex::ALL {
            assert_eq!(Sex::from_hl7(sex.hl7()), *sex);
        }
    }

    #[test]
    fn unknown_contradicts_nothing() {
        assert!(Sex::Male.contradicts(Sex::Female));
        assert!(!Sex::Male.contradicts(Sex::Unknown));
        assert!(!Sex::Unknown.contradicts(Sex::Female));
    }

    #[test]
    fn an_age_before_birth_is_no_age() {
        let day = |d| NaiveDate::from_ymd_opt(2024, 3, d).unwrap();
        assert_eq!(age_in_days(day(1), day(1)), Some(0));
        assert_eq!(age_in_days(day(1), day(15)), Some(14));
        assert_eq!(age_in_days(day(2), day(1)), None);
    }
}
