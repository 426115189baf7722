//! Orders written for a laboratory: ORM^O01 (HL7 v2.3 to v2.5.1, §4.4.1) and OML^O21 (v2.5.1 §4.4.6, as IHE LAB-1 uses
//! it).
//!
//! The two differ in where the priority stands: ORC-7 and OBR-27 in ORM, TQ1 in OML, where IHE forbids the other two.
//! SPM is left out: of a specimen that nobody has taken yet there is nothing to say.

use super::build::{SegmentWriter, Writer};
use super::charset::{self, Unencodable};
use super::datetime::format_dtm;
use super::outbound::{Envelope, PersonOut, ProviderOut, VisitOut};
use super::study_build::StudyOut;
use chrono::{DateTime, FixedOffset};

/// The message an order is sent in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderShape {
    /// ORM^O01
    #[default]
    OrmO01,
    /// OML^O21
    OmlO21,
}

impl OrderShape {
    /// By the name of the structure (MSH-9.3).
    pub fn parse(structure: &str) -> Option<Self> {
        [Self::OrmO01, Self::OmlO21].into_iter().find(|shape| shape.message_type()[2] == structure)
    }

    /// Code, event and structure (MSH-9).
    pub fn message_type(self) -> [&'static str; 3] {
        match self {
            Self::OrmO01 => ["ORM", "O01", "ORM_O01"],
            Self::OmlO21 => ["OML", "O21", "OML_O21"],
        }
    }
}

/// Which code of a test comes first in OBR-4; the other one is its alternate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CodeOrder {
    /// The local one.
    #[default]
    LocalFirst,
    /// LOINC, where there is one.
    LoincFirst,
}

/// One test of an order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TestOut {
    /// ORC-2 and OBR-2.
    pub placer: String,
    /// ORC-3 and OBR-3, known when a test is cancelled after the laboratory took it.
    pub filler: String,
    /// Local code.
    pub code: String,
    /// Its name.
    pub text: String,
    /// Its coding system.
    pub system: String,
    /// The same as LOINC, if known.
    pub loinc: String,
    /// LOINC's name.
    pub loinc_text: String,
    /// What only imaging needs, for a receiver that has places for it.
    pub study: Option<StudyOut>,
}

impl TestOut {
    /// OBR-2: of a study its accession number, which stands beside our own number in ORC-2.
    fn filed_under(&self) -> &str {
        let accession = self.study.as_ref().map(|study| study.accession.as_str());
        accession.filter(|number| !number.is_empty()).unwrap_or(&self.placer)
    }

    /// OBR-4.
    fn service(&self, order: CodeOrder) -> [&str; 6] {
        let local = [self.code.as_str(), &self.text, &self.system];
        if self.loinc.is_empty() {
            return [local[0], local[1], local[2], "", "", ""];
        }
        let loinc = [self.loinc.as_str(), &self.loinc_text, "LN"];
        let (first, second) = match order {
            CodeOrder::LocalFirst => (local, loinc),
            CodeOrder::LoincFirst => (loinc, local),
        };
        [first[0], first[1], first[2], second[0], second[1], second[2]]
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

impl OrderAction {
    fn control(self) -> &'static str {
        match self {
            Self::New => "NW",
            Self::Cancel => "CA",
        }
    }
}

/// Why something was ordered.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DiagnosisOut {
    /// DG1-3.1.
    pub code: String,
    /// DG1-3.2.
    pub text: String,
    /// DG1-2 and DG1-3.3, such as `I10`.
    pub system: String,
}

