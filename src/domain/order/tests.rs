#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::OrderEvent as E;
use super::OrderStatus::{self as S, *};
use super::{CancelRoute, CancelState, Priority, Reported, TestStatus, order_status_from_tests, reported};
use crate::domain::retry::AckCode;

const EVENTS: [E; 10] = [
    E::Delivered,
    E::LabAccepted,
    E::LabRefused,
    E::Results(Reported::Some),
    E::Results(Reported::All),
    E::DeliveryExhausted,
    E::Requeued,
    E::CancelConsented,
    E::CancelledByLab,
    E::CancelledHere,
];

/// The whole machine: a line per status, a column per event in the order of `EVENTS`; a dash is a refusal.
const TABLE: &str = "
    pending       sent         acknowledged rejected  partial  resulted failed       -       cancelled cancelled cancelled
    sent          sent         acknowledged rejected  partial  resulted sent         -       cancelled cancelled -
    acknowledged  acknowledged acknowledged rejected  partial  resulted acknowledged -       cancelled cancelled -
    partial       partial      partial      partial   partial  resulted partial      -       resulted  resulted  -
    resulted      resulted     resulted     resulted  resulted resulted resulted     -       resulted  resulted  -
    rejected      -            acknowledged rejected  partial  resulted rejected     pending cancelled cancelled -
    failed        sent         acknowledged rejected  partial  resulted failed       pending cancelled cancelled cancelled
    cancelled     -            cancelled    cancelled partial  resulted cancelled    -       cancelled cancelled -
";

#[test]
fn every_transition_is_as_the_table_says() {
    let lines: Vec<Vec<&str>> = TABLE.trim().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), S::ALL.len());
    for line in lines {
        let status: S = line[0].parse().unwrap();
        assert_eq!(line.len(), EVENTS.len() + 1);
        for (event, expected) in EVENTS.iter().zip(&line[1..]) {
            let actual = status.advance(*event).map_or("-", S::as_str);
            assert_eq!(actual, *expected, "{status} + {event:?}");
        }
    }
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    let refused = Resulted.advance(E::CancelledHere).unwrap_err();
    assert_eq!(refused.to_string(), "an order that is resulted cannot be cancelled");
}

#[test]
fn an_order_that_may_be_at_the_laboratory_is_never_cancelled_silently() {
    let here = [Pending, Failed];
    let ask = [Sent, Acknowledged, Partial];
    for status in S::ALL {
        let expected_unsent = match status {
            s if here.contains(s) => Some(CancelRoute::Here),
            s if ask.contains(s) => Some(CancelRoute::AskLab),
            _ => None,
        };
        assert_eq!(status.cancel_route(false), expected_unsent, "{status}");
        assert_eq!(status.cancel_route(true), expected_unsent.map(|_| CancelRoute::AskLab), "{status}");
    }
}

#[test]
fn only_a_positive_answer_without_a_refusal_is_consent() {
    let table = [
        (AckCode::AA, None, CancelState::Consented),
        (AckCode::CA, None, CancelState::Consented),
        (AckCode::AA, Some("CR"), CancelState::Consented),
        (AckCode::AA, Some("UC"), CancelState::Refused),
        (AckCode::AA, Some("UA"), CancelState::Refused),
        (AckCode::AE, None, CancelState::Refused),
        (AckCode::AR, Some("CR"), CancelState::Refused),
    ];
    for (ack, control, expected) in table {
        assert_eq!(CancelState::from_answer(ack, control), expected, "{ack} {control:?}");
    }
}

#[test]
fn reads_the_laboratorys_words_about_a_test() {
    use TestStatus::{Cancelled, Done, InLab, Partial, Rejected};
    type Word = Option<&'static str>;
    let table: [(Word, Word, Word, Option<TestStatus>); 16] = [
        (Some("F"), None, None, Some(Done)),
        (Some("C"), None, None, Some(Done)),
        (Some("X"), Some("CA"), Some("OC"), Some(Done)),
        (Some("P"), None, Some("RE"), Some(Partial)),
        (Some("A"), Some("IP"), None, Some(Partial)),
        (Some("I"), None, None, Some(InLab)),
        (Some("Z"), None, None, None),
        (Some(""), Some("A"), None, Some(Partial)),
        (None, Some("CM"), None, Some(InLab)),
        (None, Some("DC"), None, Some(Cancelled)),
        (None, Some("ER"), None, Some(Rejected)),
        (None, Some("HD"), None, None),
        (None, None, Some("OK"), Some(InLab)),
        (None, None, Some("UA"), Some(Rejected)),
        (None, None, Some("OC"), Some(Cancelled)),
        (None, None, Some("RE"), None),
    ];
    for (obr_25, orc_5, orc_1, expected) in table {
        assert_eq!(TestStatus::from_hl7(obr_25, orc_5, orc_1), expected, "{obr_25:?} {orc_5:?} {orc_1:?}");
    }
}

/// A line per status, a column per news, both in the order ordered, in_lab, partial, done, rejected,
/// cancelled.
const TEST_TABLE: &str = "
    ordered   in_lab    partial done rejected  cancelled
    in_lab    in_lab    partial done rejected  cancelled
    partial   partial   partial done partial   cancelled
    done      done      done    done done      done
    rejected  in_lab    partial done rejected  cancelled
    cancelled cancelled partial done cancelled cancelled
