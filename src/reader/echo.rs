//! The caller's own value, cut to a size that fits an answer and without secrets.

use serde_json::{Map, Value};

use super::problem::Loc;

const MAX_CHARS: usize = 256;
/// Members and elements of one echoed value; what exceeds it is left out.
const MAX_NODES: usize = 1_000;
const MASK: &str = "**********";
/// A form filled in halfway comes back as the parent of its missing field: the password must not.
const SECRETS: [&str; 7] = [
    "password",
    "new_password",
    "current_password",
    "refresh_token",
    "client_secret",
    "access_token",
    "private_key",
];

/// What to put into `input` for a value found under `name`.
pub(super) fn echo(name: Option<&Loc>, value: &Value) -> Value {
    let secret = matches!(name, Some(Loc::Name(name)) if is_secret(name));
    // A missing password names itself in `loc`, but its input is the parent, which is masked inside.
    if secret && !value.is_object() && !value.is_null() {
        return Value::from(MASK);
    }
    let mut nodes = MAX_NODES;
    cut(value, &mut nodes)
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

fn cut(value: &Value, nodes: &mut usize) -> Value {
    match value {
        Value::String(text) => Value::from(head(text)),
        Value::Array(items) => {
            let mut kept = Vec::new();
            for item in items.iter().take(*nodes) {
                *nodes = nodes.saturating_sub(1);
                kept.push(cut(item, nodes));
            }
            Value::Array(kept)
        }
        Value::Object(members) => {
            let mut kept = Map::new();
            for (name, value) in members.iter().take(*nodes) {
                *nodes = nodes.saturating_sub(1);
                let value = if is_secret(name) { Value::from(MASK) } else { cut(value, nodes) };
                kept.insert(head(name), value);
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

fn head(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn size(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(|v| 1 + size(v)).sum(),
            Value::Object(members) => members.values().map(|v| 1 + size(v)).sum(),
            _ => 0,
        }
    }

    #[test]
    fn small_values_come_back_whole() {
        let value = json!({"a": [1, "x", null], "b": {"c": true}});
        assert_eq!(echo(Some(&"field".into()), &value), value);
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        let long = "é".repeat(1_000);
        let cut = echo(None, &json!({"note": long}));
        assert_eq!(cut["note"].as_str().map(|t| t.chars().count()), Some(MAX_CHARS));
    }

    #[test]
    fn secrets_are_masked_alone_and_inside_a_parent() {
        assert_eq!(echo(Some(&"password".into()), &json!(7)), json!(MASK));
        assert_eq!(echo(Some(&"password".into()), &json!({"username": "a"})), json!({"username": "a"}));
        assert_eq!(echo(Some(&"role".into()), &json!({"password": "p"})), json!({"password": MASK}));
    }

    proptest! {
        #[test]
        fn an_echo_is_never_larger_than_its_budget(width in 1_usize..60, depth in 1_usize..4) {
            let mut value = json!("leaf");
            for _ in 0..depth {
                value = Value::Array(vec![value; width]);
            }
            prop_assert!(size(&echo(None, &value)) <= MAX_NODES + width * depth);
        }
    }
}
