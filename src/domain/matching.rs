//! Whose result is this?
//!
//! A result in the wrong chart can kill, a result in the review queue costs somebody a minute. So a link is
//! made only when the record number is known **in its assigning authority**, nothing contradicts, and
//! something beyond the number agrees. Everything else goes to a person, with scored candidates. The score
//! never links.

mod name;
mod score;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, fmt};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use self::name::{normalised, same_name};
pub use self::score::{ScoreReason, ScoredCandidate};
use super::ids::PatientId;
use super::person::Sex;
use super::redacted::Redacted;
use super::spelling::spelled;

/// An identifier as a message states it (one repetition of PID-3).
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ClaimedIdentifier {
    /// The number.
    pub value: String,
    /// Who assigned it, when stated.
    pub authority: Option<String>,
    /// Table 0203, when stated.
    pub kind: Option<String>,
}

/// An identifier in the form in which two of them are compared: the authority without case, and ours when
/// none was stated.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentifierKey {
    /// In lower case.
    pub authority: String,
    /// As sent, without blanks around it.
    pub value: String,
}

impl IdentifierKey {
    /// The key of an identifier. No authority means the local one.
    pub fn new(authority: Option<&str>, value: &str, local_authority: &str) -> Self {
        let stated = authority.map(str::trim).filter(|authority| !authority.is_empty());
        Self {
            authority: stated.unwrap_or(local_authority.trim()).to_lowercase(),
            value: value.trim().to_owned(),
        }
    }
}

/// What a message says of its patient.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientClaim {
    /// PID-3 and its older kin.
    pub identifiers: Vec<ClaimedIdentifier>,
    /// Family name.
    pub family: Option<String>,
    /// Given name.
    pub given: Option<String>,
    /// Date of birth; None when the message gives less than a day.
    pub birth_date: Option<NaiveDate>,
    /// Sex.
    pub sex: Sex,
}

/// A patient we know, found by an identifier or by a search for the review queue.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The surviving patient, where the identifier belonged to a merged one.
    pub patient_id: PatientId,
    /// The claimed identifiers that are known to be this patient's.
    pub hits: Vec<IdentifierKey>,
    /// Family name.
    pub family: Option<String>,
    /// Given name.
    pub given: Option<String>,
    /// Date of birth.
    pub birth_date: Option<NaiveDate>,
    /// Sex.
    pub sex: Sex,
    /// The message names an order of this patient. Raises the score, never makes a link.
    pub order_hit: bool,
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
redacted_debug!(ClaimedIdentifier, IdentifierKey, PatientClaim, Candidate);

impl ClaimedIdentifier {
    /// Whether the number names a patient. Account, visit, social security and licence numbers do not.
    pub fn names_a_patient(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default().trim().to_ascii_uppercase();
        !self.value.trim().is_empty() && matches!(kind.as_str(), "" | "MR" | "MRN" | "PI" | "PT")
    }

    /// Whether the message calls it a medical record number.
    pub fn is_record_number(&self) -> bool {
        self.kind
            .as_deref()
            .is_some_and(|kind| matches!(kind.trim().to_ascii_uppercase().as_str(), "MR" | "MRN"))
    }
}

impl PatientClaim {
    /// The identifiers to look patients up by, each once, in the order sent.
    pub fn keys(&self, local_authority: &str) -> Vec<IdentifierKey> {
        // A set beside the list: a PID-3 of a hundred thousand repetitions would else hold up every sender for minutes.
        let mut seen = HashSet::new();
        let named = self.identifiers.iter().filter(|identifier| identifier.names_a_patient());
        named
            .map(|sent| IdentifierKey::new(sent.authority.as_deref(), &sent.value, local_authority))
            .filter(|key| seen.insert(key.clone()))
            .collect()
    }

    /// Our own record numbers among them.
    fn own_record_numbers(&self, local_authority: &str) -> Vec<IdentifierKey> {
        let keys = self
            .identifiers
            .iter()
            .filter(|identifier| identifier.names_a_patient() && identifier.is_record_number());
        let keys = keys.map(|identifier| {
            IdentifierKey::new(identifier.authority.as_deref(), &identifier.value, local_authority)
        });
        keys.filter(|key| key.authority == local_authority.trim().to_lowercase()).collect()
    }
}

spelled! {
    /// Why a person has to decide.
    pub enum ReviewReason {
        /// The message names no patient.
        NoIdentifier = "no_identifier",
        /// Nobody here has this identifier from this authority.
        UnknownIdentifier = "unknown_identifier",
        /// The identifiers belong to more than one patient.
        SeveralCandidates = "several_candidates",
        /// The name is another one.
        NameContradicts = "name_contradicts",
        /// The date of birth is another one.
        BirthDateContradicts = "birth_date_contradicts",
        /// Neither name nor date of birth can be compared.
        NothingToConfirm = "nothing_to_confirm",
    }
}

