//! Results as versions: which one a reader sees, and whom a change concerns.

mod key;
mod supersede;
#[cfg(test)]
mod tests;

pub use self::key::{OrderRef, ResultKey};
pub use self::supersede::{
    CurrentVersion, Effect, IncomingVersion, Place, Stamp, Supersede, SupersedeWarning, supersede,
    supersede_overtaken,
};
use super::spelling::spelled;

spelled! {
    /// Table 0085 with its later codes.
    pub enum ResultStatus {
        /// Order detail only, no result.
        OrderDetail = "O",
        /// Specimen in the laboratory, result pending.
        Pending = "I",
        /// Entered, not verified.
        NotVerified = "R",
        /// Partial (an older word for preliminary).
        Partial = "S",
        /// Preliminary.
        Preliminary = "P",
        /// Final.
        Final = "F",
        /// Corrects a final result.
        Corrected = "C",
        /// What was sent before is now final; the value is not sent again.
        FinalWithoutValue = "U",
        /// Cannot be obtained.
        NotObtainable = "X",
        /// Delete the result.
        Deleted = "D",
        /// Posted wrong, for example to the wrong patient.
        PostedWrong = "W",
        /// Not asked for.
        NotAsked = "N",
        /// Amended.
        Amended = "A",
        /// Something was appended to a final result.
        Appended = "B",
        /// Final and verified.
        Verified = "V",
        /// The laboratory gave no status we can read. Shown as such: to assume "final" would be our
        /// invention.
        Unknown = "unknown",
    }
}

impl ResultStatus {
    /// Reads OBX-11. Never fails: an unreadable status must not cost a result.
    pub fn from_hl7(code: &str) -> Self {
        let code = code.trim().to_ascii_uppercase();
        code.parse().unwrap_or(Self::Unknown)
    }

    /// For readers.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OrderDetail => "Order detail",
            Self::Pending => "Pending",
            Self::NotVerified => "Not verified",
            Self::Partial => "Partial",
            Self::Preliminary => "Preliminary",
            Self::Final | Self::FinalWithoutValue | Self::Verified => "Final",
            Self::Corrected => "Corrected",
            Self::NotObtainable => "Cancelled",
            Self::Deleted => "Deleted",
            Self::PostedWrong => "Posted wrong",
            Self::NotAsked => "Not asked",
            Self::Amended => "Amended",
            Self::Appended => "Final, appended",
            Self::Unknown => "Status unknown",
        }
    }

    /// The laboratory took the result back: it leaves the chart, its history stays.
    pub const fn is_retraction(self) -> bool {
        matches!(self, Self::Deleted | Self::PostedWrong)
    }

    /// The laboratory stands by it; only another final status may replace it.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Final
                | Self::Corrected
                | Self::FinalWithoutValue
                | Self::Amended
                | Self::Appended
                | Self::Verified
        )
    }

    /// Whether a value under this status says something about the patient.
    pub const fn carries_value(self) -> bool {
        !matches!(
            self,
            Self::OrderDetail
                | Self::Pending
                | Self::NotObtainable
                | Self::Deleted
                | Self::PostedWrong
                | Self::NotAsked
        )
    }
}
