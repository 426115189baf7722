//! Registrations, visits and merges, as an ADT feed tells of them (HL7 v2.5.1 chapter 3). Pure: what an event means for a
//! patient and a visit.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::{
    matching::{ClaimedIdentifier, PatientClaim, same_name},
    person::Sex,
    spelling::spelled,
};

spelled! {
    /// What happened.
    pub enum AdmissionKind {
        /// A01: admitted.
        Admit = "A01",
        /// A02: moved to another place.
        Transfer = "A02",
        /// A03: discharged.
        Discharge = "A03",
        /// A04: registered for a visit.
        Register = "A04",
        /// A05: expected.
        PreAdmit = "A05",
        /// A08: something about the patient or the visit changed.
        Update = "A08",
        /// A11: the admission was a mistake.
        CancelAdmit = "A11",
        /// A13: the discharge was a mistake.
        CancelDischarge = "A13",
        /// A28: a person was added.
        AddPerson = "A28",
        /// A31: something about the person changed.
        UpdatePerson = "A31",
        /// A18: merged, the form before 2.3.1.
        MergePatient = "A18",
        /// A30: merged, persons.
        MergePerson = "A30",
        /// A34: merged, the identifier only.
        MergeIdentifier = "A34",
        /// A36: merged, identifier and account number.
        MergeIdentifierAndAccount = "A36",
        /// A39: merged, the external identifier.
        MergeExternal = "A39",
        /// A40: merged, the internal identifier.
        MergeInternal = "A40",
    }
}

impl AdmissionKind {
    /// Whether two records become one.
    pub const fn is_merge(self) -> bool {
        matches!(
            self,
            Self::MergePatient
                | Self::MergePerson
                | Self::MergeIdentifier
                | Self::MergeIdentifierAndAccount
                | Self::MergeExternal
                | Self::MergeInternal
        )
    }

    /// Whether it is about a visit and not about the person alone.
    pub const fn concerns_visit(self) -> bool {
        !self.is_merge() && !matches!(self, Self::AddPerson | Self::UpdatePerson)
    }

    /// The state of the visit afterwards; `None` keeps what it is.
    pub const fn visit_status(self) -> Option<&'static str> {
        match self {
            Self::Admit | Self::Register | Self::CancelDischarge => Some("in-progress"),
            Self::Discharge => Some(FINISHED),
            Self::PreAdmit => Some("planned"),
            Self::CancelAdmit => Some("cancelled"),
            _ => None,
        }
    }
}

/// A value in a snapshot of a person (HL7 v2.5.1 §2.5.3): not sent keeps, `""` deletes.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Said<T> {
    /// Nothing was sent.
    #[default]
    Nothing,
    /// HL7 null: what is stored goes.
    Deleted,
    /// This is it now.
    Value(T),
}

impl<T> Said<T> {
    /// A value that may have been sent, or deleted.
    pub fn of(value: Option<T>, deleted: bool) -> Self {
        match value {
            Some(value) => Self::Value(value),
            None if deleted => Self::Deleted,
            None => Self::Nothing,
        }
    }

    /// Puts it over what is stored.
    pub fn over(&self, stored: &mut Option<T>)
    where
        T: Clone,
    {
        match self {
            Self::Nothing => {}
            Self::Deleted => *stored = None,
            Self::Value(value) => *stored = Some(value.clone()),
        }
    }
}

/// What a message says of a person.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Demographics {
    /// PID-5.1.
    pub family: Said<String>,
    /// PID-5.2.
    pub given: Said<String>,
    /// PID-5.3.
    pub middle: Said<String>,
    /// PID-7.
    pub birth_date: Said<NaiveDate>,
    /// PID-8.
    pub sex: Said<Sex>,
    /// PID-13.
    pub phone: Said<String>,
    /// PID-13, the electronic one.
    pub email: Said<String>,
    /// PID-11 on one line.
    pub address: Said<String>,
}

/// What a message says of a visit.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct VisitFacts {
    /// PV1-19, else PID-18.
    pub number: Option<String>,
    /// PV1-2 (table 0004).
    pub class: Option<String>,
    /// PV1-3.
    pub location: Option<String>,
    /// PV1-7.
    pub attending: Option<String>,
    /// PV1-44.
    pub admitted_at: Option<DateTime<Utc>>,
    /// PV1-45.
    pub discharged_at: Option<DateTime<Utc>>,
    /// PV1-36 (table 0112): where the patient went. Passed on and not kept.
    pub disposition: Option<String>,
}

