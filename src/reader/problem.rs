//! One entry of a 422 answer, in the shape the existing clients parse.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// One step on the way to a field: a name, or a position in a list or in the text of a broken body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Loc {
    /// `body`, `query`, `patient_id`
    Name(Cow<'static, str>),
    /// The third element of a list is 2.
    Index(usize),
}

impl From<&'static str> for Loc {
    fn from(name: &'static str) -> Self {
        Self::Name(Cow::Borrowed(name))
    }
}

impl From<String> for Loc {
    fn from(name: String) -> Self {
        Self::Name(Cow::Owned(name))
    }
}

impl From<usize> for Loc {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// What is wrong with one field. The order of the members is the order on the wire.
///
/// `input` is the caller's own value and goes back to the caller only: `Debug` leaves it out, so that a
/// logged error cannot carry a patient's data.
#[derive(Clone, PartialEq, Serialize)]
pub struct Problem {
    /// The machine's name of the fault: `missing`, `int_parsing`, `value_error`, …
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where: `["body", "patient_id"]`
    pub loc: Vec<Loc>,
    /// The same for a person.
    pub msg: Cow<'static, str>,
    /// What was sent there.
    pub input: Value,
    /// The limits that were broken; absent where the kind says it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctx: Option<Value>,
}

impl Problem {
    /// A rule of the product that a well-formed value breaks, found after reading: `value_error` as
    /// pydantic writes it, without an echo of the value.
    pub fn value_error(loc: Vec<Loc>, message: &str) -> Self {
        Fault::value_error(message).at(loc, Value::Null)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.kind, self.loc)
    }
}

/// A problem that does not know its place yet: what a coercion or a rule reports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: &'static str,
    pub(crate) msg: Cow<'static, str>,
    pub(crate) ctx: Option<Value>,
}

impl Fault {
    pub(crate) const MISSING: Self = Self::plain("missing", "Field required");

    pub(crate) const fn plain(kind: &'static str, msg: &'static str) -> Self {
        Self { kind, msg: Cow::Borrowed(msg), ctx: None }
    }

    pub(crate) fn with(kind: &'static str, msg: String, ctx: Value) -> Self {
        Self { kind, msg: Cow::Owned(msg), ctx: Some(ctx) }
    }

    /// The empty `error` object is what FastAPI makes of an exception it cannot write as JSON.
    pub(crate) fn value_error(message: &str) -> Self {
        Self::with("value_error", format!("Value error, {message}"), serde_json::json!({ "error": {} }))
    }

    pub(crate) fn at(self, loc: Vec<Loc>, input: Value) -> Problem {
        Problem { kind: Cow::Borrowed(self.kind), loc, msg: self.msg, input, ctx: self.ctx }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn members_keep_the_order_of_the_wire() {
        let problem = Fault::with(
            "greater_than",
            "Input should be greater than 0".into(),
            serde_json::json!({"gt": 0.0}),
        )
        .at(vec!["body".into(), "subs".into(), 2.into()], Value::from(0));
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"type":"greater_than","loc":["body","subs",2],"msg":"Input should be greater than 0","input":0,"ctx":{"gt":0.0}}"#
        );
    }

    #[test]
    fn debug_never_prints_the_input() {
        let problem = Fault::MISSING.at(vec!["body".into()], Value::from("Doe^Jane"));
        assert!(!format!("{problem:?}").contains("Doe"));
    }
}
