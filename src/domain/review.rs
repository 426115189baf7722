//! What waits for a person to say whose it is, and what each decision about it may do.
//!
//! A decision is made once: whoever comes second is told who was first. Every decision can be undone, because the person
//! can be as wrong as a guess would have been; what is undone waits again.

use chrono::{DateTime, NaiveDate, Utc};

use super::ids::Mrn;
use super::matching::{ClaimedIdentifier, IdentifierKey, PatientClaim};
use super::person::Sex;
use super::spelling::spelled;

spelled! {
    /// Where an item of the review queue stands.
    pub enum ReviewStatus {
        /// Nobody has decided yet.
        Open = "open",
        /// Filed to a patient whom a person named or registered for it.
        Linked = "linked",
        /// A person said that it belongs into no chart here.
        Rejected = "rejected",
    }
}

spelled! {
    /// What a person can do about an item.
    pub enum Verb {
        /// File it to a patient.
        Link = "link",
        /// Register the patient whom the message states, and file it there.
        CreatePatient = "create_patient",
        /// Keep it out of every chart.
        Reject = "reject",
        /// Take the decision back.
        Undo = "undo",
    }
}

/// The item does not stand where the decision could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an item that is {status} cannot take this decision: {verb}")]
pub struct NotAllowed {
    /// Where it stands.
    pub status: ReviewStatus,
    /// What was tried.
    pub verb: Verb,
}

impl ReviewStatus {
    /// The only way a status changes.
    pub const fn advance(self, verb: Verb) -> Result<Self, NotAllowed> {
        match (self, verb) {
            (Self::Open, Verb::Link | Verb::CreatePatient) => Ok(Self::Linked),
            (Self::Open, Verb::Reject) => Ok(Self::Rejected),
            (Self::Linked | Self::Rejected, Verb::Undo) => Ok(Self::Open),
            _ => Err(NotAllowed { status: self, verb }),
        }
    }
}

/// What becomes of a message whose items stand like this. It is unmatched while anything of it waits, and rejected only
/// when nothing of it is in a chart.
pub fn message_status(items: &[ReviewStatus], observations_stored: i32) -> &'static str {
    if items.contains(&ReviewStatus::Open) {
        return "unmatched";
    }
    let linked = items.contains(&ReviewStatus::Linked);
    if linked || observations_stored > 0 { "stored" } else { "rejected" }
}

/// Whether an acknowledgment outlives the undoing of a link. One given before the link was about a value of nobody yet,
/// and still is. One given after it was about the wrong patient: for the right one nobody has done anything.
pub fn acknowledgment_stands(acknowledged_at: Option<DateTime<Utc>>, linked_at: DateTime<Utc>) -> bool {
    acknowledged_at.is_none_or(|at| at < linked_at)
}

/// A patient as a message states one.
#[derive(Clone, PartialEq, Eq)]
pub struct StatedPatient {
    /// The number that the record goes by.
    pub mrn: String,
    /// Every identifier that names the patient.
    pub identifiers: Vec<StatedIdentifier>,
    /// Family name.
    pub family: String,
    /// Given name; empty when not stated.
    pub given: String,
    /// Date of birth.
    pub birth_date: Option<NaiveDate>,
    /// Sex.
    pub sex: Sex,
}

/// An identifier in its authority.
#[derive(Clone, PartialEq, Eq)]
pub struct StatedIdentifier {
    /// The number.
    pub value: String,
    /// Who gave it.
    pub authority: String,
    /// Table 0203.
    pub kind: String,
}

/// Why no patient can be made of what a message states. Registering by hand and linking still can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStated {
    /// No number that names a patient.
    #[error("the message states no identifier that names a patient")]
    Identifier,
    /// A number that no record can go by.
    #[error("an identifier in the message is too long or holds characters that cannot be seen")]
    ReadableIdentifier,
    /// No family name: such a record could never be told from another.
    #[error("the message states no family name")]
    FamilyName,
}

/// The longest name of a patient, in characters.
const LONGEST_NAME: usize = 200;

/// The patient whom a message states. Ours is an identifier whose authority is ours, or that names none.
pub fn stated_patient(claim: &PatientClaim, local_authority: &str) -> Result<StatedPatient, NotStated> {
    let naming = claim.identifiers.iter().filter(|identifier| identifier.names_a_patient());
    let mut identifiers: Vec<StatedIdentifier> = Vec::new();
    for sent in naming {
        let stated = stated_identifier(sent, local_authority)?;
        if !identifiers.contains(&stated) {
            identifiers.push(stated);
        }
    }
    let ours = |identifier: &&StatedIdentifier| identifier.authority == local_authority;
    let record = |identifier: &&StatedIdentifier| identifier.kind == "MR";
    let all = || identifiers.iter();
    let first =
        all().find(|one| ours(one) && record(one)).or_else(|| all().find(record)).or_else(|| all().next());
    let mrn = first.ok_or(NotStated::Identifier)?.value.clone();
    let family = shown(claim.family.as_deref()).filter(|family| !family.is_empty());
    Ok(StatedPatient {
        mrn,
        family: family.ok_or(NotStated::FamilyName)?,
        given: shown(claim.given.as_deref()).unwrap_or_default(),
        birth_date: claim.birth_date,
        sex: claim.sex,
        identifiers,
    })
}

