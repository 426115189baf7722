//! Alarms about a LIS endpoint: when one opens and when it closes.
//!
//! Each trouble is told twice, when it starts and when it ends, however long it lasts and however often somebody looks.

use chrono::{DateTime, TimeDelta, Utc};

use super::spelling::spelled;

spelled! {
    /// What is wrong.
    pub enum AlarmKind {
        /// It has sent nothing for longer than is usual for it.
        Silent = "silent",
        /// What is to be sent to it waits for too long.
        QueueAge = "queue_age",
    }
}

spelled! {
    /// Why an alarm was closed.
    pub enum AlarmEnd {
        /// The trouble is over: a message came, or the queue moves.
        Over = "over",
        /// Nobody looks any more: the endpoint was switched off or deleted, or its profile says not to.
        NotWatched = "not_watched",
    }
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As before.
    Stay,
    /// An alarm opens.
    Open,
    /// The open one closes.
    Close(AlarmEnd),
}

/// What a look at a sender found. `heard`: its last message; `silent`: for longer than is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// When its last message came.
    pub heard: DateTime<Utc>,
    /// Whether that is too long ago.
    pub silent: bool,
}

/// What to do about a silence. `open_since`: the last message before the silence that an alarm is open for; `listening`: `None`
/// when nobody listens. Only a message ends a silence: that it would be usual by now, in the evening, does not.
pub fn on_silence(open_since: Option<DateTime<Utc>>, listening: Option<Listening>) -> Step {
    match (open_since, listening) {
        (Some(_), None) => Step::Close(AlarmEnd::NotWatched),
        (Some(since), Some(look)) if look.heard > since => Step::Close(AlarmEnd::Over),
        (None, Some(look)) if look.silent => Step::Open,
        _ => Step::Stay,
    }
}

/// What a look at a queue found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Since when the message waits that has waited longest; `None` when none does.
    pub oldest: Option<DateTime<Utc>>,
    /// How long one may wait.
    pub longest: TimeDelta,
    /// While nobody was there to send, nothing is late.
    pub watched_since: DateTime<Utc>,
}

/// What to do about a queue. `queue`: `None` when nothing is sent there at all. An alarm opens when the oldest message has
/// waited for too long, and closes when none has waited for half as long: a laboratory that is merely slow opens one alarm, and
/// not one after the other.
pub fn on_queue(is_open: bool, queue: Option<Queue>, now: DateTime<Utc>) -> Step {
    let Some(queue) = queue else {
        return if is_open { Step::Close(AlarmEnd::NotWatched) } else { Step::Stay };
    };
    let waits_longer = |since: DateTime<Utc>, span| now - since > span;
    let too_long = |oldest: DateTime<Utc>| waits_longer(oldest.max(queue.watched_since), queue.longest);
    let still_long = |oldest| waits_longer(oldest, queue.longest / 2);
    match is_open {
        true if !queue.oldest.is_some_and(still_long) => Step::Close(AlarmEnd::Over),
        false if queue.oldest.is_some_and(too_long) => Step::Open,
        _ => Step::Stay,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    #[test]
    fn a_silence_opens_and_only_a_message_or_nobody_closes() {
        let look = |heard, silent| Some(Listening { heard: at(heard), silent });
        let table = [
            ("all is well", None, look(5, false), Step::Stay),
            ("nobody listens", None, None, Step::Stay),
            ("it falls silent", None, look(5, true), Step::Open),
            ("it stays silent", Some(at(5)), look(5, true), Step::Stay),
            ("the silence has become usual", Some(at(5)), look(5, false), Step::Stay),
            ("it speaks", Some(at(5)), look(6, false), Step::Close(AlarmEnd::Over)),
            ("it spoke, and is silent again since", Some(at(5)), look(6, true), Step::Close(AlarmEnd::Over)),
            ("it is switched off", Some(at(5)), None, Step::Close(AlarmEnd::NotWatched)),
        ];
        for (what, open, listening, expected) in table {
            assert_eq!(on_silence(open, listening), expected, "{what}");
        }
    }

    #[test]
    fn a_queue_opens_late_and_closes_early() {
        let queue = |oldest: Option<i64>, since| {
            Some(Queue { oldest: oldest.map(at), longest: TimeDelta::minutes(15), watched_since: at(since) })
        };
        let table = [
            ("empty", false, queue(None, 0), 100, Step::Stay),
            ("to the minute", false, queue(Some(85), 0), 100, Step::Stay),
            ("a minute more", false, queue(Some(84), 0), 100, Step::Open),
            ("we were away", false, queue(Some(0), 90), 100, Step::Stay),
            ("it goes on", true, queue(Some(84), 0), 100, Step::Stay),
            ("a little better", true, queue(Some(90), 0), 100, Step::Stay),
            ("it moves", true, queue(Some(93), 0), 100, Step::Close(AlarmEnd::Over)),
            ("it is empty", true, queue(None, 0), 100, Step::Close(AlarmEnd::Over)),
            ("changed meanwhile", true, queue(Some(0), 99), 100, Step::Stay),
            ("nothing is sent there", true, None, 100, Step::Close(AlarmEnd::NotWatched)),
            ("nor was", false, None, 100, Step::Stay),
        ];
        for (what, is_open, queue, now, expected) in table {
            assert_eq!(on_queue(is_open, queue, at(now)), expected, "{what}");
        }
    }

    proptest! {
        /// However the looks judge it: one silence opens one alarm at most, and closes none.
        #[test]
        fn one_silence_opens_once(looks in prop::collection::vec(any::<bool>(), 0..200)) {
            let (mut open, mut steps) = (None, Vec::new());
            for silent in looks.iter().copied() {
                let step = on_silence(open, Some(Listening { heard: at(0), silent }));
                if step == Step::Open {
                    open = Some(at(0));
                }
                steps.push(step);
            }
            let opened = steps.iter().filter(|step| **step == Step::Open).count();
            prop_assert_eq!(opened, usize::from(looks.contains(&true)));
            prop_assert!(steps.iter().all(|step| !matches!(step, Step::Close(_))));
        }

        /// One message that waits, whenever somebody looks: opened once, closed once.
        #[test]
        fn one_jam_opens_once(mut looks in prop::collection::vec(0..600_i64, 0..100), gone in 0..600_i64) {
            looks.sort_unstable();
            let (mut is_open, mut steps) = (false, Vec::new());
            for minute in looks {
                let oldest = (minute < gone).then(|| at(0));
                let queue = Queue { oldest, longest: TimeDelta::minutes(15), watched_since: at(0) };
                match on_queue(is_open, Some(queue), at(minute)) {
                    Step::Stay => {}
                    step => {
                        is_open = step == Step::Open;
                        steps.push(step);
                    }
                }
            }
            prop_assert!(steps.len() <= 2, "{:?}", steps);
        }
    }
}
