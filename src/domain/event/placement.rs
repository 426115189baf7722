//! What somebody else's order becomes here: one order of ours for each message and patient. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Imaging, OrderRequest};
use crate::domain::{
    ids::{DiagnosisCode, ProviderName, TestCode, TextError},
    order::Priority,
    report::Term,
};

/// Characters of an order number that are kept.
const LONGEST_NUMBER: usize = 100;
/// Characters of a number's name space that are kept.
const LONGEST_NAMESPACE: usize = 200;

/// Why a request cannot become an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplaceable {
    /// Without a number it could neither be known again nor called off.
    NumberMissing,
    /// ORC-2 and OBR-2 differ.
    NumbersDiffer,
    /// The number is too long, or has characters that cannot be seen.
    NumberUnusable,
    /// Nothing says what is ordered.
    TestMissing,
    /// The code is too long.
    TestTooLong,
    /// The code has characters that cannot be seen.
    TestUnusable,
}

/// What an order of ours says, made of all that a message orders for one patient.
#[derive(Clone, PartialEq, Eq)]
pub struct Placement {
    /// The most urgent of all; routine when none is said.
    pub priority: Priority,
    /// Whether a priority is said.
    pub says_priority: bool,
    /// Who orders; empty when nobody is named.
    pub provider: String,
    /// ICD-10 codes.
    pub diagnoses: Vec<String>,
    /// Everything said in words.
    pub note: Option<String>,
    /// What only imaging needs, one for each test that has it.
    pub imaging: Vec<Imaging>,
    /// Words for what was odd.
    pub warnings: Vec<&'static str>,
}

impl OrderRequest {
    /// Whether it can become an order: it has a number and says what is ordered.
    pub fn placeable(&self) -> Result<(), Unplaceable> {
        if self.names_two {
            return Err(Unplaceable::NumbersDiffer);
        }
        let number = self.placer.as_ref().ok_or(Unplaceable::NumberMissing)?;
        let fits = |text: &str, most| text.chars().count() <= most && !text.chars().any(char::is_control);
        let giver = number.giver().is_none_or(|giver| fits(giver, LONGEST_NAMESPACE));
        if !fits(&number.id, LONGEST_NUMBER) || !giver {
            return Err(Unplaceable::NumberUnusable);
        }
        match TestCode::new(&self.service.code) {
            Ok(_) => Ok(()),
            Err(TextError::Empty) => Err(Unplaceable::TestMissing),
            Err(TextError::TooLong { .. }) => Err(Unplaceable::TestTooLong),
            Err(TextError::Invisible) => Err(Unplaceable::TestUnusable),
        }
    }

    /// The priority, and a word when none of those sent is known. What is not known may be urgent: it is not taken for
    /// routine.
    fn priority(&self) -> (Priority, Option<&'static str>) {
        match self.priorities.iter().find_map(|sent| priority(sent)) {
            Some(priority) => (priority, None),
            None if self.priorities.is_empty() => (Priority::Routine, None),
            None => (Priority::Asap, Some("priority_unknown")),
        }
    }
}

/// Tables 0485 and 0027. `TS30` and its like are critical to the second, the minute and so on.
fn priority(sent: &str) -> Option<Priority> {
    let sent = sent.trim();
    let timed = || {
        let mut letters = sent.chars();
        let unit =
            letters.next() == Some('T') && matches!(letters.next(), Some('S' | 'M' | 'H' | 'D' | 'W' | 'L'));
        (unit && letters.all(|c| c.is_ascii_digit())).then_some(Priority::Timed)
    };
    sent.parse().ok().or_else(timed).or_else(|| (sent == "PRN").then_some(Priority::Routine))
}

const fn urgency(priority: Priority) -> u8 {
    match priority {
        Priority::Stat => 4,
        Priority::Asap => 3,
        Priority::Preoperative => 2,
        Priority::Timed => 1,
        Priority::Routine => 0,
    }
}

impl Placement {
    /// Brings together what is ordered for one patient. `notes`: comments on the patient.
    pub fn of(requests: &[&OrderRequest], notes: &[String]) -> Self {
        let mut warnings = Vec::new();
        let priority = urgent(requests, &mut warnings);
        let provider = provider(requests, &mut warnings);
        let mut lines: Vec<String> = Vec::new();
        let mut diagnoses: Vec<String> = Vec::new();
        let noted = notes.iter().chain(requests.iter().flat_map(|request| &request.notes));
        noted.for_each(|note| add(&mut lines, plain(note)));
        for sent in requests.iter().flat_map(|request| &request.diagnoses) {
            match icd_10(sent) {
                Some(code) => add(&mut diagnoses, code),
                None => add(&mut lines, plain(&in_words(sent))),
            }
        }
        if requests.iter().any(|request| request.has_specimen) {
            warnings.push("specimen_not_kept");
        }
        let note = Some(lines.join("\n")).filter(|note| !note.is_empty());
        let says_priority = requests.iter().any(|request| !request.priorities.is_empty());
        let imaging = requests.iter().filter_map(|request| request.imaging.clone()).collect();
        Self { priority, says_priority, provider, diagnoses, note, imaging, warnings }
    }

