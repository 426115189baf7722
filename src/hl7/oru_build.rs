//! ORU^R01 written: what a laboratory sends, for the simulator and for tests.

use super::build::Writer;
use super::charset::{self, Unencodable};
use super::datatypes::Coded;
use super::datetime::format_dtm;
use super::orm::{Envelope, PersonOut};
use chrono::{DateTime, FixedOffset};

/// A result message to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct ResultMessage {
    /// MSH.
    pub envelope: Envelope,
    /// PID.
    pub patient: PersonOut,
    /// One ORC and OBR each.
    pub reports: Vec<ReportOut>,
}

/// One OBR. Without observations, ORC-1 `SC` and OBR-25 `I` it says "specimen received".
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReportOut {
    /// ORC-1: `RE` with results, `SC` for a change of status.
    pub control: String,
    /// ORC-5.
    pub order_status: String,
    /// ORC-2 and OBR-2.
    pub placer: String,
    /// ORC-3 and OBR-3.
    pub filler: String,
    /// OBR-4.
    pub service: Coded,
    /// OBR-7.
    pub collected_at: Option<DateTime<FixedOffset>>,
    /// OBR-22.
    pub reported_at: Option<DateTime<FixedOffset>>,
    /// OBR-24, table 0074: `LAB`, `HM`, `CH` …
    pub section: String,
    /// OBR-25.
    pub status: String,
    /// OBX.
    pub observations: Vec<ObservationOut>,
    /// NTE under the OBR.
    pub note: Option<String>,
}

/// One OBX.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ObservationOut {
    /// OBX-2; text values of type FT and TX keep their line ends.
    pub kind: String,
    /// OBX-3.
    pub code: Coded,
    /// OBX-4.
    pub sub_id: String,
    /// OBX-5.
    pub value: String,
    /// OBX-6.
    pub units: String,
    /// OBX-7.
    pub range: String,
    /// OBX-8.
    pub flags: Vec<String>,
    /// OBX-11.
    pub status: String,
    /// OBX-14.
    pub observed_at: Option<DateTime<FixedOffset>>,
    /// NTE under the OBX.
    pub note: Option<String>,
}

super::redact_debug!(ResultMessage, ReportOut, ObservationOut);

fn time(time: Option<DateTime<FixedOffset>>) -> String {
    time.as_ref().map(format_dtm).unwrap_or_default()
}

impl ResultMessage {
    /// The message as text.
    pub fn build(&self) -> String {
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, ["ORU", "R01", "ORU_R01"]);
        self.patient.write(&mut writer);
        for (i, report) in self.reports.iter().enumerate() {
            report.write(&mut writer, i + 1);
        }
        writer.finish()
    }

    /// The same in the envelope's character set.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        charset::encode(&self.build(), self.envelope.charset)
    }
}

impl ReportOut {
    fn write(&self, writer: &mut Writer, set_id: usize) {
        writer
            .segment("ORC")
            .text(1, &self.control)
            .text(2, &self.placer)
            .text(3, &self.filler)
            .text(5, &self.order_status)
            .end();
        writer
            .segment("OBR")
            .text(1, &set_id.to_string())
            .text(2, &self.placer)
            .text(3, &self.filler)
            .coded(4, &self.service)
            .text(7, &time(self.collected_at))
            .text(22, &time(self.reported_at))
            .text(24, &self.section)
            .text(25, &self.status)
            .end();
        note(writer, self.note.as_deref());
        for (i, observation) in self.observations.iter().enumerate() {
            observation.write(writer, i + 1);
        }
    }
}

impl ObservationOut {
    fn write(&self, writer: &mut Writer, set_id: usize) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let obx = writer
            .segment("OBX")
            .text(1, &set_id.to_string())
            .text(2, &self.kind)
            .coded(3, &self.code)
            .text(4, &self.sub_id);
        let obx = if matches!(self.kind.as_str(), "FT" | "TX") {
            obx.long_text(5, &self.value)
        } else {
            obx.text(5, &self.value)
        };
        obx.text(6, &self.units)
            .text(7, &self.range)
            .repeated(8, &flags)
            .text(11, &self.status)
            .text(14, &time(self.observed_at))
            .end();
        note(writer, self.note.as_deref());
    }
}

fn note(writer: &mut Writer, text: Option<&str>) {
    if let Some(text) = text.filter(|t| !t.is_empty()) {
        writer.segment("NTE").text(1, "1").text(2, "L").long_text(3, text).end();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;
    use crate::hl7::oru::Oru;
    use proptest::prelude::*;

    fn coded(code: &str) -> Coded {
        Coded {
            code: Some(code.into()),
            text: Some("Text".into()),
            system: Some("L".into()),
            ..Coded::default()
        }
    }

    fn message(observations: Vec<ObservationOut>) -> ResultMessage {
        let order = crate::hl7::order_build::tests::order("2.5.1");
        let report = ReportOut {
            control: "RE".into(),
            order_status: "CM".into(),
            placer: "P1".into(),
            filler: "F1".into(),
            service: coded("CBC"),
            collected_at: Some(order.entered_at),
            reported_at: Some(order.entered_at),
            section: "LAB".into(),
            status: "F".into(),
            observations,
            note: Some("seen".into()),
        };
        ResultMessage { envelope: order.envelope, patient: order.patient, reports: vec![report] }
    }

    #[test]
    fn an_acceptance_has_no_results() {
        let mut message = message(Vec::new());
        message.reports[0].control = "SC".into();
        message.reports[0].status = "I".into();
        let text = message.build();
        let view = Oru::read(&Message::parse(&text).unwrap()).unwrap();
        let group = &view.patients[0].groups[0];
        assert_eq!((group.request.status, group.request.section.as_deref()), (Some('I'), Some("LAB")));
        assert_eq!(group.control.as_ref().unwrap().control.as_deref(), Some("SC"));
        assert_eq!(group.notes[0].text, "seen");
    }

    proptest! {
        #[test]
        fn results_come_back_as_written(value in r"[a-z|^~\\&0-9.\n]{1,20}", flag in "[HLA]{1,2}", kind in "FT|TX") {
            let observation = ObservationOut {
                kind, code: coded("K"), value: value.clone(), units: "mmol/L".into(), flags: vec![flag.clone(), "A".into()],
                status: "F".into(), note: Some(value.clone()), ..ObservationOut::default()
            };
            let text = message(vec![observation.clone(), observation]).build();
            let message = Message::parse(&text).unwrap();
            let view = Oru::read(&message).unwrap();
            prop_assert!(view.warnings.is_empty() && message.warnings().is_empty());
            for found in view.observations() {
                prop_assert_eq!(&found.value.display, &value);
                prop_assert_eq!(&found.flags, &[flag.clone(), "A".to_owned()]);
                prop_assert_eq!((found.status, found.code.code.as_deref()), (Some('F'), Some("K")));
                prop_assert_eq!(&found.notes[0].text, &value);
            }
        }
    }
}
