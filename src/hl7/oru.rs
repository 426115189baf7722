//! Result messages as values, read by what was seen last.
//!
//! Real feeds break the order of segments, so nothing here follows the grammar: a note belongs to
//! the PID, OBR or OBX before it, an OBX to the OBR before it, an OBR to the PID before it. What
//! would file a result under a wrong patient or order is a fault; the rest is a warning.

use super::datatypes::EntityId;
use super::header::Header;
use super::message::{Message, Segment};
use super::observation::Observation;
use super::order::{Diagnosis, Note, OrderControl, Request};
use super::patient::{Patient, Visit};
use super::specimen::Specimen;
use super::{ErrorCode, Fault, Location, SegmentName, Warning};
use super::{document_parts, header};

/// A result message.
#[derive(Clone, PartialEq)]
pub struct OruView {
    /// MSH.
    pub header: Header,
    /// One entry per PID: a message may carry several patients.
    pub patients: Vec<PatientResults>,
    /// The leniencies used by this reader; those of the text are in `Message::warnings`.
    pub warnings: Vec<Warning>,
}

/// One patient's part of a message.
#[derive(Clone, Default, PartialEq)]
pub struct PatientResults {
    /// PID; none if an OBR came first.
    pub patient: Option<Patient>,
    /// PV1.
    pub visit: Option<Visit>,
    /// Notes on the patient.
    pub notes: Vec<Note>,
    /// One entry per OBR.
    pub groups: Vec<ResultGroup>,
}

/// One OBR with what belongs to it.
#[derive(Clone, PartialEq)]
pub struct ResultGroup {
    /// Where the OBR stood.
    pub location: Location,
    /// The ORC before it.
    pub control: Option<OrderControl>,
    /// The OBR.
    pub request: Request,
    /// TQ1-9, which goes before the priorities in OBR and ORC.
    pub timing_priority: Option<String>,
    /// SPM.
    pub specimens: Vec<Specimen>,
    /// Notes on the order.
    pub notes: Vec<Note>,
    /// DG1, of orders.
    pub diagnoses: Vec<Diagnosis>,
    /// The OBX.
    pub observations: Vec<Observation>,
}

super::redact_debug!(OruView, PatientResults, ResultGroup);

impl ResultGroup {
    /// OBR-2, else ORC-2.
    pub fn placer(&self) -> &EntityId {
        self.number(&self.request.placer, |orc| &orc.placer)
    }

    /// OBR-3, else ORC-3.
    pub fn filler(&self) -> &EntityId {
        self.number(&self.request.filler, |orc| &orc.filler)
    }

    /// TQ1-9, else OBR-27.6, else ORC-7.6, else OBR-5.
    pub fn priority(&self) -> Option<&str> {
        self.priorities().next()
    }

    /// Every priority that is said, in that order.
    pub fn priorities(&self) -> impl Iterator<Item = &str> {
        let orc = self.control.as_ref().and_then(|c| c.priority.as_ref());
        let request = &self.request;
        let all =
            [self.timing_priority.as_ref(), request.priority.as_ref(), orc, request.old_priority.as_ref()];
        all.into_iter().flatten().map(String::as_str)
    }

    /// Placer and filler number of the order this one grew out of: OBR-29, else ORC-8.
    pub fn parent(&self) -> (&EntityId, &EntityId) {
        let Request { parent_placer, parent_filler, .. } = &self.request;
        match &self.control {
            Some(control) if parent_placer.is_empty() && parent_filler.is_empty() => {
                (&control.parent_placer, &control.parent_filler)
            }
            _ => (parent_placer, parent_filler),
        }
    }

    /// What was examined: SPM, else what the OBR says of it.
    pub fn examined(&self) -> &[Specimen] {
        if self.specimens.is_empty() { self.request.specimen.as_slice() } else { &self.specimens }
    }

    fn number<'s>(
        &'s self,
        own: &'s EntityId,
        of: impl Fn(&'s OrderControl) -> &'s EntityId,
    ) -> &'s EntityId {
        match &self.control {
            Some(control) if own.is_empty() => of(control),
            _ => own,
        }
    }
}

impl OruView {
    /// Every observation of the message.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.patients.iter().flat_map(|p| &p.groups).flat_map(|g| &g.observations)
    }
}

/// Reads result messages (ORU^R01 and its kin R30, R31, R32).
pub struct Oru;

