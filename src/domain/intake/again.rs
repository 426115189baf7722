//! A second look at what is in charts already: what the rules of today say of it. What the laboratory said is not touched.

use super::{Decision, Ids, Known, KnownPatient, OrderMove, Place, Rules, Shown, decide::Desk};
use crate::domain::{
    critical::Assessment,
    ids::{AlertId, OrderId, OrderTestId, PatientId, ResultId},
    report::ReportedMessage,
    result::ResultStatus,
};

/// What the rules say of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// LOINC code, sent or mapped.
    pub loinc: Option<String>,
    /// Critical or not, and why.
    pub assessment: Assessment,
}

/// Judges an observation that is shown like this, as if it came today.
pub fn judge_again(
    message: &ReportedMessage,
    rules: &Rules,
    at: Place,
    (shown, status): (&Shown, ResultStatus),
    patient: Option<&KnownPatient>,
) -> Judgement {
    let (known, ids, decision) = (&mut Known::default(), &mut Ids::default(), &mut Decision::default());
    let desk = Desk { message, rules, known, ids, decision };
    let loinc = desk.loinc(desk.observation(at).1);
    Judgement { loinc, assessment: desk.assess(at, shown, status, patient) }
}

/// A report that was in a chart before anybody knew its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTie {
    /// Block and report in the message.
    pub at: (usize, usize),
    /// The order.
    pub order: OrderId,
    /// The test that it answers or hangs on.
    pub test: OrderTestId,
    /// It hangs on that order without answering its test.
    pub is_child: bool,
}

/// The orders that reports without one belong to by now, and what the reports mean for them. `loose`: block and report, with
/// whose it is.
pub fn tie_again(
    message: &ReportedMessage,
    rules: &Rules,
    known: &mut Known,
    loose: &[((usize, usize), PatientId)],
) -> (Vec<NewTie>, Vec<OrderMove>) {
    let (ids, decision) = (&mut Ids::default(), &mut Decision::default());
    let mut ties = Vec::new();
    for &(at, patient) in loose {
        let report = &message.blocks[at.0].reports[at.1];
        let Some(tie) = known.tie(report, patient) else { continue };
        ties.push(NewTie { at, order: tie.order, test: tie.test, is_child: tie.is_child });
        if !tie.is_child {
            let mut desk = Desk { message, rules, known, ids, decision };
            desk.progress(tie.order, tie.test, report);
        }
    }
    (ties, std::mem::take(&mut decision.orders))
}

impl Decision {
    /// Gives ids to new results and alerts that were decided on without (all of them 0), and to what names those. Rows that
    /// are there already have theirs.
    pub fn number(&mut self, mut result: impl FnMut() -> i64, mut alert: impl FnMut() -> i64) {
        let none = ResultId::new(0);
        for new in self.results.iter_mut().filter(|new| new.id == none) {
            new.id = ResultId::new(result());
            let of_it = self.alerts.iter_mut().filter(|alert| alert.at == new.at);
            for (id, _) in of_it.filter_map(|alert| alert.result.as_mut()).filter(|(id, _)| *id == none) {
                *id = new.id;
            }
            for correction in self.corrections.iter_mut().filter(|one| one.at == new.at && one.new == none) {
                correction.new = new.id;
            }
        }
        for new in self.alerts.iter_mut().filter(|new| new.id == AlertId::new(0)) {
            new.id = AlertId::new(alert());
        }
    }
}
