//! What was examined: SPM since version 2.5, OBR-7, OBR-14 and OBR-15 before.

use super::datatypes::{Coded, EntityId};
use super::datetime::Timestamp;
use super::message::{Field, Segment};

/// A specimen.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Specimen {
    /// SPM-2.1.
    pub placer: EntityId,
    /// SPM-2.2.
    pub filler: EntityId,
    /// SPM-4, else OBR-15.1.
    pub kind: Coded,
    /// SPM-7, else OBR-15.3.
    pub collection: Coded,
    /// SPM-8, else OBR-15.4.
    pub site: Coded,
    /// SPM-14, else OBR-13.
    pub description: Option<String>,
    /// SPM-17.1, else OBR-7.
    pub collected_at: Option<Timestamp>,
    /// SPM-18, else OBR-14.
    pub received_at: Option<Timestamp>,
    /// SPM-21: why it was rejected.
    pub reject_reasons: Vec<Coded>,
    /// SPM-24.
    pub conditions: Vec<Coded>,
}

super::redact_debug!(Specimen);

impl Specimen {
    /// Reads an SPM.
    pub fn read(spm: &Segment<'_>) -> Self {
        let coded = |n| Coded::read(spm.field(n).repetition(1));
        Self {
            placer: EntityId::read_nested(spm.field(2).component(1)),
            filler: EntityId::read_nested(spm.field(2).component(2)),
            kind: coded(4),
            collection: coded(7),
            site: coded(8),
            description: text(spm.field(14)),
            // DR holds two times; before 2.5 a TS could stand there.
            collected_at: spm.field(17).component(1).part(1).and_then(|t| Timestamp::parse(&t)),
            received_at: spm.value(18).and_then(|t| Timestamp::parse(&t)),
            reject_reasons: all(spm.field(21)),
            conditions: all(spm.field(24)),
        }
    }

    /// What an OBR says of it; none when OBR-15 is empty, because its times alone name no specimen.
    pub fn read_obr(obr: &Segment<'_>) -> Option<Self> {
        let source = obr.field(15);
        let time = |n| obr.value(n).and_then(|t| Timestamp::parse(&t));
        let specimen = Self {
            kind: Coded::read_nested(source.component(1)),
            collection: Coded { text: text_of(source, 3), ..Coded::default() },
            site: Coded::read_nested(source.component(4)),
            ..Self::default()
        };
        let named = specimen != Self::default();
        named.then(|| Self {
            description: text(obr.field(13)),
            collected_at: time(7),
            received_at: time(14),
            ..specimen
        })
    }
}

fn all(field: Field<'_>) -> Vec<Coded> {
    field.repetitions().map(Coded::read).filter(|code| !code.is_empty()).collect()
}

fn text_of(field: Field<'_>, component: u16) -> Option<String> {
    field.component(component).value().map(std::borrow::Cow::into_owned)
}

/// All repetitions as lines.
fn text(field: Field<'_>) -> Option<String> {
    let lines: Vec<_> = field.repetitions().filter_map(|r| r.value(1)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;

    fn with<T>(line: &str, read: impl Fn(&Segment<'_>) -> T) -> T {
        let text = format!("MSH|^~\\&|A\r{line}");
        let message = Message::parse(&text).unwrap();
        read(&message.segments().last().unwrap())
    }

    #[test]
    fn spm_positions() {
        let line = "SPM|1|A&x^B&y||BLD^Blood^HL70487|||VP^Venipuncture|LA^Left arm||||||first~second|||202403150800^202403150805|202403150900|||H^Hemolyzed~Q^Too little|||HEM^Hemolysed~CLOT^Clotted";
        let specimen = with(line, Specimen::read);
        assert_eq!((specimen.placer.id.as_deref(), specimen.filler.id.as_deref()), (Some("A"), Some("B")));
        assert_eq!((specimen.kind.display(), specimen.site.display()), (Some("Blood"), Some("Left arm")));
        assert_eq!(specimen.collection.display(), Some("Venipuncture"));
        assert_eq!(specimen.description.as_deref(), Some("first\nsecond"));
        assert_eq!(specimen.collected_at.unwrap().text, "202403150800");
        assert_eq!(specimen.received_at.unwrap().text, "202403150900");
        let shown = |codes: &[Coded]| codes.iter().filter_map(Coded::display).collect::<Vec<_>>().join(", ");
        assert_eq!(shown(&specimen.reject_reasons), "Hemolyzed, Too little");
        assert_eq!(shown(&specimen.conditions), "Hemolysed, Clotted");
    }

    #[test]
    fn an_older_specimen_stands_in_the_obr() {
        let line =
            "OBR|1|P|F|BC|||202403150800||||||fever|202403150900|BLDV&Venous blood&HL70070^^swab^LA&Left arm";
        let specimen = with(line, Specimen::read_obr).unwrap();
        assert_eq!(
            (specimen.kind.display(), specimen.kind.code.as_deref()),
            (Some("Venous blood"), Some("BLDV"))
        );
        assert_eq!(
            (specimen.site.display(), specimen.collection.display()),
            (Some("Left arm"), Some("swab"))
        );
        assert_eq!(specimen.description.as_deref(), Some("fever"));
        assert_eq!(specimen.received_at.unwrap().text, "202403150900");
        assert!(with("OBR|1|P|F|BC|||202403150800", Specimen::read_obr).is_none());
    }
}
