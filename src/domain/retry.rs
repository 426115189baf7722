//! What to do after an attempt to deliver a message.
//!
//! Every attempt sends the same bytes under the same control id, so trying again is always safe; the question
//! is only whether it can help. A refused content will be refused again; a busy or silent peer may not be.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spelling::spelled;

spelled! {
    /// MSA-1.
    pub enum AckCode {
        /// Application accept.
        AA = "AA",
        /// Application error: the content is at fault.
        AE = "AE",
        /// Application reject: the header is at fault, or the peer cannot take anything just now.
        AR = "AR",
        /// Commit accept.
        CA = "CA",
        /// Commit error.
        CE = "CE",
        /// Commit reject.
        CR = "CR",
    }
}

impl AckCode {
    /// The peer took the message.
    pub const fn is_positive(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// An ACK whose MSA-2 is our control id.
    Answered {
        /// MSA-1.
        code: AckCode,
        /// The codes of table 0357 in ERR-3 or MSA-6.
        errors: Vec<String>,
    },
    /// Sent, and nothing came back in time.
    TimedOut,
    /// Sent, and the peer closed the connection.
    Closed,
    /// An answer to something else came back. It may belong to an earlier attempt, so it is credited to none.
    Mismatched,
    /// No connection: the message never left.
    Unreachable,
}

spelled! {
    /// Why a message will not be tried again.
    pub enum DeadLetterReason {
        /// AE or CE: the sender has to correct the message.
        ContentRefused = "content_refused",
        /// AR or CR with 200 to 203: the peer does not take such messages.
        NotSupported = "not_supported",
        /// All retries are used up.
        RetriesExhausted = "retries_exhausted",
        /// The laboratory's system took the message, and its application rejected it.
        ApplicationRejected = "application_rejected",
        /// What is stored of the message cannot be read any more, so it could not be tried.
        Unreadable = "unreadable",
    }
}

impl DeadLetterReason {
    /// Whether the laboratory said no; else it was not heard, or could not be asked.
    pub const fn is_refusal(self) -> bool {
        match self {
            Self::ContentRefused | Self::NotSupported | Self::ApplicationRejected => true,
            Self::RetriesExhausted | Self::Unreadable => false,
        }
    }

    /// In words, for whoever has to decide what becomes of it.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ContentRefused => "the laboratory refused the content",
            Self::NotSupported => "the laboratory does not take such messages",
            Self::RetriesExhausted => "no try was accepted",
            Self::ApplicationRejected => "the laboratory took the message and then rejected it",
            Self::Unreadable => "it could not be sent",
        }
    }
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Delivered.
    Done,
    /// Try again after this time.
    RetryAt(Duration),
    /// A person has to look.
    DeadLetter {
        /// Why.
        reason: DeadLetterReason,
        /// The table 0357 code the peer gave, when it gave one.
        code: Option<String>,
    },
    /// The peer cannot be reached. The message waits and uses up no attempt: a laboratory that is down for a
    /// night must not turn a night's orders into dead letters.
    WaitForPeer(Duration),
}

/// Why a message has failed after all, going by what the peer's application said of it once its system had taken it; `None`:
/// it has not. Sending it again would be answered from the peer's memory, so no retry follows.
pub fn refusal_by_application(
    code: AckCode,
    errors: &[String],
) -> Option<(DeadLetterReason, Option<String>)> {
    let reason = match code {
        AckCode::AA | AckCode::CA => return None,
        AckCode::AE | AckCode::CE => DeadLetterReason::ContentRefused,
        AckCode::AR | AckCode::CR => match errors.iter().find(|code| is_unsupported(code)) {
            Some(code) => return Some((DeadLetterReason::NotSupported, Some(code.clone()))),
            None => DeadLetterReason::ApplicationRejected,
        },
    };
    Some((reason, errors.first().cloned()))
}

/// What was tried before, including the attempt just made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Attempts that put the message on the wire.
    pub attempts: u32,
    /// Failed connects in a row.
    pub unreachable: u32,
}

