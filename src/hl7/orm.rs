//! Orders as read: ORM^O01 and OML^O21. How they are written stands in [`order_build`](super::order_build).

use super::datatypes::{Coded, EntityId};
use super::header::Header;
use super::message::Message;
pub use super::order_build::{CodeOrder, DiagnosisOut, OrderAction, OrderMessage, OrderShape, TestOut};
use super::oru::{PatientResults, Reader};
pub use super::outbound::{Envelope, PersonOut, ProviderOut, VisitOut};
pub use super::study_build::StudyOut;
use super::{ErrorCode, Fault, Location, SegmentName, Warning};

super::redact_debug!(OrmView);

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
mod tests {
    use super::*;
    use crate::hl7::order_build::tests::order;

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
}
