//! Results without an order. Many laboratories also report what others ordered, walk-ins and other clinics' patients: such a
//! feed is no worklist. One that normally answers our orders, and this time does not, is.

use crate::domain::spelling::spelled;

/// As many reports of a sender say what it normally does.
const ENOUGH: u64 = 20;

/// What the latest reports of a sender were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Feed {
    /// Those that answered an order of ours.
    pub answers: u64,
    /// Those that did not.
    pub others: u64,
    /// Whether we send it orders.
    pub takes_orders: bool,
}

impl Feed {
    /// Whether its sender normally answers our orders: half of what it sends does.
    pub const fn normally_answers(self) -> bool {
        self.answers > 0 && self.answers >= self.others
    }

    const fn is_known(self) -> bool {
        self.answers + self.others >= ENOUGH
    }
}

/// A report that answers no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray {
    /// It names a number of who ordered (OBR-2), which is none of ours.
    pub names_placer: bool,
    /// It names a number of the laboratory (OBR-3).
    pub names_filler: bool,
    /// The same patient has an open order of the same test.
    pub fits_open_order: bool,
}

spelled! {
    /// Why nothing ties a report to an order.
    pub enum StrayReason {
        /// The patient waits for this very test: it may be the answer, but nothing says so.
        OpenOrder = "patient_has_open_order",
        /// The number of who ordered is none of ours.
        PlacerUnknown = "placer_number_unknown",
        /// Only the laboratory's own number, which we have not heard of.
        FillerUnknown = "filler_number_unknown",
        /// No number at all.
        NoNumber = "no_order_number",
    }
}

/// Whether somebody should look at a report without an order, and why. While little is known of a sender, it is looked at
/// when we send orders there or when it names who ordered; at most [`ENOUGH`] rows are shown for nothing then.
pub fn stray(report: Stray, feed: Feed) -> Option<StrayReason> {
    if report.fits_open_order {
        return Some(StrayReason::OpenOrder);
    }
    let expected = if feed.is_known() {
        feed.normally_answers()
    } else {
        feed.takes_orders || report.names_placer || feed.normally_answers()
    };
    expected.then_some(match (report.names_placer, report.names_filler) {
        (true, _) => StrayReason::PlacerUnknown,
        (false, true) => StrayReason::FillerUnknown,
        (false, false) => StrayReason::NoNumber,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMELESS: Stray = Stray { names_placer: false, names_filler: false, fits_open_order: false };
    const FOREIGN: Stray = Stray { names_placer: true, ..NAMELESS };
    const FILLER: Stray = Stray { names_filler: true, ..NAMELESS };
    const FITTING: Stray = Stray { fits_open_order: true, ..NAMELESS };

    #[test]
    fn a_walk_in_feed_is_no_worklist() {
        use StrayReason::{FillerUnknown, NoNumber, OpenOrder, PlacerUnknown};
        let feed = |answers, others, takes_orders| Feed { answers, others, takes_orders };
        let table = [
            ("walk-ins only", NAMELESS, feed(0, 200, false), None),
            ("other clinics' orders", FOREIGN, feed(0, 200, false), None),
            ("a lab of ours with many walk-ins", FOREIGN, feed(20, 180, true), None),
            ("its one that fits", FITTING, feed(20, 180, true), Some(OpenOrder)),
            ("a lab that answers", FOREIGN, feed(190, 10, true), Some(PlacerUnknown)),
            ("the same, without a number", NAMELESS, feed(190, 10, false), Some(NoNumber)),
            ("the same, with its own alone", FILLER, feed(190, 10, false), Some(FillerUnknown)),
            ("a new lab that we send orders to", NAMELESS, feed(0, 1, true), Some(NoNumber)),
            ("a new feed that names who ordered", FOREIGN, feed(0, 1, false), Some(PlacerUnknown)),
            ("a new feed that names nobody", FILLER, feed(0, 1, false), None),
        ];
        for (what, report, feed, expected) in table {
            assert_eq!(stray(report, feed), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn what_may_answer_an_open_order_is_always_shown(answers in 0..300_u64, others in 0..300_u64, takes_orders: bool) {
            prop_assert_eq!(stray(FITTING, Feed { answers, others, takes_orders }), Some(StrayReason::OpenOrder));
        }

        /// The more a sender answers orders, the more its strays are looked at.
        #[test]
        fn answering_more_never_hides(answers in 0..300_u64, others in 20..300_u64, takes_orders: bool, names_placer: bool) {
            let report = Stray { names_placer, ..NAMELESS };
            let shown = |answers| stray(report, Feed { answers, others, takes_orders }).is_some();
            prop_assert!(!shown(answers) || shown(answers + 1));
        }
    }
}
