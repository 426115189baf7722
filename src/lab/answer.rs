//! What a sender is answered: which acknowledgments, by MSH-15 and MSH-16 (HL7 v2.5.1 §2.9, table 0155).

use super::endpoint_profile::AckMode;
use crate::{hl7::ack::AckCode, store::db::Receipt};

/// How a message ended, before the mode decides on the letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accept,
    /// Its content cannot be taken; sending it again is useless.
    Error,
    /// Not for us, or not now.
    Reject,
}

impl Verdict {
    fn application(self) -> AckCode {
        match self {
            Self::Accept => AckCode::AA,
            Self::Error => AckCode::AE,
            Self::Reject => AckCode::AR,
        }
    }

    fn commit(self) -> AckCode {
        match self {
            Self::Accept => AckCode::CA,
            Self::Error => AckCode::CE,
            Self::Reject => AckCode::CR,
        }
    }
}

/// The acknowledgments due, in order. Original mode, where both fields are empty: one application acknowledgment.
/// Enhanced mode: each field says for itself; one that is empty beside a valued one counts as NE. An endpoint set to enhanced
/// mode gets a commit acknowledgment also where both are empty.
pub fn acknowledgments(
    mode: AckMode,
    accept: Option<&str>,
    application: Option<&str>,
    verdict: Verdict,
) -> Vec<AckCode> {
    let silent = accept.is_none() && application.is_none();
    match mode {
        AckMode::Original => return vec![verdict.application()],
        AckMode::Enhanced if silent => return vec![verdict.commit()],
        AckMode::Auto if silent => return vec![verdict.application()],
        AckMode::Auto | AckMode::Enhanced => {}
    }
    let due = |condition: Option<&str>| match condition {
        Some("AL") => true,
        Some("ER") => verdict != Verdict::Accept,
        Some("SU") => verdict == Verdict::Accept,
        _ => false,
    };
    let commit = due(accept).then(|| verdict.commit());
    // A commit error ends the exchange: who has read it waits for no application acknowledgment, and would take one for
    // the answer to the next message.
    let ended = commit.is_some() && verdict != Verdict::Accept;
    let application = (!ended && due(application)).then(|| verdict.application());
    commit.into_iter().chain(application).collect()
}

/// Bytes for a sender. One that accepts cannot be made without the receipt of a commit.
pub struct Reply {
    frames: Vec<Vec<u8>>,
    settled: bool,
    refused: bool,
}

impl Reply {
    /// "It is on disk": needs the proof.
    pub fn accept(_proof: &Receipt, frames: Vec<Vec<u8>>) -> Self {
        Self { frames, settled: true, refused: false }
    }

    /// Says whether the message was refused. The frames do not tell when the sender wants none.
    #[must_use]
    pub fn refused_if(self, refused: bool) -> Self {
        Self { refused, ..self }
    }

    /// A refusal that stands: sending the message again is answered the same.
    pub fn refuse(frames: Vec<Vec<u8>>) -> Self {
        Self { frames, settled: true, refused: true }
    }

    /// Nothing was done; the message has to come again.
    pub fn not_now(frames: Vec<Vec<u8>>) -> Self {
        Self { frames, settled: false, refused: true }
    }

    /// The messages to send, each to be framed by itself.
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// Whether the message was taken.
    pub fn is_accepted(&self) -> bool {
        !self.refused
    }

    /// Whether this is the last word.
    pub fn is_settled(&self) -> bool {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AckCode::{AA, AE, CA, CE};

    #[test]
    fn the_fields_decide_as_the_standard_says() {
        type Case = (Option<&'static str>, Option<&'static str>, &'static [AckCode], &'static [AckCode]);
        let table: [Case; 9] = [
            (None, None, &[AA], &[AE]),
            (Some("AL"), Some("NE"), &[CA], &[CE]),
            (Some("NE"), Some("AL"), &[AA], &[AE]),
            (Some("AL"), Some("AL"), &[CA, AA], &[CE]),
            (Some("NE"), Some("NE"), &[], &[]),
            (Some("ER"), Some("AL"), &[AA], &[CE]),
            (Some("SU"), Some("ER"), &[CA], &[AE]),
            (Some("SU"), None, &[CA], &[]),
            (None, Some("AL"), &[AA], &[AE]),
        ];
        for (accept, application, good, bad) in table {
            let of = |verdict| acknowledgments(AckMode::Auto, accept, application, verdict);
            assert_eq!(of(Verdict::Accept), good, "{accept:?} {application:?}");
            assert_eq!(of(Verdict::Error), bad, "{accept:?} {application:?}");
        }
    }

    #[test]
    fn original_mode_is_one_answer_whatever_the_fields_say() {
        let of = |accept| acknowledgments(AckMode::Original, accept, Some("NE"), Verdict::Accept);
        assert_eq!((of(Some("AL")), of(Some("NE"))), (vec![AA], vec![AA]));
    }

    #[test]
    fn enhanced_mode_is_a_commit_answer_unless_the_fields_say_more() {
        let of =
            |accept, application| acknowledgments(AckMode::Enhanced, accept, application, Verdict::Accept);
        assert_eq!(of(None, None), [CA]);
        assert_eq!(of(Some("AL"), Some("AL")), [CA, AA]);
        assert_eq!(of(Some("NE"), Some("NE")), []);
    }
}
