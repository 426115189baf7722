//! Sample messages about made-up people: `pms sim generate`.
//!
//! The file has one message behind the other, each segment ending with CR and each message with one LF after that, so
//! that an editor shows a line per message and every reader that splits at `MSH` finds them all.

use std::{fmt::Write as _, io, path::PathBuf};

use chrono::{DateTime, Days, FixedOffset, NaiveDate, Utc};
use clap::{Args, ValueEnum};

use super::{
    SERVICE, SimPatient,
    dice::Dice,
    envelope,
    numbering::Numbering,
    panels::{PANELS, Panel},
};
use crate::hl7::{
    adt_build::{AdtEvent, AdtMessage},
    charset::Unencodable,
    orm::{CodeOrder, OrderAction, OrderMessage, OrderShape, TestOut},
    oru_build::{ObservationOut, ReportOut, ResultMessage},
    outbound::{Envelope, ProviderOut, VisitOut},
};

const FAMILIES: [&str; 12] = [
    "Abelard",
    "Bjørnson",
    "Castaño",
    "Dlamini",
    "Eriksen",
    "Fontaine",
    "Grünwald",
    "Hoang",
    "Ivanova",
    "Jansen",
    "Kowalska",
    "O'Malley",
];
const GIVEN: [(&str, &str); 12] = [
    ("Ada", "F"),
    ("Bruno", "M"),
    ("Chloé", "F"),
    ("Dinesh", "M"),
    ("Elif", "F"),
    ("Farid", "M"),
    ("Greta", "F"),
    ("Hugo", "M"),
    ("Inés", "F"),
    ("Jonas", "M"),
    ("Kei", "U"),
    ("Lara-Sofie", "F"),
];
const PROVIDERS: [&str; 4] = ["Dr. Nora Lindqvist", "Dr. Samuel Osei", "Dr. Mei Tanaka", "Dr. Peter Novak"];

/// A kind of sample message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// An order, ORM^O01.
    Orm,
    /// Results, ORU^R01.
    Oru,
    /// An admission.
    #[value(name = "adt_a01")]
    AdtA01,
    /// A change of demographics.
    #[value(name = "adt_a08")]
    AdtA08,
    /// A merge of two records.
    #[value(name = "adt_a40")]
    AdtA40,
    /// One of each about the same person, in the order of a visit, then the next person.
    All,
}

/// What `pms sim generate` takes.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// How many messages.
    #[arg(long, default_value_t = 5)]
    count: usize,
    /// The file to write.
    #[arg(long, default_value = "sample_messages.txt")]
    output: PathBuf,
    /// Which kinds, separated by commas; they take turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    types: Vec<Kind>,
    /// Where chance comes from: the same seed, the same people and values.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl GenerateArgs {
    /// Writes the file and says so. Errors: it cannot be written.
    pub fn run(&self, now: DateTime<Utc>) -> io::Result<String> {
        let messages = generate(&self.types, self.count, self.seed, now);
        std::fs::write(&self.output, file(&messages))?;
        let mut said = String::new();
        // Writing to a text cannot fail.
        let _ = writeln!(said, "{} messages written to {}", messages.len(), self.output.display());
        Ok(said)
    }
}

/// The content of a file of messages.
pub fn file(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| message.iter().copied().chain([b'\n'])).collect()
}

/// Makes messages. The same arguments make the same bytes; another `now` gives new control and filler numbers.
pub fn generate(kinds: &[Kind], count: usize, seed: u64, now: DateTime<Utc>) -> Vec<Vec<u8>> {
    let visit = [Kind::AdtA01, Kind::Orm, Kind::Oru, Kind::AdtA08, Kind::AdtA40];
    let turns: Vec<Kind> =
        kinds.iter().flat_map(|kind| if *kind == Kind::All { visit.to_vec() } else { vec![*kind] }).collect();
    let mut scribe =
        Scribe { dice: Dice::new(seed), numbering: Numbering::begun(now), now: now.fixed_offset() };
    let everybody = people(seed, count.div_ceil(turns.len().max(1)));
    let order = everybody.iter().flat_map(|person| turns.iter().map(move |kind| (person, *kind)));
    // Every text can be written in UTF-8, so no message is lost here.
    order.take(count).filter_map(|(person, kind)| scribe.write(person, kind).ok()).collect()
}

/// Made-up people. No two share a number.
pub fn people(seed: u64, count: usize) -> Vec<SimPatient> {
    let mut dice = Dice::new(seed ^ 0x5045_4F50_4C45);
    (0..count).map(|n| person(&mut dice, n)).collect()
}

fn person(dice: &mut Dice, n: usize) -> SimPatient {
    let (given, sex) = dice.pick(&GIVEN).copied().unwrap_or_default();
    let age_days = dice.between(0.0, 90.0 * 365.0) as u64;
    let newest = NaiveDate::from_ymd_opt(2024, 6, 1).unwrap_or_default();
    SimPatient {
        mrn: format!("G{:06}", 100_000 + n),
        authority: SERVICE.1.into(),
        family: dice.pick(&FAMILIES).copied().unwrap_or_default().into(),
        given: given.into(),
        middle: String::new(),
        birth_date: newest.checked_sub_days(Days::new(age_days)),
        sex: sex.into(),
    }
}

struct Scribe {
    dice: Dice,
    numbering: Numbering,
    now: DateTime<FixedOffset>,
}

impl Scribe {
    fn write(&mut self, person: &SimPatient, kind: Kind) -> Result<Vec<u8>, Unencodable> {
        match kind {
            Kind::Orm => self.order(person).to_bytes(),
            Kind::Oru => self.results(person).to_bytes(),
            Kind::AdtA08 => self.event(person, AdtEvent::A08).to_bytes(),
            Kind::AdtA40 => self.event(person, AdtEvent::A40).to_bytes(),
            // `All` was taken apart before.
            Kind::AdtA01 | Kind::All => self.event(person, AdtEvent::A01).to_bytes(),
        }
    }

