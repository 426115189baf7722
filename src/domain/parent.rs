//! Which result a report hangs on: susceptibilities belong to one organism of a culture.
//!
//! Found when it is read, never written down: the parent may arrive after its child, and be corrected after that. Where
//! two results fit equally well there is none: an antibiotic under the wrong organism is worse than one under no
//! organism.

/// What a report says of its parent (OBR-26, OBR-29), with the numbers of the report itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Code of the parent observation.
    pub code: &'a str,
    /// Its sub-id.
    pub sub_id: Option<&'a str>,
    /// Its text, or a part of it.
    pub text: Option<&'a str>,
    /// Filler number of the parent order, else that of the report itself.
    pub filler: Option<&'a str>,
    /// Placer number of the parent order, else that of the report itself.
    pub placer: Option<&'a str>,
}

/// A current result of the same patient, outside the report.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its id.
    pub id: i64,
    /// Its code.
    pub code: &'a str,
    /// Its sub-id.
    pub sub_id: Option<&'a str>,
    /// Its value.
    pub value: Option<&'a str>,
    /// Filler number of its report.
    pub filler: Option<&'a str>,
    /// Placer number of its report.
    pub placer: Option<&'a str>,
}

/// The parent among the candidates, if exactly one fits best.
pub fn choose(wanted: &Wanted<'_>, candidates: &[Candidate<'_>]) -> Option<i64> {
    let same = |a: Option<&str>, b: Option<&str>| a.is_some() && a.map(str::trim) == b.map(str::trim);
    // The laboratory's number goes before ours: several of its orders may answer one of ours.
    let of_filler = |candidate: &&Candidate<'_>| same(wanted.filler, candidate.filler);
    let of_placer = |candidate: &&Candidate<'_>| same(wanted.placer, candidate.placer);
    let coded = || candidates.iter().filter(|candidate| candidate.code.trim() == wanted.code.trim());
    let mut fitting: Vec<&Candidate<'_>> = coded().filter(of_filler).collect();
    if fitting.is_empty() {
        fitting = coded().filter(of_placer).collect();
    }
    if wanted.sub_id.is_some() {
        // A culture with one organism needs no sub-id.
        let exact = |candidate: &&&Candidate<'_>| same(wanted.sub_id, candidate.sub_id);
        let exactly: Vec<_> = fitting.iter().filter(exact).copied().collect();
        let without: Vec<_> = fitting.iter().filter(|found| found.sub_id.is_none()).copied().collect();
        fitting = if exactly.is_empty() { without } else { exactly };
    }
    match (fitting.as_slice(), wanted.text) {
        ([only], _) => Some(only.id),
        ([_, ..], Some(text)) => {
            let mut told = fitting.iter().filter(|found| says(found, text));
            let first = told.next()?;
            told.next().is_none().then_some(first.id)
        }
        _ => None,
    }
}

fn says(candidate: &Candidate<'_>, text: &str) -> bool {
    let value = candidate.value.unwrap_or_default().to_lowercase();
    !text.trim().is_empty() && value.contains(&text.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organism<'a>(id: i64, sub_id: &'a str, value: &'a str, filler: &'a str) -> Candidate<'a> {
        let sub_id = Some(sub_id).filter(|sub_id| !sub_id.is_empty());
        Candidate {
            id,
            code: "600-7",
            sub_id,
            value: Some(value),
            filler: Some(filler),
            placer: Some("12-1"),
        }
    }

    #[test]
    fn the_organism_is_found_or_there_is_none() {
        let coli = organism(1, "1", "Escherichia coli", "F1");
        let aureus = organism(2, "2", "Staphylococcus aureus", "F1");
        let alone = organism(3, "", "Escherichia coli", "F2");
        let wanted = |sub_id: &'static str, text: &'static str, filler: &'static str| Wanted {
            code: "600-7",
            sub_id: Some(sub_id).filter(|sub_id| !sub_id.is_empty()),
            text: Some(text).filter(|text| !text.is_empty()),
            filler: Some(filler),
            placer: Some("12-1"),
        };
        let all = [coli, aureus, alone];
        assert_eq!(choose(&wanted("2", "", "F1"), &all), Some(2));
        assert_eq!(choose(&wanted("2", "", "F2"), &all), Some(3), "one organism needs no sub-id");
        assert_eq!(choose(&wanted("3", "", "F1"), &all), None);
        assert_eq!(choose(&wanted("", "", "F1"), &all), None, "two fit");
        assert_eq!(choose(&wanted("", "AUREUS", "F1"), &all), Some(2));
        assert_eq!(choose(&wanted("1", "", "F9"), &all), Some(1), "by our number");
        let elsewhere = Wanted { placer: None, ..wanted("1", "", "F9") };
        assert_eq!(choose(&elsewhere, &all), None);
        assert_eq!(choose(&Wanted { code: "634-6", ..wanted("1", "", "F1") }, &all), None);
    }
}
