//! ORM^O01: orders written for a laboratory, and read by one (or by us, from a sender).

use super::build::{SegmentWriter, Writer};
use super::charset::{self, Unencodable};
use super::datatypes::{Coded, EntityId};
use super::datetime::format_dtm;
use super::header::Header;
use super::message::Message;
use super::oru::{PatientResults, Reader};
pub use super::outbound::{Envelope, PersonOut, ProviderOut, VisitOut};
use super::{ErrorCode, Fault, Location, SegmentName, Warning};
use chrono::{DateTime, FixedOffset};

/// One test of an order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestOut {
    /// ORC-2 and OBR-2.
    pub placer: String,
    /// ORC-3 and OBR-3, known when a test is cancelled after the laboratory took it.
    pub filler: String,
    /// OBR-4.1.
    pub code: String,
    /// OBR-4.2.
    pub text: String,
    /// OBR-4.3.
    pub system: String,
    /// OBR-4.4, with system LN.
    pub loinc: String,
    /// OBR-4.5.
    pub loinc_text: String,
}

impl TestOut {
    fn service(&self) -> [&str; 6] {
        let system = if self.loinc.is_empty() { "" } else { "LN" };
        [&self.code, &self.text, &self.system, &self.loinc, &self.loinc_text, system]
    }
}

/// ORC-1 of a message we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderAction {
    /// `NW`
    #[default]
    New,
    /// `CA`
    Cancel,
}

/// Why something was ordered.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DiagnosisOut {
    /// DG1-3.1.
    pub code: String,
    /// DG1-3.2.
    pub text: String,
    /// DG1-3.3, such as `I10`.
    pub system: String,
}

/// An order to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderMessage {
    /// MSH.
    pub envelope: Envelope,
    /// PID.
    pub patient: PersonOut,
    /// PV1.
    pub visit: Option<VisitOut>,
    /// ORC-1.
    pub action: OrderAction,
    /// ORC-4: our number for the order as a whole.
    pub placer_group: String,
    /// Name space of our numbers, ORC-2.2 and OBR-2.2.
    pub placer_namespace: String,
    /// ORC-12 and OBR-16.
    pub provider: ProviderOut,
    /// ORC-7.6 and OBR-27.6: `R`, `S`, `A` …
    pub priority: String,
    /// ORC-9.
    pub entered_at: DateTime<FixedOffset>,
    /// One ORC and OBR each.
    pub tests: Vec<TestOut>,
    /// DG1.
    pub diagnoses: Vec<DiagnosisOut>,
    /// NTE-3.
    pub note: Option<String>,
}

super::redact_debug!(TestOut, DiagnosisOut, OrderMessage, OrmView);

