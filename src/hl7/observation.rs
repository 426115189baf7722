//! OBX: one result.

use super::datatypes::{Coded, Provider};
use super::datetime::Timestamp;
use super::message::Segment;
use super::order::{Note, status_letter};
use super::value::{Content, Value};
use super::{Location, Warning};
use std::borrow::Cow;

/// Table 0085 (OBX-11), with later additions.
const STATUS: &str = "OIRSPFCUXDWNABV";
/// The same without the letters that table 0080 (OBX-10) has too.
const STATUS_NOT_NATURE: &str = "OIPFCUXDWV";

/// OBX.
#[derive(Clone, PartialEq)]
pub struct Observation {
    /// Where it stood.
    pub location: Location,
    /// OBX-1.
    pub set_id: Option<String>,
    /// OBX-2.
    pub obx_type: Option<String>,
    /// OBX-3.
    pub code: Coded,
    /// OBX-4.
    pub sub_id: Option<String>,
    /// OBX-5.
    pub value: Value,
    /// OBX-6.
    pub units: Coded,
    /// OBX-7.
    pub range: Option<String>,
    /// OBX-8, table 0078, all repetitions.
    pub flags: Vec<String>,
    /// OBX-10, table 0080.
    pub nature: Option<String>,
    /// OBX-11, table 0085.
    pub status: Option<char>,
    /// OBX-14.
    pub observed_at: Option<Timestamp>,
    /// OBX-15.
    pub producer: Coded,
    /// OBX-16.
    pub observer: Option<Provider>,
    /// OBX-17.
    pub method: Coded,
    /// OBX-18.1.
    pub equipment: Option<String>,
    /// OBX-19.
    pub analysed_at: Option<Timestamp>,
    /// OBX-23 to OBX-25: who did the test.
    pub performer: Performer,
    /// NTEs that follow it.
    pub notes: Vec<Note>,
}

/// The laboratory that did the test, where it is not the one that reports.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Performer {
    /// OBX-23.1.
    pub name: Option<String>,
    /// OBX-23.10, else OBX-23.3 as older versions had it.
    pub id: Option<String>,
    /// OBX-24, its parts in the order of an address label.
    pub address: Option<String>,
    /// OBX-25.
    pub director: Option<Provider>,
}

super::redact_debug!(Observation, Performer);

impl Performer {
    fn read(obx: &Segment<'_>) -> Self {
        let part = |n| obx.field(23).component(n).value().map(Cow::into_owned);
        let address = obx.field(24);
        // Street without its subcomponents, other designation, city, state, postal code, country.
        let street = address.component(1).part(1);
        let rest = (2..=6).map(|n| address.component(n).value());
        let lines: Vec<_> = std::iter::once(street).chain(rest).flatten().collect();
        Self {
            name: part(1),
            id: part(10).or_else(|| part(3)),
            address: (!lines.is_empty()).then(|| lines.join(", ")),
            director: Provider::read_first(obx.field(25)),
        }
    }
}

impl Observation {
    /// Reads an OBX; leniencies go to `warnings`.
    pub fn read(obx: &Segment<'_>, warnings: &mut Vec<Warning>) -> Self {
        let own = |n| obx.value(n).map(Cow::into_owned);
        let time = |n| obx.value(n).and_then(|t| Timestamp::parse(&t));
        let coded = |n| Coded::read(obx.field(n).repetition(1));
        let obx_type = value_type(obx, warnings);
        let value = read_value(obx, obx_type.as_deref(), warnings);
        let (status, nature) = read_status(obx, warnings);
        Self {
            location: obx.location(),
            set_id: own(1),
            code: read_code(obx, warnings),
            sub_id: obx.field(4).value().map(Cow::into_owned),
            value,
            obx_type,
            units: coded(6),
            range: obx.field(7).value().map(Cow::into_owned),
            flags: obx.field(8).repetitions().filter_map(|r| r.value(1)).map(Cow::into_owned).collect(),
            nature,
            status,
            observed_at: time(14),
            producer: coded(15),
            observer: Provider::read_first(obx.field(16)),
            method: coded(17),
            equipment: own(18),
            analysed_at: time(19),
            performer: Performer::read(obx),
            notes: Vec::new(),
        }
    }
}

/// OBX-2; some senders write it as if it were a composite.
fn value_type(obx: &Segment<'_>, warnings: &mut Vec<Warning>) -> Option<String> {
    let field = obx.field(2);
    if field.repetition(1).components().nth(1).is_some() {
        warnings.push(Warning::at("obx2_components", obx.at(2)));
    }
    if field.is_empty() && !obx.field(5).is_empty() {
        warnings.push(Warning::at("obx2_missing", obx.at(2)));
    }
    field.component(1).value().map(|kind| kind.to_ascii_uppercase())
}

fn read_value(obx: &Segment<'_>, kind: Option<&str>, warnings: &mut Vec<Warning>) -> Value {
    let field = obx.field(5);
    let value = Value::read(kind.unwrap_or_default(), field);
    let at = obx.at(5);
    if let (Content::Document(_), Some(kind)) = (&value.content, kind.or(Some("")))
        && kind != "ED"
    {
        warnings.push(Warning::at("document_in_text", at));
        return value;
    }
    if field.is_truncated() {
        warnings.push(Warning::at("value_truncated", at));
    }
    if value.numeric.as_ref().is_some_and(|n| n.lenient) {
        warnings.push(Warning::at("number_lenient", at));
    }
    if kind == Some("NM") && value.numeric.is_none() && !value.is_absent() {
        warnings.push(Warning::at("not_a_number", at));
    }
    if field.repetitions().any(|r| r.has_unknown_escape()) {
        warnings.push(Warning::at("escape_unknown", at));
    }
    value
}

