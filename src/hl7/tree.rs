//! A message as a tree with field names, for people who look at it.

use super::Location;
use super::message::{Field, Message, Segment};

mod names;

/// A segment.
#[derive(Clone, PartialEq, Eq)]
pub struct SegmentNode {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub location: Location,
    /// Its fields that hold something.
    pub fields: Vec<FieldNode>,
}

/// A field.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldNode {
    /// Its number.
    pub position: u16,
    /// Its name in the standard, for the segments we know.
    pub name: Option<&'static str>,
    /// As sent.
    pub raw: String,
    /// Repetitions, components, subcomponents, escapes decoded.
    pub repetitions: Vec<Vec<Vec<String>>>,
}

super::redact_debug!(SegmentNode, FieldNode);

/// The whole message.
pub fn tree(message: &Message<'_>) -> Vec<SegmentNode> {
    message.segments().map(|segment| segment_node(&segment)).collect()
}

fn segment_node(segment: &Segment<'_>) -> SegmentNode {
    let names = names::of(segment.name());
    let fields = (1..=segment.field_count()).filter(|&n| !segment.field(n).is_empty());
    let node = |n: u16| FieldNode {
        position: n,
        name: names.get(usize::from(n) - 1).copied(),
        raw: segment.field(n).raw().to_owned(),
        repetitions: repetitions(segment.field(n)),
    };
    SegmentNode {
        name: segment.name().to_owned(),
        location: segment.location(),
        fields: fields.map(node).collect(),
    }
}

fn repetitions(field: Field<'_>) -> Vec<Vec<Vec<String>>> {
    let parts = |c: super::message::Component<'_>| c.subcomponents().map(|s| s.text().into_owned()).collect();
    field.repetitions().map(|r| r.components().map(parts).collect()).collect()
}

/// The name of a field, for the segments we know.
pub fn field_name(segment: &str, position: u16) -> Option<&'static str> {
    names::of(segment).get(usize::from(position).checked_sub(1)?).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        let table = [
            ("MSH", 10, "Message Control ID"),
            ("PID", 3, "Patient Identifier List"),
            ("PID", 18, "Patient Account Number"),
            ("PV1", 19, "Visit Number"),
            ("PV1", 44, "Admit Date/Time"),
            ("ORC", 9, "Date/Time of Transaction"),
            ("ORC", 12, "Ordering Provider"),
            ("OBR", 7, "Observation Date/Time"),
            ("OBR", 25, "Result Status"),
            ("OBR", 27, "Quantity/Timing"),
            ("OBR", 49, "Result Handling"),
            ("OBX", 11, "Observation Result Status"),
            ("OBX", 23, "Performing Organization Name"),
            ("NTE", 3, "Comment"),
            ("MSA", 2, "Message Control ID"),
            ("ERR", 3, "HL7 Error Code"),
            ("SPM", 17, "Specimen Collection Date/Time"),
            ("EVN", 6, "Event Occurred"),
            ("MRG", 1, "Prior Patient Identifier List"),
            ("DG1", 3, "Diagnosis Code"),
        ];
        for (segment, position, name) in table {
            assert_eq!(field_name(segment, position), Some(name), "{segment}-{position}");
        }
        assert_eq!(field_name("ZZZ", 1), None);
        assert_eq!(field_name("MSH", 0), None);
    }

    #[test]
    fn a_tree_decodes_its_leaves() {
        let message = Message::parse("MSH|^~\\&|LAB\rPID|||1^a&b~2||x\\F\\y\rZZZ|q").unwrap();
        let tree = tree(&message);
        assert_eq!(tree[0].fields[0].raw, "|");
        assert_eq!(tree[0].fields[1].repetitions, [[["^~\\&"]]]);
        let pid = &tree[1].fields[0];
        assert_eq!((pid.position, pid.name), (3, Some("Patient Identifier List")));
        assert_eq!(pid.repetitions.len(), 2);
        assert_eq!(pid.repetitions[0][1], ["a", "b"]);
        assert_eq!(tree[1].fields[1].repetitions, [[["x|y"]]]);
        assert_eq!(tree[2].fields[0].name, None);
    }
}
