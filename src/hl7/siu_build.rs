//! SIU written (HL7 v2.5.1 §10.3): the appointment that we publish.
//!
//! When it begins stands where each version looks for it: in SCH-11 up to 2.5, in TQ1 from 2.5 on, and with each resource.

use super::build::{SegmentWriter, Writer};
use super::datatypes::EntityId;
use super::datetime::format_dtm;
use super::outbound::{Envelope, PersonOut, ProviderOut};
use chrono::{DateTime, FixedOffset};

/// A new appointment to be sent (SIU^S12).
#[derive(Clone, PartialEq, Eq)]
pub struct BookingMessage {
    /// MSH.
    pub envelope: Envelope,
    /// SCH-1: the number that was given by who asked for it.
    pub placer: EntityId,
    /// SCH-2: the number of the scheduling system.
    pub filler: EntityId,
    /// SCH-7: why the patient comes.
    pub reason: String,
    /// SCH-8 and AIS-3: what is done.
    pub service: String,
    /// When it begins, as HL7 writes it and as exact as it is known: `20260305` is a day.
    pub starts_at: String,
    /// When it ends.
    pub ends_at: Option<DateTime<FixedOffset>>,
    /// How long it takes, in minutes.
    pub minutes: Option<i64>,
    /// NTE: comments.
    pub notes: Vec<String>,
    /// PID, where the patient is certain.
    pub patient: Option<PersonOut>,
    /// AIL-3: where.
    pub location: String,
    /// AIP-3: with whom.
    pub provider: Option<ProviderOut>,
}

super::redact_debug!(BookingMessage);

impl BookingMessage {
    /// Code, event and structure (MSH-9).
    pub const MESSAGE_TYPE: [&'static str; 3] = ["SIU", "S12", "SIU_S12"];

    /// The message as text.
    pub fn build(&self) -> String {
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, Self::MESSAGE_TYPE);
        self.sch(&mut writer);
        self.tq1(&mut writer);
        for (note, number) in self.notes.iter().zip(1..) {
            writer.segment("NTE").text(1, &number.to_string()).long_text(3, note).end();
        }
        if let Some(patient) = &self.patient {
            patient.write(&mut writer);
        }
        writer.segment("RGS").text(1, "1").end();
        self.resources(&mut writer);
        writer.finish()
    }

    /// The standard wants a reason (SCH-6), a contact (SCH-16) and somebody who entered it (SCH-20). All that we know of them
    /// is that our system tells of the appointment.
    fn sch(&self, writer: &mut Writer) {
        let system = self.envelope.sending_application.clone();
        let sch = writer
            .segment("SCH")
            .parts(1, &self.placer.parts())
            .parts(2, &self.filler.parts())
            .parts(6, &["BOOKED", "Appointment booked", "L"])
            .parts(7, &["", &self.reason])
            .parts(8, &["", &self.service]);
        self.old_timing(sch).text(16, &system).text(20, &system).parts(25, &["Booked", "", "HL70278"]).end();
    }

    /// SCH-9 to SCH-11, which 2.6 has for old receivers only.
    fn old_timing<'w>(&self, sch: SegmentWriter<'w>) -> SegmentWriter<'w> {
        if self.envelope.at_least((2, 6, 0)) {
            return sch;
        }
        let span = self.minutes.map(|minutes| format!("M{minutes}")).unwrap_or_default();
        let [minutes, unit] = &self.duration();
        sch.text(9, minutes).text(10, unit).parts(11, &["", "", &span, &self.starts_at, &self.end()])
    }

    fn tq1(&self, writer: &mut Writer) {
        if self.envelope.at_least((2, 5, 0)) && !self.starts_at.is_empty() {
            writer.segment("TQ1").text(1, "1").text(7, &self.starts_at).text(8, &self.end()).end();
        }
    }

    /// What is needed for it, as far as it is known. Up to 2.4 each has to say what kind it is, and no table does.
    fn resources(&self, writer: &mut Writer) {
        let [minutes, unit] = &self.duration();
        if !self.service.is_empty() {
            let ais = writer.segment("AIS").text(1, "1").parts(3, &["", &self.service]);
            ais.text(4, &self.starts_at).text(7, minutes).text(8, unit).end();
        }
        if !self.location.is_empty() {
            let ail = writer.segment("AIL").text(1, "1").text(3, &self.location).parts(4, &["", "Location"]);
            ail.text(6, &self.starts_at).text(9, minutes).text(10, unit).end();
        }
        if let Some(provider) = &self.provider {
            let aip =
                writer.segment("AIP").text(1, "1").parts(3, &provider.parts()).parts(4, &["", "Provider"]);
            aip.text(6, &self.starts_at).text(9, minutes).text(10, unit).end();
        }
    }

    fn end(&self) -> String {
        self.ends_at.as_ref().map(format_dtm).unwrap_or_default()
    }

    /// The number of minutes and their unit; a unit alone says nothing.
    fn duration(&self) -> [String; 2] {
        self.minutes.map_or_else(Default::default, |minutes| [minutes.to_string(), "min".to_owned()])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
