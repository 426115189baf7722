//! The figures of a run.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

/// What one connection saw.
#[derive(Default)]
pub(super) struct Tally {
    outcomes: BTreeMap<&'static str, u64>,
    /// Microseconds.
    latencies: Vec<u32>,
}

impl Tally {
    pub(super) fn answered(&mut self, code: &'static str, latency: Duration) {
        *self.outcomes.entry(code).or_default() += 1;
        self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn failed(&mut self, fault: &'static str) {
        *self.outcomes.entry(fault).or_default() += 1;
    }
}

/// Figures of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Messages tried.
    pub sent: u64,
    /// Answered with AA or CA.
    pub accepted: u64,
    /// How many came out how: an acknowledgment code, or why there was none.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Messages of the plan that were not tried, because nobody could be reached.
    pub unsent: u64,
    /// From the first message to the last answer.
    pub seconds: f64,
    /// Accepted messages a second.
    pub per_second: f64,
    /// From sending (with a rate: from when it was meant to be sent) to the answer, in milliseconds.
    pub ack_latency_ms: Latency,
    #[serde(skip)]
    as_json: bool,
}

/// Percentiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "they are called what they are")]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Report {
    pub(super) fn of(tallies: Vec<Tally>, took: Duration, planned: Option<u64>, as_json: bool) -> Self {
        let (mut outcomes, mut latencies) = (BTreeMap::new(), Vec::new());
        for tally in tallies {
            for (outcome, count) in tally.outcomes {
                *outcomes.entry(outcome).or_default() += count;
            }
            latencies.extend(tally.latencies);
        }
        latencies.sort_unstable();
        let sent = outcomes.values().sum();
        let accepted: u64 = ["AA", "CA"].iter().filter_map(|code| outcomes.get(code)).sum();
        let seconds = took.as_secs_f64();
        Self {
            sent,
            accepted,
            outcomes,
            unsent: planned.map_or(0, |planned| planned.saturating_sub(sent)),
            seconds,
            per_second: if seconds > 0.0 { float(accepted) / seconds } else { 0.0 },
            ack_latency_ms: Latency::of(&latencies),
            as_json,
        }
    }

    /// Whether something was sent, and every message accepted.
    pub fn all_accepted(&self) -> bool {
        self.sent > 0 && self.accepted == self.sent && self.unsent == 0
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and microseconds stay far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

impl Latency {
    /// Of sorted microseconds.
    fn of(sorted: &[u32]) -> Self {
        let ms = |percent| f64::from(percentile(sorted, percent)) / 1000.0;
        Self { p50: ms(50), p90: ms(90), p99: ms(99), max: ms(100) }
    }
}

/// Nearest rank: the smallest value that so many percent of all do not exceed. 0 when there is none.
fn percentile(sorted: &[u32], percent: usize) -> u32 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_json {
            let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
            return writeln!(f, "{json}");
        }
        writeln!(f, "sent        {} in {:.2} s", self.sent, self.seconds)?;
        for (outcome, count) in &self.outcomes {
            writeln!(f, "  {outcome:<10}{count}")?;
        }
        if self.unsent > 0 {
            writeln!(f, "not sent    {}", self.unsent)?;
        }
        writeln!(f, "throughput  {:.1} accepted msg/s", self.per_second)?;
        let Latency { p50, p90, p99, max } = self.ack_latency_ms;
        writeln!(f, "ACK latency p50 {p50:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        for (sorted, percent, expected) in [
            (hundred.as_slice(), 50, 50),
            (&hundred, 99, 99),
            (&hundred, 100, 100),
            (&[7], 50, 7),
            (&[1, 2, 3], 50, 2),
            (&[1, 2, 3, 4], 90, 4),
            (&[5; 10], 99, 5),
            (&[], 50, 0),
        ] {
            assert_eq!(percentile(sorted, percent), expected, "{percent} of {}", sorted.len());
        }
    }

    #[test]
    fn figures_of_all_connections_are_one() {
        let mut first = Tally::default();
        first.answered("AA", Duration::from_millis(4));
        first.answered("AE", Duration::from_millis(2));
        let mut second = Tally::default();
        second.answered("AA", Duration::from_micros(1500));
        second.failed("closed");
        let report = Report::of(vec![first, second], Duration::from_secs(2), Some(5), false);
        assert_eq!((report.sent, report.accepted, report.unsent), (4, 2, 1));
        assert_eq!(report.ack_latency_ms, Latency { p50: 2.0, p90: 4.0, p99: 4.0, max: 4.0 });
        assert!((report.per_second - 1.0).abs() < 1e-9 && !report.all_accepted());
        assert!(report.to_string().contains("closed    1") && report.to_string().contains("not sent    1"));
    }

    #[test]
    fn json_can_be_read_by_a_machine() {
        let mut tally = Tally::default();
        tally.answered("CA", Duration::from_millis(1));
        let report = Report::of(vec![tally], Duration::from_secs(1), None, true);
        assert!(report.all_accepted());
        let json: serde_json::Value = serde_json::from_str(&report.to_string()).unwrap_or_default();
        assert_eq!((&json["outcomes"]["CA"], &json["ack_latency_ms"]["p50"]), (&1.into(), &1.0.into()));
        assert!(!Report::of(Vec::new(), Duration::ZERO, None, false).all_accepted());
    }
}