    /// What only imaging needs: that of the first test, with that of the others in it.
    pub fn imaging(&self) -> Option<Value> {
        let (first, further) = self.imaging.split_first()?;
        let mut imaging = json!(first);
        if !further.is_empty() {
            imaging["further_studies"] = json!(further);
        }
        Some(imaging)
    }

    /// What [`Placement::imaging`] made one, taken apart again: one for each test, in their order.
    pub fn studies(imaging: &Value) -> Vec<Imaging> {
        let read = |value: &Value| serde_json::from_value(value.clone()).ok();
        let further = imaging["further_studies"].as_array().map(Vec::as_slice).unwrap_or_default();
        std::iter::once(imaging).chain(further).filter_map(read).collect()
    }

    /// The study of the test at a position, from 1.
    pub fn study(imaging: Option<&Value>, position: i32) -> Option<Imaging> {
        let nth = usize::try_from(position - 1).ok()?;
        Self::studies(imaging?).into_iter().nth(nth)
    }

    /// When the last of it is to be done, where that is said.
    pub fn scheduled_at(&self) -> Option<DateTime<Utc>> {
        self.imaging.iter().filter_map(|imaging| imaging.scheduled_at).max()
    }

    /// The priority, if one is said.
    pub fn said_priority(&self) -> Option<Priority> {
        self.says_priority.then_some(self.priority)
    }
}

fn urgent(requests: &[&OrderRequest], warnings: &mut Vec<&'static str>) -> Priority {
    let all: Vec<_> = requests.iter().map(|request| request.priority()).collect();
    warnings.extend(all.iter().find_map(|(_, warning)| *warning));
    if all.windows(2).any(|pair| pair[0].0 != pair[1].0) {
        warnings.push("priorities_differ");
    }
    all.into_iter().map(|(priority, _)| priority).max_by_key(|one| urgency(*one)).unwrap_or_default()
}

fn provider(requests: &[&OrderRequest], warnings: &mut Vec<&'static str>) -> String {
    let mut named = requests.iter().filter_map(|request| request.provider.as_deref());
    let Some(first) = named.next() else {
        warnings.push("provider_missing");
        return String::new();
    };
    if named.any(|other| other != first) {
        warnings.push("providers_differ");
    }
    let kept = ProviderName::new(first).map(String::from);
    kept.unwrap_or_else(|_| {
        warnings.push("provider_not_kept");
        String::new()
    })
}

/// A code of ICD-10, or of nothing that is named.
fn icd_10(sent: &Term) -> Option<String> {
    let system = sent.system.as_deref().unwrap_or("I10").to_ascii_uppercase().replace('-', "");
    let is_icd_10 = system.starts_with("I10") || system.starts_with("ICD10");
    DiagnosisCode::new(&sent.code).ok().filter(|_| is_icd_10).map(String::from)
}

fn in_words(sent: &Term) -> String {
    let system = sent.system.as_ref().map(|system| format!(" ({system})")).unwrap_or_default();
    let text = sent.text.as_deref().filter(|text| *text != sent.code).unwrap_or_default();
    format!("Diagnosis: {} {text}", sent.code).trim_end().to_owned() + &system
}

/// Without what cannot be seen, save line ends.
fn plain(text: &str) -> String {
    let seen = |c: char| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c };
    text.chars().map(seen).collect::<String>().trim().to_owned()
}