impl Oru {
    /// Reads a message, or says why its results cannot be filed.
    pub fn read(message: &Message<'_>) -> Result<OruView, Fault> {
        let header = Header::read(message);
        if header.continuation.is_some() {
            let msh = Location::segment(SegmentName::MSH, 1).field(14);
            return Err(Fault::new(ErrorCode::OtherHl7, "continued messages are not taken").at(msh));
        }
        let mut reader = Reader::default();
        for segment in message.segments() {
            reader.take(&segment)?;
        }
        let (mut patients, mut warnings) = reader.finish();
        for group in patients.iter_mut().flat_map(|patient| &mut patient.groups) {
            document_parts::join(&mut group.observations, &mut warnings);
        }
        header::leniencies(&header, &mut warnings);
        if patients.iter().all(|p| p.groups.is_empty()) {
            let obr = Location::segment(SegmentName::OBR, 1);
            return Err(Fault::new(ErrorCode::SegmentSequence, "no order in a result message").at(obr));
        }
        Ok(OruView { header, patients, warnings })
    }
}

/// What a note would belong to.
#[derive(Clone, Copy, Default)]
enum Last {
    #[default]
    Nothing,
    Patient,
    Order,
    Observation,
}

/// Walks the segments. Also reads orders: they differ only in what is asked of the outcome.
#[derive(Default)]
pub(super) struct Reader {
    done: Vec<PatientResults>,
    current: PatientResults,
    /// An ORC waiting for its OBR.
    control: Option<OrderControl>,
    control_at: Option<Location>,
    /// What came before the first OBR of its patient.
    early_specimens: Vec<Specimen>,
    early_priority: Option<String>,
    /// What stood between an ORC and its OBR, in orders.
    early_notes: Vec<Note>,
    early_diagnoses: Vec<Diagnosis>,
    last: Last,
    /// Whether an ORC that no OBR follows makes a group of its own, as in orders.
    keep_bare_controls: bool,
    warnings: Vec<Warning>,
}

impl Reader {
    pub(super) fn of_orders() -> Self {
        Self { keep_bare_controls: true, ..Self::default() }
    }

