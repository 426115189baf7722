//! Taking a decision back. What a link put into a chart is withdrawn, not deleted: somebody may have acted on it, so it
//! stays in the history of what that chart has shown. What it had superseded is shown again, its orders stand where they
//! stood, its alerts belong to nobody, and those who read the chart are told.
//!
//! Where later versions build on what was filed it is refused: a final may have let the alert of a linked preliminary stand
//! for itself, and a message that only confirmed the linked value is no longer the value's source if that goes. Whoever
//! linked those as well takes them back first; where the laboratory itself said whose they are, the link was right.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::{Value, json};

use super::{KIND, alerts, case::Case};
use crate::{
    context::{Caller, Ctx},
    domain::{
        access::Action,
        order::{OrderEvent, OrderStatus, TestStatus, reported},
        review::Verb,
    },
    lab::{
        access::{self, Resource},
        error::LabError,
        intake::{Footprint, OrderBefore, annotate},
        order_progress::{Cause, move_order},
    },
    store::{
        db::{self, Tx},
        entity::{alert_event, lab_order, lab_order_test, review_item},
        intake::{alerts_before, confirm},
        orders,
        reviews::{self, Version},
    },
};

pub(super) async fn undo_once(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    reason: Option<&str>,
) -> Result<review_item::Model, LabError> {
    let mut tx = db::write(&ctx.db, "undo_review").await?;
    let case = Case::take(&tx, id, Verb::Undo).await?;
    let decided = case.resolution()?;
    if decided.action == Verb::Link && decided.made.is_none() {
        return Err(LabError::Conflict(
            "A registration that was applied is mended where it comes from, and sent again".into(),
        ));
    }
    let mut undone = json!({ "by": caller.username, "at": ctx.clock.now(), "reason": reason });
    if let Some(made) = &decided.made {
        take_out(ctx, &mut tx, caller, made).await?;
        alerts::untie(ctx, &mut tx, caller, &made.alerts, decided.at).await?;
        for order in &made.orders {
            move_back(ctx, &mut tx, caller, order, &made.reports, case.message.id).await?;
        }
    }
    alerts::reopen(ctx, &mut tx, caller, &decided.closed_alerts).await?;
    if let (true, Some(patient)) = (decided.created_patient, decided.patient_id) {
        let used = reviews::is_in_use(&tx, patient).await?;
        if !used {
            reviews::withdraw_patient(&tx, patient, ctx.clock.now()).await?;
        }
        undone["patient_withdrawn"] = json!(!used);
    }
    let row = case.reopen(&tx, undone).await?;
    let resource = Resource::one(KIND, id, decided.patient_id.as_slice());
    access::wrote(ctx, &tx, caller, Action::ResolveReview, resource).await?;
    tx.commit().await?;
    ctx.hints.orders.wake();
    tracing::info!(review_item = row.id, message = row.hl7_message_id, "review decision undone");
    Ok(row)
}

/// Takes results and reports out of the chart, and shows what they had superseded.
async fn take_out(ctx: &Ctx, tx: &mut Tx, caller: &Caller, made: &Footprint) -> Result<(), LabError> {
    let ours: HashSet<i64> = made.results.iter().copied().collect();
    let versions = reviews::versions_of(tx, &made.results).await?;
    let (ours, others): (Vec<Version>, Vec<Version>) =
        versions.into_iter().partition(|version| ours.contains(&version.id));
    refuse_if_built_on(&ours, &others)?;
    reviews::withdraw(tx, &rises(&ours, &others), ctx.clock.now()).await?;
    reviews::withdraw_reports(tx, &made.reports, ctx.clock.now()).await?;
    reviews::restore(tx, &made.superseded).await?;
    for before in &made.confirmed {
        confirm(tx, before.result, before.status_changed_at, before.sent_at).await?;
    }
    let restored: HashMap<(&str, i64), &Version> = others
        .iter()
        .filter(|version| made.superseded.contains(&version.id))
        .map(|version| ((version.result_key.as_str(), version.patient_id), version))
        .collect();
    for version in ours.iter().filter(|version| version.is_current) {
        let shown = restored.get(&(version.result_key.as_str(), version.patient_id)).copied();
        tell(ctx, tx, caller, version, shown).await?;
    }
    Ok(())
}

/// Refuses when versions of the same patient's results came after, other than those that were withdrawn.
fn refuse_if_built_on(ours: &[Version], others: &[Version]) -> Result<(), LabError> {
    let mut last: HashMap<(&str, i64), i32> = HashMap::new();
    for version in ours {
        let last = last.entry((version.result_key.as_str(), version.patient_id)).or_default();
        *last = version.version.max(*last);
    }
    let later = others.iter().find(|version| {
        let last = last.get(&(version.result_key.as_str(), version.patient_id));
        version.withdrawn_at.is_none() && last.is_some_and(|last| version.version > *last)
    });
    match later {
        Some(later) => Err(LabError::Conflict(format!(
            "Later results build on what was linked (result {}); if that was linked too, undo it first",
            later.id
        ))),
        None => Ok(()),
    }
}