fn add(texts: &mut Vec<String>, text: String) {
    if !text.is_empty() && !texts.contains(&text) {
        texts.push(text);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::event::SentNumber;

    fn request(priorities: &[&str]) -> OrderRequest {
        OrderRequest {
            placer: Some(SentNumber { id: "P1".into(), ..SentNumber::default() }),
            service: Term { code: "CBC".into(), ..Term::default() },
            priorities: priorities.iter().map(|text| (*text).to_owned()).collect(),
            provider: Some("Dr. Smith".into()),
            ..OrderRequest::default()
        }
    }

    fn term(code: &str, text: &str, system: Option<&str>) -> Term {
        Term {
            code: code.into(),
            text: Some(text.into()),
            system: system.map(str::to_owned),
            ..Term::default()
        }
    }

    #[test]
    fn priorities_by_code_and_word() {
        let table = [
            (&["S"][..], Priority::Stat),
            (&["stat"], Priority::Stat),
            (&["ROUTINE"], Priority::Routine),
            (&["ASAP"], Priority::Asap),
            (&["T"], Priority::Timed),
            (&["TM30"], Priority::Timed),
            (&["P"], Priority::Preoperative),
            (&["PRN"], Priority::Routine),
            (&["?", "R"], Priority::Routine),
            (&["H"], Priority::Asap),
            (&[], Priority::Routine),
        ];
        for (sent, expected) in table {
            assert_eq!(request(sent).priority().0, expected, "{sent:?}");
        }
    }

    #[test]
    fn one_order_of_several_requests() {
        let mut second = request(&["S"]);
        second.provider = Some("Dr. Who".into());
        second.notes = vec!["fasting".into(), "call\u{7} us\nplease".into()];
        second.diagnoses = vec![
            term("D64.9", "Anaemia", Some("I10")),
            term("D64.9", "Anaemia", None),
            term("840", "Sprain", Some("I9")),
            term("", "tired", None),
        ];
        let first = request(&["R"]);
        let placed = Placement::of(&[&first, &second], &["fasting".into()]);
        assert_eq!((placed.priority, placed.provider.as_str()), (Priority::Stat, "Dr. Smith"));
        assert_eq!(placed.diagnoses, ["D64.9"]);
        let note = "fasting\ncall  us\nplease\nDiagnosis: 840 Sprain (I9)\nDiagnosis:  tired";
        assert_eq!(placed.note.as_deref(), Some(note));
        assert_eq!(placed.warnings, ["priorities_differ", "providers_differ"]);
    }

    #[test]
    fn imaging_of_several_tests() {
        let of = |modality: &str| {
            let imaging = Some(Imaging { modality: Some(modality.into()), ..Imaging::default() });
            OrderRequest { imaging, ..request(&[]) }
        };
        let (first, second) = (of("CT"), of("MR"));
        assert_eq!(Placement::of(&[&request(&[])], &[]).imaging(), None);
        let one = Placement::of(&[&first], &[]).imaging().unwrap();
        assert_eq!((&one["modality"], one.get("further_studies")), (&json!("CT"), None));
        let both = Placement::of(&[&first, &second], &[]).imaging().unwrap();
        assert_eq!(both["further_studies"][0]["modality"], "MR");
        let read: Vec<_> =
            Placement::studies(&both).into_iter().map(|study| study.modality.unwrap()).collect();
        assert_eq!(read, ["CT", "MR"]);
        let at = |position| Placement::study(Some(&both), position).and_then(|study| study.modality);
        assert_eq!([0, 1, 2, 3].map(at), [None, Some("CT".to_owned()), Some("MR".to_owned()), None]);
        assert!(Placement::studies(&Value::Null).is_empty());
    }

    #[test]
    fn what_is_not_said_is_left_empty() {
        let mut bare = request(&["H"]);
        (bare.provider, bare.has_specimen) = (None, true);
        let placed = Placement::of(&[&bare], &[]);
        assert_eq!((placed.provider.as_str(), placed.note), ("", None));
        assert_eq!(placed.warnings, ["priority_unknown", "provider_missing", "specimen_not_kept"]);
    }

    #[test]
    fn what_cannot_become_an_order() {
        let fault = |change: fn(&mut OrderRequest)| {
            let mut changed = request(&[]);
            change(&mut changed);
            changed.placeable().err()
        };
        assert_eq!(fault(|_| {}), None);
        assert_eq!(fault(|r| r.placer = None), Some(Unplaceable::NumberMissing));
        assert_eq!(fault(|r| r.names_two = true), Some(Unplaceable::NumbersDiffer));
        let number = |id: &str| Some(SentNumber { id: id.into(), ..SentNumber::default() });
        assert_eq!(request(&[]).placer, number("P1"));
        assert_eq!(
            fault(|r| r.placer.as_mut().unwrap().id = "x".repeat(101)),
            Some(Unplaceable::NumberUnusable)
        );
        assert_eq!(fault(|r| r.service.code.clear()), Some(Unplaceable::TestMissing));
        assert_eq!(fault(|r| r.service.code = "x".repeat(51)), Some(Unplaceable::TestTooLong));
        assert_eq!(fault(|r| r.service.code = "a\u{200b}".into()), Some(Unplaceable::TestUnusable));
    }
}
