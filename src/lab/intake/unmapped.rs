//! Keeps the worklist of local codes that lead to no LOINC. A code is written once a day, not once a result: what counts is
//! that it is on the list.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::DbErr;

use super::{Outcome, Settled, results, rows::observation};
use crate::store::{
    codes::{Unmapped, note_unmapped},
    db::Tx,
};

/// Endpoint, coding system, code.
type Key = (i64, String, String);

/// Codes of whose last writing this worker knows.
#[derive(Default)]
pub(super) struct Seen {
    on: BTreeMap<Key, NaiveDate>,
}

/// More codes than any laboratory has; above it the worker forgets, and writes some of them again.
const MOST: usize = 10_000;

impl Seen {
    /// Writes the codes of a batch that are not on the list of today. The answer is to be handed to
    /// [`Seen::remember`] once the batch is committed.
    pub(super) async fn note(
        &self,
        tx: &Tx,
        settled: &[Settled<'_>],
        now: DateTime<Utc>,
    ) -> Result<Vec<Key>, DbErr> {
        let today = now.date_naive();
        // Sorted, so that two workers who write the same codes never wait for each other in a ring.
        let mut fresh: BTreeMap<Key, Unmapped> = BTreeMap::new();
        for (key, code) in settled.iter().flat_map(unmapped) {
            if self.on.get(&key) != Some(&today) {
                fresh.entry(key).or_insert(code);
            }
        }
        for code in fresh.values() {
            note_unmapped(tx, code, now).await?;
        }
        Ok(fresh.into_keys().collect())
    }

    /// Remembers what was committed.
    pub(super) fn remember(&mut self, codes: Vec<Key>, now: DateTime<Utc>) {
        if self.on.len() + codes.len() > MOST {
            self.on.clear();
        }
        self.on.extend(codes.into_iter().map(|key| (key, now.date_naive())));
    }

    /// Forgets everything, because the code maps changed.
    pub(super) fn forget(&mut self) {
        self.on.clear();
    }
}

fn unmapped(entry: &Settled<'_>) -> Vec<(Key, Unmapped)> {
    let (Outcome::New { message, decision, .. }, Some(content)) = (&entry.outcome, results(entry.arrival))
    else {
        return Vec::new();
    };
    let without = decision.results.iter().filter(|result| result.loinc.is_none());
    without
        .filter_map(|result| {
            let (_, sent) = observation(content, result.at);
            let code = Unmapped::new(
                entry.arrival.profile.id.get(),
                sent.code.system.as_deref().unwrap_or_default(),
                &sent.code.code,
                *message,
            )?;
            let key = (code.endpoint, code.system.clone(), code.code.clone());
            Some((key, Unmapped { name: sent.code.text.clone(), units: sent.units.clone(), ..code }))
        })
        .collect()
}
