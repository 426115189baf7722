#![allow(clippy::unwrap_used)]

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{
    Effect, IncomingVersion, OrderRef, Place, ResultKey, ResultStatus, Stamp, Supersede,
    SupersedeWarning as W, supersede,
};
use crate::domain::ids::EndpointId;

/// Minute `n` of the day, as OBR-22 and MSH-7.
fn at(minute: i64) -> Stamp {
    let time = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minute);
    Stamp { status_changed_at: Some(time), sent_at: Some(time) }
}

/// `F 5 @10`: status, value (`-` for none), minute (`?` for no stamp at all).
fn version(text: &str) -> IncomingVersion {
    let parts: Vec<&str> = text.split_whitespace().collect();
    IncomingVersion {
        status: parts[0].parse().unwrap(),
        value: Some(parts[1]).filter(|value| *value != "-").map(ToOwned::to_owned),
        document: None,
        units: Some("mmol/L".to_owned()),
        flags: Vec::new(),
        reference_range: None,
        stamp: parts[2].trim_start_matches('@').parse().map(at).unwrap_or_default(),
    }
}

fn decide(current: &str, incoming: &str) -> Supersede {
    supersede(Some(&version(current)), &version(incoming))
}

/// Current, incoming; place, status shown, effect, value changed, warning.
type Line = (&'static str, &'static str, Place, &'static str, Effect, bool, Option<W>);

fn check(lines: &[Line]) {
    for (current, incoming, place, shown, effect, changed, warning) in lines {
        let decision = decide(current, incoming);
        let actual = (
            decision.place,
            decision.shown.as_str(),
            decision.effect,
            decision.value_changed,
            decision.warning,
        );
        assert_eq!(actual, (*place, *shown, *effect, *changed, *warning), "{current} <- {incoming}");
    }
}

const CUR: Place = Place::Current;
const HIS: Place = Place::History;

#[test]
fn the_usual_life_of_a_result() {
    check(&[
        ("I - @1", "P 5 @2", CUR, "P", Effect::Progress, true, None),
        ("R 5 @1", "P 5 @2", CUR, "P", Effect::Progress, false, None),
        ("P 5 @1", "P 5 @2", HIS, "P", Effect::Unchanged, false, None),
        ("P 5 @1", "P 6 @2", CUR, "P", Effect::Progress, true, None),
        ("P 5 @1", "F 5 @2", CUR, "F", Effect::Progress, false, None),
        ("P 5 @1", "F 6 @2", CUR, "F", Effect::Progress, true, None),
        ("F 5 @1", "C 6 @2", CUR, "C", Effect::Correction, true, None),
        ("C 6 @1", "C 7 @2", CUR, "C", Effect::Correction, true, None),
        ("F 5 @1", "C 5 @2", CUR, "C", Effect::Correction, false, None),
        ("F 5 @1", "F 5.0 @2", HIS, "F", Effect::Unchanged, false, None),
        ("F 5 @1", "V 5 @2", HIS, "F", Effect::Unchanged, false, None),
        ("C 6 @1", "F 6 @2", HIS, "C", Effect::Unchanged, false, None),
        ("F 5 @1", "A 6 @2", CUR, "A", Effect::Correction, true, None),
        ("F 5 @1", "B 5 @2", CUR, "B", Effect::Progress, false, None),
        ("unknown 5 @1", "F 5 @2", CUR, "F", Effect::Progress, false, None),
    ]);
}

#[test]
fn late_and_changed_finals() {
    check(&[
        ("F 5 @2", "P 4 @1", HIS, "F", Effect::Late, false, None),
        ("F 5 @1", "P 4 @2", HIS, "F", Effect::Late, false, None),
        ("C 5 @1", "R 4 @2", HIS, "C", Effect::Late, false, None),
        ("F 5 @1", "unknown 4 @2", HIS, "F", Effect::Late, false, None),
        ("P 5 @1", "I - @2", HIS, "P", Effect::Late, false, None),
        ("P 5 @2", "P 4 @1", HIS, "P", Effect::Late, false, None),
        ("F 5 @2", "F 4 @1", HIS, "F", Effect::Late, false, None),
        ("F 5 @2", "C 4 @1", HIS, "F", Effect::Late, false, Some(W::OlderThanCurrent)),
        ("C 5 @2", "F 4 @1", HIS, "C", Effect::Late, false, None),
        ("F 5 @1", "F 6 @2", CUR, "C", Effect::Correction, true, Some(W::FinalChangedWithoutCorrection)),
        ("F 5 @?", "F 6 @?", CUR, "C", Effect::Correction, true, Some(W::FinalChangedWithoutCorrection)),
        ("C 5 @1", "F 6 @2", CUR, "C", Effect::Correction, true, Some(W::FinalChangedWithoutCorrection)),
        ("C 5 @1", "F 6 @1", HIS, "C", Effect::Late, false, Some(W::FinalChangedWithoutCorrection)),
        ("F 5 @1", "F - @2", CUR, "C", Effect::Correction, true, Some(W::FinalChangedWithoutCorrection)),
    ]);
}

#[test]
fn retractions_hide_and_only_something_newer_brings_back() {
    check(&[
        ("F 5 @1", "W - @2", CUR, "W", Effect::Retraction, true, None),
        ("P 5 @1", "D - @?", CUR, "D", Effect::Retraction, true, None),
        ("F 5 @2", "W - @1", HIS, "F", Effect::Late, false, Some(W::OlderThanCurrent)),
        ("W - @1", "W - @2", HIS, "W", Effect::Unchanged, false, None),
        ("W - @1", "F 6 @2", CUR, "F", Effect::Correction, true, None),
        ("W - @1", "F 6 @1", HIS, "W", Effect::Late, false, Some(W::AfterRetraction)),
        ("W - @2", "F 6 @1", HIS, "W", Effect::Late, false, None),
        ("W - @1", "U - @2", HIS, "W", Effect::Late, false, Some(W::AfterRetraction)),
        ("F 5 @1", "X - @2", CUR, "X", Effect::Retraction, true, None),
        ("I - @1", "X - @2", CUR, "X", Effect::Progress, false, None),
        ("X - @1", "F 5 @2", CUR, "F", Effect::Progress, true, None),
        ("X - @1", "P 5 @2", HIS, "X", Effect::Late, false, None),
        ("F 5 @2", "X - @1", HIS, "F", Effect::Late, false, Some(W::OlderThanCurrent)),
    ]);
}

#[test]
fn now_final_keeps_the_value_it_speaks_of() {
    let kept = decide("P 5 @1", "U - @2");
    assert_eq!(
        (kept.place, kept.shown, kept.keeps_value, kept.value_changed),
        (CUR, ResultStatus::Final, true, false)
    );
    check(&[
        ("P 5 @2", "U - @1", HIS, "P", Effect::Late, false, None),
        ("F 5 @1", "U - @2", HIS, "F", Effect::Unchanged, false, None),
        ("P 5 @1", "U 6 @2", CUR, "F", Effect::Progress, true, None),
        ("I - @1", "U - @2", CUR, "U", Effect::Progress, false, Some(W::FinalWithoutValue)),
        ("U - @2", "P 5 @1", CUR, "F", Effect::Progress, true, None),
        ("U - @1", "P 5 @2", CUR, "P", Effect::Progress, true, None),
        ("U - @1", "C 5 @2", CUR, "C", Effect::Progress, true, None),
    ]);
}

#[test]
fn the_first_version_is_current_whatever_it_is() {
    for status in ResultStatus::ALL {
        let first = supersede(None, &version(&format!("{status} 5 @1")));
        assert_eq!((first.place, first.effect), (CUR, Effect::First), "{status}");
    }
    assert_eq!(supersede(None, &version("U - @1")).warning, Some(W::FinalWithoutValue));
}

#[test]
fn a_changed_unit_or_flag_is_a_changed_result() {
    let current = version("F 5 @1");
    let change = |change: fn(&mut IncomingVersion)| {
        let mut incoming = version("F 5 @2");
        change(&mut incoming);
        supersede(Some(&current), &incoming)
    };
    assert_eq!(change(|v| v.units = Some("mg/dL".to_owned())).effect, Effect::Correction);
    assert_eq!(change(|v| v.flags = vec!["HH".to_owned()]).effect, Effect::Correction);
    assert_eq!(change(|v| v.flags = vec!["N".to_owned()]).effect, Effect::Unchanged);
    let range = change(|v| v.reference_range = Some("4-6".to_owned()));
    assert_eq!((range.place, range.effect, range.value_changed), (CUR, Effect::Progress, false));
}

#[test]
fn obr_22_decides_before_msh_7() {
    let mut current = version("F 5 @10");
    let mut incoming = version("F 6 @9");
    incoming.stamp.sent_at = at(99).sent_at;
    assert_eq!(supersede(Some(&current), &incoming).place, HIS);
    incoming.stamp.status_changed_at = None;
    assert_eq!(supersede(Some(&current), &incoming).place, CUR);
    incoming.stamp.sent_at = at(9).sent_at;
    assert_eq!(supersede(Some(&current), &incoming).place, HIS);
    current.stamp = Stamp::default();
    assert_eq!(supersede(Some(&current), &incoming).place, CUR);
}

#[test]
fn a_confirmation_without_obr_22_forgets_none() {
    let confirmed = at(10).newest(Stamp { status_changed_at: None, ..at(20) });
    assert_eq!(confirmed, Stamp { status_changed_at: at(10).status_changed_at, sent_at: at(20).sent_at });
}

#[test]
fn statuses_read_leniently_and_label_themselves() {
    assert_eq!(ResultStatus::from_hl7(" f "), ResultStatus::Final);
    for odd in ["", "Z", "FINAL", "\"\""] {
        assert_eq!(ResultStatus::from_hl7(odd), ResultStatus::Unknown, "{odd}");
    }
    assert_eq!(ResultStatus::Corrected.label(), "Corrected");
    assert_eq!(ResultStatus::Unknown.to_string(), "unknown");
}

fn key(order: OrderRef, codes: [&str; 3], observed_at: Option<&str>) -> ResultKey {
    let [service_code, observation_code, sub_id] = codes.map(ToOwned::to_owned);
    ResultKey {
        endpoint: EndpointId::new(3),
        order,
        service_code,
        observation_code,
        sub_id,
        observed_at: observed_at.map(ToOwned::to_owned),
        occurrence: None,
    }
}

#[test]
fn a_key_rests_on_the_filler_number_and_names_its_kind() {
    assert_eq!(OrderRef::choose(Some(" F1 "), Some("P1"), "M1"), OrderRef::Filler("F1".to_owned()));
    assert_eq!(OrderRef::choose(Some(" "), Some("P1"), "M1"), OrderRef::Placer("P1".to_owned()));
    assert_eq!(OrderRef::choose(None, None, "M1"), OrderRef::Unnumbered("M1".to_owned()));
    let filler = key(OrderRef::Filler("1".to_owned()), ["CBC", "WBC", ""], None);
    let placer = key(OrderRef::Placer("1".to_owned()), ["CBC", "WBC", ""], None);
    assert_eq!(filler.canonical(), "1:3;1:F;1:1;3:CBC;3:WBC;0:;-;-;");
    assert_ne!(filler.canonical(), placer.canonical());
    assert_eq!(filler.hex(|_| [0xab; 32]), "ab".repeat(32));
}

/// `P`, `F` and `C` with distinct minutes, in any order of arrival.
fn arrivals() -> impl Strategy<Value = Vec<IncomingVersion>> {
    let one = (proptest::sample::select(vec!["P", "F", "C", "R", "I"]), 1..5_i64);
    proptest::collection::vec(one, 1..8).prop_flat_map(|list| {
        let versions: Vec<IncomingVersion> = list
            .iter()
            .enumerate()
            .map(|(minute, (status, value))| version(&format!("{status} {value} @{minute}")))
            .collect();
        Just(versions).prop_shuffle()
    })
}

/// Any status, few values, few minutes, so that they meet often.
fn any_version() -> impl Strategy<Value = IncomingVersion> {
    let status = proptest::sample::select(ResultStatus::ALL.to_vec());
    let parts = (status, 1..4_i64, 0..6_i64);
    parts.prop_map(|(status, value, minute)| version(&format!("{status} {value} @{minute}")))
}

/// What the intake does with each decision.
fn apply(current: &mut Option<IncomingVersion>, incoming: &IncomingVersion) -> Supersede {
    let decision = supersede(current.as_ref(), incoming);
    let mut next = if decision.place == CUR { incoming.clone() } else { current.clone().unwrap() };
    if decision.keeps_value {
        next.value = current.as_ref().unwrap().value.clone();
    }
    next.status = decision.shown;
    if decision.confirms_current {
        next.stamp = next.stamp.newest(incoming.stamp);
    }
    *current = Some(next);
    decision
}

proptest! {
    #[test]
    fn any_order_of_arrival_ends_with_the_newest_final(versions in arrivals()) {
        let mut current = None;
        for incoming in &versions {
            apply(&mut current, incoming);
        }
        let current = current.unwrap();
        let finals = versions.iter().filter(|version| version.status.is_final());
        let newest = finals.max_by_key(|version| version.stamp.sent_at);
        if let Some(expected) = newest {
            prop_assert!(current.status.is_final());
            prop_assert_eq!(&current.value, &expected.value);
        }
    }

    #[test]
    fn a_preliminary_never_stands_over_a_final(
        versions in proptest::collection::vec(any_version(), 1..12),
    ) {
        let mut current: Option<IncomingVersion> = None;
        for incoming in versions {
            let before = current.clone();
            let decision = apply(&mut current, &incoming);
            let was_final = before.as_ref().is_some_and(|v| v.status.is_final());
            let taken_back = decision.shown.is_retraction() || decision.shown == ResultStatus::NotObtainable;
            let is_sound = decision.shown.is_final() || taken_back;
            prop_assert!(!was_final || is_sound, "{before:?} <- {incoming:?}: {decision:?}");
            prop_assert_eq!(decision.shown, current.as_ref().unwrap().status);
        }
    }

    #[test]
    fn the_same_message_twice_changes_nothing(incoming in any_version()) {
        let mut current = None;
        apply(&mut current, &incoming);
        let again = apply(&mut current, &incoming);
        prop_assert_eq!((again.place, again.effect), (HIS, Effect::Unchanged));
    }

    #[test]
    fn no_content_moves_the_border_between_two_parts(text in "[0-9:;-]{1,12}", cuts in [0..12_usize, 0..12]) {
        let [first, second] = cuts.map(|cut| cut.min(text.len()));
        let cut_at = |at: usize| {
            let (service, observation) = text.split_at(at);
            key(OrderRef::Filler("1".to_owned()), [service, observation, ""], None).canonical()
        };
        prop_assert_eq!(cut_at(first) == cut_at(second), first == second);
    }
}