/// An order to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderMessage {
    /// In which message.
    pub shape: OrderShape,
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
    /// Name space of our numbers: ORC-2.2, ORC-4.2 and OBR-2.2.
    pub placer_namespace: String,
    /// ORC-12 and OBR-16.
    pub provider: ProviderOut,
    /// `R`, `S`, `A` …: ORC-7.6 and OBR-27.6, or TQ1-9; before 2.5 OBR-5 too.
    pub priority: String,
    /// ORC-9 of a new order; TQ1-7; before 2.5 OBR-6.
    pub entered_at: DateTime<FixedOffset>,
    /// What comes first in OBR-4.
    pub code_order: CodeOrder,
    /// One ORC and OBR each.
    pub tests: Vec<TestOut>,
    /// DG1.
    pub diagnoses: Vec<DiagnosisOut>,
    /// NTE-3.
    pub note: Option<String>,
}

super::redact_debug!(TestOut, DiagnosisOut, OrderMessage);

impl OrderMessage {
    /// The message as text.
    pub fn build(&self) -> String {
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, self.shape.message_type());
        self.patient.write(&mut writer);
        if let Some(visit) = &self.visit {
            visit.write(&mut writer);
        }
        for (i, test) in self.tests.iter().enumerate() {
            self.orc(&mut writer, test);
            self.tq1(&mut writer);
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
        let orc = writer.segment("ORC").text(1, self.action.control());
        self.numbers(orc, &test.placer, &test.filler)
            .parts(4, &[&self.placer_group, self.namespace(&self.placer_group)])
            .parts(7, &self.timing())
            .text(9, &format_dtm(self.happened_at()))
            .parts(12, &self.provider.parts())
            .end();
    }

    /// When what ORC-1 says was decided (§4.5.1.9): an order is called off later than it was entered.
    fn happened_at(&self) -> &DateTime<FixedOffset> {
        match self.action {
            OrderAction::New => &self.entered_at,
            OrderAction::Cancel => &self.envelope.time,
        }
    }

    /// Start and priority. Calling off starts nothing.
    fn tq1(&self, writer: &mut Writer) {
        if self.shape != OrderShape::OmlO21 || self.action == OrderAction::Cancel {
            return;
        }
        let text = match self.priority.as_str() {
            "S" => "Stat",
            "A" => "As soon as possible",
            "R" => "Routine",
            _ => "",
        };
        let tq1 = writer.segment("TQ1").text(1, "1").text(7, &format_dtm(&self.entered_at));
        tq1.parts(9, &[&self.priority, text, "HL70485"]).end();
    }

    /// OBR-7 stays empty: nothing has been collected yet.
    fn obr(&self, writer: &mut Writer, test: &TestOut, set_id: usize) {
        let obr = writer.segment("OBR").text(1, &set_id.to_string());
        let obr = self.numbers(obr, test.filed_under(), &test.filler);
        let obr = self.old_timing(obr.parts(4, &test.service(self.code_order)));
        let obr = match &test.study {
            Some(study) => study.write(obr, &self.priority),
            None => obr,
        };
        obr.parts(16, &self.provider.parts()).parts(27, &self.timing()).end();
    }

    /// OBR-5 and OBR-6, which newer versions keep for old receivers only.
    fn old_timing<'w>(&self, obr: SegmentWriter<'w>) -> SegmentWriter<'w> {
        if self.envelope.at_least((2, 5, 0)) {
            return obr;
        }
        obr.text(5, &self.priority).text(6, &format_dtm(&self.entered_at))
    }

    fn numbers<'w>(&self, segment: SegmentWriter<'w>, placer: &str, filler: &str) -> SegmentWriter<'w> {
        segment.parts(2, &[placer, self.namespace(placer)]).text(3, filler)
    }

    /// A name space without a number names nothing.
    fn namespace(&self, number: &str) -> &str {
        if number.is_empty() { "" } else { &self.placer_namespace }
    }

    /// TQ: the priority is component 6.
    fn timing(&self) -> [&str; 6] {
        match self.shape {
            OrderShape::OrmO01 => ["", "", "", "", "", &self.priority],
            OrderShape::OmlO21 => [""; 6],
        }
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
                .text(2, &diagnosis.system)
                .parts(3, &[&diagnosis.code, &diagnosis.text, &diagnosis.system])
                .text(6, "W")
                .end();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests;
