//! Reading request fields the way pydantic does: lax conversions, and *all* problems in field order.
//!
//! serde stops at the first error, the existing clients show one message per field. So a request type names
//! its fields once, in [`FromFields::read`], and the reader notes every problem on the way. A field at fault
//! yields a placeholder; the half-read value never leaves this module, because [`Reader::finish`] gives it
//! out only when there is no problem. Pure: no I/O, no clock.

mod coerce;
mod echo;
mod fields;
mod moment;
pub mod problem;
mod rules;

use std::borrow::Cow;

use chrono_tz::Tz;
use serde_json::{Map, Value};
use validator::Validate;

pub use rules::pattern_mismatch;

use problem::{Fault, Loc, Problem};

/// A type that is read field by field from a body, a query string, a form or headers.
///
/// The rules of `validator` run after reading, on every field that could be read, and report in the same list.
/// Members carry the names of the wire: a rule finds its field by the member's name.
pub trait FromFields: Validate + Sized {
    /// Reads each field once, in the order in which problems are to be listed.
    fn read(fields: &mut Reader<'_>) -> Self;
}

/// What reading depends on besides the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Answer `"input": null` instead of the caller's own value.
    pub redact_input: bool,
    /// Whose wall clock a time without an offset shows.
    pub zone: Tz,
}

impl Default for Reading {
    fn default() -> Self {
        Self { redact_input: false, zone: Tz::UTC }
    }
}

/// Enough to repair any form; a list of a hundred thousand wrong elements must not become an answer of 15 MB.
const MAX_PROBLEMS: usize = 100;