impl OrderMessage {
    /// The message as text.
    pub fn build(&self) -> String {
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, ["ORM", "O01", "ORM_O01"]);
        self.patient.write(&mut writer);
        if let Some(visit) = &self.visit {
            visit.write(&mut writer);
        }
        for (i, test) in self.tests.iter().enumerate() {
            self.orc(&mut writer, test);
            self.obr(&mut writer, test, i + 1);
            self.note(&mut writer);
            self.diagnoses(&mut writer);
        }
        writer.finish()
    }

    /// The message in the envelope's character set.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        charset::encode(&self.build(), self.envelope.charset)
    }

    fn orc(&self, writer: &mut Writer, test: &TestOut) {
        let control = match self.action {
            OrderAction::New => "NW",
            OrderAction::Cancel => "CA",
        };
        let orc = writer.segment("ORC").text(1, control);
        self.numbers(orc, test)
            .parts(4, &[&self.placer_group, self.namespace(&self.placer_group)])
            .parts(7, &self.timing())
            .text(9, &format_dtm(&self.entered_at))
            .parts(12, &self.provider.parts())
            .end();
    }

    /// OBR-7 stays empty: nothing has been collected yet. OBR-5 and OBR-6 are for older versions.
    fn obr(&self, writer: &mut Writer, test: &TestOut, set_id: usize) {
        let old = !self.envelope.at_least((2, 5, 0));
        let requested = if old { format_dtm(&self.entered_at) } else { String::new() };
        let obr = writer.segment("OBR").text(1, &set_id.to_string());
        self.numbers(obr, test)
            .parts(4, &test.service())
            .text(6, &requested)
            .parts(16, &self.provider.parts())
            .parts(27, &self.timing())
            .end();
    }

    fn numbers<'w>(&self, segment: SegmentWriter<'w>, test: &TestOut) -> SegmentWriter<'w> {
        segment.parts(2, &[&test.placer, self.namespace(&test.placer)]).text(3, &test.filler)
    }

    /// A name space without a number names nothing.
    fn namespace(&self, number: &str) -> &str {
        if number.is_empty() { "" } else { &self.placer_namespace }
    }

    /// TQ: the priority is component 6.
    fn timing(&self) -> [&str; 6] {
        ["", "", "", "", "", &self.priority]
    }

    /// Repeated under every OBR: a laboratory that files tests one by one would lose it otherwise.
    fn note(&self, writer: &mut Writer) {
        if let Some(note) = self.note.as_deref().filter(|n| !n.is_empty()) {
            writer.segment("NTE").text(1, "1").text(2, "P").long_text(3, note).end();
        }
    }

    fn diagnoses(&self, writer: &mut Writer) {
        for (i, diagnosis) in self.diagnoses.iter().enumerate() {
            writer
                .segment("DG1")
                .text(1, &(i + 1).to_string())
                .parts(3, &[&diagnosis.code, &diagnosis.text, &diagnosis.system])
                .text(6, "W")
                .end();
        }
    }
}

/// An order as read: the patients with their orders as groups without results.
#[derive(Clone, PartialEq)]
pub struct OrmView {
    /// MSH.
    pub header: Header,
    /// One entry per PID.
    pub patients: Vec<PatientResults>,
    /// The leniencies used.
    pub warnings: Vec<Warning>,
}

impl OrmView {
    /// Every order of the message.
    pub fn orders(&self) -> impl Iterator<Item = OrderRead<'_>> {
        self.patients.iter().flat_map(|p| &p.groups).map(|group| OrderRead {
            control: group.control.as_ref().and_then(|c| c.control.as_deref()),
            placer: group.placer(),
            filler: group.filler(),
            service: &group.request.service,
            priority: group.priority(),
        })
    }
}

/// One order in short.
#[derive(Clone, Copy, Debug)]
pub struct OrderRead<'v> {
    /// ORC-1.
    pub control: Option<&'v str>,
    /// OBR-2, else ORC-2.
    pub placer: &'v EntityId,
    /// OBR-3, else ORC-3.
    pub filler: &'v EntityId,
    /// OBR-4.
    pub service: &'v Coded,
    /// From TQ1, OBR or ORC.
    pub priority: Option<&'v str>,
}

/// Reads order messages (ORM^O01, OML^O21).
pub struct Orm;

