//! The lax conversions of pydantic, value by value: `"12"`, `1.0` and `true` are integers, 7 is not a string.

use serde_json::{Number, Value};

use super::problem::Fault;

const INT_PARSING: Fault =
    Fault::plain("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
const INT_SIZE: Fault =
    Fault::plain("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");
const INT_FROM_FLOAT: Fault =
    Fault::plain("int_from_float", "Input should be a valid integer, got a number with a fractional part");
const FLOAT_PARSING: Fault =
    Fault::plain("float_parsing", "Input should be a valid number, unable to parse string as a number");
const BOOL_PARSING: Fault =
    Fault::plain("bool_parsing", "Input should be a valid boolean, unable to interpret input");
const BOOL_TYPE: Fault = Fault::plain("bool_type", "Input should be a valid boolean");

/// A 64-bit integer.
pub(super) fn int(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Number(number) => int_of_number(number),
        Value::String(text) => int_of_text(text.trim()),
        _ => Err(Fault::plain("int_type", "Input should be a valid integer")),
    }
}

/// 2^63 is the first value that no longer fits; comparing with it is exact, and so is the cast of what is below.
const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;

fn int_of_number(number: &Number) -> Result<i64, Fault> {
    if let Some(int) = number.as_i64() {
        return Ok(int);
    }
    let float = number.as_f64().unwrap_or(f64::INFINITY);
    if float.fract() != 0.0 {
        return Err(INT_FROM_FLOAT);
    }
    if (-TOO_LARGE..TOO_LARGE).contains(&float) { Ok(float as i64) } else { Err(INT_SIZE) }
}

fn int_of_text(text: &str) -> Result<i64, Fault> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let whole = match digits.split_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        Some(_) => return Err(INT_PARSING),
        None => digits,
    };
    let plain = without_underscores(whole).ok_or(INT_PARSING)?;
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit()) {
        return Err(INT_PARSING);
    }
    let sign = if negative { "-" } else { "" };
    format!("{sign}{plain}").parse().map_err(|_| INT_SIZE)
}

/// Python allows single underscores between digits.
fn without_underscores(text: &str) -> Option<String> {
    let astray = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!astray).then(|| text.replace('_', ""))
}

/// A finite number: JSON cannot write the others back.
pub(super) fn float(value: &Value) -> Result<f64, Fault> {
    let float = match value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => {
            without_underscores(text.trim()).and_then(|t| t.parse().ok()).ok_or(FLOAT_PARSING)?
        }
        _ => return Err(Fault::plain("float_type", "Input should be a valid number")),
    };
    if float.is_finite() {
        Ok(float)
    } else {
        Err(Fault::plain("finite_number", "Input should be a finite number"))
    }
}

/// A flag, in any of the spellings a form or a query string uses.
pub(super) fn bool(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) => bool_of_number(number),
        Value::String(text) => bool_of_text(text),
        _ => Err(BOOL_TYPE),
    }
}

fn bool_of_number(number: &Number) -> Result<bool, Fault> {
    // 1.0 is 1 here; 0.5 and what exceeds 64 bits are not even numbers of the right kind.
    match int_of_number(number) {
        Ok(0) => Ok(false),
        Ok(1) => Ok(true),
        Ok(_) => Err(BOOL_PARSING),
        Err(_) => Err(BOOL_TYPE),
    }
}

fn bool_of_text(text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Ok(false),
        _ => Err(BOOL_PARSING),
    }
}

/// Text, and only text. A NUL is refused here for all fields: PostgreSQL cannot store it, and the caller
/// should hear that as a fault of the field, not as a failure of the server.
pub(super) fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) if text.contains('\0') => {
            Err(Fault::value_error("NUL characters are not allowed"))
        }
        Value::String(text) => Ok(text.clone()),
        _ => Err(Fault::plain("string_type", "Input should be a valid string")),
    }
}