";

#[test]
fn every_step_of_a_test_is_as_the_table_says() {
    for (status, line) in TestStatus::ALL.iter().zip(TEST_TABLE.trim().lines()) {
        let actual: Vec<&str> = TestStatus::ALL.iter().map(|news| status.advance(*news).as_str()).collect();
        assert_eq!(actual, line.split_whitespace().collect::<Vec<_>>(), "{status}");
    }
}

#[test]
fn an_order_follows_its_tests() {
    use TestStatus as T;
    let table: [(S, &[T], S); 17] = [
        (Sent, &[], Sent),
        (Sent, &[T::Ordered, T::Ordered], Sent),
        (Sent, &[T::InLab, T::Ordered], Acknowledged),
        (Acknowledged, &[T::Done, T::InLab], Partial),
        (Acknowledged, &[T::Partial], Partial),
        (Partial, &[T::Done, T::Done], Resulted),
        (Partial, &[T::Done, T::Cancelled], Resulted),
        (Partial, &[T::Done, T::Rejected], Partial),
        (Pending, &[T::Done], Resulted),
        (Failed, &[T::Partial], Partial),
        (Cancelled, &[T::Cancelled, T::Done], Resulted),
        (Cancelled, &[T::Cancelled, T::InLab], Cancelled),
        (Sent, &[T::Rejected, T::Rejected], Rejected),
        (Sent, &[T::Rejected, T::Cancelled], Rejected),
        (Sent, &[T::Rejected, T::Ordered], Sent),
        (Sent, &[T::Cancelled], Cancelled),
        (Partial, &[T::Cancelled], Resulted),
    ];
    for (current, tests, expected) in table {
        assert_eq!(order_status_from_tests(current, tests), expected, "{current} {tests:?}");
    }
}

#[test]
fn priorities_are_letters_here_and_words_elsewhere() {
    for (text, expected) in [
        ("r", Priority::Routine),
        ("STAT", Priority::Stat),
        (" asap ", Priority::Asap),
        ("T", Priority::Timed),
    ] {
        assert_eq!(text.parse::<Priority>().unwrap(), expected);
    }
    assert!("X".parse::<Priority>().is_err() && "".parse::<Priority>().is_err());
    for priority in Priority::ALL {
        let json = serde_json::to_string(priority).unwrap();
        assert_eq!(json, format!("\"{priority}\""));
        assert_eq!(serde_json::from_str::<Priority>(&json).unwrap(), *priority);
    }
    let orderable: Vec<&str> =
        Priority::ALL.iter().filter(|p| p.is_orderable()).map(|p| p.as_str()).collect();
    assert_eq!(orderable, ["R", "S", "A"]);
}

/// How far an order is on its way; the statuses off the way count as its start.
fn progress(status: S) -> u8 {
    match status {
        Sent => 1,
        Acknowledged => 2,
        Partial => 3,
        Resulted => 4,
        Pending | Rejected | Failed | Cancelled => 0,
    }
}

fn events() -> impl Strategy<Value = Vec<E>> {
    proptest::collection::vec(proptest::sample::select(EVENTS.to_vec()), 0..30)
}

fn words() -> impl Strategy<Value = Vec<TestStatus>> {
    proptest::collection::vec(proptest::sample::select(TestStatus::ALL.to_vec()), 0..20)
}

proptest! {
    #[test]
    fn an_order_with_results_never_hides_them(events in events()) {
        let (mut status, mut reported) = (Pending, 0);
        for event in events {
            status = status.advance(event).unwrap_or(status);
            if let E::Results(_) = event {
                reported = reported.max(progress(status));
            }
            prop_assert!(reported == 0 || progress(status) >= reported, "{status} after {event:?}");
        }
    }

    #[test]
    fn a_test_that_was_reported_stays_reported(news in words()) {
        let mut status = TestStatus::Ordered;
        for word in news {
            let was_done = status == TestStatus::Done;
            status = status.advance(word);
            prop_assert!(!was_done || status == TestStatus::Done);
            prop_assert!(word != TestStatus::Done || status == TestStatus::Done);
        }
    }
}

#[test]
fn a_late_refusal_to_cancel_restores_where_the_order_stood() {
    for status in S::ALL {
        for before in [Pending, Sent, Acknowledged, Failed] {
            let after = status.advance(E::CancelDeclined { before });
            assert_eq!(after.ok(), (*status == Cancelled).then_some(before), "{status}: results win over it");
        }
    }
}

#[test]
fn withdrawn_results_leave_what_others_reported() {
    use TestStatus as T;
    for status in S::ALL {
        for before in S::ALL {
            let after = |left| status.advance(E::ResultsWithdrawn { before: *before, left });
            assert_eq!(after(None), Ok(*before), "{status}");
            assert_eq!(after(Some(Reported::Some)), Ok(Partial));
            assert_eq!(after(Some(Reported::All)), Ok(Resulted));
        }
    }
    for (tests, expected) in [
        (vec![T::Ordered, T::InLab], None),
        (vec![T::Ordered, T::Done], Some(Reported::Some)),
        (vec![T::Cancelled, T::Done], Some(Reported::All)),
        (vec![T::Cancelled], None),
        (vec![], None),
    ] {
        assert_eq!(reported(&tests), expected, "{tests:?}");
    }
}
