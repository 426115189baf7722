//! The entries of a file, read and checked. Pure.

use ipnet::IpNet;
use serde_json::Value;

use super::differing;
use crate::{
    lab::manage_endpoints::{BadSetting, EndpointCreate, EndpointSettings, faults},
    reader::{
        FromFields, Reader, Reading,
        problem::{Loc, Problem},
    },
};

/// One endpoint as the file has it.
pub(super) struct Entry {
    /// Its place in the file, from 1.
    number: usize,
    /// What stands there.
    pub(super) given: Value,
    /// What that means, or what is wrong with it.
    pub(super) settings: Result<EndpointSettings, Vec<Wrong>>,
}

/// What is wrong, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    field: String,
    message: String,
}

impl Wrong {
    pub(super) fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

impl From<BadSetting> for Wrong {
    fn from(fault: BadSetting) -> Self {
        Self::new(fault.field, fault.message)
    }
}

impl From<&Problem> for Wrong {
    fn from(problem: &Problem) -> Self {
        let steps = problem.loc.iter().skip(1).map(|step| match step {
            Loc::Name(name) => name.to_string(),
            Loc::Index(index) => index.to_string(),
        });
        let message = match problem.kind.as_ref() {
            "extra_forbidden" => "there is no such setting",
            _ => problem.msg.strip_prefix("Value error, ").unwrap_or(&problem.msg),
        };
        Self::new(&steps.collect::<Vec<_>>().join("."), message)
    }
}

impl Entry {
    /// Its name; empty when it has none.
    pub(super) fn name(&self) -> &str {
        self.given.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The fields in which it differs from another one.
    pub(super) fn differs_from(&self, other: &Value) -> Vec<String> {
        differing(other, &self.given)
    }

    /// A fault in words for the operator.
    pub(super) fn line(&self, wrong: &Wrong) -> String {
        let name = if self.name().is_empty() { String::new() } else { format!(" {:?}", self.name()) };
        let field = if wrong.field.is_empty() { String::new() } else { format!("{}: ", wrong.field) };
        format!("entry {}{name}: {field}{}", self.number, wrong.message)
    }
}

/// Reads a file. Errors: it is no list at all.
pub(super) fn read(text: &[u8], allowed: &[IpNet]) -> Result<Vec<Entry>, String> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| format!("not JSON: line {}, column {}", error.line(), error.column()))?;
    let Value::Array(items) = value else { return Err("must be a list of endpoints".to_owned()) };
    let read = |(number, given): (usize, Value)| Entry { number, settings: settings(&given, allowed), given };
    let mut entries: Vec<Entry> = (1..).zip(items).map(read).collect();
    refuse_doubles(&mut entries);
    Ok(entries)
}

fn settings(given: &Value, allowed: &[IpNet]) -> Result<EndpointSettings, Vec<Wrong>> {
    if !given.is_object() {
        return Err(vec![Wrong::new("", "must be an object")]);
    }
    let mut fields = Reader::body(given, Reading::default());
    let settings = EndpointCreate::read(&mut fields).settings();
    fields.deny_unknown();
    for fault in faults(&settings, allowed) {
        if !fields.is_at_fault(fault.field) {
            fields.refuse(fault.field, &fault.message);
        }
    }
    fields.finish(settings).map_err(|problems| problems.iter().map(Wrong::from).collect())
}

/// A name stands for one endpoint, and one endpoint is the default at most.
fn refuse_doubles(entries: &mut [Entry]) {
    for at in 1..entries.len() {
        let (before, rest) = entries.split_at_mut(at);
        let entry = &mut rest[0];
        let is_default = |entry: &Entry| match &entry.settings {
            Ok(settings) => settings.is_default,
            Err(_) => entry.given["is_default"] == true,
        };
        let named = before.iter().find(|other| !other.name().is_empty() && other.name() == entry.name());
        let default = before.iter().find(|other| is_default(other) && is_default(entry));
        let doubles = [
            named.map(|other| Wrong::new("name", format!("entry {} has the same", other.number))),
            default.map(|other| Wrong::new("is_default", format!("entry {} is the default", other.number))),
        ];
        let doubles: Vec<Wrong> = doubles.into_iter().flatten().collect();
        if !doubles.is_empty() {
            let mut wrong = entry.settings.as_ref().err().cloned().unwrap_or_default();
            wrong.extend(doubles);
            entry.settings = Err(wrong);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(file: &Value) -> Vec<String> {
        let entries = read(file.to_string().as_bytes(), &[]).unwrap();
        let wrong = |entry: &Entry| entry.settings.as_ref().err().cloned().unwrap_or_default();
        entries
            .iter()
            .flat_map(|entry| wrong(entry).iter().map(|w| entry.line(w)).collect::<Vec<_>>())
            .collect()
    }

    fn lab(name: &str) -> Value {
        json!({"name": name, "host": "lis.example.org", "port": 2575})
    }

    #[test]
    fn every_fault_of_every_entry_is_named() {
        let file = json!([
            lab("City lab"),
            {"name": "Bad\nlab", "host": "10.1.1.1", "port": 0, "prot": 1, "time_zone": "Mars/Olympus"},
            {"host": "127.0.0.1", "port": "many", "direction": "sideways", "is_default": true},
            7,
            {"name": "City lab", "direction": "inbound", "is_default": true, "allowed_networks": ["10.0.0.0/8", 3]},
        ]);
        assert_eq!(
            lines(&file),
            [
                r#"entry 2 "Bad\nlab": prot: there is no such setting"#,
                r#"entry 2 "Bad\nlab": name: must not contain control characters"#,
                r#"entry 2 "Bad\nlab": port: must be between 1 and 65535"#,
                r#"entry 2 "Bad\nlab": time_zone: must be an IANA time zone, such as Europe/Berlin"#,
                "entry 3: name: Field required",
                "entry 3: port: Input should be a valid integer, unable to parse string as an integer",
                "entry 3: direction: Input should be 'inbound', 'outbound' or 'both'",
                "entry 3: host: this address is out of bounds; OUTBOUND_ALLOWED_NETWORKS can open it",
                "entry 4: must be an object",
                r#"entry 5 "City lab": allowed_networks.1: Input should be a valid string"#,
                r#"entry 5 "City lab": name: entry 1 has the same"#,
                r#"entry 5 "City lab": is_default: entry 3 is the default"#,
            ]
        );
    }

    #[test]
    fn what_is_no_list_is_told_without_its_text() {
        for (text, expected) in [
            ("", "not JSON: line 1, column 0"),
            ("[{\"name\": \"Roe\"},\n]", "not JSON: line 2, column 1"),
            ("{}", "must be a list of endpoints"),
        ] {
            assert_eq!(read(text.as_bytes(), &[]).err().as_deref(), Some(expected));
        }
        assert!(read(b"\xEF\xBB\xBF[]", &[]).unwrap().is_empty());
    }
}
