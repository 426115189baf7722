//! The whole reading of a message, and the decision on it: no panic, the same bytes give the same value, and every observation
//! ends in exactly one place, in the chart of somebody its message names.

#![no_main]

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use libfuzzer_sys::fuzz_target;
use pms::{
    domain::{
        critical::CriticalFlags,
        ids::{OrderId, OrderTestId, PatientId, ResultId},
        intake::{
            CurrentResult, Decision, Ids, Known, KnownOrder, KnownPatient, KnownTest, Rules, Shown, any_held,
            decide,
        },
        order::{OrderStatus, TestStatus},
        person::Sex,
        report::{Observation, PatientBlock, ReportedMessage},
        result::{IncomingVersion, ResultStatus, Stamp},
        thresholds,
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
    let reading = read(bytes, &profile, chance & 2 == 0, now);
    let Content::Results(message) = reading.content else { return };
    assert_eq!(message.observation_count(), reading.observations, "an observation is lost in reading");
    let mut dice = Dice(u32::from(world));
    let rules = rules();
    let mut known = known(&message, &mut dice.clone(), now);
    let held = any_held(&message, &known, &rules);
    let decision = decide(&message, &mut known, &rules, &mut ids(&message));
    conserved(&message, &decision);
    assert_eq!(held, !decision.reviews.is_empty());
    in_charts_of_the_named(&decision, &known);
    let mut same = self::known(&message, &mut dice, now);
    assert!(decision == decide(&message, &mut same, &rules, &mut ids(&message)), "decided twice, otherwise");
    // The same results once more, as of another control id: new versions of what there is, never another chart.
    let again = decide(&message, &mut known, &rules, &mut ids(&message));
    conserved(&message, &again);
    assert_eq!(again.patients, decision.patients);
});

/// Small numbers that the input decides.
#[derive(Clone)]
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

fn ids(message: &ReportedMessage) -> Ids {
    let count = 1000 + message.observation_count() as i64;
    Ids { reports: (1..count).collect(), results: (1..count).collect(), alerts: (1..count).collect() }
}

/// A clinic that knows some of the patients, orders and results that the message names, and not all of them right.
fn known(message: &ReportedMessage, dice: &mut Dice, now: DateTime<Utc>) -> Known {
    let mut known = Known::default();
    for block in &message.blocks {
        let patient = patient(block, dice);
        for key in block.claim.keys(AUTHORITY) {
            if dice.roll(4) > 0 {
                known.patients.entry(key).or_default().push(patient.clone());
            }
        }
        for report in &block.reports {
            if let Some(placer) = report.placer.clone()
                && dice.roll(2) == 0
            {
                order(&mut known, placer, patient.id, dice);
            }
            for observation in &report.observations {
                if dice.roll(2) == 0 {
                    let current = current(observation, dice, now);
                    known.versions.insert(observation.key.clone(), 1);
                    known.current.insert((observation.key.clone(), patient.id), current);
                }
            }
        }
    }
    known
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

fn order(known: &mut Known, placer: String, patient: PatientId, dice: &mut Dice) {
    let (id, test) = (OrderId::new(i64::from(dice.roll(3))), OrderTestId::new(i64::from(dice.roll(3))));
    let patient = if dice.roll(4) > 0 { patient } else { PatientId::new(9) };
    known.placers.insert(placer, (id, test));
    let order = KnownOrder {
        patient,
        encounter: None,
        status: OrderStatus::Sent,
        tests: vec![KnownTest { id: test, status: TestStatus::Ordered }],
    };
    known.orders.entry(id).or_insert(order);
}

fn current(observation: &Observation, dice: &mut Dice, now: DateTime<Utc>) -> CurrentResult {
    const STATUSES: [ResultStatus; 6] = [
        ResultStatus::Preliminary,
        ResultStatus::Final,
        ResultStatus::Corrected,
        ResultStatus::Deleted,
        ResultStatus::NotObtainable,
        ResultStatus::Unknown,
    ];
    let value = if dice.roll(2) == 0 { observation.value.clone() } else { Some("7.5".to_owned()) };
    let shown = Shown {
        value: value.clone(),
        raw_value: value.clone(),
        value_type: observation.value_type.clone(),
        number: observation.number.clone(),
        units: observation.units.clone(),
        reference_range: None,
        flags: Vec::new(),
    };
    CurrentResult {
        id: ResultId::new(1_000_000 + i64::from(dice.roll(1000))),
        facts: IncomingVersion {
            status: STATUSES[dice.roll(6) as usize],
            value,
            units: observation.units.clone(),
            flags: Vec::new(),
            reference_range: None,
            stamp: Stamp {
                status_changed_at: (dice.roll(2) == 0).then_some(now),
                sent_at: (dice.roll(2) == 0).then_some(now),
            },
        },
        shown,
        is_critical: dice.roll(2) == 0,
        overtook: dice.roll(4) == 0,
    }
}

/// Every observation is a result row or waits for a person, and none is both.
fn conserved(message: &ReportedMessage, decision: &Decision) {
    let filed: HashSet<_> =
        decision.results.iter().map(|new| (new.at.block, new.at.report, new.at.observation)).collect();
    assert_eq!(filed.len(), decision.results.len(), "an observation is filed twice");
    let waiting: Vec<usize> =
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
    for alert in &decision.alerts {
        assert!(alert.assessment.critical);
    }
}
