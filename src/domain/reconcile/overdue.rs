//! What is late. The time runs from when an order was placed, or from when it is to be done, should that be later: how often
//! its message was tried makes no patient wait less.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{
    order::{OrderStatus, Priority},
    spelling::spelled,
};

spelled! {
    /// What a laboratory owes for an order.
    pub enum Duty {
        /// To take it.
        Acknowledge = "not_acknowledged",
        /// Its first result.
        Report = "no_result",
        /// The rest of its results.
        Complete = "partial",
    }
}

impl Duty {
    /// What is owed for an order. A laboratory that is known never to say that it took an order is not waited for: of what
    /// its system has received, results are what it owes.
    pub const fn of(status: OrderStatus, lab_says_it_takes: bool) -> Option<Self> {
        match status {
            OrderStatus::Pending => Some(Self::Acknowledge),
            OrderStatus::Sent if lab_says_it_takes => Some(Self::Acknowledge),
            OrderStatus::Sent | OrderStatus::Acknowledged => Some(Self::Report),
            OrderStatus::Partial => Some(Self::Complete),
            OrderStatus::Resulted | OrderStatus::Rejected | OrderStatus::Failed | OrderStatus::Cancelled => {
                None
            }
        }
    }
}

/// As many orders with all their results say how a laboratory speaks.
const ENOUGH: usize = 5;

/// Whether a laboratory says that it takes orders, going by the latest that it did: how many, and of how many it had said so.
/// Until enough of them went by without a word, it is taken to.
pub const fn says_it_takes(resulted: usize, acknowledged: usize) -> bool {
    acknowledged > 0 || resulted < ENOUGH
}

/// How long a laboratory may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    acknowledge: [Duration; Priority::ALL.len()],
    report: [Duration; Priority::ALL.len()],
}

impl Limits {
    /// Limits by the code of the priority. One that is not named gets the shortest of those that are: better too early on
    /// the list than never.
    pub fn new(acknowledge: &[(String, Duration)], report: &[(String, Duration)]) -> Self {
        Self { acknowledge: by_priority(acknowledge), report: by_priority(report) }
    }

    /// How long the laboratory may take for this.
    pub fn of(&self, duty: Duty, priority: Priority) -> Duration {
        let all = if duty == Duty::Acknowledge { &self.acknowledge } else { &self.report };
        let place = Priority::ALL.iter().position(|known| *known == priority);
        place.and_then(|place| all.get(place)).copied().unwrap_or_default()
    }
}

fn by_priority(named: &[(String, Duration)]) -> [Duration; Priority::ALL.len()] {
    let shortest = named.iter().map(|(_, limit)| *limit).min().unwrap_or_default();
    let mut all = [shortest; Priority::ALL.len()];
    for (place, priority) in Priority::ALL.iter().enumerate() {
        if let Some((_, limit)) = named.iter().find(|(code, _)| code == priority.as_str()) {
            all[place] = *limit;
        }
    }
    all
}

/// An order as the rule looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it stands.
    pub status: OrderStatus,
    /// How urgent it is.
    pub priority: Priority,
    /// From when on it counts; see [`scheduled_or_placed`].
    pub from: DateTime<Utc>,
    /// Whether its laboratory says that it takes orders; true as long as nothing is known.
    pub lab_says_it_takes: bool,
}

/// From when on an order counts.
pub fn scheduled_or_placed(placed: DateTime<Utc>, scheduled: Option<DateTime<Utc>>) -> DateTime<Utc> {
    scheduled.map_or(placed, |scheduled| scheduled.max(placed))
}

/// What is late of an order, and since when.
pub fn overdue(order: Placed, limits: &Limits, now: DateTime<Utc>) -> Option<(Duty, DateTime<Utc>)> {
    let duty = Duty::of(order.status, order.lab_says_it_takes)?;
    let due = order.from + span(limits.of(duty, order.priority));
    (due < now).then_some((duty, due))
}

/// The same rule as a table, for a database: an order is late that is in one of these statuses, has this priority, and
/// counts from before this instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What is owed.
    pub duty: Duty,
    /// In this status …
    pub status: OrderStatus,
    /// … under this priority …
    pub priority: Priority,
    /// … at a laboratory that does, or does not, say that it takes orders.
    pub lab_says_it_takes: bool,
    /// Late when it counts from before this.
    pub before: DateTime<Utc>,
}

/// Every window, the most urgent first.
pub fn windows(limits: &Limits, now: DateTime<Utc>) -> Vec<Window> {
    let mut urgency: Vec<Priority> = Priority::ALL.to_vec();
    urgency.sort_by_key(|priority| limits.of(Duty::Report, *priority));
    let mut all = Vec::new();
    for priority in urgency {
        for status in OrderStatus::ALL.iter().copied() {
            for lab_says_it_takes in [true, false] {
                let Some(duty) = Duty::of(status, lab_says_it_takes) else { continue };
                let before = now - span(limits.of(duty, priority));
                all.push(Window { duty, status, priority, lab_says_it_takes, before });
            }
        }
    }
    all
}