/// When to try again, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Waits before the first, second, … retry; the last one repeats.
    pub backoff: Vec<Duration>,
    /// Retries after the first attempt.
    pub retries: u32,
    /// Waits between connects to an unreachable peer; the last one repeats.
    pub reconnect: Vec<Duration>,
    /// How far a wait may be shortened or lengthened, so that many messages do not come back in step.
    pub jitter_percent: u8,
}

impl Default for RetryPolicy {
    /// Three retries after 5, 15 and 45 s.
    fn default() -> Self {
        let seconds = |waits: &[u64]| waits.iter().copied().map(Duration::from_secs).collect();
        Self {
            backoff: seconds(&[5, 15, 45]),
            retries: 3,
            reconnect: seconds(&[1, 2, 5, 10, 30]),
            jitter_percent: 10,
        }
    }
}

impl RetryPolicy {
    /// Decides. `chance` is a random number from 0 to 1, drawn by the caller.
    pub fn after(&self, outcome: &AttemptOutcome, tally: Tally, chance: f64) -> Next {
        match outcome {
            AttemptOutcome::Answered { code, .. } if code.is_positive() => Next::Done,
            AttemptOutcome::Answered { code: AckCode::AE | AckCode::CE, errors } => {
                Next::DeadLetter { reason: DeadLetterReason::ContentRefused, code: errors.first().cloned() }
            }
            AttemptOutcome::Answered { errors, .. } => {
                match errors.iter().find(|code| is_unsupported(code)) {
                    Some(code) => {
                        Next::DeadLetter { reason: DeadLetterReason::NotSupported, code: Some(code.clone()) }
                    }
                    None => self.retry(errors.first(), tally, chance),
                }
            }
            AttemptOutcome::TimedOut | AttemptOutcome::Closed | AttemptOutcome::Mismatched => {
                self.retry(None, tally, chance)
            }
            AttemptOutcome::Unreachable => {
                Next::WaitForPeer(self.jittered(wait(&self.reconnect, tally.unreachable), chance))
            }
        }
    }

    fn retry(&self, code: Option<&String>, tally: Tally, chance: f64) -> Next {
        if tally.attempts > self.retries {
            return Next::DeadLetter { reason: DeadLetterReason::RetriesExhausted, code: code.cloned() };
        }
        Next::RetryAt(self.jittered(wait(&self.backoff, tally.attempts), chance))
    }

    fn jittered(&self, delay: Duration, chance: f64) -> Duration {
        let chance = if chance.is_nan() { 0.5 } else { chance.clamp(0.0, 1.0) };
        let spread = f64::from(self.jitter_percent.min(100)) / 100.0;
        delay.mul_f64(1.0 + spread * (2.0 * chance - 1.0))
    }
}

/// The wait after the n-th failure. An empty list still waits, or a dead peer would be hammered.
fn wait(waits: &[Duration], failures: u32) -> Duration {
    let index = (failures.max(1) - 1) as usize;
    waits.get(index).or(waits.last()).copied().unwrap_or(Duration::from_secs(5))
}