fn stated_identifier(sent: &ClaimedIdentifier, local: &str) -> Result<StatedIdentifier, NotStated> {
    let value = Mrn::new(&sent.value).map_err(|_| NotStated::ReadableIdentifier)?;
    let key = IdentifierKey::new(sent.authority.as_deref(), value.as_str(), local);
    let is_ours = key.authority == local.trim().to_lowercase();
    let authority = if is_ours { local } else { sent.authority.as_deref().unwrap_or(local).trim() };
    let kind = sent.kind.as_deref().unwrap_or_default().trim().to_uppercase();
    let kind = if matches!(kind.as_str(), "" | "MRN") { "MR".to_owned() } else { kind };
    Ok(StatedIdentifier { value: value.into(), authority: authority.to_owned(), kind })
}

/// A name as a record keeps it: nothing that cannot be seen, and no more than fits.
fn shown(name: Option<&str>) -> Option<String> {
    let visible = name?.chars().filter(|c| !super::ids::is_invisible(*c)).take(LONGEST_NAME);
    Some(visible.collect::<String>().trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_is_as_the_table_says() {
        // A line per status, a column per verb: link, create_patient, reject, undo.
        let table = [
            (ReviewStatus::Open, ["linked", "linked", "rejected", "-"]),
            (ReviewStatus::Linked, ["-", "-", "-", "open"]),
            (ReviewStatus::Rejected, ["-", "-", "-", "open"]),
        ];
        assert_eq!(table.len(), ReviewStatus::ALL.len());
        for (status, expected) in table {
            let actual: Vec<&str> = Verb::ALL
                .iter()
                .map(|verb| status.advance(*verb).map_or("-", ReviewStatus::as_str))
                .collect();
            assert_eq!(actual, expected, "{status}");
        }
        let refused = ReviewStatus::Open.advance(Verb::Undo).unwrap_err();
        assert_eq!(refused.to_string(), "an item that is open cannot take this decision: undo");
    }

    #[test]
    fn a_message_waits_as_long_as_any_part_of_it() {
        use ReviewStatus::{Linked, Open, Rejected};
        let table: [(&[ReviewStatus], i32, &str); 7] = [
            (&[Open], 0, "unmatched"),
            (&[Open, Linked], 3, "unmatched"),
            (&[Linked], 3, "stored"),
            (&[Linked], 0, "stored"),
            (&[Rejected], 0, "rejected"),
            (&[Rejected], 2, "stored"),
            (&[Rejected, Linked], 0, "stored"),
        ];
        for (items, stored, expected) in table {
            assert_eq!(message_status(items, stored), expected, "{items:?} {stored}");
        }
    }

    #[test]
    fn an_acknowledgment_for_the_wrong_patient_does_not_stand() {
        let linked = DateTime::from_timestamp(1000, 0).unwrap();
        let at = |second| DateTime::from_timestamp(second, 0);
        assert!(acknowledgment_stands(at(999), linked));
        assert!(!acknowledgment_stands(at(1000), linked) && !acknowledgment_stands(at(1001), linked));
        assert!(acknowledgment_stands(None, linked));
    }

    fn identifier(value: &str, authority: Option<&str>, kind: Option<&str>) -> ClaimedIdentifier {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ClaimedIdentifier { value: value.into(), authority: text(authority), kind: text(kind) }
    }

    fn claim(identifiers: Vec<ClaimedIdentifier>) -> PatientClaim {
        PatientClaim {
            identifiers,
            family: Some("Doe".into()),
            given: None,
            birth_date: None,
            sex: Sex::Unknown,
        }
    }

    #[test]
    fn identifiers_keep_their_authority_and_ours_comes_first() {
        let stated = stated_patient(
            &claim(vec![
                identifier("X1", Some("OTHER"), Some("MR")),
                identifier(" 7 ", Some("mps_pms"), Some("MRN")),
                identifier("7", None, None),
                identifier("P1", Some("OTHER"), Some("pi")),
                identifier("A1", Some("OTHER"), Some("AN")),
            ]),
            "MPS_PMS",
        )
        .unwrap();
        let kept: Vec<_> = stated
            .identifiers
            .iter()
            .map(|one| (one.value.as_str(), one.authority.as_str(), one.kind.as_str()))
            .collect();
        assert_eq!(kept, [("X1", "OTHER", "MR"), ("7", "MPS_PMS", "MR"), ("P1", "OTHER", "PI")]);
        assert_eq!((stated.mrn.as_str(), stated.given.as_str()), ("7", ""));
    }

    #[test]
    fn what_is_not_stated_is_not_invented() {
        let of = |claim: &PatientClaim| stated_patient(claim, "MPS_PMS").err();
        assert_eq!(of(&claim(vec![])), Some(NotStated::Identifier));
        let account = claim(vec![identifier("A1", None, Some("AN"))]);
        assert_eq!(of(&account), Some(NotStated::Identifier));
        let hidden = claim(vec![identifier("1\u{200b}2", None, None)]);
        assert_eq!(of(&hidden), Some(NotStated::ReadableIdentifier));
        let named = claim(vec![identifier("1", None, None)]);
        assert_eq!(of(&named), None);
        assert_eq!(
            of(&PatientClaim { family: Some(" ".into()), ..named.clone() }),
            Some(NotStated::FamilyName)
        );
        let hidden_name = PatientClaim { family: Some("Do\u{200b}e\u{7}".into()), ..named };
        assert_eq!(stated_patient(&hidden_name, "MPS_PMS").unwrap().family, "Doe");
    }
}
