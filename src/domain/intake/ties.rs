//! Which order a report belongs to, and whether it answers one of its tests.
//!
//! A laboratory adds tests by itself (reflex), and sends susceptibilities as orders of their own. Such a report hangs on
//! the order it grew out of. It never completes a test: the culture may still be preliminary when the susceptibilities
//! are final.

use super::{Known, known::KnownTest};
use crate::domain::{
    ids::{OrderId, OrderTestId, PatientId},
    report::Report,
};

/// The tie between a report and an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tie {
    /// The order.
    pub(super) order: OrderId,
    /// The test it answers, or that of its parent.
    pub(super) test: OrderTestId,
    /// It answers no test.
    pub(super) is_child: bool,
}

impl Known {
    /// The order that a report names by a number of ours: its own, else that of its parent.
    pub(super) fn named_order(&self, report: &Report) -> Option<Tie> {
        let by = |placer: &Option<String>| self.placers.get(placer.as_deref()?).copied();
        if let Some((order, test)) = by(&report.placer) {
            let is_child = report.parent.is_offspring() && !self.is_as_ordered(report, order, test);
            return Some(Tie { order, test, is_child });
        }
        by(&report.parent.placer).map(|(order, test)| Tie { order, test, is_child: true })
    }

    /// The order of this patient that a report belongs to. The laboratory's own number of the parent counts only here:
    /// laboratories count anew, so it says nothing about whose the report is.
    pub(super) fn tie(&self, report: &Report, patient: PatientId) -> Option<Tie> {
        let is_theirs = |order: OrderId| self.orders.get(&order).is_none_or(|order| order.patient == patient);
        let named = self.named_order(report).filter(|tie| is_theirs(tie.order));
        let named = named.or_else(|| self.outside_order(report, is_theirs));
        let named = named.or_else(|| self.whole_order(report, is_theirs));
        named.or_else(|| {
            let tests = self.fillers.get(report.parent.filler.as_deref()?)?;
            let (order, test) = *tests.iter().rev().find(|(order, _)| is_theirs(*order))?;
            Some(Tie { order, test, is_child: true })
        })
    }

    /// The order that a report names by the number of who ordered it through us. Such a number says nothing about whose the
    /// report is, and means nothing where two orders of the patient have it.
    fn outside_order(&self, report: &Report, is_theirs: impl Fn(OrderId) -> bool) -> Option<Tie> {
        let tests = self.outside.get(report.placer.as_deref()?)?;
        let mut theirs = tests.iter().filter(|(order, _)| is_theirs(*order));
        let (Some(&(order, test)), None) = (theirs.next(), theirs.next()) else { return None };
        let is_child = report.parent.is_offspring() && !self.is_as_ordered(report, order, test);
        Some(Tie { order, test, is_child })
    }

    /// The test of a report that names the order as a whole, by its group number (ORC-4). Other systems may use the same
    /// figures for something else, so it must be the patient's own order and have one test of that code.
    fn whole_order(&self, report: &Report, is_theirs: impl Fn(OrderId) -> bool) -> Option<Tie> {
        let order = OrderId::of_number(report.placer.as_deref()?).filter(|order| is_theirs(*order))?;
        let mut same = self.orders.get(&order)?.tests.iter().filter(|test| is_of_code(test, report));
        let (Some(test), None) = (same.next(), same.next()) else { return None };
        Some(Tie { order, test: test.id, is_child: false })
    }

    /// Some laboratories mark the ordered test itself as added by them.
    fn is_as_ordered(&self, report: &Report, order: OrderId, test: OrderTestId) -> bool {
        let tests = self.orders.get(&order).map(|order| order.tests.as_slice()).unwrap_or_default();
        let ordered = tests.iter().find(|known| known.id == test);
        ordered.is_some_and(|ordered| is_of_code(ordered, report))
    }

    /// Remembers the laboratory's number of a test, so that a reflex later in the batch finds it. The newest counts, as
    /// in the table.
    pub(super) fn number_of_lab(&mut self, filler: Option<&str>, order: OrderId, test: OrderTestId) {
        let Some(filler) = filler else { return };
        for tests in self.fillers.values_mut() {
            tests.retain(|(_, known)| *known != test);
        }
        self.fillers.entry(filler.to_owned()).or_default().push((order, test));
    }
}

/// Whether a report is of what was ordered as this test.
fn is_of_code(test: &KnownTest, report: &Report) -> bool {
    test.code.eq_ignore_ascii_case(report.service.code.trim())
}
