//! How much a candidate looks like the patient of a message. For a person's eye: nothing is linked by a
//! score.

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{Candidate, PatientClaim, compare_names, normalised};
use crate::domain::ids::PatientId;
use crate::domain::person::Sex;
use crate::domain::spelling::spelled;

spelled! {
    /// What speaks for or against a candidate. Codes only: the reviewer sees the data beside them, logs must
    /// not.
    pub enum ScoreReason {
        /// A claimed identifier is this patient's.
        IdentifierMatches = "identifier_matches",
        /// The message names an order of this patient.
        OrderMatches = "order_matches",
        /// Same family name.
        FamilyMatches = "family_name_matches",
        /// Almost the same family name, or one that sounds the same.
        FamilySimilar = "family_name_similar",
        /// Family and given name have changed places.
        NamesSwapped = "names_swapped",
        /// Another family name.
        FamilyDiffers = "family_name_differs",
        /// Same given name.
        GivenMatches = "given_name_matches",
        /// Another given name.
        GivenDiffers = "given_name_differs",
        /// Same date of birth.
        BirthDateMatches = "birth_date_matches",
        /// Day and month, or two digits, have changed places.
        BirthDateTransposed = "birth_date_transposed",
        /// Another date of birth.
        BirthDateDiffers = "birth_date_differs",
        /// Same sex.
        SexMatches = "sex_matches",
        /// Another sex.
        SexDiffers = "sex_differs",
    }
}

impl ScoreReason {
    /// Points out of 100. A difference gives none; it is listed because the reviewer must see it.
    const fn points(self) -> u8 {
        match self {
            Self::IdentifierMatches => 40,
            Self::BirthDateMatches => 20,
            Self::FamilyMatches => 15,
            Self::OrderMatches | Self::GivenMatches | Self::BirthDateTransposed | Self::NamesSwapped => 10,
            Self::FamilySimilar => 8,
            Self::SexMatches => 5,
            Self::FamilyDiffers | Self::GivenDiffers | Self::BirthDateDiffers | Self::SexDiffers => 0,
        }
    }
}

/// A candidate for the review queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoredCandidate {
    /// Who.
    pub patient_id: PatientId,
    /// 0 to 100.
    pub score: u8,
    /// Why.
    pub reasons: Vec<ScoreReason>,
}

/// Every candidate once, best first.
pub(super) fn ranked(
    claim: &PatientClaim,
    candidates: &[Candidate],
    local_authority: &str,
) -> Vec<ScoredCandidate> {
    let keys = claim.keys(local_authority);
    let mut scored: Vec<ScoredCandidate> = candidates
        .iter()
        .map(|candidate| scored(claim, candidate, candidate.hits.iter().any(|hit| keys.contains(hit))))
        .collect();
    scored.sort_by_key(|candidate| (std::cmp::Reverse(candidate.score), candidate.patient_id));
    let mut seen = std::collections::HashSet::new();
    scored.retain(|candidate| seen.insert(candidate.patient_id));
    scored
}

fn scored(claim: &PatientClaim, candidate: &Candidate, identifier_hit: bool) -> ScoredCandidate {
    use ScoreReason as R;
    let sex_known = claim.sex != Sex::Unknown && candidate.sex != Sex::Unknown;
    let reasons: Vec<R> = [
        identifier_hit.then_some(R::IdentifierMatches),
        candidate.order_hit.then_some(R::OrderMatches),
        family(claim, candidate),
        compare_names(claim.given.as_ref(), candidate.given.as_ref())
            .map(|same| if same { R::GivenMatches } else { R::GivenDiffers }),
        claim.birth_date.zip(candidate.birth_date).map(|(claimed, known)| birth_date(claimed, known)),
        sex_known.then_some(if claim.sex == candidate.sex { R::SexMatches } else { R::SexDiffers }),
    ]
    .into_iter()
    .flatten()
    .collect();
    let score = reasons.iter().map(|reason| reason.points()).sum();
    ScoredCandidate { patient_id: candidate.patient_id, score, reasons }
}

