//! What a clinician asks for, and whether it can be an order. Pure.

use serde_json::json;

use super::error::LabError;
use crate::{
    domain::ids::{DiagnosisCode, IdempotencyKey, ProviderName, TestCode, TextError},
    security::{hex, sha256},
};

const MOST_TESTS: usize = 100;
const MOST_DIAGNOSES: usize = 50;
const LONGEST_NOTE: usize = 4000;

/// A new order.
#[derive(Clone)]
pub struct NewOrder {
    /// For whom.
    pub patient_id: i64,
    /// During which visit.
    pub encounter_id: Option<i64>,
    /// What is ordered; codes outside the catalogue are sent as given.
    pub test_codes: Vec<String>,
    /// Who orders.
    pub ordering_provider: String,
    /// `R`, `S` or `A`.
    pub priority: String,
    /// The lab; without one the default, or the only one.
    pub lis_endpoint_id: Option<i64>,
    /// ICD codes.
    pub diagnosis_codes: Vec<String>,
    /// For the lab.
    pub note: Option<String>,
    /// What the client calls this request.
    pub idempotency_key: Option<String>,
}

impl NewOrder {
    /// The order with its texts trimmed, or the first field at fault. Nothing invisible may pass: it would be sent to
    /// the lab, printed on labels and compared by eye.
    pub(super) fn checked(self) -> Result<Self, LabError> {
        if self.test_codes.is_empty() {
            return Err(LabError::invalid("test_codes", "must not be empty"));
        }
        if !matches!(self.priority.as_str(), "R" | "S" | "A") {
            return Err(LabError::invalid("priority", "must be R, S or A"));
        }
        let key =
            self.idempotency_key.map(|key| text("idempotency_key", &key, IdempotencyKey::new)).transpose()?;
        Ok(Self {
            test_codes: texts("test_codes", &self.test_codes, MOST_TESTS, TestCode::new)?,
            ordering_provider: text("ordering_provider", &self.ordering_provider, ProviderName::new)?,
            diagnosis_codes: texts(
                "diagnosis_codes",
                &self.diagnosis_codes,
                MOST_DIAGNOSES,
                DiagnosisCode::new,
            )?,
            note: self.note.map(|note| checked_note(&note)).transpose()?.filter(|note| !note.is_empty()),
            idempotency_key: key,
            ..self
        })
    }

    /// Digest of everything but the key: the same key with another one is another order.
    pub(super) fn digest(&self) -> String {
        let body = json!([
            self.patient_id,
            self.encounter_id,
            self.test_codes,
            self.ordering_provider,
            self.priority,
            self.lis_endpoint_id,
            self.diagnosis_codes,
            self.note,
        ]);
        hex(&sha256(body.to_string().as_bytes()))
    }
}

pub(super) fn text<T: Into<String>>(
    field: &'static str,
    text: &str,
    check: fn(&str) -> Result<T, TextError>,
) -> Result<String, LabError> {
    check(text).map(Into::into).map_err(|fault| LabError::invalid(field, fault.to_string()))
}

fn texts<T: Into<String>>(
    field: &'static str,
    all: &[String],
    most: usize,
    check: fn(&str) -> Result<T, TextError>,
) -> Result<Vec<String>, LabError> {
    if all.len() > most {
        return Err(LabError::invalid(field, format!("must not have more than {most} entries")));
    }
    all.iter().map(|one| text(field, one, check)).collect()
}

/// A note may have lines, and nothing else that cannot be seen.
fn checked_note(note: &str) -> Result<String, LabError> {
    let note = note.trim();
    if note.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(LabError::invalid("note", TextError::Invisible.to_string()));
    }
    if note.chars().count() > LONGEST_NOTE {
        return Err(LabError::invalid("note", TextError::TooLong { max: LONGEST_NOTE }.to_string()));
    }
    Ok(note.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn order() -> NewOrder {
        NewOrder {
            patient_id: 1,
            encounter_id: None,
            test_codes: vec![" CBC ".into(), "XYZ".into()],
            ordering_provider: " Dr. Smith ".into(),
            priority: "R".into(),
            lis_endpoint_id: None,
            diagnosis_codes: Vec::new(),
            note: None,
            idempotency_key: None,
        }
    }

    fn fault(change: impl FnOnce(&mut NewOrder)) -> &'static str {
        let mut order = order();
        change(&mut order);
        match order.checked() {
            Err(LabError::Invalid { field, message }) => {
                assert!(!message.contains("SECRET"), "{message}");
                field
            }
            _ => "none",
        }
    }

    #[test]
    fn texts_are_trimmed() {
        let order = order().checked().unwrap();
        assert_eq!(order.test_codes, ["CBC", "XYZ"]);
        assert_eq!(order.ordering_provider, "Dr. Smith");
    }

    #[test]
    fn each_fault_names_its_field_and_no_value() {
        assert_eq!(fault(|o| o.test_codes.clear()), "test_codes");
        assert_eq!(fault(|o| o.test_codes.push(" ".into())), "test_codes");
        assert_eq!(fault(|o| o.test_codes.push("SECRET\rOBX".into())), "test_codes");
        assert_eq!(fault(|o| o.test_codes.push("x".repeat(51))), "test_codes");
        assert_eq!(fault(|o| o.test_codes = vec!["K".into(); 101]), "test_codes");
        assert_eq!(fault(|o| o.ordering_provider = "  ".into()), "ordering_provider");
        assert_eq!(fault(|o| o.ordering_provider = "SECRET\u{b}".into()), "ordering_provider");
        assert_eq!(fault(|o| o.priority = "T".into()), "priority");
        assert_eq!(fault(|o| o.diagnosis_codes.push("\u{202e}".into())), "diagnosis_codes");
        assert_eq!(fault(|o| o.note = Some("\u{1c}SECRET".into())), "note");
        assert_eq!(fault(|o| o.note = Some("x".repeat(4001))), "note");
        assert_eq!(fault(|o| o.idempotency_key = Some(String::new())), "idempotency_key");
        assert_eq!(fault(|o| o.note = Some("two\nlines".into())), "none");
    }

    #[test]
    fn an_empty_note_is_none() {
        let order = NewOrder { note: Some(" \n".into()), ..order() };
        assert_eq!(order.checked().unwrap().note, None);
    }

    #[test]
    fn the_digest_sees_every_field_but_the_key() {
        let plain = order().digest();
        assert_eq!(plain, NewOrder { idempotency_key: Some("k".into()), ..order() }.digest());
        let others = [
            NewOrder { patient_id: 2, ..order() },
            NewOrder { encounter_id: Some(1), ..order() },
            NewOrder { test_codes: vec!["CBC".into()], ..order() },
            NewOrder { ordering_provider: "Dr. Who".into(), ..order() },
            NewOrder { priority: "S".into(), ..order() },
            NewOrder { lis_endpoint_id: Some(1), ..order() },
            NewOrder { diagnosis_codes: vec!["A".into()], ..order() },
            NewOrder { note: Some("A".into()), ..order() },
        ];
        for other in others {
            assert_ne!(plain, other.digest());
        }
    }
}
