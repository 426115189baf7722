//! Typed numbers and names. A patient id cannot be passed where an order id belongs, and a text that reached
//! us over the network holds no character that could forge a segment, a log line or a look-alike.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::redacted::Redacted;

macro_rules! ids {
    ($( $(#[$meta:meta])* $name:ident ),+ $(,)?) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Takes the number as the database gave it.
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// The number for the database and the wire.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+ };
}

ids! {
    /// A patient of this clinic.
    PatientId,
    /// One visit of a patient.
    EncounterId,
    /// A laboratory order; its text is the placer group number.
    OrderId,
    /// One test of an order.
    OrderTestId,
    /// One version of one result.
    ResultId,
    /// A laboratory report (one OBR with what belongs to it).
    ReportId,
    /// A stored HL7 message.
    MessageId,
    /// A critical alert.
    AlertId,
    /// A LIS endpoint, the peer of an interface.
    EndpointId,
    /// A user or a service account.
    UserId,
    /// A message waiting to be delivered.
    OutboxId,
    /// Something a person has to decide before it enters a chart.
    ReviewItemId,
}

impl EndpointId {
    /// A loopback sender that no endpoint names. A number rather than an absent value, because unique keys
    /// hold no nulls.
    pub const LOOPBACK: Self = Self(0);

    /// Whether no configured endpoint stands behind this id.
    pub const fn is_loopback(self) -> bool {
        self.0 == 0
    }
}

/// Why a text was refused. It does not carry the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but blanks.
    #[error("must not be empty")]
    Empty,
    /// A control character, or one that has no width of its own or turns the reading direction.
    #[error("must not contain control or invisible characters")]
    Invisible,
    /// More characters than the field holds.
    #[error("must not be longer than {max} characters")]
    TooLong {
        /// The limit in characters.
        max: usize,
    },
}

/// Zero-width and direction characters: two identifiers that look the same on screen must be the same.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn checked(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().any(is_invisible) {
        return Err(TextError::Invisible);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong { max });
    }
    Ok(text.to_owned())
}

impl OrderId {
    /// Reads an order's number as it goes over the wire (ORC-4): its id in figures, and in no other spelling.
    pub fn of_number(number: &str) -> Option<Self> {
        let id: i64 = number.parse().ok()?;
        (id > 0 && id.to_string() == number).then_some(Self(id))
    }
}

macro_rules! texts {
    ($( $(#[$meta:meta])* $name:ident, $max:literal );+ $(;)?) => { $(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The longest text taken, in characters.
            pub const MAX: usize = $max;

            /// Trims blanks; refuses an empty text, invisible characters and more than [`Self::MAX`]
            /// characters.
            pub fn new(text: &str) -> Result<Self, TextError> {
                checked(text, Self::MAX).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )+ };
}

texts! {
    /// A medical record number. It has no `Display`: writing it out is a decision, made with `as_str`.
    Mrn, 64;
    /// MSH-10. Ours have at most 20 characters; HL7 2.6 and later allow 199.
    ControlId, 199;
    /// A placer or filler order number.
    OrderNumber, 250;
    /// The code of a test, ours, the lab's or LOINC.
    TestCode, 50;
    /// The name a user logs in with.
    Username, 100;
    /// Who orders, as typed in.
    ProviderName, 200;
    /// The code of a diagnosis.
    DiagnosisCode, 20;
    /// What a client calls one request, so that it can be repeated safely.
    IdempotencyKey, 200;
}

impl fmt::Debug for Mrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mrn").field(&Redacted).finish()
    }
}

macro_rules! printable {
    ($($name:ident),+) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}
printable!(ControlId, OrderNumber, TestCode, Username, ProviderName, DiagnosisCode, IdempotencyKey);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_numbers_on_the_wire() {
        assert_eq!(serde_json::to_string(&PatientId::new(12345)).unwrap(), "12345");
        assert_eq!(serde_json::from_str::<OrderId>("7").unwrap().get(), 7);
        assert_eq!(OrderId::of_number("7"), Some(OrderId::new(7)));
        for other in ["", "0", "-7", "+7", "07", " 7", "7-1", "99999999999999999999"] {
            assert_eq!(OrderId::of_number(other), None, "{other}");
        }
        assert_eq!("42".parse::<AlertId>().unwrap().to_string(), "42");
        assert!("4x".parse::<AlertId>().is_err());
        assert!(EndpointId::LOOPBACK.is_loopback() && !EndpointId::new(1).is_loopback());
    }

    #[test]
    fn texts_are_trimmed_and_refuse_what_a_reader_cannot_see() {
        assert_eq!(Mrn::new(" 12345 ").unwrap().as_str(), "12345");
        assert_eq!(Mrn::new("  "), Err(TextError::Empty));
        assert_eq!(Mrn::new(&"1".repeat(65)), Err(TextError::TooLong { max: 64 }));
        for bad in ["1\r2", "1\u{0}", "1\u{200b}2", "1\u{202e}2", "\u{feff}1", "1\u{9f}", "1\n", "\t1"] {
            assert_eq!(Mrn::new(bad), Err(TextError::Invisible), "{bad:?}");
        }
        assert!(serde_json::from_str::<ControlId>("\"A\\rB\"").is_err());
        assert_eq!(serde_json::to_string(&ControlId::new("A1").unwrap()).unwrap(), "\"A1\"");
    }

    #[test]
    fn a_record_number_does_not_reach_debug_output() {
        let printed = format!("{:?}", Mrn::new("MRN-SECRET").unwrap());
        assert_eq!(printed, "Mrn([phi])");
    }
}