fn span(limit: Duration) -> chrono::Duration {
    chrono::Duration::from_std(limit).unwrap_or(chrono::Duration::days(36_500))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> Limits {
        let minutes = |table: &[(&str, u64)]| {
            table.iter().map(|(code, n)| ((*code).to_owned(), Duration::from_mins(*n))).collect::<Vec<_>>()
        };
        Limits::new(
            &minutes(&[("S", 15), ("R", 240)]),
            &minutes(&[("S", 60), ("A", 240), ("P", 240), ("T", 240), ("R", 1440)]),
        )
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::minutes(minutes)
    }

    fn late(status: OrderStatus, priority: Priority, says: bool, minutes: i64) -> Option<Duty> {
        let order = Placed { status, priority, from: at(0), lab_says_it_takes: says };
        overdue(order, &limits(), at(minutes)).map(|(duty, _)| duty)
    }

    #[test]
    fn each_status_owes_something_else() {
        use Duty::{Acknowledge, Complete, Report};
        use OrderStatus as Is;
        let (stat, routine) = (Priority::Stat, Priority::Routine);
        let table = [
            (Is::Pending, stat, true, 15, None),
            (Is::Pending, stat, true, 16, Some(Acknowledge)),
            (Is::Pending, stat, false, 16, Some(Acknowledge)),
            (Is::Sent, stat, true, 16, Some(Acknowledge)),
            (Is::Sent, stat, false, 16, None),
            (Is::Sent, stat, false, 61, Some(Report)),
            (Is::Acknowledged, stat, true, 60, None),
            (Is::Acknowledged, stat, true, 61, Some(Report)),
            (Is::Acknowledged, routine, true, 1440, None),
            (Is::Acknowledged, routine, true, 1441, Some(Report)),
            (Is::Partial, routine, true, 1441, Some(Complete)),
            (Is::Resulted, stat, true, 99_999, None),
            (Is::Failed, stat, true, 99_999, None),
            (Is::Rejected, stat, true, 99_999, None),
            (Is::Cancelled, stat, true, 99_999, None),
        ];
        for (status, priority, says, minutes, expected) in table {
            assert_eq!(late(status, priority, says, minutes), expected, "{status} {says} {minutes}");
        }
    }

    #[test]
    fn silence_is_learned_and_one_word_unlearns_it() {
        let table = [(0, 0, true), (4, 0, true), (5, 0, false), (20, 0, false), (20, 1, true)];
        for (resulted, acknowledged, expected) in table {
            assert_eq!(says_it_takes(resulted, acknowledged), expected, "{resulted} {acknowledged}");
        }
    }

    #[test]
    fn a_priority_without_a_limit_has_the_shortest() {
        assert_eq!(limits().of(Duty::Acknowledge, Priority::Asap), Duration::from_mins(15));
        assert_eq!(Limits::new(&[], &[]).of(Duty::Report, Priority::Routine), Duration::ZERO);
    }

    #[test]
    fn what_is_to_be_done_later_counts_from_then_on() {
        assert_eq!(scheduled_or_placed(at(5), None), at(5));
        assert_eq!(scheduled_or_placed(at(5), Some(at(9))), at(9));
        assert_eq!(scheduled_or_placed(at(5), Some(at(1))), at(5));
    }

    proptest! {
        /// The database is asked by the windows, everybody else by the rule: both say the same of every order.
        #[test]
        fn the_windows_are_the_rule(
            status in proptest::sample::select(OrderStatus::ALL),
            priority in proptest::sample::select(Priority::ALL),
            lab_says_it_takes: bool, from in 0..3000_i64, now in 0..6000_i64,
        ) {
            let order = Placed { status, priority, from: at(from), lab_says_it_takes };
            let found: Vec<Duty> = windows(&limits(), at(now))
                .iter()
                .filter(|window| {
                    window.status == status && window.priority == priority
                        && window.lab_says_it_takes == lab_says_it_takes && order.from < window.before
                })
                .map(|window| window.duty)
                .collect();
            let rule: Vec<Duty> = overdue(order, &limits(), at(now)).map(|(duty, _)| duty).into_iter().collect();
            prop_assert_eq!(found, rule);
        }

        /// What is late stays late until something happens to the order.
        #[test]
        fn time_alone_mends_nothing(
            status in proptest::sample::select(OrderStatus::ALL),
            priority in proptest::sample::select(Priority::ALL),
            now in 0..3000_i64, later in 0..3000_i64,
        ) {
            let order = Placed { status, priority, from: at(0), lab_says_it_takes: true };
            let (early, late) = (overdue(order, &limits(), at(now)), overdue(order, &limits(), at(now + later)));
            prop_assert!(early.is_none() || early == late);
        }
    }
}
