//! Which members of a panel have come. Named is only what lacks for certain: a result whose code we cannot read may be the
//! very one.

/// One result of an order, as far as it says which analyte it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came<'a> {
    /// Its code.
    pub code: &'a str,
    /// Its LOINC code, when it is known.
    pub loinc: Option<&'a str>,
}

/// How a panel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Every member has come, or the catalogue names none.
    Complete,
    /// These have not, and nothing that came can be them.
    Lacks(Vec<String>),
    /// So many came without a code we know that each of the rest may be among them.
    Unclear,
}

/// Compares what the catalogue expects (LOINC) with what came for the order.
pub fn panel(members: &[String], came: &[Came<'_>]) -> Panel {
    let is = |one: &Came<'_>, member: &str| one.loinc == Some(member) || one.code == member;
    let lacks: Vec<String> =
        members.iter().filter(|member| !came.iter().any(|one| is(one, member))).cloned().collect();
    let unread = came.iter().filter(|one| one.loinc.is_none() && !members.iter().any(|m| is(one, m))).count();
    match lacks.len() {
        0 => Panel::Complete,
        missing if unread >= missing => Panel::Unclear,
        _ => Panel::Lacks(lacks),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|code| (*code).to_owned()).collect()
    }

    fn came<'a>(codes: &[(&'a str, &'a str)]) -> Vec<Came<'a>> {
        codes
            .iter()
            .map(|(code, loinc)| Came { code, loinc: Some(*loinc).filter(|loinc| !loinc.is_empty()) })
            .collect()
    }

    #[test]
    fn what_lacks_is_named() {
        let cbc = members(&["6690-2", "718-7", "777-3"]);
        let table: [(&[(&str, &str)], Panel); 5] = [
            (&[("WBC", "6690-2"), ("HGB", "718-7"), ("PLT", "777-3")], Panel::Complete),
            (&[("6690-2", ""), ("HGB", "718-7"), ("PLT", "777-3")], Panel::Complete),
            (&[("WBC", "6690-2"), ("K", "2823-3")], Panel::Lacks(members(&["718-7", "777-3"]))),
            (&[("WBC", "6690-2"), ("HB-X", "")], Panel::Lacks(members(&["718-7", "777-3"]))),
            (&[("W", ""), ("H", ""), ("P", "")], Panel::Unclear),
        ];
        for (results, expected) in table {
            assert_eq!(panel(&cbc, &came(results)), expected, "{results:?}");
        }
        assert_eq!(
            panel(&[], &[]),
            Panel::Complete,
            "where every laboratory has its own list none is missed"
        );
        assert_eq!(panel(&cbc, &[]), Panel::Lacks(cbc.clone()));
    }

    proptest! {
        /// Whatever is named lacks under every reading of the codes that we cannot read, and a further result never adds to
        /// what lacks.
        #[test]
        fn nothing_is_named_that_may_have_come(
            wanted in proptest::collection::btree_set(0..8_u8, 0..8), known in proptest::collection::vec(0..8_u8, 0..8),
            unread in 0..8_usize, more in 0..8_u8,
        ) {
            let wanted: Vec<String> = wanted.iter().map(|n| format!("{n}-0")).collect();
            let loincs: Vec<String> = known.iter().chain([&more]).map(|n| format!("{n}-0")).collect();
            let read = |n: usize| loincs[..n].iter().map(|loinc| Came { code: "x", loinc: Some(loinc) });
            let unknown = std::iter::repeat_n(Came { code: "?", loinc: None }, unread);
            let before: Vec<Came<'_>> = read(known.len()).chain(unknown.clone()).collect();
            let after: Vec<Came<'_>> = read(loincs.len()).chain(unknown).collect();
            if let Panel::Lacks(lacks) = panel(&wanted, &before) {
                prop_assert!(lacks.len() > unread);
                prop_assert!(lacks.iter().all(|code| wanted.contains(code) && !loincs[..known.len()].contains(code)));
            }
            if let Panel::Lacks(lacks) = panel(&wanted, &after) {
                let Panel::Lacks(earlier) = panel(&wanted, &before) else { return Err(TestCaseError::fail("grew")) };
                prop_assert!(lacks.iter().all(|code| earlier.contains(code)));
            }
        }
    }
}
