#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const OURS: &str = "MPS_PMS";

fn id(value: &str, authority: &str, kind: &str) -> ClaimedIdentifier {
    let stated = |text: &str| Some(text).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    ClaimedIdentifier { value: value.to_owned(), authority: stated(authority), kind: stated(kind) }
}

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

fn jane() -> PatientClaim {
    PatientClaim {
        identifiers: vec![id("12345", OURS, "MR")],
        family: Some("DOE".to_owned()),
        given: Some("JANE".to_owned()),
        birth_date: date("1990-03-15"),
        sex: Sex::Female,
    }
}

fn known(patient: i64, hits: &[(&str, &str)]) -> Candidate {
    let hits =
        hits.iter().map(|(authority, value)| IdentifierKey::new(Some(authority), value, OURS)).collect();
    Candidate {
        patient_id: PatientId::new(patient),
        hits,
        family: Some("Doe".to_owned()),
        given: Some("Jane".to_owned()),
        birth_date: date("1990-03-15"),
        sex: Sex::Female,
        order_hit: false,
    }
}

fn known_jane() -> Candidate {
    known(7, &[(OURS, "12345")])
}

type Case = (&'static str, Vec<ClaimedIdentifier>, Vec<Candidate>, Outcome);
type Outcome = Result<Vec<MatchWarning>, ReviewReason>;

/// The outcome in short: the warnings of a link, or the reason for a review.
fn outcome(claim: &PatientClaim, candidates: &[Candidate]) -> Outcome {
    match decide(claim, candidates, OURS) {
        MatchOutcome::Linked { patient_id, warnings } => {
            assert_eq!(patient_id.get(), 7);
            Ok(warnings)
        }
        MatchOutcome::Review { reason, .. } => Err(reason),
    }
}

#[test]
fn what_may_differ_and_what_may_not() {
    use MatchWarning::{BirthDateMissing, FamilyNameMissing, GivenNameDiffers, SexDiffers};
    use ReviewReason::{BirthDateContradicts, NameContradicts, NothingToConfirm};
    type Change = fn(&mut PatientClaim);
    let table: [(&str, Change, Outcome); 16] = [
        ("everything agrees", |_| (), Ok(vec![])),
        ("sex differs alone", |c| c.sex = Sex::Male, Ok(vec![SexDiffers])),
        ("sex unknown", |c| c.sex = Sex::Unknown, Ok(vec![])),
        ("given name differs", |c| c.given = Some("Janet".to_owned()), Ok(vec![GivenNameDiffers])),
        (
            "brother and sister",
            |c| (c.given, c.sex) = (Some("John".to_owned()), Sex::Male),
            Err(NameContradicts),
        ),
        ("no birth date", |c| c.birth_date = None, Ok(vec![BirthDateMissing])),
        ("no family name", |c| c.family = None, Ok(vec![FamilyNameMissing])),
        ("family name is a hyphen", |c| c.family = Some(" - ".to_owned()), Ok(vec![FamilyNameMissing])),
        ("nothing beyond the number", |c| (c.family, c.birth_date) = (None, None), Err(NothingToConfirm)),
        ("other family name", |c| c.family = Some("Roe".to_owned()), Err(NameContradicts)),
        (
            "other family name, no date",
            |c| (c.family, c.birth_date) = (Some("Roe".to_owned()), None),
            Err(NameContradicts),
        ),
        ("one letter off", |c| c.family = Some("Does".to_owned()), Err(NameContradicts)),
        ("suffix in the family name", |c| c.family = Some("Doe Jr".to_owned()), Err(NameContradicts)),
        ("Cyrillic look-alike", |c| c.family = Some("D\u{43e}e".to_owned()), Err(NameContradicts)),
        ("other birth date", |c| c.birth_date = date("1990-03-16"), Err(BirthDateContradicts)),
        (
            "birth date only",
            |c| (c.family, c.birth_date) = (None, date("1991-03-15")),
            Err(BirthDateContradicts),
        ),
    ];
    for (case, change, expected) in table {
        let mut claim = jane();
        change(&mut claim);
        assert_eq!(outcome(&claim, &[known_jane()]), expected, "{case}");
    }
}

#[test]
fn a_number_counts_only_in_its_authority() {
    use ReviewReason::{NoIdentifier, SeveralCandidates, UnknownIdentifier};
    let foreign = known(7, &[("OTHER", "12345")]);
    let other_patient = known(8, &[("OTHER", "999")]);
    let both = known(7, &[(OURS, "12345"), ("OTHER", "999")]);
    let table: [Case; 16] = [
        ("no identifier", vec![], vec![known_jane()], Err(NoIdentifier)),
        ("empty identifier", vec![id(" ", OURS, "MR")], vec![known_jane()], Err(NoIdentifier)),
        ("account number only", vec![id("12345", OURS, "AN")], vec![known_jane()], Err(NoIdentifier)),
        ("social security number", vec![id("12345", "", "SS")], vec![known_jane()], Err(NoIdentifier)),
        ("nobody has it", vec![id("4", OURS, "MR")], vec![], Err(UnknownIdentifier)),
        (
            "a look-alike nobody asked for",
            vec![id("4", OURS, "MR")],
            vec![known_jane()],
            Err(UnknownIdentifier),
        ),
        ("no authority is ours", vec![id("12345", "", "MR")], vec![known_jane()], Ok(vec![])),
        ("no authority, no type", vec![id("12345", "", "")], vec![known_jane()], Ok(vec![])),
        ("authority in other case", vec![id(" 12345 ", "mps_pms", "PI")], vec![known_jane()], Ok(vec![])),
        (
            "another authority's number",
            vec![id("12345", "OTHER", "MR")],
            vec![known_jane()],
            Err(UnknownIdentifier),
        ),
        ("known in that authority", vec![id("12345", "OTHER", "MR")], vec![foreign.clone()], Ok(vec![])),
        ("ours is not theirs", vec![id("12345", "", "MR")], vec![foreign], Err(UnknownIdentifier)),
        (
            "two numbers, one patient",
            vec![id("12345", "", "MR"), id("999", "OTHER", "MR")],
            vec![both.clone()],
            Ok(vec![]),
        ),
        (
            "two numbers, two patients",
            vec![id("12345", "", "MR"), id("999", "OTHER", "MR")],
            vec![known_jane(), other_patient],
            Err(SeveralCandidates),
        ),
        (
            "their number known, ours not",
            vec![id("5", OURS, "MR"), id("999", "OTHER", "PI")],
            vec![both.clone()],
            Err(UnknownIdentifier),
        ),
        (
            "a lab number nobody knows beside ours",
            vec![id("12345", OURS, "MR"), id("L-1", "LAB", "PI")],
            vec![both],
            Ok(vec![]),
        ),
    ];
    for (case, identifiers, candidates, expected) in table {
        let claim = PatientClaim { identifiers, ..jane() };
        assert_eq!(outcome(&claim, &candidates), expected, "{case}");
    }
}

/// A quadratic look through a PID-3 of this length would take minutes, and every other sender would wait for it.
#[test]
fn a_flood_of_identifiers_is_read_once_each() {
    let numbers = || (0..50_000).map(|number| id(&format!("N{number}"), OURS, "MR"));
    let claim = PatientClaim { identifiers: numbers().chain(numbers()).collect(), ..jane() };
    let keys = claim.keys(OURS);
    assert_eq!((keys.len(), keys[0].value.as_str(), keys[49_999].value.as_str()), (50_000, "N0", "N49999"));
}

#[test]
fn the_same_patient_found_twice_is_one_patient() {
    assert_eq!(outcome(&jane(), &[known_jane(), known_jane()]), Ok(vec![]));
}

#[test]
fn names_are_compared_as_people_write_them() {
    let same = [
        ("DOE", "Doe"),
        ("García", "GARCIA"),
        ("Garci\u{301}a", "García"),
        ("O'Brien", "O’BRIEN"),
        ("O'Brien", "OBrien"),
        ("Smith-Jones", "SMITH JONES"),
        ("Smith\u{2011}Jones", "SmithJones"),
        ("Müller", "MULLER"),
        ("Müller", "Mueller"),
        ("Mu\u{308}ller", "MUELLER"),
        ("Sørensen", "Soerensen"),
        ("Strauß", "STRAUSS"),
        ("STRAUẞ", "Strauss"),
        ("Łukasz", "Lukasz"),
        ("Nguyễn", "NGUYEN"),
        ("İnce", "Ince"),
        ("St. John", "StJohn"),
        ("王", "王"),
        ("Иванов", "ИВАНОВ"),
    ];
    for (a, b) in same {
        assert!(same_name(a, b) && same_name(b, a), "{a} {b}");
    }
    let different = [
        ("Doe", "Roe"),
        ("Doe", "D\u{43e}e"),
        ("Doe", "Do\u{200b}e"),
        ("Doe", ""),
        ("", ""),
        ("-", "'"),
        ("Muller", "Mueller"),
        ("王", "玉"),
    ];
    for (a, b) in different {
        assert!(!same_name(a, b) && !same_name(b, a), "{a} {b}");
    }
}

#[test]
fn the_reviewer_sees_the_best_first_and_why() {
    let mut claim = jane();
    claim.identifiers = vec![id("4711", OURS, "MR")];
    let mut transposed = known(9, &[]);
    (transposed.birth_date, transposed.order_hit) = (date("1990-03-51").or(date("1990-03-05")), true);
    let mut swapped = known(3, &[]);
    (swapped.family, swapped.given) = (Some("Jane".to_owned()), Some("Doe".to_owned()));
    let MatchOutcome::Review { reason, candidates } =
        decide(&claim, &[transposed, known(5, &[]), swapped, known(5, &[])], OURS)
    else {
        panic!("linked");
    };
    assert_eq!(reason, ReviewReason::UnknownIdentifier);
    let ranking: Vec<(i64, u8)> = candidates.iter().map(|c| (c.patient_id.get(), c.score)).collect();
    assert_eq!(ranking, [(5, 50), (9, 40), (3, 35)]);
    assert_eq!(candidates[1].reasons[0], ScoreReason::OrderMatches);
    assert!(candidates[2].reasons.contains(&ScoreReason::NamesSwapped));
    let json = serde_json::to_value(&candidates[0]).unwrap();
    assert_eq!(json["reasons"][0], "family_name_matches");
}

#[test]
fn a_full_house_is_a_hundred() {
    let mut claim = jane();
    claim.identifiers.push(id("1", OURS, "MR"));
    let twin = Candidate { order_hit: true, ..known_jane() };
    let MatchOutcome::Review { candidates, .. } = decide(&claim, &[twin], OURS) else { panic!("linked") };
    assert_eq!(candidates[0].score, 100);
}

#[test]
fn patients_stay_out_of_debug_output() {
    let printed = format!("{:?} {:?} {:?}", jane(), known_jane(), jane().keys(OURS));
    for secret in ["DOE", "Doe", "12345", "1990"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

proptest! {
    #[test]
    fn a_contradiction_never_links(family in "[A-Za-z]{2,12}", days in -20_000..20_000_i64) {
        let mut claim = jane();
        let moved = chrono::TimeDelta::days(days);
        claim.family = Some(family.clone());
        claim.birth_date = claim.birth_date.map(|date| date + moved);
        let links = outcome(&claim, &[known_jane()]).is_ok();
        prop_assert_eq!(links, family.eq_ignore_ascii_case("doe") && days == 0);
    }

    #[test]
    fn normalising_twice_is_normalising_once(name in "\\PC{0,20}") {
        let once = normalised(&name);
        prop_assert_eq!(normalised(&once), once);
    }
}