/// By how much each version's number has to rise to lie beyond all others of its key.
fn rises(ours: &[Version], others: &[Version]) -> BTreeMap<i32, Vec<i64>> {
    let mut highest: HashMap<&str, i32> = HashMap::new();
    let mut lowest: HashMap<&str, i32> = HashMap::new();
    for version in ours.iter().chain(others) {
        let highest = highest.entry(&version.result_key).or_default();
        *highest = version.version.max(*highest);
    }
    for version in ours {
        let lowest = lowest.entry(&version.result_key).or_insert(version.version);
        *lowest = version.version.min(*lowest);
    }
    let mut rises: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for version in ours {
        let key = version.result_key.as_str();
        rises.entry(highest[key] - lowest[key] + 1).or_default().push(version.id);
    }
    rises
}

/// Tells those who read the chart what it shows now, and notes it with the alerts of what is shown again.
async fn tell(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    withdrawn: &Version,
    shown: Option<&Version>,
) -> Result<(), DbErr> {
    let note = json!({
        "result_id": shown.map_or(withdrawn.id, |shown| shown.id),
        "replaces_result_id": withdrawn.id,
        "patient_id": withdrawn.patient_id,
        "effect": "retraction",
        "reason": "link_undone",
        "old_value": withdrawn.value,
        "new_value": shown.and_then(|shown| shown.value.clone()),
        "by": caller.username,
        "at": ctx.clock.now(),
    });
    annotate_before(tx, withdrawn, note.clone()).await?;
    tx.emit(alert_event::ActiveModel {
        kind: Set("result_corrected".into()),
        patient_id: Set(Some(withdrawn.patient_id)),
        payload: Set(note),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    });
    Ok(())
}

async fn annotate_before(tx: &Tx, withdrawn: &Version, note: Value) -> Result<(), DbErr> {
    let (key, patient) = (&withdrawn.result_key, withdrawn.patient_id);
    for alert in alerts_before(&**tx, key, patient, withdrawn.version).await? {
        annotate(tx, alert, note.clone()).await?;
    }
    Ok(())
}

/// Puts an order back to where it stood, as far as nothing else has moved it since.
async fn move_back(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    moved: &OrderBefore,
    reports: &[i64],
    message_id: i64,
) -> Result<(), DbErr> {
    let Some(order) = orders::lock(&**tx, &[moved.order]).await?.pop() else { return Ok(()) };
    let tests = tests_moved_back(ctx, tx, moved, reports).await?;
    let from: OrderStatus = order.status.parse().unwrap_or(OrderStatus::Pending);
    if from != moved.after && !matches!(from, OrderStatus::Partial | OrderStatus::Resulted) {
        return Ok(());
    }
    let event = OrderEvent::ResultsWithdrawn { before: moved.before, left: reported(&tests) };
    let cause = Cause {
        actor: &caller.username,
        kind: "results_withdrawn",
        detail: None,
        message_id: Some(message_id),
    };
    let order = move_order(ctx, tx, order, event, cause).await?;
    if order.status != OrderStatus::Resulted.as_str() && order.resulted_at.is_some() {
        let mut change: lab_order::ActiveModel = order.into();
        change.resulted_at = Set(None);
        change.update(&**tx).await?;
    }
    Ok(())
}

/// The statuses of all tests of the order, those that nothing else reports put back.
async fn tests_moved_back(
    ctx: &Ctx,
    tx: &Tx,
    moved: &OrderBefore,
    reports: &[i64],
) -> Result<Vec<TestStatus>, DbErr> {
    let reported_by_others = reviews::tests_reported(tx, moved.order, reports).await?;
    let mut statuses = Vec::new();
    for row in orders::tests_of(&**tx, &[moved.order]).await? {
        let now: TestStatus = row.status.parse().unwrap_or(TestStatus::Ordered);
        let mine = moved.tests.iter().find(|test| test.test == row.id && test.after == now);
        let Some(mine) = mine.filter(|_| !reported_by_others.contains(&row.id)) else {
            statuses.push(now);
            continue;
        };
        statuses.push(mine.before);
        let mut change: lab_order_test::ActiveModel = row.into();
        change.status = Set(mine.before.to_string());
        change.filler_order_number = Set(mine.filler.clone());
        change.updated_at = Set(ctx.clock.now());
        change.update(&**tx).await?;
    }
    Ok(statuses)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn version(id: i64, key: &str, patient_id: i64, version: i32) -> Version {
        let (result_key, value) = (key.to_owned(), None);
        Version { id, result_key, patient_id, version, is_current: true, value, withdrawn_at: None }
    }

    #[test]
    fn what_is_withdrawn_lies_beyond_every_other_version() {
        let ours =
            [version(2, "a", 7, 2), version(3, "a", 7, 3), version(5, "b", 7, 1), version(7, "c", 7, 2)];
        let others = [version(1, "a", 7, 1), version(6, "b", 8, 4), version(8, "c", 7, 1)];
        let rises = rises(&ours, &others);
        assert_eq!(rises, BTreeMap::from([(1, vec![7]), (2, vec![2, 3]), (4, vec![5])]));
    }

    #[test]
    fn only_later_versions_of_the_same_patient_stand_in_the_way() {
        let ours = [version(2, "a", 7, 2)];
        let of_another = version(3, "a", 8, 3);
        let earlier = version(1, "a", 7, 1);
        let withdrawn = Version { withdrawn_at: Some(chrono::DateTime::UNIX_EPOCH), ..version(4, "a", 7, 4) };
        assert!(refuse_if_built_on(&ours, &[of_another, earlier, withdrawn]).is_ok());
        assert!(refuse_if_built_on(&ours, &[version(5, "a", 7, 5)]).is_err());
    }
}