/// Message type, event, processing id or version: the same bytes will meet the same answer.
fn is_unsupported(code: &str) -> bool {
    matches!(code.trim(), "200" | "201" | "202" | "203")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: AckCode, errors: &[&str]) -> AttemptOutcome {
        AttemptOutcome::Answered { code, errors: errors.iter().map(ToString::to_string).collect() }
    }

    fn after(outcome: &AttemptOutcome, attempts: u32) -> Next {
        RetryPolicy::default().after(outcome, Tally { attempts, unreachable: 0 }, 0.5)
    }

    fn dead(reason: DeadLetterReason, code: Option<&str>) -> Next {
        Next::DeadLetter { reason, code: code.map(ToOwned::to_owned) }
    }

    #[test]
    fn answers_decide_at_once() {
        use DeadLetterReason::{ContentRefused, NotSupported};
        assert_eq!(after(&answered(AckCode::AA, &[]), 1), Next::Done);
        assert_eq!(after(&answered(AckCode::CA, &[]), 4), Next::Done);
        assert_eq!(after(&answered(AckCode::AE, &["101"]), 1), dead(ContentRefused, Some("101")));
        assert_eq!(after(&answered(AckCode::CE, &[]), 1), dead(ContentRefused, None));
        for code in ["200", "201", "202", "203"] {
            assert_eq!(after(&answered(AckCode::AR, &[code]), 1), dead(NotSupported, Some(code)));
            assert_eq!(after(&answered(AckCode::CR, &["0", code]), 1), dead(NotSupported, Some(code)));
        }
    }

    #[test]
    fn what_an_application_says_late_is_final() {
        use DeadLetterReason::{ApplicationRejected, ContentRefused, NotSupported};
        let of = |code, errors: &[&str]| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            refusal_by_application(code, &errors)
        };
        let code = |code: &str| Some(code.to_owned());
        assert_eq!(of(AckCode::AA, &["0"]), None);
        assert_eq!(of(AckCode::AE, &["101"]), Some((ContentRefused, code("101"))));
        assert_eq!(of(AckCode::AR, &[]), Some((ApplicationRejected, None)));
        assert_eq!(of(AckCode::AR, &["207"]), Some((ApplicationRejected, code("207"))));
        assert_eq!(of(AckCode::AR, &["0", "203"]), Some((NotSupported, code("203"))));
    }

    #[test]
    fn one_try_and_three_retries() {
        let tries = [
            answered(AckCode::AR, &["207"]),
            answered(AckCode::CR, &[]),
            AttemptOutcome::TimedOut,
            AttemptOutcome::Closed,
            AttemptOutcome::Mismatched,
        ];
        for outcome in tries {
            let waits: Vec<Next> = (1..=3).map(|attempts| after(&outcome, attempts)).collect();
            assert_eq!(
                waits,
                [5, 15, 45].map(|seconds| Next::RetryAt(Duration::from_secs(seconds))),
                "{outcome:?}"
            );
            assert!(matches!(
                after(&outcome, 4),
                Next::DeadLetter { reason: DeadLetterReason::RetriesExhausted, .. }
            ));
        }
    }

    #[test]
    fn an_unreachable_peer_uses_up_no_attempt_however_long_it_takes() {
        let policy = RetryPolicy::default();
        let waits: Vec<Next> = [1, 2, 5, 1000]
            .iter()
            .map(|n| policy.after(&AttemptOutcome::Unreachable, Tally { attempts: 4, unreachable: *n }, 0.5))
            .collect();
        assert_eq!(waits, [1, 2, 30, 30].map(|seconds| Next::WaitForPeer(Duration::from_secs(seconds))));
    }

    #[test]
    fn more_retries_than_waits_repeat_the_last_and_none_means_none() {
        let many = RetryPolicy { retries: 5, ..RetryPolicy::default() };
        assert_eq!(
            many.after(&AttemptOutcome::TimedOut, Tally { attempts: 5, unreachable: 0 }, 0.5),
            Next::RetryAt(Duration::from_secs(45))
        );
        let none = RetryPolicy { retries: 0, backoff: Vec::new(), ..RetryPolicy::default() };
        assert!(matches!(
            none.after(&AttemptOutcome::TimedOut, Tally { attempts: 1, unreachable: 0 }, 0.5),
            Next::DeadLetter { .. }
        ));
    }

    #[test]
    fn jitter_stays_in_its_bounds_whatever_chance_says() {
        let policy = RetryPolicy::default();
        for (chance, millis) in [(0.0, 4500), (1.0, 5500), (-3.0, 4500), (9.0, 5500), (f64::NAN, 5000)] {
            let next = policy.after(&AttemptOutcome::TimedOut, Tally { attempts: 1, unreachable: 0 }, chance);
            let Next::RetryAt(delay) = next else { panic!("{next:?}") };
            assert!(
                delay.abs_diff(Duration::from_millis(millis)) < Duration::from_millis(1),
                "{chance}: {delay:?}"
            );
        }
    }
}
