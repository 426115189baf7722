#![allow(clippy::unwrap_used)]
use serde_json::json;
use validator::{Validate, ValidationError};

use super::*;

#[derive(Debug, PartialEq, Validate)]
struct Sub {
    #[validate(length(min = 1))]
    code: String,
    n: Option<i64>,
}

impl FromFields for Sub {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { code: fields.str("code"), n: fields.opt_int("n") }
    }
}

#[derive(Debug, PartialEq, Validate)]
#[validate(schema(function = "no_nine"))]
struct Model {
    #[validate(length(min = 1, max = 2))]
    l: Vec<String>,
    #[validate(range(min = 1, exclusive_max = 10))]
    i: i64,
    #[validate(range(exclusive_min = 0.0, max = 10.5))]
    f: f64,
    #[validate(length(max = 1))]
    s: String,
    #[validate(custom(function = "no_seven"))]
    v: i64,
    sub: Option<Sub>,
    subs: Vec<Sub>,
}

fn no_seven(v: i64) -> Result<(), ValidationError> {
    if v == 7 { Err(ValidationError::new("seven").with_message("no sevens".into())) } else { Ok(()) }
}

fn no_nine(model: &Model) -> Result<(), ValidationError> {
    if model.i == 9 { Err(ValidationError::new("nine").with_message("nine".into())) } else { Ok(()) }
}

impl FromFields for Model {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            l: fields.str_list("l"),
            i: fields.int("i"),
            f: fields.float("f"),
            s: fields.str("s"),
            v: fields.int_or("v", 0),
            sub: fields.opt_object("sub"),
            subs: fields.opt_objects("subs").unwrap_or_default(),
        }
    }
}

fn problems(body: &Value) -> Value {
    problems_with(body, Reading::default())
}

fn problems_with(body: &Value, reading: Reading) -> Value {
    match Reader::body(body, reading).read::<Model>() {
        Err(problems) => serde_json::to_value(problems).unwrap(),
        Ok(_) => json!([]),
    }
}

#[test]
fn a_good_body_is_read_whole() {
    let body = json!({"l": ["a"], "i": "3", "f": 1, "s": "é", "sub": {"code": "x", "n": 1.0}, "subs": null, "other": 1});
    let model: Model = Reader::body(&body, Reading::default()).read().unwrap();
    let sub = Sub { code: "x".into(), n: Some(1) };
    assert_eq!(
        model,
        Model { l: vec!["a".into()], i: 3, f: 1.0, s: "é".into(), v: 0, sub: Some(sub), subs: vec![] }
    );
}

#[test]
fn rules_and_types_report_together_in_field_order() {
    let body = json!({"l": [], "i": 0, "f": 11, "s": "ab", "v": 7, "sub": {"code": ""},
        "subs": [{"code": "x"}, {"n": 1}, {"code": "", "n": "z"}, 3]});
    let wanted = json!([
        {"type": "too_short", "loc": ["body", "l"], "msg": "List should have at least 1 item after validation, not 0", "input": [],
         "ctx": {"field_type": "List", "min_length": 1, "actual_length": 0}},
        {"type": "greater_than_equal", "loc": ["body", "i"], "msg": "Input should be greater than or equal to 1", "input": 0, "ctx": {"ge": 1}},
        {"type": "less_than_equal", "loc": ["body", "f"], "msg": "Input should be less than or equal to 10.5", "input": 11, "ctx": {"le": 10.5}},
        {"type": "string_too_long", "loc": ["body", "s"], "msg": "String should have at most 1 character", "input": "ab", "ctx": {"max_length": 1}},
        {"type": "value_error", "loc": ["body", "v"], "msg": "Value error, no sevens", "input": 7, "ctx": {"error": {}}},
        {"type": "string_too_short", "loc": ["body", "sub", "code"], "msg": "String should have at least 1 character", "input": "", "ctx": {"min_length": 1}},
        {"type": "missing", "loc": ["body", "subs", 1, "code"], "msg": "Field required", "input": {"n": 1}},
        {"type": "string_too_short", "loc": ["body", "subs", 2, "code"], "msg": "String should have at least 1 character", "input": "", "ctx": {"min_length": 1}},
        {"type": "int_parsing", "loc": ["body", "subs", 2, "n"], "msg": "Input should be a valid integer, unable to parse string as an integer", "input": "z"},
        {"type": "model_attributes_type", "loc": ["body", "subs", 3], "msg": "Input should be a valid dictionary or object to extract fields from", "input": 3}
    ]);
    assert_eq!(problems(&body), wanted);
}

