//! When a sender has been silent for longer than is usual for it.
//!
//! What is usual depends on the hour of the week: ten minutes on a weekday's morning, a night at night, two days on a Sunday.
//! So for every hour it is kept how long the sender had said nothing at most while that hour ran ([`hours_of`]), and a
//! silence is held against the same hour of the week, and the hours beside it, in the weeks before ([`usual_gap`]). The hours
//! beside it forgive a start that is a little late, and a clock that was put forward or back by an hour.
//!
//! One week in four, the one of the longest silence, does not count: after a holiday, or a day on which the sender was down, a
//! silence is judged as before.

use std::collections::BTreeMap;

use chrono::{DateTime, DurationRound, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Weeks that are looked back on.
pub const WEEKS: i64 = 8;
/// Weeks in which an hour must have been seen before it is known what is usual in it.
const KNOWN_WEEKS: usize = 2;
/// Of so many weeks one may be odd.
const ONE_ODD_IN: usize = 4;
/// How many times the usual gap a silence must last before it is out of the ordinary.
const FACTOR: i32 = 2;
const HOUR: TimeDelta = TimeDelta::hours(1);

/// What was heard in one hour, by the clock of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardHour {
    /// When the hour began.
    pub start: DateTime<Utc>,
    /// Messages in it.
    pub messages: i32,
    /// How long the sender had said nothing, at most, while the hour ran; the silence may have begun before it.
    pub longest_gap: TimeDelta,
}

/// How long a sender may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// By what is usual for it.
    Learned,
    /// As long as somebody has said.
    Fixed(TimeDelta),
    /// For ever.
    Endless,
}

/// All that is known of a sender's hours, where the hours beside a moment are not known well enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first hour.
    pub first: DateTime<Utc>,
    /// The longest silence.
    pub longest_gap: TimeDelta,
}

/// What messages say of the hours in which they came, and of those before them in which none came. `last`: the message before
/// them. `times`: oldest first; one that is older than what was heard before it only counts. Of a silence that is longer than
/// what is looked back on, the last [`WEEKS`] weeks are told.
pub fn hours_of(last: Option<DateTime<Utc>>, times: &[DateTime<Utc>]) -> Vec<HeardHour> {
    let mut hours: BTreeMap<DateTime<Utc>, HeardHour> = BTreeMap::new();
    let mut last = last;
    for &time in times {
        if let Some(before) = last.filter(|before| *before < time) {
            let mut start = hour_of(before.max(time - TimeDelta::weeks(WEEKS)));
            while start <= time {
                let silence = time.min(start + HOUR) - before;
                let hour = hours.entry(start).or_insert(unheard(start));
                hour.longest_gap = hour.longest_gap.max(silence);
                start += HOUR;
            }
        }
        let start = hour_of(time);
        hours.entry(start).or_insert(unheard(start)).messages += 1;
        last = last.max(Some(time));
    }
    hours.into_values().collect()
}

fn unheard(start: DateTime<Utc>) -> HeardHour {
    HeardHour { start, messages: 0, longest_gap: TimeDelta::zero() }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(HOUR).unwrap_or(time)
}

/// The hours that say what is usual at a moment: for each of the last weeks the same hour of the week, by the clock of the
/// sender's place, with the hours beside it.
pub fn comparable_hours(now: DateTime<Utc>, zone: Tz) -> Vec<[DateTime<Utc>; 3]> {
    let local = now.with_timezone(&zone).naive_local();
    let week = |week| [-1, 0, 1].map(|hour| hour_at(local - TimeDelta::weeks(week) + HOUR * hour, zone));
    (1..=WEEKS).map(week).collect()
}

/// The hour of a time on the wall. One that the clock left out is the hour after.
fn hour_at(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let instant = |local| zone.from_local_datetime(&local).earliest();
    let instant = instant(local).or_else(|| instant(local + HOUR));
    hour_of(instant.map_or(local.and_utc(), |instant| instant.to_utc()))
}

/// How long the sender had said nothing, at most, at this hour in a usual week. `None`: it is not known well enough.
/// `gaps`: the longest gap by the start of its hour, of [`comparable_hours`] at least.
pub fn usual_gap(
    now: DateTime<Utc>,
    zone: Tz,
    gaps: &BTreeMap<DateTime<Utc>, TimeDelta>,
) -> Option<TimeDelta> {
    let longest = |week: &[DateTime<Utc>; 3]| week.iter().filter_map(|hour| gaps.get(hour)).max().copied();
    let mut weeks: Vec<TimeDelta> = comparable_hours(now, zone).iter().filter_map(longest).collect();
    if weeks.len() < KNOWN_WEEKS {
        return None;
    }
    weeks.sort_unstable_by(|one, other| other.cmp(one));
    weeks.get(weeks.len() / ONE_ODD_IN).copied()
}

/// What stands in for it while too few weeks are known: the longest silence of all, once the sender has been heard over a
/// whole week. `heard`: its last message.
pub fn usual_gap_at_first(heard: DateTime<Utc>, all: Extent) -> Option<TimeDelta> {
    (heard - all.first >= TimeDelta::weeks(1)).then_some(all.longest_gap)
}

/// How long a silence may last. `None`: for ever, or nobody can say. `least`: no silence is out of the ordinary before that.
pub fn longest_silence(patience: Patience, usual: Option<TimeDelta>, least: TimeDelta) -> Option<TimeDelta> {
    match patience {
        Patience::Learned => usual.map(|usual| (usual * FACTOR).max(least)),
        Patience::Fixed(span) => Some(span),
        Patience::Endless => None,
    }
}

/// Whether a sender is silent. `heard`: its last message; `watched_since`: what was not listened to is no silence.
pub fn is_silent(
    heard: DateTime<Utc>,
    watched_since: DateTime<Utc>,
    longest: TimeDelta,
    now: DateTime<Utc>,
) -> bool {
    now - heard.max(watched_since) > longest
}

#[cfg(test)]
mod tests;