    pub(super) fn take(&mut self, segment: &Segment<'_>) -> Result<(), Fault> {
        match segment.name() {
            "PID" => self.patient(segment),
            "PV1" => self.current.visit = Some(Visit::read(segment)),
            "ORC" => self.order_control(segment),
            "OBR" => self.request(segment),
            "TQ1" => self.timing(segment),
            "SPM" => self.specimen(segment),
            "NTE" => self.note(segment),
            "DG1" if self.keep_bare_controls => self.diagnosis(segment),
            "OBX" => return self.observation(segment),
            "DSC" if segment.value(1).is_some() => {
                let fault = Fault::new(ErrorCode::OtherHl7, "continued messages are not taken");
                return Err(fault.at(segment.at(1)));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> (Vec<PatientResults>, Vec<Warning>) {
        self.close_patient();
        (self.done, self.warnings)
    }

    /// A second PID, or one after orders that had none, begins another patient: orders are never
    /// given to a patient who was named after them.
    fn patient(&mut self, pid: &Segment<'_>) {
        if self.current.patient.is_some() || !self.current.groups.is_empty() {
            self.close_patient();
        }
        self.current.patient = Some(Patient::read(pid));
        self.last = Last::Patient;
    }

    fn close_patient(&mut self) {
        self.bare_control();
        let closed = std::mem::take(&mut self.current);
        if closed.patient.is_none() && !closed.groups.is_empty() {
            self.warnings.push(Warning::at("pid_missing", Location::segment(SegmentName::PID, 1)));
        }
        if closed != PatientResults::default() {
            self.done.push(closed);
        }
        self.early_specimens.clear();
        self.early_priority = None;
    }

    fn order_control(&mut self, orc: &Segment<'_>) {
        self.bare_control();
        self.control = Some(OrderControl::read(orc));
        self.control_at = Some(orc.location());
        self.last = Last::Nothing;
    }

    /// An ORC without OBR: a cancellation may come like this.
    fn bare_control(&mut self) {
        let (Some(control), Some(location)) = (self.control.take(), self.control_at.take()) else { return };
        if self.keep_bare_controls {
            self.open_group(location, Some(control), Request::default());
        } else {
            self.warnings.push(Warning::at("orc_without_obr", location));
        }
    }

    fn request(&mut self, obr: &Segment<'_>) {
        let control = self.control.take();
        let request = Request::read(obr, &mut self.warnings);
        self.open_group(obr.location(), control, request);
    }

    fn open_group(&mut self, location: Location, control: Option<OrderControl>, request: Request) {
        self.current.groups.push(ResultGroup {
            location,
            control,
            request,
            timing_priority: self.early_priority.take(),
            specimens: std::mem::take(&mut self.early_specimens),
            notes: std::mem::take(&mut self.early_notes),
            diagnoses: std::mem::take(&mut self.early_diagnoses),
            observations: Vec::new(),
        });
        self.last = Last::Order;
    }

    /// In orders TQ1 stands between ORC and OBR, in results behind the OBR.
    fn timing(&mut self, tq1: &Segment<'_>) {
        let priority = tq1.value(9).map(std::borrow::Cow::into_owned);
        match self.current.groups.last_mut() {
            Some(group) if self.control.is_none() => group.timing_priority = priority,
            _ => self.early_priority = priority,
        }
    }

    fn specimen(&mut self, spm: &Segment<'_>) {
        let specimen = Specimen::read(spm);
        match self.current.groups.last_mut() {
            Some(group) if self.control.is_none() => group.specimens.push(specimen),
            _ => self.early_specimens.push(specimen),
        }
    }

    fn note(&mut self, nte: &Segment<'_>) {
        let group = self.current.groups.last_mut();
        let notes = match (self.last, group) {
            (Last::Observation, Some(group)) => group.observations.last_mut().map(|o| &mut o.notes),
            (Last::Order, Some(group)) => Some(&mut group.notes),
            (Last::Patient, _) => Some(&mut self.current.notes),
            _ if self.keep_bare_controls && self.control.is_some() => Some(&mut self.early_notes),
            _ => None,
        };
        match notes {
            Some(notes) => notes.push(Note::read(nte)),
            None => self.warnings.push(Warning::at("note_without_owner", nte.location())),
        }
    }

    /// Like a note, but always of an order: a message has no other place for it.
    fn diagnosis(&mut self, dg1: &Segment<'_>) {
        match self.current.groups.last_mut().filter(|_| self.control.is_none()) {
            Some(group) => group.diagnoses.push(Diagnosis::read(dg1)),
            None if self.control.is_some() => self.early_diagnoses.push(Diagnosis::read(dg1)),
            None => self.warnings.push(Warning::at("diagnosis_without_order", dg1.location())),
        }
    }

    /// An ORC that still waits for its OBR has ended the order before it: its results must not be
    /// filed there.
    fn observation(&mut self, obx: &Segment<'_>) -> Result<(), Fault> {
        if self.keep_bare_controls {
            self.bare_control();
        }
        let group = self.current.groups.last_mut().filter(|_| self.control.is_none());
        let Some(group) = group else {
            if self.keep_bare_controls {
                self.warnings.push(Warning::at("observation_without_order", obx.location()));
                return Ok(());
            }
            let fault = Fault::new(ErrorCode::SegmentSequence, "result before any order");
            return Err(fault.at(obx.location()));
        };
        group.observations.push(Observation::read(obx, &mut self.warnings));
        self.last = Last::Observation;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<OruView, Fault> {
        let text = format!("MSH|^~\\&|LAB|H|||20240315||ORU^R01|1|P|2.5.1\r{}", body.replace('/', "\r"));
        Oru::read(&Message::parse(&text).unwrap())
    }

    fn ids(view: &OruView) -> Vec<(Option<String>, Vec<String>)> {
        let id = |p: &PatientResults| p.patient.as_ref()?.mrn(None)?.id.clone();
        let sets = |p: &PatientResults| {
            let all = p.groups.iter().flat_map(|g| &g.observations);
            all.filter_map(|o| o.code.code.clone()).collect()
        };
        view.patients.iter().map(|p| (id(p), sets(p))).collect()
    }

    fn codes(view: &OruView) -> Vec<&'static str> {
        // Those of the header have tests of their own.
        let header = |code: &&str| ["structure_missing", "zone_assumed"].contains(code);
        view.warnings.iter().map(|w| w.code).filter(|code| !header(code)).collect()
    }

    #[test]
    fn several_patients_keep_their_results_apart() {
        let view =
            read("PID|||1/OBR|1/OBX|1|ST|A||x||||||F/PID|||2/PV1||I/OBR|1/OBX|1|ST|B||x||||||F").unwrap();
        let expected = [(Some("1".into()), vec!["A".into()]), (Some("2".into()), vec!["B".into()])];
        assert_eq!(ids(&view), expected);
        assert!(view.patients[0].visit.is_none() && view.patients[1].visit.is_some());
    }

    #[test]
    fn an_order_before_its_patient_has_no_patient() {
        let view = read("OBR|1/OBX|1|ST|A||x||||||F/PID|||2/OBR|2").unwrap();
        assert_eq!(ids(&view), [(None, vec!["A".into()]), (Some("2".into()), vec![])]);
        assert_eq!(codes(&view), ["pid_missing"]);
    }

    #[test]
    fn results_without_order_are_refused() {
        for (body, place) in [
            ("PID|||1/OBX|1|ST|A||x", "OBX^1"),
            ("PID|||1/OBR|1/PID|||2/OBX|1|ST|A||x", "OBX^1"),
            ("PID|||1/OBR|1/OBX|1|ST|A||x||||||F/ORC|RE/OBX|2|ST|B||x", "OBX^2"),
            ("PID|||1", "OBR^1"),
        ] {
            let fault = read(body).unwrap_err();
            assert_eq!(
                (fault.code, fault.location.unwrap().to_string().as_str()),
                (ErrorCode::SegmentSequence, place)
            );
        }
        assert_eq!(read("PID|||1/OBR|1/DSC|next").unwrap_err().code, ErrorCode::OtherHl7);
    }

    #[test]
    fn notes_belong_to_what_stands_before_them() {
        let view = read("PID|||1/NTE|1|L|p/OBR|1/SPM|1||||/NTE|1|L|o/OBX|1|ST|A||x||||||F/NTE|1|L|a~b/ORC|RE/NTE|1|L|lost/OBR|2").unwrap();
        let patient = &view.patients[0];
        let texts = |notes: &[Note]| notes.iter().map(|n| n.text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&patient.notes), ["p"]);
        assert_eq!(texts(&patient.groups[0].notes), ["o"]);
        assert_eq!(texts(&patient.groups[0].observations[0].notes), ["a\nb"]);
        assert_eq!(codes(&view), ["note_without_owner"]);
    }

    #[test]
    fn numbers_and_priority_by_rank() {
        let view = read("PID|||1/ORC|RE|P1|F1|||||^^^^^A/OBR|1|||K|S/ORC|RE|P2|F2|||^^^^^A/OBR|2|P3|F3|K|S|||||||||||||||||||||||^^^^^R/TQ1|||||||||T").unwrap();
        let groups = &view.patients[0].groups;
        let id = |e: &EntityId| e.id.clone().unwrap();
        assert_eq!((id(groups[0].placer()), id(groups[0].filler())), ("P1".into(), "F1".into()));
        assert_eq!((id(groups[1].placer()), id(groups[1].filler())), ("P3".into(), "F3".into()));
        assert_eq!((groups[0].priority(), groups[1].priority()), (Some("S"), Some("T")));
    }

    #[test]
    fn a_message_in_the_shape_the_guide_shows_is_taken() {
        let text = "MSH|^~\\&|LIS|LAB|PMS|HOSP|20240315103000||ORU^R01|X1|P|2.5.1\nPID|1||777^^^HOSP^MR||Roe^Ann||19800101|F\nOBR|1|P9|F9|CBC^Count|||202403150930|||||||||Dr. Who||||||||F\nOBX|1|NM|K^Potassium||6.8|mmol/L|3.5-5.0|HH||F\n";
        let message = Message::parse(text).unwrap();
        let view = Oru::read(&message).unwrap();
        let group = &view.patients[0].groups[0];
        assert_eq!(group.request.status, Some('F'));
        assert_eq!(group.observations[0].status, Some('F'));
        assert_eq!(codes(&view), ["status_from_obr24", "provider_free_text", "status_from_obx10"]);
        assert_eq!(message.warnings()[0].code, "line_ends");
        assert_eq!(group.request.provider.as_ref().unwrap().display().as_deref(), Some("Dr. Who"));
    }

    proptest! {
        #[test]
        fn no_observation_is_lost_or_moved(order in proptest::collection::vec(0usize..6, 0..25)) {
            let kinds = ["PID|||p", "OBR|1", "OBX|1|ST|c||v", "NTE|1||n", "ORC|RE", "SPM|1"];
            let body: Vec<_> = order.iter().map(|&i| kinds[i]).collect();
            if let Ok(view) = read(&body.join("/")) {
                let sent = order.iter().filter(|&&i| i == 2).count();
                prop_assert_eq!(view.observations().count(), sent);
                prop_assert_eq!(view.patients.iter().flat_map(|p| &p.groups).count(), order.iter().filter(|&&i| i == 1).count());
            }
        }
    }
}
