//! What a lab's answer says of an order beyond "received": an ORR^O02 or ORL^O22 decides on each test.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};

use super::{
    error::LabError,
    order_progress::{Cause, move_order, note},
    record_attempt::Attempt,
};
use crate::{
    context::Ctx,
    domain::{
        order::{CancelState, OrderEvent, OrderStatus, TestStatus, order_status_from_tests},
        retry::{AckCode, Next},
    },
    hl7::ack::{Reply, ReplyOrder},
    store::{
        db::Tx,
        entity::{lab_order, lab_order_test},
        orders,
    },
};

/// The longest order number of a lab that can be stored.
const LONGEST_NUMBER: usize = 100;

/// Lets the decisions of an answer act on the tests, and the tests on the order.
pub(super) async fn apply(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    reply: &Reply,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    if reply.orders.is_empty() {
        return Ok(());
    }
    let mut statuses = Vec::new();
    for test in orders::tests_of(&**tx, &[order.id]).await? {
        let decision = decision_on(&reply.orders, &order.placer_order_number, &test.placer_order_number);
        let filler = decision.and_then(|decision| decision.filler.as_deref());
        statuses.push(update_test(ctx, tx, test, decision.and_then(status_of), filler).await?);
    }
    let fillers = reply.orders.iter().filter_map(|one| one.filler.as_deref());
    let order = remember_number(ctx, tx, order, fillers).await?;
    let from: OrderStatus = order.status.parse().unwrap_or(OrderStatus::Pending);
    if let Some((event, kind)) = event_to(order_status_from_tests(from, &statuses)) {
        move_order(ctx, tx, order, event, Cause { kind, detail: None, ..cause }).await?;
    }
    Ok(())
}

/// The same, but for what the lab declines: it may have taken the order on long before.
pub(super) async fn apply_consent(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    reply: &Reply,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    let mut consent = reply.clone();
    consent.orders.retain(|decision| status_of(decision) == Some(TestStatus::InLab));
    apply(ctx, tx, order, &consent, cause).await
}

/// The part of an answer that is about a test: the one that names it, else one that names the whole order or nothing.
fn decision_on<'r>(decisions: &'r [ReplyOrder], order: &str, test: &str) -> Option<&'r ReplyOrder> {
    let named = |decision: &&ReplyOrder| decision.placer.as_deref().is_some_and(|placer| placer == test);
    let general = |decision: &&ReplyOrder| decision.placer.as_deref().is_none_or(|placer| placer == order);
    decisions.iter().find(named).or_else(|| decisions.iter().find(general))
}

/// DE (data errors) is a refusal too: the lab will not do what it could not read.
fn status_of(decision: &ReplyOrder) -> Option<TestStatus> {
    let control = decision.control.as_deref();
    if control == Some("DE") {
        return Some(TestStatus::Rejected);
    }
    TestStatus::from_hl7(None, decision.status.as_deref(), control)
}

/// Whether an answer that takes the message declines everything that was ordered by it.
pub(super) fn declines_all(reply: &Reply) -> bool {
    let declined =
        |one: &ReplyOrder| matches!(status_of(one), Some(TestStatus::Rejected | TestStatus::Cancelled));
    !reply.orders.is_empty() && reply.orders.iter().all(declined)
}

/// Lets news of a test act on it, and keeps the lab's number of it. Answers where the test stands then.
pub(super) async fn update_test(
    ctx: &Ctx,
    tx: &Tx,
    test: lab_order_test::Model,
    news: Option<TestStatus>,
    filler: Option<&str>,
) -> Result<TestStatus, DbErr> {
    let before: TestStatus = test.status.parse().unwrap_or(TestStatus::Ordered);
    let after = news.map_or(before, |news| before.advance(news));
    let number = test.filler_order_number.clone().or_else(|| usable(filler));
    if (after, &number) != (before, &test.filler_order_number) {
        let mut change: lab_order_test::ActiveModel = test.into();
        change.status = Set(after.to_string());
        change.filler_order_number = Set(number);
        change.updated_at = Set(ctx.clock.now());
        change.update(&**tx).await?;
    }
    Ok(after)
}

/// A number of the lab, if it can be kept: one that does not fit must not fail the whole answer.
fn usable(number: Option<&str>) -> Option<String> {
    let number = number.map(str::trim).filter(|number| !number.is_empty())?;
    let fits = number.chars().count() <= LONGEST_NUMBER && !number.chars().any(char::is_control);
    fits.then(|| number.to_owned())
}

/// The lab's number of the whole order is known where it gave a single one.
pub(super) async fn remember_number(
    ctx: &Ctx,
    tx: &Tx,
    order: lab_order::Model,
    fillers: impl Iterator<Item = &str>,
) -> Result<lab_order::Model, DbErr> {
    let mut numbers: Vec<String> = fillers.filter_map(|number| usable(Some(number))).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let ([number], None) = (numbers.as_slice(), &order.filler_order_number) else { return Ok(order) };
    let mut change: lab_order::ActiveModel = order.into();
    change.filler_order_number = Set(Some(number.clone()));
    change.updated_at = Set(ctx.clock.now());
    change.update(&**tx).await
}

/// The event that leads to the status which the tests call for.
pub(super) fn event_to(status: OrderStatus) -> Option<(OrderEvent, &'static str)> {
    match status {
        OrderStatus::Acknowledged => Some((OrderEvent::LabAccepted, "accepted_by_lab")),
        OrderStatus::Rejected => Some((OrderEvent::LabRefused, "refused_by_lab")),
        OrderStatus::Cancelled => Some((OrderEvent::CancelledByLab, "cancelled_by_lab")),
        _ => None,
    }
}

