use chrono::{Datelike, Timelike, Weekday};
use proptest::prelude::*;

use super::{
    super::endpoint_alarm::{Listening, Step, on_silence},
    *,
};

const LEAST: TimeDelta = TimeDelta::minutes(15);
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(5);

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|_| panic!("{text} is no time"))
}

/// A sender's life, minute by minute, and what the watch makes of it.
struct Life {
    zone: Tz,
    gaps: BTreeMap<DateTime<Utc>, TimeDelta>,
    first: Option<DateTime<Utc>>,
    heard: Option<DateTime<Utc>>,
    open: Option<DateTime<Utc>>,
    opened: Vec<DateTime<Utc>>,
    closed: Vec<DateTime<Utc>>,
}

impl Life {
    fn new(zone: Tz) -> Self {
        let (gaps, opened, closed) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { zone, gaps, first: None, heard: None, open: None, opened, closed }
    }

    /// Goes on from one instant to another with a look now and then. `speaks`: the wall clock of the sender's place, at every
    /// tenth minute.
    fn live(&mut self, from: &str, until: &str, place: Tz, speaks: impl Fn(NaiveDateTime) -> bool) {
        let (mut now, until) = (time(from), time(until));
        while now < until {
            let local = now.with_timezone(&place).naive_local();
            if local.minute().is_multiple_of(10) && speaks(local) {
                self.hear(now);
            }
            self.look(now);
            now += LOOK_EVERY;
        }
    }

    fn hear(&mut self, now: DateTime<Utc>) {
        for hour in hours_of(self.heard, &[now]) {
            self.first.get_or_insert(hour.start);
            let gap = self.gaps.entry(hour.start).or_default();
            *gap = hour.longest_gap.max(*gap);
        }
        self.heard = Some(now);
    }

    /// Nothing is asked of what was learnt while the silence is short.
    fn usual(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        let heard = self.heard.filter(|heard| now - *heard > LEAST)?;
        usual_gap(now, self.zone, &self.gaps).or_else(|| {
            let longest_gap = self.gaps.values().max().copied().unwrap_or_default();
            usual_gap_at_first(heard, Extent { first: self.first?, longest_gap })
        })
    }

    fn look(&mut self, now: DateTime<Utc>) {
        let longest = longest_silence(Patience::Learned, self.usual(now), LEAST);
        let listening = self.heard.map(|heard| Listening {
            heard,
            silent: longest.is_some_and(|longest| is_silent(heard, DateTime::UNIX_EPOCH, longest, now)),
        });
        match on_silence(self.open, listening) {
            Step::Stay => {}
            Step::Open => {
                self.open = self.heard;
                self.opened.push(now);
            }
            Step::Close(_) => {
                self.open = None;
                self.closed.push(now);
            }
        }
    }
}

fn office_hours(local: NaiveDateTime) -> bool {
    !matches!(local.weekday(), Weekday::Sat | Weekday::Sun) && (8..18).contains(&local.hour())
}

#[test]
fn nights_weekends_and_the_change_of_clocks_are_no_silence() {
    // From winter into summer time (29 March 2026), with the zone of the place and with the zone left at UTC.
    for zone in [Tz::Europe__Berlin, Tz::UTC] {
        let mut life = Life::new(zone);
        life.live("2026-02-02T00:00:00Z", "2026-05-04T00:00:00Z", Tz::Europe__Berlin, office_hours);
        assert!(life.opened.is_empty(), "{zone}: {:?}", life.opened);
    }
    let mut autumn = Life::new(Tz::America__New_York);
    autumn.live("2026-10-05T00:00:00Z", "2026-12-07T00:00:00Z", Tz::America__New_York, office_hours);
    assert!(autumn.opened.is_empty(), "{:?}", autumn.opened);
}

#[test]
fn a_weekday_without_a_word_is_told_once_and_learnt_from_never() {
    let mut life = Life::new(Tz::UTC);
    life.live("2026-02-02T00:00:00Z", "2026-03-09T00:00:00Z", Tz::UTC, office_hours);
    // A holiday on a Monday: told an hour after the usual start, over on Tuesday.
    life.live("2026-03-09T00:00:00Z", "2026-03-10T00:00:00Z", Tz::UTC, |_| false);
    life.live("2026-03-10T00:00:00Z", "2026-03-16T00:00:00Z", Tz::UTC, office_hours);
    assert_eq!(life.opened, [time("2026-03-09T10:00:00Z")]);
    assert_eq!(life.closed, [time("2026-03-10T08:00:00Z")]);
    // The Monday after it the sender dies at noon: the holiday has taught nothing.
    life.live("2026-03-16T00:00:00Z", "2026-03-16T12:00:00Z", Tz::UTC, office_hours);
    life.live("2026-03-16T12:00:00Z", "2026-03-23T00:00:00Z", Tz::UTC, |_| false);
    assert_eq!(life.opened.get(1..), Some(&[time("2026-03-16T12:15:00Z")][..]));
    assert_eq!(life.closed.len(), 1, "a night and a weekend do not end it");
}

#[test]
fn too_little_is_known_at_first() {
    let around_the_clock = |_: NaiveDateTime| true;
    let table = [
        // Six days: nothing is known.
        ("2026-02-08T00:00:00Z", None),
        // One week and more: the longest gap of all.
        ("2026-02-11T00:00:00Z", Some("2026-02-11T00:15:00Z")),
        // Two weeks: that of the hour.
        ("2026-02-17T00:00:00Z", Some("2026-02-17T00:15:00Z")),
    ];
    for (dies, told) in table {
        let mut life = Life::new(Tz::UTC);
        life.live("2026-02-02T00:00:00Z", dies, Tz::UTC, around_the_clock);
        let end = (time(dies) + TimeDelta::hours(12)).to_rfc3339();
        life.live(dies, &end, Tz::UTC, |_| false);
        assert_eq!(life.opened, told.map(time).into_iter().collect::<Vec<_>>(), "{dies}");
    }
    let mut weekdays = Life::new(Tz::UTC);
    weekdays.live("2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z", Tz::UTC, office_hours);
    assert!(weekdays.opened.is_empty(), "{:?}", weekdays.opened);
}

