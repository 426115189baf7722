//! ADT written (HL7 v2.5.1 chapter 3): the discharge that we publish, and what a registration system sends, for the simulator
//! and for tests.

use super::build::Writer;
use super::charset::{self, Unencodable};
use super::datetime::format_dtm;
use super::outbound::{Envelope, PersonOut, VisitOut};
use chrono::{DateTime, FixedOffset};

/// The events we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdtEvent {
    /// Admit.
    A01,
    /// Discharge.
    A03,
    /// Update.
    A08,
    /// Merge: `prior_mrn` goes, the patient of the message stays.
    A40,
}

impl AdtEvent {
    /// Code, event and structure (MSH-9).
    pub fn message_type(self) -> [&'static str; 3] {
        match self {
            Self::A01 => ["ADT", "A01", "ADT_A01"],
            Self::A03 => ["ADT", "A03", "ADT_A03"],
            Self::A08 => ["ADT", "A08", "ADT_A01"],
            Self::A40 => ["ADT", "A40", "ADT_A39"],
        }
    }
}

/// An ADT message to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct AdtMessage {
    /// MSH; its time is EVN-2 too.
    pub envelope: Envelope,
    /// What happened.
    pub event: AdtEvent,
    /// When it happened (EVN-6), where that is another time than when it is told.
    pub occurred_at: Option<DateTime<FixedOffset>>,
    /// PID. Of a merge: the survivor.
    pub patient: PersonOut,
    /// PV1.
    pub visit: Option<VisitOut>,
    /// MRG-1, in the authority of the patient.
    pub prior_mrn: Option<String>,
}

super::redact_debug!(AdtMessage);

impl AdtMessage {
    /// The message as text.
    pub fn build(&self) -> String {
        let kind = self.event.message_type();
        let mut writer = Writer::new(self.envelope.delimiters);
        self.envelope.write(&mut writer, kind);
        self.evn(&mut writer);
        self.patient.write(&mut writer);
        if let Some(mrn) = &self.prior_mrn {
            writer.segment("MRG").parts(1, &[mrn, "", "", &self.patient.authority, "MR"]).end();
        }
        if let Some(visit) = &self.visit {
            visit.write(&mut writer);
        }
        writer.finish()
    }

    /// EVN-6 came with 2.3.
    fn evn(&self, writer: &mut Writer) {
        let occurred = self.occurred_at.filter(|_| self.envelope.at_least((2, 3, 0)));
        writer
            .segment("EVN")
            .text(1, self.event.message_type()[1])
            .text(2, &format_dtm(&self.envelope.time))
            .maybe(6, occurred.as_ref().map(format_dtm).as_deref())
            .end();
    }

    /// The same in the envelope's character set.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        charset::encode(&self.build(), self.envelope.charset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