/// What a try means for an order that the lab was asked to call off. Only its consent moves the order; a refusal leaves
/// it where it is, because it never left there.
pub(super) async fn settle_cancellation(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    cause: Cause<'_>,
    (attempt, next): (&Attempt, &Next),
) -> Result<(), LabError> {
    let kind = match (cancel_answer(attempt), next) {
        (_, Next::RetryAt(_) | Next::WaitForPeer(_)) => "cancellation_tried",
        (Some(CancelState::Consented), _) => {
            let cause = Cause { kind: "cancelled_by_lab", ..cause };
            return cancel_by_consent(ctx, tx, order, cause).await;
        }
        (Some(_), _) => "cancellation_refused",
        (None, _) => "cancellation_given_up",
    };
    Ok(note(ctx, tx, &order, Cause { kind, ..cause }, None).await?)
}

/// The lab agrees that nobody works on the order.
pub(super) async fn cancel_by_consent(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    cause: Cause<'_>,
) -> Result<(), LabError> {
    cancel_tests(ctx, tx, order.id).await?;
    Ok(move_order(ctx, tx, order, OrderEvent::CancelConsented, cause).await.map(|_| ())?)
}

/// Whether an answer to a cancellation says no.
pub(super) fn declines(attempt: &Attempt) -> bool {
    cancel_answer(attempt) == Some(CancelState::Refused)
}

/// What the lab said to a cancellation, when it said anything. One test that it will not call off is a refusal: the
/// order goes on.
fn cancel_answer(attempt: &Attempt) -> Option<CancelState> {
    let (reply, _) = attempt.reply.as_ref()?;
    let code: AckCode = reply.code.as_str().parse().ok()?;
    let said = reply.orders.iter().map(|order| CancelState::from_answer(code, order.control.as_deref()));
    let bare = CancelState::from_answer(code, None);
    Some(said.fold(bare, |all, one| if one == CancelState::Refused { one } else { all }))
}

/// Marks what is not reported yet as called off.
pub(super) async fn cancel_tests(ctx: &Ctx, tx: &Tx, order: i64) -> Result<(), LabError> {
    for test in orders::tests_of(&**tx, &[order]).await? {
        update_test(ctx, tx, test, Some(TestStatus::Cancelled), None).await?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::retry::AttemptOutcome;

    fn decision(control: &str, placer: Option<&str>) -> ReplyOrder {
        ReplyOrder {
            control: Some(control.into()),
            placer: placer.map(str::to_owned),
            ..ReplyOrder::default()
        }
    }

    fn answer(segments: &str) -> Attempt {
        let text = format!("MSH|^~\\&|LIS|LAB|PMS|H|2024||ORR^O02|9|P|2.5.1\r{segments}");
        let reply = Reply::parse(text.as_bytes()).unwrap();
        Attempt { reply: Some((reply, Vec::new())), ..Attempt::failed(AttemptOutcome::TimedOut, "") }
    }

    #[test]
    fn a_decision_is_found_by_the_tests_number_then_by_the_orders() {
        let all = [decision("UA", Some("7-2")), decision("OK", Some("7")), decision("NA", Some("8-1"))];
        let control = |test| decision_on(&all, "7", test).and_then(|found| found.control.as_deref());
        assert_eq!(control("7-2"), Some("UA"));
        assert_eq!(control("7-1"), Some("OK"));
        assert!(decision_on(&all[2..], "7", "7-1").is_none());
        assert!(decision_on(&[decision("OK", None)], "7", "7-1").is_some());
    }

    #[test]
    fn controls_mean_what_the_table_says() {
        let table = [
            ("OK", Some(TestStatus::InLab)),
            ("NA", Some(TestStatus::InLab)),
            ("UA", Some(TestStatus::Rejected)),
            ("DE", Some(TestStatus::Rejected)),
            ("OC", Some(TestStatus::Cancelled)),
            ("ZZ", None),
        ];
        for (control, expected) in table {
            assert_eq!(status_of(&decision(control, None)), expected, "{control}");
        }
    }

    #[test]
    fn an_order_follows_its_tests() {
        use TestStatus::{InLab, Ordered, Rejected};
        let of = |tests: &[TestStatus]| {
            event_to(order_status_from_tests(OrderStatus::Sent, tests)).map(|(event, _)| event)
        };
        assert_eq!(of(&[InLab, Rejected]), Some(OrderEvent::LabAccepted));
        assert_eq!(of(&[Rejected, Rejected]), Some(OrderEvent::LabRefused));
        assert_eq!(of(&[Ordered, Rejected]), None);
    }

    #[test]
    fn a_cancellation_needs_consent_for_every_test() {
        let table = [
            ("MSA|AA|1\r", Some(CancelState::Consented)),
            ("MSA|CA|1\r", Some(CancelState::Consented)),
            ("MSA|AA|1\rORC|CR|7-1\rORC|CR|7-2\r", Some(CancelState::Consented)),
            ("MSA|AA|1\rORC|CR|7-1\rORC|UC|7-2\r", Some(CancelState::Refused)),
            ("MSA|AA|1\rORC|UA|7-1\r", Some(CancelState::Refused)),
            ("MSA|AE|1\r", Some(CancelState::Refused)),
            ("MSA|AR|1\rORC|CR|7-1\r", Some(CancelState::Refused)),
        ];
        for (segments, expected) in table {
            assert_eq!(cancel_answer(&answer(segments)), expected, "{segments}");
        }
        assert_eq!(cancel_answer(&Attempt::failed(AttemptOutcome::TimedOut, "")), None);
    }

    #[test]
    fn a_number_that_cannot_be_kept_is_left_out() {
        assert_eq!(usable(Some(" F1 ")), Some("F1".into()));
        for bad in [None, Some(""), Some("a\tb"), Some("x".repeat(101).as_str())] {
            assert_eq!(usable(bad), None);
        }
    }
}