fn family(claim: &PatientClaim, candidate: &Candidate) -> Option<ScoreReason> {
    if compare_names(claim.family.as_ref(), candidate.family.as_ref())? {
        return Some(ScoreReason::FamilyMatches);
    }
    let crossed = |a: Option<&String>, b: Option<&String>| compare_names(a, b) == Some(true);
    if crossed(claim.family.as_ref(), candidate.given.as_ref())
        && crossed(claim.given.as_ref(), candidate.family.as_ref())
    {
        return Some(ScoreReason::NamesSwapped);
    }
    let (claimed, known) = (normalised(claim.family.as_ref()?), normalised(candidate.family.as_ref()?));
    let similar = one_edit_apart(&claimed, &known)
        || (soundex(&claimed).is_some() && soundex(&claimed) == soundex(&known));
    Some(if similar { ScoreReason::FamilySimilar } else { ScoreReason::FamilyDiffers })
}

fn birth_date(claimed: NaiveDate, known: NaiveDate) -> ScoreReason {
    if claimed == known {
        return ScoreReason::BirthDateMatches;
    }
    let swapped =
        claimed.year() == known.year() && (claimed.month(), claimed.day()) == (known.day(), known.month());
    let digits = |date: NaiveDate| date.format("%Y%m%d").to_string().into_bytes();
    if swapped || neighbours_swapped(&digits(claimed), &digits(known)) {
        ScoreReason::BirthDateTransposed
    } else {
        ScoreReason::BirthDateDiffers
    }
}

/// Whether two neighbouring elements changed places, and nothing else differs.
fn neighbours_swapped<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let differing: Vec<usize> = (0..a.len()).filter(|i| a[*i] != b[*i]).collect();
    matches!(differing[..], [i, j] if j == i + 1 && a[i] == b[j] && a[j] == b[i])
}

/// One letter added, left out or replaced, or two neighbours swapped.
fn one_edit_apart(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    // Short names are one letter apart by nature: Li and Lu are two families.
    if short.len() < 4 || long.len() - short.len() > 1 {
        return false;
    }
    let start = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    let skip_short = usize::from(short.len() == long.len());
    let rest_agrees = short.get(start + skip_short..) == long.get(start + 1..);
    rest_agrees || neighbours_swapped(short, long)
}

/// The classic four-character Soundex code; None for names outside the basic Latin letters.
fn soundex(name: &str) -> Option<[u8; 4]> {
    let class = |letter: u8| match letter {
        b'b' | b'f' | b'p' | b'v' => b'1',
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => b'2',
        b'd' | b't' => b'3',
        b'l' => b'4',
        b'm' | b'n' => b'5',
        b'r' => b'6',
        _ => b'0',
    };
    let letters = name.as_bytes();
    if !letters.iter().all(u8::is_ascii_lowercase) {
        return None;
    }
    let mut code = [*letters.first()?, b'0', b'0', b'0'];
    let (mut filled, mut last) = (1, class(code[0]));
    for letter in &letters[1..] {
        let this = class(*letter);
        if this != b'0' && this != last && filled < code.len() {
            code[filled] = this;
            filled += 1;
        }
        // H and W do not separate equal sounds, vowels do.
        if !matches!(letter, b'h' | b'w') {
            last = this;
        }
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_and_slips() {
        for (a, b) in [("robert", "rupert"), ("smith", "smyth"), ("meyer", "maier"), ("ashcraft", "ashcroft")]
        {
            assert_eq!(soundex(a), soundex(b), "{a} {b}");
        }
        assert_ne!(soundex("doe"), soundex("roe"));
        assert_eq!(soundex("дое"), None);
        assert_eq!(soundex(""), None);
        for (a, b) in [("jonson", "johnson"), ("clark", "clerk"), ("brain", "brian"), ("smiths", "smith")] {
            assert!(one_edit_apart(a, b), "{a} {b}");
        }
        for (a, b) in
            [("li", "lu"), ("smith", "jones"), ("ann", "anna"), ("smith", "smithers"), ("abcdef", "badcef")]
        {
            assert!(!one_edit_apart(a, b), "{a} {b}");
        }
    }

    #[test]
    fn dates_change_places() {
        let date = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap_or_default();
        let table = [
            (date(1990, 3, 12), date(1990, 12, 3), ScoreReason::BirthDateTransposed),
            (date(1990, 3, 15), date(1909, 3, 15), ScoreReason::BirthDateTransposed),
            (date(1990, 3, 12), date(1990, 3, 21), ScoreReason::BirthDateTransposed),
            (date(1990, 3, 12), date(1990, 3, 13), ScoreReason::BirthDateDiffers),
            (date(1990, 3, 12), date(1990, 3, 12), ScoreReason::BirthDateMatches),
        ];
        for (claimed, known, expected) in table {
            assert_eq!(birth_date(claimed, known), expected, "{claimed} {known}");
        }
    }
}