fn read_code(obx: &Segment<'_>, warnings: &mut Vec<Warning>) -> Coded {
    let mut code = Coded::read(obx.field(3).repetition(1));
    if code.promote_alternate() {
        warnings.push(Warning::at("code_in_alternate", obx.at(3)));
    }
    if code.is_empty() {
        warnings.push(Warning::at("obx3_missing", obx.at(3)));
    }
    code
}

/// OBX-11, or the status that landed in OBX-10. A letter that table 0080 has too stays a nature:
/// `N` there says "normal range by nothing", never "not asked".
fn read_status(obx: &Segment<'_>, warnings: &mut Vec<Warning>) -> (Option<char>, Option<String>) {
    let nature = obx.value(10).map(Cow::into_owned);
    if obx.value(11).is_some() {
        let status = status_letter(obx, 11, STATUS);
        if status.is_none() {
            warnings.push(Warning::at("status_unknown", obx.at(11)));
        } else if obx.field(11).repetition(1).components().nth(1).is_some() {
            warnings.push(Warning::at("obx11_components", obx.at(11)));
        }
        return (status, nature);
    }
    let moved = status_letter(obx, 10, STATUS_NOT_NATURE);
    if moved.is_some() {
        warnings.push(Warning::at("status_from_obx10", obx.at(10)));
        return (moved, None);
    }
    warnings.push(Warning::at("status_missing", obx.at(11)));
    (None, nature)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;

    fn read(line: &str) -> (Observation, Vec<String>) {
        let text = format!("MSH|^~\\&|A\r{line}");
        let message = Message::parse(&text).unwrap();
        let mut warnings = Vec::new();
        let obx = Observation::read(&message.segment("OBX").unwrap(), &mut warnings);
        let shown = warnings.iter().map(|w| format!("{} {}", w.code, w.location.unwrap().field)).collect();
        (obx, shown)
    }

    #[test]
    fn positions() {
        let (obx, warnings) = read(
            "OBX|1|NM|2823-3^Potassium^LN|a|6.8|mmol/L^^UCUM|3.5-5.1|HH~A|0.9|N|F|20240101||202403150800|LABX|77^Tech|ISE|EQ1^x|202403150830||||City Lab^^^^^^^^^C7|1 Main St&Main^^Town^MA^01234|9^House^Gregory",
        );
        assert_eq!(warnings, [""; 0]);
        assert_eq!(obx.code.code.as_deref(), Some("2823-3"));
        assert_eq!(obx.sub_id.as_deref(), Some("a"));
        assert_eq!(obx.value.numeric.as_ref().unwrap().text, "6.8");
        assert_eq!(obx.units.code.as_deref(), Some("mmol/L"));
        assert_eq!(obx.range.as_deref(), Some("3.5-5.1"));
        assert_eq!(obx.flags, ["HH", "A"]);
        assert_eq!((obx.nature.as_deref(), obx.status), (Some("N"), Some('F')));
        assert_eq!(obx.observed_at.unwrap().text, "202403150800");
        assert_eq!(obx.producer.code.as_deref(), Some("LABX"));
        assert_eq!(obx.observer.unwrap().display().as_deref(), Some("Tech"));
        assert_eq!((obx.method.code.as_deref(), obx.equipment.as_deref()), (Some("ISE"), Some("EQ1")));
        assert_eq!(obx.analysed_at.unwrap().text, "202403150830");
        assert_eq!(
            (obx.performer.name.as_deref(), obx.performer.id.as_deref()),
            (Some("City Lab"), Some("C7"))
        );
        assert_eq!(obx.performer.address.as_deref(), Some("1 Main St, Town, MA, 01234"));
        assert_eq!(obx.performer.director.unwrap().display().as_deref(), Some("Gregory House"));
    }

    #[test]
    fn where_the_status_may_stand() {
        let table = [
            ("|F", Some('F'), "status_from_obx10 10"),
            ("|N", None, "status_missing 11"),
            ("|A", None, "status_missing 11"),
            ("|f", Some('F'), "status_from_obx10 10"),
            ("", None, "status_missing 11"),
            ("||C^R", Some('C'), "obx11_components 11"),
            ("||Q", None, "status_unknown 11"),
            ("||final", None, "status_unknown 11"),
        ];
        for (tail, status, warning) in table {
            let (obx, warnings) = read(&format!("OBX|1|NM|K||5||||{tail}"));
            assert_eq!((obx.status, warnings), (status, vec![warning.to_owned()]), "{tail}");
        }
    }

    #[test]
    fn leniencies_are_recorded() {
        let table = [
            ("OBX|1|CE^x|K||A||||||F", "obx2_components 2"),
            ("OBX|1||K||5||||||F", "obx2_missing 2"),
            ("OBX|1|NM|^^^K||5||||||F", "code_in_alternate 3"),
            ("OBX|1|NM|||5||||||F", "obx3_missing 3"),
            ("OBX|1|NM|K||1,234||||||F", "number_lenient 5"),
            ("OBX|1|NM|K||high||||||F", "not_a_number 5"),
            ("OBX|1|ST|K||50\\ml||||||F", "escape_unknown 5"),
        ];
        for (line, warning) in table {
            assert_eq!(read(line).1, [warning], "{line}");
        }
    }
}