/// One person of a message.
#[derive(Clone, PartialEq)]
pub struct AdmittedPerson {
    /// Who; of a merge: the survivor.
    pub claim: PatientClaim,
    /// What is said of them.
    pub demographics: Demographics,
    /// The visit.
    pub visit: Option<VisitFacts>,
    /// MRG-1: identifiers that are no longer used.
    pub prior: Vec<ClaimedIdentifier>,
}

/// An ADT message.
#[derive(Clone, PartialEq)]
pub struct Admission {
    /// What happened.
    pub kind: AdmissionKind,
    /// EVN-2, else MSH-7.
    pub recorded_at: Option<DateTime<Utc>>,
    /// When it happened: EVN-6, else the same.
    pub occurred_at: Option<DateTime<Utc>>,
    /// One, or several in a merge.
    pub people: Vec<AdmittedPerson>,
}

/// Whether an event was recorded before what is stored. Without a time on both sides the order of arrival holds.
pub fn is_older(recorded_at: Option<DateTime<Utc>>, stored: Option<DateTime<Utc>>) -> bool {
    recorded_at.zip(stored).is_some_and(|(event, stored)| event < stored)
}

/// The state of a visit that is over.
const FINISHED: &str = "finished";

/// Whether a visit has ended now. One that was over before has not ended again; `before` is `None` for one that was not known.
pub fn has_ended(before: Option<&str>, after: &str) -> bool {
    after == FINISHED && before != Some(FINISHED)
}

/// A person as stored.
#[derive(Clone, Copy)]
pub struct StoredPerson<'a> {
    /// Family name.
    pub family: &'a str,
    /// Birth date.
    pub birth_date: Option<NaiveDate>,
}

/// Whether a message under a known number speaks of somebody else: another family name and another birth date. One of
/// them alone is a marriage or a mended slip.
pub fn is_somebody_else(claim: &PatientClaim, stored: StoredPerson<'_>) -> bool {
    let other_name = claim
        .family
        .as_deref()
        .is_some_and(|family| !stored.family.is_empty() && !same_name(family, stored.family));
    let other_birth = claim.birth_date.zip(stored.birth_date).is_some_and(|(said, stored)| said != stored);
    other_name && other_birth
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn null_deletes_and_empty_keeps() {
        let put = |said: Said<&'static str>| {
            let mut stored = Some("old");
            said.over(&mut stored);
            stored
        };
        assert_eq!(put(Said::of(None, false)), Some("old"));
        assert_eq!(put(Said::of(None, true)), None);
        assert_eq!(put(Said::of(Some("new"), false)), Some("new"));
    }

    #[test]
    fn events_and_what_they_mean_for_a_visit() {
        let table = [
            ("A01", true, Some("in-progress"), false),
            ("A02", true, None, false),
            ("A03", true, Some("finished"), false),
            ("A05", true, Some("planned"), false),
            ("A08", true, None, false),
            ("A11", true, Some("cancelled"), false),
            ("A13", true, Some("in-progress"), false),
            ("A31", false, None, false),
            ("A40", false, None, true),
            ("A18", false, None, true),
        ];
        for (event, visit, status, merge) in table {
            let kind: AdmissionKind = event.parse().unwrap();
            assert_eq!((kind.concerns_visit(), kind.visit_status(), kind.is_merge()), (visit, status, merge));
        }
        assert!("A06".parse::<AdmissionKind>().is_err());
    }

    #[test]
    fn a_visit_ends_once() {
        let table = [
            (None, "finished", true),
            (Some("in-progress"), "finished", true),
            (Some("planned"), "finished", true),
            (Some("cancelled"), "finished", true),
            (Some("finished"), "finished", false),
            (Some("finished"), "in-progress", false),
            (Some("in-progress"), "cancelled", false),
            (None, "in-progress", false),
        ];
        for (before, after, ended) in table {
            assert_eq!(has_ended(before, after), ended, "{before:?} {after}");
        }
    }

    #[test]
    fn a_stranger_under_a_known_number() {
        let day = |day| NaiveDate::from_ymd_opt(1990, 3, day);
        let claim = |family: &str, birth_date| PatientClaim {
            identifiers: Vec::new(),
            family: Some(family.into()),
            given: None,
            birth_date,
            sex: Sex::Unknown,
        };
        let stored = StoredPerson { family: "Doe", birth_date: day(15) };
        assert!(is_somebody_else(&claim("Roe", day(16)), stored));
        assert!(!is_somebody_else(&claim("Roe", day(15)), stored), "a marriage");
        assert!(!is_somebody_else(&claim("DOE", day(16)), stored), "a slip");
        assert!(!is_somebody_else(&claim("Roe", None), stored));
    }
}
