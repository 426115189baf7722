//! The whole reading of messages, and the decision on each: no panic, the same bytes give the same value, and every observation
//! ends in exactly one place, in the chart of somebody its message names.

#![no_main]

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use pms::{
    domain::{
        critical::CriticalFlags,
        ids::{OrderId, OrderTestId, PatientId},
        intake::{Decision, Ids, Known, KnownOrder, KnownPatient, KnownTest, Rules, any_held, decide},
        order::{OrderStatus, TestStatus},
        person::Sex,
        report::{PatientBlock, Report, ReportedMessage},
        thresholds,
    },
    hl7::{
        batch::{self, Piece},
        frame::Frame,
    },
    lab::{
        arrival::{Content, read},
        endpoint_profile::{Habits, Profile},
    },
};

/// 2026-03-02T08:00:00Z.
const NOW: i64 = 1_772_438_400;
const AUTHORITY: &str = "MPS_PMS";

fuzz_target!(|input: &[u8]| {
    let Some((&[chance, world], bytes)) = input.split_first_chunk() else { return };
    let now = DateTime::<Utc>::from_timestamp(NOW, 0).unwrap();
    let mut profile = Profile::loopback();
    if chance & 1 != 0 {
        profile.habits = Arc::new(Habits { strict: true, ..Habits::default() });
    }
    let mut messages = Vec::new();
    for piece in batch::pieces(bytes) {
        let (Piece::Message(Frame::Message(bytes)) | Piece::Stray(Frame::Message(bytes))) = piece else {
            continue;
        };
        let reading = read(&bytes, &profile, chance & 2 == 0, now);
        if let Content::Results(message) = reading.content {
            assert_eq!(
                message.observation_count(),
                reading.observations,
                "an observation is lost in reading"
            );
            messages.push(message);
        }
    }
    let decisions = log(&messages, Dice(u32::from(world)));
    assert!(decisions == log(&messages, Dice(u32::from(world))), "decided twice, otherwise");
});

/// Decides one message after the other, as a batch does.
fn log(messages: &[Box<ReportedMessage>], mut dice: Dice) -> Vec<Decision> {
    let rules = rules();
    let mut known = Known::default();
    let mut ids = Ids::default();
    let mut decisions = Vec::new();
    for message in messages {
        learn(&mut known, message, &mut dice);
        let next = 1 + 10_000 * decisions.len() as i64;
        for kind in [&mut ids.reports, &mut ids.results, &mut ids.alerts] {
            *kind = (next..next + 10_000).collect();
        }
        let held = any_held(message, &known, &rules);
        let decision = decide(message, &mut known, &rules, &mut ids);
        conserved(message, &decision);
        assert_eq!(held, !decision.reviews.is_empty());
        in_charts_of_the_named(&decision, &known);
        decisions.push(decision);
    }
    decisions
}

/// Small numbers that the input decides.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) % sides
    }
}

fn rules() -> Rules {
    Rules {
        thresholds: thresholds::seed(),
        critical_flags: CriticalFlags::default(),
        codes: Default::default(),
        local_authority: AUTHORITY.to_owned(),
    }
}

/// The clinic knows some of the patients and orders that the message names, and not all of them right.
fn learn(known: &mut Known, message: &ReportedMessage, dice: &mut Dice) {
    for block in &message.blocks {
        let patient = patient(block, dice);
        for key in block.claim.keys(AUTHORITY) {
            if dice.roll(4) > 0 {
                let holders = known.patients.entry(key).or_default();
                if holders.is_empty() || dice.roll(8) == 0 {
                    holders.push(patient.clone());
                }
            }
        }
        for report in &block.reports {
            if let Some(placer) = report.placer.clone()
                && dice.roll(2) == 0
            {
                let patient = if dice.roll(4) > 0 { patient.id } else { PatientId::new(9) };
                order(known, placer, patient, report, dice);
            }
        }
    }
}

fn patient(block: &PatientBlock, dice: &mut Dice) -> KnownPatient {
    let claim = &block.claim;
    let right = dice.roll(3) > 0;
    let name = |name: &Option<String>| name.clone().filter(|_| right).unwrap_or_else(|| "Doe".to_owned());
    KnownPatient {
        id: PatientId::new(i64::from(dice.roll(3)) + 1),
        family: name(&claim.family),
        given: name(&claim.given),
        birth_date: claim.birth_date.filter(|_| right),
        sex: if right { claim.sex } else { Sex::Unknown },
    }
}

fn order(known: &mut Known, placer: String, patient: PatientId, report: &Report, dice: &mut Dice) {
    let (id, test) = (OrderId::new(i64::from(dice.roll(3))), OrderTestId::new(i64::from(dice.roll(3))));
    known.placers.entry(placer).or_insert((id, test));
    let code = report.service.code.clone();
    let tests = vec![KnownTest { id: test, code, status: TestStatus::Ordered }];
    let order = KnownOrder { patient, encounter: None, status: OrderStatus::Sent, tests };
    known.orders.entry(id).or_insert(order);
}

/// Every observation is a result row or waits for a person, and none is both.
fn conserved(message: &ReportedMessage, decision: &Decision) {
    let filed: HashSet<_> =
        decision.results.iter().map(|new| (new.at.block, new.at.report, new.at.observation)).collect();
    assert_eq!(filed.len(), decision.results.len(), "an observation is filed twice");
    let waiting: HashSet<usize> =
        decision.reviews.iter().flat_map(|review| review.blocks.iter().copied()).collect();
    assert!(filed.iter().all(|(block, ..)| !waiting.contains(block)), "filed, and waiting");
    let held: usize = waiting
        .iter()
        .flat_map(|block| &message.blocks[*block].reports)
        .map(|report| report.observations.len())
        .sum();
    assert_eq!(held, decision.observations_in_review());
    assert_eq!(filed.len() + held, message.observation_count());
}

fn in_charts_of_the_named(decision: &Decision, known: &Known) {
    let owners: HashSet<PatientId> = known.patients.values().flatten().map(|patient| patient.id).collect();
    assert!(decision.results.iter().all(|new| owners.contains(&new.patient)));
    assert!(decision.alerts.iter().all(|alert| alert.assessment.critical));
}