impl Orm {
    /// Reads a message, or says why there is no order in it. An ORC without OBR is an order too: a
    /// cancellation needs no more than its number.
    pub fn read(message: &Message<'_>) -> Result<OrmView, Fault> {
        let header = Header::read(message);
        let mut reader = Reader::of_orders();
        for segment in message.segments() {
            reader.take(&segment)?;
        }
        let (patients, warnings) = reader.finish();
        if patients.iter().all(|p| p.groups.is_empty()) {
            let obr = Location::segment(SegmentName::OBR, 1);
            return Err(Fault::new(ErrorCode::SegmentSequence, "no order").at(obr));
        }
        Ok(OrmView { header, patients, warnings })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::hl7::charset::Charset;
    use crate::hl7::message::Delimiters;
    use chrono::NaiveDate;
    use proptest::prelude::*;

    pub(in crate::hl7) fn envelope(version: &str) -> Envelope {
        Envelope {
            delimiters: Delimiters::DEFAULT,
            sending_application: "PMS".into(),
            sending_facility: "HOSP".into(),
            receiving_application: "LIS".into(),
            receiving_facility: "LAB".into(),
            time: DateTime::parse_from_rfc3339("2024-03-15T10:30:00+01:00").unwrap(),
            control_id: "C1".into(),
            processing_id: "P".into(),
            version: version.into(),
            accept_ack: None,
            application_ack: None,
            charset: Charset::UTF_8,
        }
    }

    pub(in crate::hl7) fn order(version: &str) -> OrderMessage {
        OrderMessage {
            envelope: envelope(version),
            patient: PersonOut {
                mrn: "777".into(),
                authority: "HOSP".into(),
                family: "Roe".into(),
                given: "Ann".into(),
                middle: String::new(),
                birth_date: NaiveDate::from_ymd_opt(1980, 1, 2),
                sex: "F".into(),
            },
            visit: Some(VisitOut {
                class: "I".into(),
                location: "W1".into(),
                facility: "HOSP".into(),
                visit_number: "V9".into(),
                ..VisitOut::default()
            }),
            action: OrderAction::New,
            placer_group: "G1".into(),
            placer_namespace: "PMS".into(),
            provider: ProviderOut::from_text("Dr. Jane Smith"),
            priority: "S".into(),
            entered_at: DateTime::parse_from_rfc3339("2024-03-15T10:29:00+01:00").unwrap(),
            tests: vec![
                TestOut {
                    placer: "P1".into(),
                    code: "CBC".into(),
                    text: "Count".into(),
                    system: "L".into(),
                    loinc: "58410-2".into(),
                    ..TestOut::default()
                },
                TestOut { placer: "P2".into(), code: "K".into(), ..TestOut::default() },
            ],
            diagnoses: vec![DiagnosisOut {
                code: "D64.9".into(),
                text: "Anaemia".into(),
                system: "I10".into(),
            }],
            note: Some("fasting\nplease call".into()),
        }
    }

    #[test]
    fn a_new_order_line_by_line() {
        let text = order("2.5.1").build();
        let lines: Vec<&str> = text.split_terminator('\r').collect();
        assert_eq!(
            lines[..7],
            [
                "MSH|^~\\&|PMS|HOSP|LIS|LAB|20240315103000+0100||ORM^O01^ORM_O01|C1|P|2.5.1||||||UNICODE UTF-8",
                "PID|1||777^^^HOSP^MR||Roe^Ann^^^^^L||19800102|F",
                "PV1|1|I|W1^^^HOSP||||||||||||||||V9^^^^VN",
                "ORC|NW|P1^PMS||G1^PMS|||^^^^^S||20240315102900+0100|||^Smith^Jane^^^Dr.",
                "OBR|1|P1^PMS||CBC^Count^L^58410-2^^LN||||||||||||^Smith^Jane^^^Dr.|||||||||||^^^^^S",
                "NTE|1|P|fasting\\.br\\please call",
                "DG1|1||D64.9^Anaemia^I10|||W",
            ]
        );
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn older_versions_and_cancellation() {
        let mut order = order("2.3");
        order.action = OrderAction::Cancel;
        order.tests[0].filler = "F1".into();
        let text = order.build();
        assert!(text.contains("|ORM^O01|C1|"));
        assert!(text.contains("\rORC|CA|P1^PMS|F1|"));
        let message = Message::parse(&text).unwrap();
        let obr = message.segment("OBR").unwrap();
        assert_eq!((obr.field(6).raw(), obr.field(7).raw()), ("20240315102900+0100", ""));
    }

    #[test]
    fn what_we_write_we_read() {
        let text = order("2.5.1").build();
        let view = Orm::read(&Message::parse(&text).unwrap()).unwrap();
        let orders: Vec<_> = view.orders().collect();
        assert_eq!(orders.len(), 2);
        assert_eq!((orders[0].control, orders[0].priority), (Some("NW"), Some("S")));
        assert_eq!(orders[1].placer.id.as_deref(), Some("P2"));
        assert_eq!(orders[0].service.alt_system.as_deref(), Some("LN"));
        let group = &view.patients[0].groups[0];
        assert_eq!(group.notes[0].text, "fasting\nplease call");
        assert_eq!(
            view.patients[0].visit.as_ref().unwrap().visit_number.as_ref().unwrap().id.as_deref(),
            Some("V9")
        );
        assert_eq!(view.warnings, []);
    }

    #[test]
    fn a_bare_control_is_an_order() {
        let text = "MSH|^~\\&|A\rPID|||1\rORC|CA|P1\rORC|CA|P2\rOBR|1|P2\r";
        let view = Orm::read(&Message::parse(text).unwrap()).unwrap();
        let placers: Vec<_> = view.orders().map(|o| o.placer.id.clone().unwrap()).collect();
        assert_eq!(placers, ["P1", "P2"]);
    }

    #[test]
    fn notes_and_diagnoses_belong_to_their_order() {
        let text = "MSH|^~\\&|A\rPID|||1\rNTE|1||p\rORC|NW|P1\rNTE|1||early\rOBR|1|P1\rNTE|1||late\rDG1|1||A^x^I10\r\
                    ORC|NW|P2\rDG1|1||B\rOBR|1|P2\r";
        let view = Orm::read(&Message::parse(text).unwrap()).unwrap();
        let groups = &view.patients[0].groups;
        let notes: Vec<&str> = groups[0].notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!((notes, groups[1].notes.len()), (vec!["early", "late"], 0));
        let code = |n: usize| groups[n].diagnoses[0].code.code.as_deref();
        assert_eq!((code(0), code(1), groups[0].diagnoses.len()), (Some("A"), Some("B"), 1));
        assert_eq!(view.patients[0].notes[0].text, "p");
        assert_eq!(view.warnings, []);
    }

    #[test]
    fn a_name_outside_the_character_set_is_an_error() {
        let mut order = order("2.5.1");
        order.envelope.charset = Charset::LATIN_1;
        order.patient.family = "Møller".into();
        assert!(order.to_bytes().is_ok());
        order.patient.family = "山田".into();
        assert!(order.to_bytes().is_err());
    }

    proptest! {
        #[test]
        fn no_name_can_change_the_structure(name in r"[a-zé|^~\\&#\r\n\x1b\x0b\x1c ]{1,20}", text in r"[a-z|^~\\&\r\n]{0,20}") {
            let mut order = order("2.5.1");
            let segments = order.build().matches('\r').count();
            order.patient.family.clone_from(&name);
            order.provider = ProviderOut { family: name.clone(), ..ProviderOut::default() };
            order.tests[0].text.clone_from(&text);
            order.note = Some(format!("note {text} end"));
            let bytes = order.to_bytes().unwrap();
            prop_assert!(!bytes.contains(&0x0b) && !bytes.contains(&0x1c));
            let built = order.build();
            prop_assert_eq!(built.matches('\r').count(), segments);
            let view = Orm::read(&Message::parse(&built).unwrap()).unwrap();
            let plain = |s: &str| s.replace("\r\n", " ").replace(['\r', '\n'], " ").trim().to_owned();
            let some = |s: &str| Some(plain(s)).filter(|s| !s.is_empty());
            let patient = view.patients[0].patient.as_ref().unwrap();
            prop_assert_eq!(patient.family().map(str::to_owned), some(&name));
            let group = &view.patients[0].groups[0];
            let provider = group.request.provider.as_ref().and_then(|p| p.family.clone());
            prop_assert_eq!(provider, some(&name));
            prop_assert_eq!(group.request.service.text.clone(), some(&text));
            let lines = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(&group.notes[0].text, &format!("note {lines} end"));
        }
    }
}