/// Reads fields and collects what is wrong with them.
pub struct Reader<'a> {
    source: Source<'a>,
    loc: Vec<Loc>,
    problems: Vec<Problem>,
    /// Names in the order of reading: problems found by rules are sorted back into it.
    order: Vec<&'static str>,
    reading: Reading,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Json(&'a Value),
    Query(&'a [(String, String)]),
    /// As a query, but an empty field of a form counts as not filled in.
    Form(&'a [(String, String)]),
    /// As a query, but names differ in case only.
    Header(&'a [(String, String)]),
}

impl<'a> Reader<'a> {
    /// Reads a JSON body.
    pub fn body(value: &'a Value, reading: Reading) -> Self {
        Self::over(Source::Json(value), "body", reading)
    }

    /// Reads a query string: the last of a repeated name counts, unknown names are ignored.
    pub fn query(pairs: &'a [(String, String)], reading: Reading) -> Self {
        Self::over(Source::Query(pairs), "query", reading)
    }

    /// Reads a form.
    pub fn form(pairs: &'a [(String, String)], reading: Reading) -> Self {
        Self::over(Source::Form(pairs), "body", reading)
    }

    /// Reads headers by their lower-case names.
    pub fn header(pairs: &'a [(String, String)], reading: Reading) -> Self {
        Self::over(Source::Header(pairs), "header", reading)
    }

    /// Reads the one integer of a path. Its name is only known at run time, from the route that matched.
    pub fn path_int(name: &str, text: &str, reading: Reading) -> Result<i64, Vec<Problem>> {
        let value = Value::from(text);
        let mut reader = Reader::over(Source::Json(&value), "path", reading);
        let id = coerce::int(&value).map_err(|fault| reader.note(fault, &[name.to_owned().into()], &value));
        reader.finish(id.unwrap_or_default())
    }

    fn over(source: Source<'a>, root: &'static str, reading: Reading) -> Self {
        Self { source, loc: vec![root.into()], problems: Vec::new(), order: Vec::new(), reading }
    }

    /// Reads a whole request type: its fields, then its rules.
    pub fn read<T: FromFields>(mut self) -> Result<T, Vec<Problem>> {
        let value = self.part();
        self.finish(value)
    }

    /// Gives out the value if everything it was read from was in order.
    pub fn finish<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(value);
        }
        if self.reading.redact_input {
            self.problems.iter_mut().for_each(|problem| problem.input = Value::Null);
        }
        Err(self.problems)
    }

    /// Notes a rule of the product that `name` breaks.
    pub fn refuse(&mut self, name: &'static str, message: &str) {
        let input = self.source.get(name).map_or(Value::Null, Cow::into_owned);
        self.note(Fault::value_error(message), &[name.into()], &input);
    }

    /// Whether something was found wrong with `name` already.
    pub fn is_at_fault(&self, name: &str) -> bool {
        let depth = self.loc.len();
        self.problems
            .iter()
            .any(|problem| matches!(problem.loc.get(depth), Some(Loc::Name(at)) if at == name))
    }

    /// For configuration, where a misspelt name must not be ignored in silence. Call it after the last field.
    pub fn deny_unknown(&mut self) {
        let Source::Json(Value::Object(members)) = self.source else { return };
        let unknown = members.iter().filter(|(name, _)| !self.order.contains(&name.as_str()));
        for (name, value) in unknown.collect::<Vec<_>>() {
            let fault = Fault::plain("extra_forbidden", "Extra inputs are not permitted");
            self.note(fault, &[name.clone().into()], value);
        }
    }

    /// Reads an object that may be any JSON at all; anything but an object is one problem.
    fn part<T: FromFields>(&mut self) -> T {
        if let Source::Json(value) = self.source
            && !value.is_object()
        {
            self.note(not_an_object(value, self.loc.len() == 1), &[], value);
            return placeholder(self.reading);
        }
        let before = self.problems.len();
        let value = T::read(self);
        if let Err(errors) = value.validate() {
            rules::note(self, &errors, before);
        }
        value
    }

    fn note(&mut self, fault: Fault, tail: &[Loc], input: &Value) {
        if self.problems.len() < MAX_PROBLEMS {
            let loc: Vec<Loc> = self.loc.iter().chain(tail).cloned().collect();
            let input = echo::echo(loc.last(), input);
            self.problems.push(fault.at(loc, input));
        }
    }

    /// The raw value under a name; remembers that the name was asked for.
    fn raw(&mut self, name: &'static str) -> Option<Cow<'a, Value>> {
        if !self.order.contains(&name) {
            self.order.push(name);
        }
        self.source.get(name)
    }

    /// Reads a value inside of this one.
    fn nested<T: FromFields>(&mut self, value: &Value, tail: &[Loc]) -> T {
        let mut inner = Reader {
            source: Source::Json(value),
            loc: self.loc.iter().chain(tail).cloned().collect(),
            problems: std::mem::take(&mut self.problems),
            order: Vec::new(),
            reading: self.reading,
        };
        let result = inner.part();
        self.problems = inner.problems;
        result
    }

    /// What the caller gets to see beside "Field required": the parent in a body, nothing elsewhere.
    fn parent(&self) -> &'a Value {
        match self.source {
            Source::Json(value) => value,
            _ => &Value::Null,
        }
    }
}

/// `null` as a whole body is no body.
fn not_an_object(value: &Value, whole_body: bool) -> Fault {
    if value.is_null() && whole_body {
        return Fault::MISSING;
    }
    Fault::plain(
        "model_attributes_type",
        "Input should be a valid dictionary or object to extract fields from",
    )
}

/// A value to go on with after a problem was noted; it is never given out.
fn placeholder<T: FromFields>(reading: Reading) -> T {
    let nothing = Value::Object(Map::new());
    T::read(&mut Reader::body(&nothing, reading))
}

impl<'a> Source<'a> {
    fn get(self, name: &str) -> Option<Cow<'a, Value>> {
        match self {
            Self::Json(value) => value.get(name).map(Cow::Borrowed),
            Self::Query(pairs) => last(pairs, |(n, _)| n == name),
            Self::Form(pairs) => last(pairs, |(n, v)| n == name && !v.is_empty()),
            Self::Header(pairs) => last(pairs, |(n, _)| n.eq_ignore_ascii_case(name)),
        }
    }

    /// All values of a repeated name, as a list.
    fn get_list(self, name: &str) -> Option<Cow<'a, Value>> {
        let (Self::Query(pairs) | Self::Form(pairs) | Self::Header(pairs)) = self else {
            return self.get(name);
        };
        let values: Vec<Value> =
            pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| Value::from(v.as_str())).collect();
        (!values.is_empty()).then_some(Cow::Owned(Value::Array(values)))
    }
}

fn last<'a>(
    pairs: &[(String, String)],
    wanted: impl Fn(&&(String, String)) -> bool,
) -> Option<Cow<'a, Value>> {
    pairs.iter().rev().find(wanted).map(|(_, value)| Cow::Owned(Value::from(value.as_str())))
}

#[cfg(test)]
mod tests;