spelled! {
    /// What differs without standing against a link.
    pub enum MatchWarning {
        /// The sex differs, and nothing else does.
        SexDiffers = "sex_differs",
        /// The given name differs.
        GivenNameDiffers = "given_name_differs",
        /// The family name could not be compared.
        FamilyNameMissing = "family_name_missing",
        /// The date of birth could not be compared.
        BirthDateMissing = "birth_date_missing",
    }
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum MatchOutcome {
    /// This patient.
    Linked {
        /// Who.
        patient_id: PatientId,
        /// To be recorded with the message.
        warnings: Vec<MatchWarning>,
    },
    /// A person decides.
    Review {
        /// Why.
        reason: ReviewReason,
        /// Best first; for the eye only.
        candidates: Vec<ScoredCandidate>,
    },
}

/// Decides whose message it is. `candidates`: everyone found by [`PatientClaim::keys`], and for the
/// reviewer's sake anyone who looks alike. `local_authority` is our own assigning authority.
pub fn decide(claim: &PatientClaim, candidates: &[Candidate], local_authority: &str) -> MatchOutcome {
    match link(claim, candidates, local_authority) {
        Ok((patient_id, warnings)) => MatchOutcome::Linked { patient_id, warnings },
        Err(reason) => {
            MatchOutcome::Review { reason, candidates: score::ranked(claim, candidates, local_authority) }
        }
    }
}

/// How much each of these looks like the patient of a message, best first. For a person's eye: nothing is linked by it.
pub fn rank(claim: &PatientClaim, candidates: &[Candidate], local_authority: &str) -> Vec<ScoredCandidate> {
    score::ranked(claim, candidates, local_authority)
}

fn link(
    claim: &PatientClaim,
    candidates: &[Candidate],
    local_authority: &str,
) -> Result<(PatientId, Vec<MatchWarning>), ReviewReason> {
    let keys = claim.keys(local_authority);
    if keys.is_empty() {
        return Err(ReviewReason::NoIdentifier);
    }
    let mut hit = candidates.iter().filter(|candidate| candidate.hits.iter().any(|hit| keys.contains(hit)));
    let patient = hit.next().ok_or(ReviewReason::UnknownIdentifier)?;
    if hit.any(|other| other.patient_id != patient.patient_id) {
        return Err(ReviewReason::SeveralCandidates);
    }
    // A record number of ours that we do not know, next to a foreign number that we do: one of the two is
    // wrong.
    let known = |key: &IdentifierKey| candidates.iter().any(|candidate| candidate.hits.contains(key));
    if !claim.own_record_numbers(local_authority).iter().all(known) {
        return Err(ReviewReason::UnknownIdentifier);
    }
    confirm(claim, patient).map(|warnings| (patient.patient_id, warnings))
}

/// How two statements relate; None when one of them is missing.
fn compare_names(claimed: Option<&String>, known: Option<&String>) -> Option<bool> {
    let stated = |name: Option<&String>| name.filter(|name| !normalised(name).is_empty()).cloned();
    Some(same_name(&stated(claimed)?, &stated(known)?))
}

fn confirm(claim: &PatientClaim, patient: &Candidate) -> Result<Vec<MatchWarning>, ReviewReason> {
    let family = compare_names(claim.family.as_ref(), patient.family.as_ref());
    let given = compare_names(claim.given.as_ref(), patient.given.as_ref());
    let birth_date = claim.birth_date.zip(patient.birth_date).map(|(claimed, known)| claimed == known);
    let sex_differs = claim.sex.contradicts(patient.sex);
    if family == Some(false) {
        return Err(ReviewReason::NameContradicts);
    }
    if birth_date == Some(false) {
        return Err(ReviewReason::BirthDateContradicts);
    }
    if family.is_none() && birth_date.is_none() {
        return Err(ReviewReason::NothingToConfirm);
    }
    // A sex that differs alone is a slip. With another given name it is the brother, or the twin.
    if sex_differs && given == Some(false) {
        return Err(ReviewReason::NameContradicts);
    }
    let warnings = [
        (sex_differs, MatchWarning::SexDiffers),
        (given == Some(false), MatchWarning::GivenNameDiffers),
        (family.is_none(), MatchWarning::FamilyNameMissing),
        (birth_date.is_none(), MatchWarning::BirthDateMissing),
    ];
    Ok(warnings.into_iter().filter(|(found, _)| *found).map(|(_, warning)| warning).collect())
}