    fn envelope(&self) -> Envelope {
        envelope(SERVICE, self.numbering.next('G'), self.now)
    }

    fn provider(&mut self) -> ProviderOut {
        ProviderOut::from_text(self.dice.pick(&PROVIDERS).copied().unwrap_or_default())
    }

    fn panel(&mut self) -> &'static Panel {
        self.dice.pick(PANELS).unwrap_or(&PANELS[0])
    }

    fn visit(&mut self, person: &SimPatient) -> VisitOut {
        VisitOut {
            class: if self.dice.percent(30) { "I" } else { "O" }.into(),
            location: "WARD1".into(),
            facility: SERVICE.1.into(),
            attending: self.provider(),
            visit_number: format!("V{}", person.mrn),
            ..VisitOut::default()
        }
    }

    fn order(&mut self, person: &SimPatient) -> OrderMessage {
        let service = self.panel().service();
        let own = |text: Option<String>| text.unwrap_or_default();
        let test = TestOut {
            placer: self.numbering.next('P'),
            filler: String::new(),
            code: own(service.code),
            text: own(service.text),
            system: own(service.system),
            loinc: own(service.alt_code),
            loinc_text: own(service.alt_text),
            study: None,
        };
        OrderMessage {
            shape: OrderShape::OrmO01,
            envelope: self.envelope(),
            patient: person.clone(),
            visit: Some(self.visit(person)),
            action: OrderAction::New,
            placer_group: String::new(),
            placer_namespace: "SIM".into(),
            provider: self.provider(),
            priority: if self.dice.percent(25) { "S" } else { "R" }.into(),
            entered_at: self.now,
            code_order: CodeOrder::LocalFirst,
            tests: vec![test],
            diagnoses: Vec::new(),
            note: None,
        }
    }

    fn results(&mut self, person: &SimPatient) -> ResultMessage {
        let panel = self.panel();
        let found = panel.measure(&mut self.dice, None).into_iter();
        let taken = Some(self.now);
        let report = ReportOut {
            control: "RE".into(),
            order_status: "CM".into(),
            placer: String::new(),
            filler: self.numbering.next('F'),
            service: panel.service(),
            collected_at: taken,
            reported_at: taken,
            section: "LAB".into(),
            status: "F".into(),
            observations: found
                .map(|found| ObservationOut { status: "F".into(), observed_at: taken, ..found })
                .collect(),
            note: None,
        };
        ResultMessage { envelope: self.envelope(), patient: person.clone(), reports: vec![report] }
    }

    fn event(&mut self, person: &SimPatient, event: AdtEvent) -> AdtMessage {
        let merge = event == AdtEvent::A40;
        AdtMessage {
            envelope: self.envelope(),
            event,
            occurred_at: None,
            patient: person.clone(),
            visit: (!merge).then(|| self.visit(person)),
            prior_mrn: merge.then(|| person.mrn.replace('G', "H")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::batch::{self, Piece};
    use crate::hl7::{adt::Adt, frame::Frame, message::Message, orm::Orm, oru::Oru};

    const ALL: [Kind; 1] = [Kind::All];

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_seed_decides_everything_but_the_numbers() {
        assert_eq!(generate(&ALL, 12, 4, now()), generate(&ALL, 12, 4, now()));
        assert_ne!(generate(&ALL, 12, 4, now()), generate(&ALL, 12, 5, now()));
        let later = now() + chrono::Duration::days(1);
        assert_ne!(generate(&[Kind::Oru], 1, 4, now()), generate(&[Kind::Oru], 1, 4, later));
    }

    #[test]
    fn the_file_splits_into_what_was_written_and_all_of_it_can_be_read() {
        let messages = generate(&ALL, 23, 1, now());
        let file = file(&messages);
        let found: Vec<Piece> = messages
            .iter()
            .map(|message| Piece::Message(Frame::Message([message.as_slice(), b"\n"].concat())))
            .collect();
        assert_eq!(batch::pieces(&file), found);
        let (mut control_ids, mut events) = (Vec::new(), Vec::new());
        for message in &messages {
            let text = std::str::from_utf8(message).unwrap();
            let message = Message::parse(text).unwrap();
            assert!(message.warnings().is_empty());
            let header = crate::hl7::header::Header::read(&message);
            let event = header.trigger.unwrap();
            match event.as_str() {
                "O01" => assert_eq!(Orm::read(&message).unwrap().orders().count(), 1),
                "R01" => assert!(Oru::read(&message).unwrap().warnings.is_empty()),
                _ => assert_eq!(Adt::read(&message).unwrap().people.len(), 1),
            }
            events.push(event);
            control_ids.push(header.control_id.unwrap());
        }
        assert_eq!(events[..6], ["A01", "O01", "R01", "A08", "A40", "A01"]);
        control_ids.sort();
        control_ids.dedup();
        assert_eq!(control_ids.len(), 23);
        assert!(control_ids.iter().all(|id| id.len() <= 20));
    }

    #[test]
    fn kinds_take_turns_and_people_differ() {
        let messages = generate(&[Kind::Orm, Kind::AdtA40], 3, 1, now());
        let kinds = messages.iter().map(|message| message.windows(3).any(|part| part == b"MRG"));
        assert_eq!(kinds.collect::<Vec<_>>(), [false, true, false]);
        assert!(generate(&[], 5, 1, now()).is_empty());
        let mut mrns: Vec<String> = people(1, 50).into_iter().map(|person| person.mrn).collect();
        mrns.sort();
        mrns.dedup();
        assert_eq!(mrns.len(), 50);
    }
}
