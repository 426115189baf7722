//! The flags of the laboratory (OBX-8, table 0078).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::spelling::spelled;

/// The flags that make a result critical, per endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct CriticalFlags(BTreeSet<String>);

impl CriticalFlags {
    /// Takes flags in any case; blanks are dropped.
    pub fn new<I: IntoIterator<Item = S>, S: AsRef<str>>(flags: I) -> Self {
        let normal = flags.into_iter().map(|flag| flag.as_ref().trim().to_ascii_uppercase());
        Self(normal.filter(|flag| !flag.is_empty()).collect())
    }

    /// Whether the flag is one of them.
    pub fn contains(&self, flag: &str) -> bool {
        self.0.contains(&flag.trim().to_ascii_uppercase())
    }
}

impl Default for CriticalFlags {
    /// Beyond panic limits, and their analogue for values that are not numbers.
    fn default() -> Self {
        Self::new(["HH", "LL", "AA"])
    }
}

impl From<Vec<String>> for CriticalFlags {
    fn from(flags: Vec<String>) -> Self {
        Self::new(flags)
    }
}

impl From<CriticalFlags> for Vec<String> {
    fn from(flags: CriticalFlags) -> Self {
        flags.0.into_iter().collect()
    }
}

spelled! {
    /// What the flags say. A missing flag says nothing: many senders flag only some tests.
    pub enum Abnormality {
        /// The laboratory gave no flag that speaks of normal or abnormal.
        NotFlagged = "not_flagged",
        /// The laboratory said normal.
        Normal = "normal",
        /// The laboratory said abnormal.
        Abnormal = "abnormal",
    }
}

/// Reads the flags. One abnormal flag outweighs every other, and a flag we do not know counts as abnormal.
pub fn abnormality(flags: &[String]) -> Abnormality {
    flags.iter().map(|flag| of_flag(flag)).max().unwrap_or(Abnormality::NotFlagged)
}

/// Whether the laboratory flagged it abnormal. False is not "normal"; see [`abnormality`].
pub fn is_abnormal(flags: &[String]) -> bool {
    abnormality(flags) == Abnormality::Abnormal
}

fn of_flag(flag: &str) -> Abnormality {
    match flag.trim().to_ascii_uppercase().as_str() {
        // `<` and `>` speak of the instrument, B of the trend, NCL and null of a missing range.
        "" | "\"\"" | "NULL" | "<" | ">" | "B" | "NCL" => Abnormality::NotFlagged,
        "N" | "S" | "MS" | "VS" | "NEG" | "ND" | "NR" | "EXP" => Abnormality::Normal,
        _ => Abnormality::Abnormal,
    }
}