#[test]
fn a_rule_of_the_whole_is_told_only_when_its_parts_are_sound() {
    let sound = json!({"l": ["a"], "i": 9, "f": 1, "s": "x"});
    assert_eq!(
        problems(&sound),
        json!([{"type": "value_error", "loc": ["body"], "msg": "Value error, nine", "input": sound, "ctx": {"error": {}}}])
    );
    let broken = problems(&json!({"l": [1], "i": 9, "f": 1}));
    let kinds: Vec<_> = broken.as_array().unwrap().iter().map(|p| p["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["string_type", "missing"]);
}

#[test]
fn redaction_takes_the_inputs_and_leaves_the_rest() {
    let body = json!({"l": "x", "i": "Doe", "f": 0, "s": "x"});
    let told = problems_with(&body, Reading { redact_input: true, ..Reading::default() });
    assert_eq!(told.as_array().unwrap().len(), 3);
    assert!(told.as_array().unwrap().iter().all(|p| p["input"].is_null() && p["loc"][0] == "body"), "{told}");
}

#[test]
fn a_flood_of_problems_is_capped() {
    let body = json!({"l": vec![1; 5_000], "i": 1, "f": 1, "s": "x"});
    assert_eq!(problems(&body).as_array().unwrap().len(), MAX_PROBLEMS);
}

#[test]
fn unknown_members_are_refused_where_asked() {
    let body = json!({"code": "x", "coed": "y"});
    let mut reader = Reader::body(&body, Reading::default());
    let value = Sub::read(&mut reader);
    reader.deny_unknown();
    let problems = reader.finish(value).unwrap_err();
    assert_eq!(
        serde_json::to_value(problems).unwrap(),
        json!([{"type": "extra_forbidden", "loc": ["body", "coed"], "msg": "Extra inputs are not permitted", "input": "y"},])
    );
}

#[test]
fn a_space_is_a_plus_in_query_offsets_only() {
    let pairs = [("since".to_owned(), "2026-02-21T12:00:00 02:00".to_owned())];
    let mut query = Reader::query(&pairs, Reading::default());
    assert_eq!(query.opt_datetime("since").unwrap().to_rfc3339(), "2026-02-21T10:00:00+00:00");
    let body = json!({"since": "2026-02-21T12:00:00 02:00"});
    let mut body = Reader::body(&body, Reading::default());
    assert_eq!(body.opt_datetime("since"), None);
    assert!(body.finish(()).is_err());
}

#[test]
fn sources_differ_in_what_counts_as_absent() {
    let pairs = [("A-b".to_owned(), String::new())];
    assert_eq!(Reader::form(&pairs, Reading::default()).opt_str("A-b"), None);
    assert_eq!(Reader::query(&pairs, Reading::default()).opt_str("A-b"), Some(String::new()));
    assert_eq!(Reader::header(&pairs, Reading::default()).opt_str("a-b"), Some(String::new()));
    let mut reader = Reader::header(&pairs, Reading::default());
    let value = reader.str("x-request-id");
    let problems = reader.finish(value).unwrap_err();
    assert_eq!(serde_json::to_value(&problems[0]).unwrap()["loc"], json!(["header", "x-request-id"]));
    assert_eq!(problems[0].input, Value::Null);
}