#[test]
fn one_that_sent_a_single_message_is_never_missed() {
    let mut life = Life::new(Tz::UTC);
    life.hear(time("2026-02-02T08:00:00Z"));
    life.live("2026-02-02T08:05:00Z", "2026-05-04T00:00:00Z", Tz::UTC, |_| false);
    assert!(life.opened.is_empty(), "{:?}", life.opened);
}

#[test]
fn hours_between_messages_are_silent() {
    let hour = |start: &str, messages, minutes| HeardHour {
        start: time(start),
        messages,
        longest_gap: TimeDelta::minutes(minutes),
    };
    let times = ["2026-02-02T08:10:00Z", "2026-02-02T08:40:00Z", "2026-02-02T11:15:00Z"].map(time);
    assert_eq!(
        hours_of(None, &times),
        [
            hour("2026-02-02T08:00:00Z", 2, 30),
            hour("2026-02-02T09:00:00Z", 0, 80),
            hour("2026-02-02T10:00:00Z", 0, 140),
            hour("2026-02-02T11:00:00Z", 1, 155),
        ]
    );
    let late = hours_of(Some(times[2]), &times[..1]);
    assert_eq!(late, [hour("2026-02-02T08:00:00Z", 1, 0)], "it counts, and says nothing of gaps");
    let years = hours_of(Some(DateTime::UNIX_EPOCH), &times[2..]);
    assert_eq!(years.len(), 8 * 7 * 24 + 1);
}

#[test]
fn patience_is_learned_fixed_or_endless() {
    let minutes = TimeDelta::minutes;
    let table = [
        (Patience::Learned, None, None),
        (Patience::Learned, Some(minutes(2)), Some(LEAST)),
        (Patience::Learned, Some(minutes(20)), Some(minutes(40))),
        (Patience::Fixed(minutes(5)), Some(minutes(20)), Some(minutes(5))),
        (Patience::Fixed(minutes(5)), None, Some(minutes(5))),
        (Patience::Endless, Some(minutes(20)), None),
    ];
    for (patience, usual, expected) in table {
        assert_eq!(longest_silence(patience, usual, LEAST), expected, "{patience:?} {usual:?}");
    }
    let (heard, now) = (time("2026-02-02T08:00:00Z"), time("2026-02-02T09:00:00Z"));
    assert!(is_silent(heard, heard, minutes(59), now) && !is_silent(heard, heard, minutes(60), now));
    assert!(!is_silent(heard, time("2026-02-02T08:30:00Z"), minutes(59), now), "nobody listened before");
}

#[test]
fn an_hour_is_compared_with_the_same_hour_on_the_wall() {
    let weeks = comparable_hours(time("2026-04-01T06:20:00Z"), Tz::Europe__Berlin);
    assert_eq!(weeks.len(), 8);
    let hours = ["06:00", "07:00", "08:00"].map(|hour| time(&format!("2026-03-25T{hour}:00Z")));
    assert_eq!(weeks.first(), Some(&hours), "8:20 in Berlin was an hour later in winter, by UTC");
    // 2:30 on 29 March was left out.
    let left_out = comparable_hours(time("2026-04-05T00:30:00Z"), Tz::Europe__Berlin);
    let hours = ["00:00", "01:00", "01:00"].map(|hour| time(&format!("2026-03-29T{hour}:00Z")));
    assert_eq!(left_out.first(), Some(&hours));
}

proptest! {
    /// However the messages are read, in one go or in parts, the hours are the same.
    #[test]
    fn parts_say_what_the_whole_says(mut minutes in prop::collection::vec(0..20_000_i64, 1..60), cut in 0..60_usize) {
        minutes.sort_unstable();
        let times: Vec<_> = minutes.iter().map(|minute| DateTime::UNIX_EPOCH + TimeDelta::minutes(*minute)).collect();
        let (one, two) = times.split_at(cut.min(times.len()));
        let mut parts: BTreeMap<DateTime<Utc>, HeardHour> = BTreeMap::new();
        for hour in hours_of(None, one).into_iter().chain(hours_of(one.last().copied(), two)) {
            let known = parts.entry(hour.start).or_insert(unheard(hour.start));
            known.messages += hour.messages;
            known.longest_gap = known.longest_gap.max(hour.longest_gap);
        }
        prop_assert_eq!(hours_of(None, &times), parts.into_values().collect::<Vec<_>>());
    }

    /// Whatever was learnt: one long gap opens one alarm at most, and closes it once, when it ends.
    #[test]
    fn one_gap_is_told_once(spoken in prop::collection::vec(1..3000_i64, 30..120), gap_hours in 1..400_i64) {
        let mut life = Life::new(Tz::Europe__Berlin);
        let mut now = time("2026-01-05T00:00:00Z");
        for pause in spoken {
            life.hear(now);
            now += TimeDelta::minutes(pause);
        }
        let end = now + TimeDelta::hours(gap_hours);
        while now < end {
            life.look(now);
            now += TimeDelta::minutes(20);
        }
        life.hear(now);
        life.look(now);
        prop_assert!(life.opened.len() <= 1);
        prop_assert_eq!(life.closed.len(), life.opened.len());
    }
}
