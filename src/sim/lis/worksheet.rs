//! From an order to what will be reported of it, and when.

use chrono::{DateTime, FixedOffset};

use super::LAST_RESULT;
use crate::{
    hl7::{
        datatypes::Coded,
        oru_build::{ObservationOut, ReportOut},
    },
    sim::{
        SimPatient,
        dice::Dice,
        panels::{self, Panel},
    },
};

/// An order that was taken in.
pub(super) struct Order {
    /// Application and facility that wait for the results.
    pub(super) client: (String, String),
    /// As the order names the patient.
    pub(super) patient: SimPatient,
    /// At least one.
    pub(super) tests: Vec<Test>,
    /// When the specimen came in.
    pub(super) at: DateTime<FixedOffset>,
}

/// One test of an order.
#[derive(Clone)]
pub(super) struct Test {
    /// The client's number.
    pub(super) placer: String,
    /// Ours.
    pub(super) filler: String,
    /// As the client named it.
    pub(super) service: Coded,
}

/// A message to be sent.
pub(super) struct Parcel {
    /// In units of pace after the order.
    pub(super) after: f64,
    pub(super) client: (String, String),
    pub(super) patient: SimPatient,
    /// Their report times are those of the sending.
    pub(super) reports: Vec<ReportOut>,
}

/// Turns orders into parcels.
pub(super) struct Worksheet {
    dice: Dice,
    orders: u64,
    unsolicited: u64,
}

/// How a test will go.
struct Course<'a> {
    danger: Option<&'a str>,
    preliminary: bool,
    corrected: bool,
    final_after: f64,
}

impl Worksheet {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), orders: 0, unsolicited: 0 }
    }

    /// Every message the order will lead to, in no particular order.
    pub(super) fn plan(&mut self, order: &Order) -> Vec<Parcel> {
        let danger = self.danger(order);
        self.orders += 1;
        let received = order.tests.iter().map(|test| test.report(order.at, 'I', Vec::new()));
        let mut parcels = vec![order.parcel(self.dice.between(0.5, 1.0), received.collect())];
        for (i, test) in order.tests.iter().enumerate() {
            let danger = danger.filter(|(at, _)| *at == i).map(|(_, code)| code);
            let course = self.course(danger, i);
            parcels.extend(self.results(order, test, &course));
        }
        parcels
    }

    /// Every third order has one finding at a critical level, if one of its tests has any. The first order shows the
    /// potassium that everybody knows.
    fn danger(&mut self, order: &Order) -> Option<(usize, &'static str)> {
        if !self.orders.is_multiple_of(3) {
            return None;
        }
        let codes = order.tests.iter().enumerate().flat_map(|(i, test)| {
            test.panel().into_iter().flat_map(Panel::dangers).map(move |code| (i, code))
        });
        let codes: Vec<(usize, &str)> = codes.collect();
        let potassium = codes.iter().find(|(_, code)| self.orders == 0 && *code == "K");
        potassium.or_else(|| self.dice.pick(&codes)).copied()
    }

    fn course<'a>(&mut self, danger: Option<&'a str>, position: usize) -> Course<'a> {
        let queue = f64::from(u32::try_from(position).unwrap_or(u32::MAX));
        Course {
            danger,
            preliminary: self.dice.percent(35),
            corrected: self.dice.percent(20),
            final_after: (4.0 + queue + self.dice.between(0.0, 3.0)).min(LAST_RESULT),
        }
    }

    fn results(&mut self, order: &Order, test: &Test, course: &Course<'_>) -> Vec<Parcel> {
        let Some(panel) = test.panel() else {
            let found = panels::unknown(&test.service);
            return vec![order.parcel(course.final_after, vec![test.report(order.at, 'F', found)])];
        };
        let found = panel.measure(&mut self.dice, course.danger);
        let parcel = |after, status, found| order.parcel(after, vec![test.report(order.at, status, found)]);
        let mut parcels = vec![parcel(course.final_after, 'F', found.clone())];
        if course.preliminary {
            parcels.push(parcel(course.final_after - 2.0, 'P', found.clone()));
        }
        let second = panel.measure(&mut self.dice, None);
        if let Some(corrected) = corrected(&found, second).filter(|_| course.corrected) {
            let after = course.final_after + self.dice.between(4.0, 8.0);
            parcels.push(parcel(after, 'C', corrected));
        }
        parcels
    }

    /// A result that nobody ordered. The second is critical, so that whoever watches a new installation soon sees an
    /// alert, and then every fourth.
    pub(super) fn unsolicited(
        &mut self,
        patients: &[SimPatient],
        filler: String,
        at: DateTime<FixedOffset>,
    ) -> Option<Parcel> {
        let patient = self.dice.pick(patients)?.clone();
        let critical = self.unsolicited % 4 == 1;
        self.unsolicited += 1;
        let panel = if critical { panels::find("BMP") } else { self.dice.pick(panels::PANELS) }?;
        let found = panel.measure(&mut self.dice, critical.then_some("K"));
        let test = Test { placer: String::new(), filler, service: panel.service() };
        let client = (crate::sim::SERVICE.0.to_owned(), crate::sim::SERVICE.1.to_owned());
        Some(Parcel { after: 0.0, client, patient, reports: vec![test.report(at, 'F', found)] })
    }
}

/// The same findings with one number set right, never one at a critical level: a correction of that would need a call.
fn corrected(found: &[ObservationOut], second: Vec<ObservationOut>) -> Option<Vec<ObservationOut>> {
    let is_critical = |found: &ObservationOut| found.flags.iter().any(|flag| flag == "HH" || flag == "LL");
    let at = found.iter().zip(&second).position(|(first, second)| {
        first.kind == "NM" && !is_critical(first) && first.value != second.value
    })?;
    let mut corrected = found.to_vec();
    let note = Some("Corrected after a second measurement.".to_owned());
    corrected[at] = ObservationOut { status: "C".into(), note, ..second.into_iter().nth(at)? };
    Some(corrected)
}

impl Order {
    fn parcel(&self, after: f64, reports: Vec<ReportOut>) -> Parcel {
        Parcel { after, client: self.client.clone(), patient: self.patient.clone(), reports }
    }
}

impl Test {
    fn panel(&self) -> Option<&'static Panel> {
        panels::find(self.service.code.as_deref()?)
    }

    /// A report of table 0123's status. Findings that have a status of their own keep it; in a correction the others
    /// stay final.
    fn report(&self, at: DateTime<FixedOffset>, status: char, found: Vec<ObservationOut>) -> ReportOut {
        let (control, order_status) = match status {
            'I' => ("SC", "IP"),
            'P' => ("RE", "A"),
            _ => ("RE", "CM"),
        };
        let default = if status == 'C' { "F".to_owned() } else { status.to_string() };
        let observations = found.into_iter().map(|found| ObservationOut {
            status: if found.status.is_empty() { default.clone() } else { found.status.clone() },
            observed_at: Some(at),
            ..found
        });
        ReportOut {
            control: control.into(),
            order_status: order_status.into(),
            placer: self.placer.clone(),
            filler: self.filler.clone(),
            service: self.service.clone(),
            collected_at: Some(at),
            reported_at: None,
            section: "LAB".into(),
            status: status.into(),
            observations: observations.collect(),
            note: None,
        }
    }
}
