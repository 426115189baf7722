//! ADT written: what a registration system sends, for the simulator and for tests.

use super::build::Writer;
use super::charset::{self, Unencodable};
use super::datetime::format_dtm;
use super::orm::{Envelope, PersonOut, VisitOut};

/// The events we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdtEvent {
    /// Admit.
    A01,
    /// Update.
    A08,
    /// Merge: `prior_mrn` goes, the patient of the message stays.
    A40,
}

impl AdtEvent {
    /// MSH-9.
    fn message_type(self) -> [&'static str; 3] {
        match self {
            Self::A01 => ["ADT", "A01", "ADT_A01"],
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
        writer.segment("EVN").text(1, kind[1]).text(2, &format_dtm(&self.envelope.time)).end();
        self.patient.write(&mut writer);
        if let Some(mrn) = &self.prior_mrn {
            writer.segment("MRG").parts(1, &[mrn, "", "", &self.patient.authority, "MR"]).end();
        }
        if let Some(visit) = &self.visit {
            visit.write(&mut writer);
        }
        writer.finish()
    }

    /// The same in the envelope's character set.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unencodable> {
        charset::encode(&self.build(), self.envelope.charset)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::adt::Adt;
    use crate::hl7::message::Message;

    #[test]
    fn events_come_back_as_written() {
        let order = crate::hl7::order_build::tests::order("2.5.1");
        for (event, name) in [(AdtEvent::A01, "A01"), (AdtEvent::A08, "A08"), (AdtEvent::A40, "A40")] {
            let prior_mrn = (event == AdtEvent::A40).then(|| "77|6".to_owned());
            let (envelope, patient) = (order.envelope.clone(), order.patient.clone());
            let text = AdtMessage { envelope, event, patient, visit: order.visit.clone(), prior_mrn }.build();
            let message = Message::parse(&text).unwrap();
            let view = Adt::read(&message).unwrap();
            assert_eq!(view.event.as_deref(), Some(name));
            assert!(view.recorded_at.is_some() && message.warnings().is_empty());
            let [person] = view.people.as_slice() else { panic!("one patient") };
            assert_eq!(person.patient.mrn(Some("HOSP")).unwrap().id.as_deref(), Some("777"));
            assert_eq!(person.visit.as_ref().unwrap().class.as_deref(), Some("I"));
            let prior = person.prior_identifiers.first().and_then(|prior| prior.id.as_deref());
            assert_eq!(prior, (event == AdtEvent::A40).then_some("77|6"));
        }
    }
}
