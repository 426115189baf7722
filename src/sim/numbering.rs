//! Numbers that a laboratory may give only once. A simulator that is started again on the same data must not hand out
//! the numbers of its last run: its results would be taken for resends.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::hl7::outbound::base36;

/// Gives numbers: a run's mark, then a count. 20 characters at most, the length of MSH-10 before version 2.6.
pub(super) struct Numbering {
    run: String,
    next: AtomicU64,
}

impl Numbering {
    /// A run that began at an instant. Two runs within a tenth of a second would share their numbers.
    pub(super) fn begun(at: DateTime<Utc>) -> Self {
        Self { run: base36((at.timestamp_millis() / 100).unsigned_abs()), next: AtomicU64::new(1) }
    }

    /// The next number, marked with the letter of its kind.
    pub(super) fn next(&self, kind: char) -> String {
        format!("{kind}{}{}", self.run, base36_padded(self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Of one length up to 1.6 million, so that no run's mark and count read like another's.
fn base36_padded(number: u64) -> String {
    format!("{:0>4}", base36(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_never_repeat() {
        assert_eq!([0, 35, 36, 46655].map(base36), ["0", "Z", "10", "ZZZ"]);
        let begun = |seconds| Numbering::begun(DateTime::from_timestamp(seconds, 0).unwrap_or_default());
        let (first, second) = (begun(1_800_000_000), begun(1_800_000_001));
        let mut all: Vec<String> = (0..100).flat_map(|_| [first.next('C'), second.next('C')]).collect();
        assert!(all.iter().all(|number| number.len() <= 20), "{all:?}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    }
}
