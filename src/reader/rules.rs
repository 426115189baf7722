//! The rules of `validator`, told in pydantic's words.
//!
//! `validator` puts the value itself into its errors; only the broken limit leaves this module.

use std::borrow::Cow;

use serde_json::{Value, json};
use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use super::Reader;
use super::problem::{Fault, Loc};

/// The error of a custom rule that checks text against a pattern; `pattern` is what the caller is told.
pub fn pattern_mismatch(pattern: &'static str) -> ValidationError {
    ValidationError::new("regex").with_message(Cow::Borrowed(pattern))
}

/// Notes what `errors` say about fields that were read without a problem, each in its place.
///
/// Nested values were checked when they were read, so what `validator` says of them is not repeated.
pub(super) fn note(reader: &mut Reader<'_>, errors: &ValidationErrors, before: usize) {
    let depth = reader.loc.len();
    let mut whole = Vec::new();
    for (field, kind) in errors.errors() {
        let ValidationErrorsKind::Field(found) = kind else { continue };
        // As in pydantic, the first broken rule of a field is the one that is told.
        let Some(error) = found.first() else { continue };
        let name = field.strip_prefix("r#").unwrap_or(field);
        if name == "__all__" {
            whole.push(error);
        } else if !reader.problems[before..].iter().any(|p| p.loc.get(depth) == Some(&name.to_owned().into()))
        {
            note_field(reader, name, error);
        }
    }
    let order = std::mem::take(&mut reader.order);
    reader.problems[before..].sort_by_key(|problem| place(&order, problem.loc.get(depth)));
    reader.order = order;
    if reader.problems.len() == before {
        for error in whole {
            reader.note(told(error, &Value::Null), &[], reader.parent());
        }
    }
}

fn note_field(reader: &mut Reader<'_>, name: &str, error: &ValidationError) {
    debug_assert!(reader.order.contains(&name), "the member `{name}` is read under another name");
    let raw = if error.code == "length" { reader.source.get_list(name) } else { None };
    let single = reader.source.get(name);
    // In a query a repeated name is a list only to the field that reads it as one; `value` tells which.
    let is_list = error.params.get("value").is_some_and(Value::is_array);
    let raw = raw.filter(|_| is_list).or(single).map_or(Value::Null, Cow::into_owned);
    reader.note(told(error, &raw), &[name.to_owned().into()], &raw);
}

fn place(order: &[&'static str], step: Option<&Loc>) -> usize {
    let Some(Loc::Name(name)) = step else { return usize::MAX };
    order.iter().position(|known| *known == name.as_ref()).unwrap_or(usize::MAX)
}

fn told(error: &ValidationError, raw: &Value) -> Fault {
    let fault = match error.code.as_ref() {
        "length" => length(error, raw),
        "range" => range(error),
        "regex" => error.message.as_deref().map(|pattern| {
            let msg = format!("String should match pattern '{pattern}'");
            Fault::with("string_pattern_mismatch", msg, json!({ "pattern": pattern }))
        }),
        "required" => Some(Fault::MISSING),
        _ => None,
    };
    fault.unwrap_or_else(|| Fault::value_error(error.message.as_deref().unwrap_or("Input is not valid")))
}

fn length(error: &ValidationError, raw: &Value) -> Option<Fault> {
    let limit = |name: &str| error.params.get(name).or_else(|| error.params.get("equal"))?.as_u64();
    if let Value::Array(items) = raw {
        return list_length(items.len() as u64, limit("min"), limit("max"));
    }
    let chars = raw.as_str()?.chars().count() as u64;
    let told = |n: u64| format!("{n} character{}", plural(n));
    if let Some(min) = limit("min").filter(|min| chars < *min) {
        let msg = format!("String should have at least {}", told(min));
        return Some(Fault::with("string_too_short", msg, json!({ "min_length": min })));
    }
    let max = limit("max").filter(|max| chars > *max)?;
    let msg = format!("String should have at most {}", told(max));
    Some(Fault::with("string_too_long", msg, json!({ "max_length": max })))
}

fn list_length(actual: u64, min: Option<u64>, max: Option<u64>) -> Option<Fault> {
    let told = |n: u64| format!("{n} item{} after validation, not {actual}", plural(n));
    if let Some(min) = min.filter(|min| actual < *min) {
        let ctx = json!({ "field_type": "List", "min_length": min, "actual_length": actual });
        return Some(Fault::with("too_short", format!("List should have at least {}", told(min)), ctx));
    }
    let max = max.filter(|max| actual > *max)?;
    let ctx = json!({ "field_type": "List", "max_length": max, "actual_length": actual });
    Some(Fault::with("too_long", format!("List should have at most {}", told(max)), ctx))
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

type Broken = fn(f64, f64) -> bool;

/// Parameter of `validator`, type and context name of pydantic, its words, and when it is broken.
const BOUNDS: [(&str, &str, &str, &str, Broken); 4] = [
    ("min", "greater_than_equal", "ge", "greater than or equal to", |value, bound| value < bound),
    ("exclusive_min", "greater_than", "gt", "greater than", |value, bound| value <= bound),
    ("max", "less_than_equal", "le", "less than or equal to", |value, bound| value > bound),
    ("exclusive_max", "less_than", "lt", "less than", |value, bound| value >= bound),
];

fn range(error: &ValidationError) -> Option<Fault> {
    let value = error.params.get("value")?.as_f64()?;
    bounds(value, |param| error.params.get(param))
}

/// What is wrong with a number that should lie between two others, both included.
pub(super) fn within(int: i64, min: i32, max: i32) -> Option<Fault> {
    let limits = [("min", Value::from(min)), ("max", Value::from(max))];
    let int = Value::from(int).as_f64()?;
    bounds(int, |param| limits.iter().find(|(name, _)| *name == param).map(|(_, limit)| limit))
}

fn bounds<'a>(value: f64, limit: impl Fn(&str) -> Option<&'a Value>) -> Option<Fault> {
    BOUNDS.iter().find_map(|(param, kind, ctx, words, broken)| {
        let bound = limit(param)?;
        let number = bound.as_f64().filter(|number| broken(value, *number))?;
        let mut context = serde_json::Map::new();
        context.insert((*ctx).to_owned(), bound.clone());
        Some(Fault::with(kind, format!("Input should be {words} {number}"), Value::Object(context)))
    })
}
