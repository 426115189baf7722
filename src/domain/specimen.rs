//! What was examined, and what a report grew out of.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::redacted::Redacted;

/// A specimen in the laboratory's words. Times are as sent: their precision is part of what was said.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specimen {
    /// The laboratory's number, else ours (SPM-2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Kind in words (SPM-4, OBR-15.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Code of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind_code: Option<String>,
    /// Where on the body it was taken (SPM-8, OBR-15.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// How it was taken (SPM-7, OBR-15.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection_method: Option<String>,
    /// Description (SPM-14).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it was taken (SPM-17, OBR-7).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collected_at: Option<String>,
    /// When the laboratory received it (SPM-18, OBR-14).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Why the laboratory rejected it (SPM-21).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
    /// Its condition (SPM-24).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The order and the observation that a report grew out of: susceptibilities under an organism, a reflex test.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parentage {
    /// Placer number of the parent order (OBR-29.1, else ORC-8.1).
    pub placer: Option<String>,
    /// Filler number of the parent order (OBR-29.2, else ORC-8.2).
    pub filler: Option<String>,
    /// Code of the parent observation (OBR-26.1).
    pub code: Option<String>,
    /// Sub-id of the parent observation (OBR-26.2).
    pub sub_id: Option<String>,
    /// Text of the parent observation (OBR-26.3).
    pub text: Option<String>,
    /// The laboratory added the test by itself (OBR-11 `G`, ORC-1 `CH`).
    pub is_reflex: bool,
}

impl Parentage {
    /// Whether the report says that it hangs on another observation or was added by the laboratory. A parent order
    /// alone says neither: some senders write the order itself there.
    pub fn is_offspring(&self) -> bool {
        self.is_reflex || self.code.is_some()
    }
}

/// What a laboratory says about how a result came about, as far as nothing is decided by it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Particulars {
    /// Number of the performing laboratory (OBX-23.10).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performing_lab_id: Option<String>,
    /// Its address (OBX-24).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performing_lab_address: Option<String>,
    /// Its medical director (OBX-25).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performing_lab_director: Option<String>,
    /// Who observed (OBX-16).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observer: Option<String>,
    /// Method (OBX-17).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Instrument (OBX-18).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub equipment: Option<String>,
    /// Time of the analysis, as sent (OBX-19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysed_at: Option<String>,
    /// Codes of a coded value (OBX-5 of CE, CWE, CNE), one for each repetition.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub codes: Vec<ValueCode>,
}

/// One code of a coded value.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueCode {
    /// The code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its system, such as `SCT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

macro_rules! redacted_debug {
    ($($name:ident),+) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&Redacted).finish()
            }
        }
    )+ };
}
redacted_debug!(Specimen, Parentage, Particulars, ValueCode);
