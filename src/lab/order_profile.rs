//! How a laboratory wants its orders written, and which it takes. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::endpoint_profile::{ApplicationAck, Habits, OrderLayout};
use crate::{
    hl7::orm::{CodeOrder, OrderShape, TestOut},
    store::entity::lis_endpoint,
};

/// Codes that one laboratory can have of its own.
const MOST_CODES: usize = 5000;
/// CE-1 and CE-3 of a service, as receivers commonly take them.
const LONGEST_CODE: usize = 50;
const LONGEST_TEXT: usize = 200;
const LONGEST_SYSTEM: usize = 20;

/// Which code of a test comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderCodes {
    /// Ours, or the laboratory's own where the code map has one.
    #[default]
    LocalFirst,
    /// LOINC, where it is known.
    LoincFirst,
}

/// What a laboratory calls one of our tests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum LabCode {
    /// Its code alone.
    Code(String),
    /// Its code with what belongs to it.
    Named(NamedCode),
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedCode {
    code: String,
    text: Option<String>,
    system: Option<String>,
}

impl LabCode {
    fn named(self) -> NamedCode {
        match self {
            Self::Code(code) => NamedCode { code, text: None, system: None },
            Self::Named(named) => named,
        }
    }
}

/// The `code_map` of an endpoint: our test codes and what this laboratory orders them by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeMap(BTreeMap<String, NamedCode>);

impl CodeMap {
    /// Reads `{"CBC": "4711", "BMP": {"code": "4712", "text": "Basic", "system": "99CITY"}}`. Errors: what in it cannot be
    /// used.
    pub fn read(value: &Value) -> Result<Self, &'static str> {
        const FORM: &str =
            "must map our test codes to the laboratory's: a code, or an object with code, text, system";
        let map: BTreeMap<String, LabCode> = serde_json::from_value(value.clone()).map_err(|_| FORM)?;
        if map.len() > MOST_CODES {
            return Err("must not have more than 5000 entries");
        }
        let map: BTreeMap<_, _> = map.into_iter().map(|(ours, theirs)| (ours, theirs.named())).collect();
        let usable = |(ours, theirs): (&String, &NamedCode)| {
            is_text(ours, LONGEST_CODE)
                && is_text(&theirs.code, LONGEST_CODE)
                && theirs.text.as_deref().is_none_or(|text| is_text(text, LONGEST_TEXT))
                && theirs.system.as_deref().is_none_or(|system| is_text(system, LONGEST_SYSTEM))
        };
        if map.iter().all(usable) {
            return Ok(Self(map));
        }
        Err(
            "must hold codes of 1 to 50 characters, texts of at most 200 and systems of at most 20, none invisible",
        )
    }

    /// Puts the laboratory's own code in place of ours, where it has one.
    fn translate(&self, test: TestOut) -> TestOut {
        let Some(theirs) = self.0.get(&test.code).cloned() else { return test };
        TestOut {
            code: theirs.code,
            text: theirs.text.unwrap_or(test.text),
            system: theirs.system.unwrap_or_else(|| "L".to_owned()),
            ..test
        }
    }
}

fn is_text(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control)
}

/// How orders are written for an endpoint.
pub(super) struct OrderProfile {
    pub(super) shape: OrderShape,
    pub(super) code_order: CodeOrder,
    pub(super) diagnosis_system: String,
    pub(super) processing_id: String,
    pub(super) application_ack: ApplicationAck,
    pub(super) layout: OrderLayout,
    code_map: CodeMap,
}

impl OrderProfile {
    /// What is stored was checked when it was set; what does not read all the same is as if it were not there.
    pub(super) fn of(row: &lis_endpoint::Model) -> Self {
        let habits = Habits::read(&row.profile).unwrap_or_default();
        let code_map = row.code_map.as_ref().map(CodeMap::read).and_then(Result::ok);
        Self {
            shape: OrderShape::parse(&row.order_message).unwrap_or_default(),
            code_order: match habits.order_codes {
                OrderCodes::LocalFirst => CodeOrder::LocalFirst,
                OrderCodes::LoincFirst => CodeOrder::LoincFirst,
            },
            diagnosis_system: habits.diagnosis_system,
            application_ack: habits.application_ack,
            layout: habits.order_layout,
            processing_id: habits.processing_id.unwrap_or_else(|| "P".to_owned()),
            code_map: code_map.unwrap_or_default(),
        }
    }

    /// Our code of a test that this laboratory is known to do, if any is.
    pub(super) fn first_code(&self) -> Option<&str> {
        self.code_map.0.keys().next().map(String::as_str)
    }

    /// The test as this laboratory knows it.
    pub(super) fn service(&self, test: TestOut) -> TestOut {
        self.code_map.translate(test)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn test(code: &str) -> TestOut {
        TestOut { code: code.into(), text: "Ours".into(), system: "L".into(), ..TestOut::default() }
    }

    #[test]
    fn the_laboratorys_own_code_stands_in_place_of_ours() {
        let map = CodeMap::read(&json!({
            "CBC": "4711", "BMP": {"code": "B1", "text": "Theirs", "system": "99CITY"}, "K": {"code": "K1"}
        }))
        .unwrap();
        let sent = |code: &str| {
            let sent = map.translate(test(code));
            [sent.code, sent.text, sent.system]
        };
        assert_eq!(sent("CBC"), ["4711", "Ours", "L"]);
        assert_eq!(sent("BMP"), ["B1", "Theirs", "99CITY"]);
        assert_eq!(sent("K"), ["K1", "Ours", "L"]);
        assert_eq!(sent("TSH"), ["TSH", "Ours", "L"]);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for bad in [
            json!([]),
            json!({"CBC": 4711}),
            json!({"CBC": " "}),
            json!({"": "1"}),
            json!({"CBC": {"code": "1", "name": "x"}}),
            json!({"CBC": {"text": "x"}}),
            json!({"CBC": "a\rOBX"}),
            json!({"CBC": "x".repeat(51)}),
        ] {
            assert!(CodeMap::read(&bad).is_err(), "{bad}");
        }
        assert_eq!(CodeMap::read(&json!({})), Ok(CodeMap::default()));
    }
}