/// One of a closed set of words.
pub(super) fn choice(value: &Value, options: &[&'static str]) -> Result<&'static str, Fault> {
    let given = text(value)?;
    let found = options.iter().find(|option| **option == given);
    found.copied().ok_or_else(|| {
        let expected = spoken_list(options);
        Fault::with(
            "enum",
            format!("Input should be {expected}"),
            serde_json::json!({ "expected": expected }),
        )
    })
}

/// `'R', 'S' or 'A'`
fn spoken_list(options: &[&str]) -> String {
    let quoted: Vec<String> = options.iter().map(|option| format!("'{option}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn kind<T>(result: Result<T, Fault>) -> &'static str {
        result.err().map_or("ok", |fault| fault.kind)
    }

    #[test]
    fn integers_as_pydantic_reads_them() {
        for (given, wanted) in [
            (json!(true), 1),
            (json!(-1), -1),
            (json!(1e3), 1000),
            (json!("+5"), 5),
            (json!(" 5\n"), 5),
            (json!("007"), 7),
            (json!("1_000"), 1000),
            (json!("1.00"), 1),
            (json!("-0"), 0),
            (json!(i64::MAX), i64::MAX),
            (json!("-9223372036854775808"), i64::MIN),
        ] {
            assert_eq!(int(&given), Ok(wanted), "{given}");
        }
        for (given, wanted) in [
            (json!(1.5), "int_from_float"),
            (json!(1e20), "int_parsing_size"),
            (json!("9223372036854775808"), "int_parsing_size"),
            (json!(""), "int_parsing"),
            (json!("- 5"), "int_parsing"),
            (json!("1__0"), "int_parsing"),
            (json!("1."), "int_parsing"),
            (json!(".0"), "int_parsing"),
            (json!("1e3"), "int_parsing"),
            (json!("१"), "int_parsing"),
            (json!(null), "int_type"),
            (json!([1]), "int_type"),
        ] {
            assert_eq!(kind(int(&given)), wanted, "{given}");
        }
    }

    #[test]
    fn numbers_and_flags() {
        for (given, wanted) in
            [(json!("1_0.5"), 10.5), (json!(true), 1.0), (json!(" .5 "), 0.5), (json!("1e3"), 1000.0)]
        {
            assert_eq!(float(&given), Ok(wanted), "{given}");
        }
        assert_eq!(kind(float(&json!("inf"))), "finite_number");
        assert_eq!(kind(float(&json!("1,5"))), "float_parsing");
        assert_eq!(kind(float(&json!(null))), "float_type");
        for (given, wanted) in
            [(json!(1.0), true), (json!(0), false), (json!("ON"), true), (json!("Off"), false)]
        {
            assert_eq!(super::bool(&given), Ok(wanted), "{given}");
        }
        for (given, wanted) in [
            (json!(2), "bool_parsing"),
            (json!(0.5), "bool_type"),
            (json!(" true"), "bool_parsing"),
            (json!(null), "bool_type"),
        ] {
            assert_eq!(kind(super::bool(&given)), wanted, "{given}");
        }
    }

    #[test]
    fn words() {
        assert_eq!(choice(&json!("S"), &["R", "S", "A"]), Ok("S"));
        let fault = choice(&json!("s"), &["R", "S", "A"]).unwrap_err();
        assert_eq!((fault.kind, fault.msg.as_ref()), ("enum", "Input should be 'R', 'S' or 'A'"));
        assert_eq!(kind(choice(&json!(null), &["R"])), "string_type");
        assert_eq!(kind(text(&json!("a\0b"))), "value_error");
    }

    proptest! {
        #[test]
        fn every_integer_comes_back_from_its_text(n in any::<i64>()) {
            prop_assert_eq!(int(&Value::from(n.to_string())), Ok(n));
            prop_assert_eq!(int(&Value::from(n)), Ok(n));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let value = Value::from(text);
            let _ = (int(&value), float(&value), super::bool(&value));
        }
    }
}
