//! What decisions mean for the alerts of held observations. None of them closes one in silence, and none lets one rest that
//! was taken on for the wrong patient.

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr, EntityTrait};
use serde_json::{Value, json};

use crate::{
    context::{Caller, Ctx},
    domain::{
        alert::{AlertEvent, AlertStatus},
        review::acknowledgment_stands,
    },
    lab::{error::LabError, intake::annotate},
    store::{
        db::Tx,
        entity::{alert_event, critical_alert, review_item},
        reviews,
    },
};

/// Closes the alerts of a rejected item, each with the reason: whoever rejects it takes on those that nobody has yet.
/// Answers where they stood.
pub(super) async fn close(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    item: &review_item::Model,
    reason: &str,
) -> Result<Vec<(i64, String)>, DbErr> {
    let mut closed = Vec::new();
    for alert in of_item(tx, item).await? {
        let from = status(&alert);
        let Ok(to) = take_on(from).advance(AlertEvent::Resolve) else { continue };
        closed.push((alert.id, alert.status.clone()));
        let now = ctx.clock.now();
        let mut change = critical_alert::ActiveModel { id: Set(alert.id), ..Default::default() };
        change.status = Set(to.to_string());
        change.resolved_at = Set(Some(now));
        change.escalate_at = Set(None);
        if from.is_waiting() {
            change.acknowledged_by = Set(Some(caller.username.clone()));
            change.acknowledged_at = Set(Some(now));
            change.note = Set(Some(format!("Rejected in review: {reason}")));
            let payload = json!({ "alert_id": alert.id, "by": caller.username, "at": now });
            tx.emit(event(ctx, "alert_acknowledged", alert.id, payload));
        }
        change.update(&**tx).await?;
        let note = json!({ "effect": "rejected", "reason": reason, "by": caller.username, "at": now });
        annotate(tx, alert, note).await?;
    }
    Ok(closed)
}

/// A waiting alert that is taken on now.
fn take_on(status: AlertStatus) -> AlertStatus {
    status.advance(AlertEvent::Acknowledge).unwrap_or(status)
}

/// The alerts of what an item holds, which belong to nobody.
async fn of_item(tx: &Tx, item: &review_item::Model) -> Result<Vec<critical_alert::Model>, DbErr> {
    let blocks: Option<Vec<usize>> =
        item.blocks.clone().and_then(|blocks| serde_json::from_value(blocks).ok());
    let held = |alert: &critical_alert::Model| {
        let block = alert.source_ref.split(':').nth(2).and_then(|place| place.split('.').next());
        let block = block.and_then(|block| block.parse::<usize>().ok());
        let is_ours = block.is_some_and(|block| blocks.as_ref().is_none_or(|blocks| blocks.contains(&block)));
        alert.lab_result_id.is_none() && is_ours
    };
    Ok(reviews::alerts_of(&**tx, item.hl7_message_id).await?.into_iter().filter(held).collect())
}

/// Opens again what a rejection closed. One that somebody had taken on before it stays taken on.
pub(super) async fn reopen(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    closed: &[(i64, String)],
) -> Result<(), LabError> {
    for (id, before) in closed {
        let Some(alert) = critical_alert::Entity::find_by_id(*id).one(&**tx).await? else { continue };
        let Ok(open) = status(&alert).advance(AlertEvent::Reopen) else { continue };
        let was_taken = before.parse() == Ok(AlertStatus::Acknowledged);
        let mut change = critical_alert::ActiveModel { id: Set(alert.id), ..Default::default() };
        change.resolved_at = Set(None);
        if was_taken {
            change.status = Set(take_on(open).to_string());
        } else {
            wait_again(ctx, &mut change, open);
            tx.emit(event(ctx, "critical_result", alert.id, unowned(&alert)));
        }
        change.update(&**tx).await?;
        let note = json!({ "effect": "rejection_undone", "by": caller.username, "at": ctx.clock.now() });
        annotate(tx, alert, note).await?;
    }
    Ok(())
}

/// Gives the alerts of a link back to nobody. What was acknowledged for the patient of the link waits again.
pub(super) async fn untie(
    ctx: &Ctx,
    tx: &mut Tx,
    caller: &Caller,
    tied: &[i64],
    linked_at: DateTime<Utc>,
) -> Result<(), DbErr> {
    for id in tied {
        let Some(alert) = critical_alert::Entity::find_by_id(*id).one(&**tx).await? else { continue };
        let mut change = critical_alert::ActiveModel { id: Set(alert.id), ..Default::default() };
        change.lab_result_id = Set(None);
        change.patient_id = Set(None);
        change.lab_order_id = Set(None);
        let mut note = json!({
            "effect": "retraction",
            "reason": "link_undone",
            "result_id": alert.lab_result_id,
            "patient_id": alert.patient_id,
            "by": caller.username,
            "at": ctx.clock.now(),
        });
        let stands = acknowledgment_stands(alert.acknowledged_at, linked_at);
        let mut waits = status(&alert).is_waiting();
        if let (false, Ok(open)) = (stands, status(&alert).advance(AlertEvent::Reopen)) {
            waits = true;
            note["acknowledgment"] = json!({
                "by": alert.acknowledged_by,
                "at": alert.acknowledged_at,
                "note": alert.note,
                "read_back": alert.read_back,
            });
            wait_again(ctx, &mut change, open);
        }
        change.update(&**tx).await?;
        if waits {
            tx.emit(event(ctx, "critical_result", alert.id, unowned(&alert)));
        }
        annotate(tx, alert, note).await?;
    }
    Ok(())
}

fn status(alert: &critical_alert::Model) -> AlertStatus {
    alert.status.parse().unwrap_or(AlertStatus::Open)
}

/// The alert as nobody has taken it on, with a deadline of its own.
fn wait_again(ctx: &Ctx, change: &mut critical_alert::ActiveModel, open: AlertStatus) {
    let pause = chrono::Duration::from_std(ctx.config.alert_escalation).unwrap_or_default();
    change.status = Set(open.to_string());
    change.acknowledged_by = Set(None);
    change.acknowledged_at = Set(None);
    change.note = Set(None);
    change.read_back = Set(None);
    change.resolved_at = Set(None);
    change.escalate_at = Set(Some(ctx.clock.now() + pause));
}

fn unowned(alert: &critical_alert::Model) -> Value {
    json!({
        "alert_id": alert.id,
        "patient_id": null,
        "test_name": alert.test_name,
        "value": alert.value,
        "units": alert.units,
        "abnormal_flag": alert.abnormal_flag,
    })
}

fn event(ctx: &Ctx, kind: &str, alert: i64, payload: Value) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set(kind.into()),
        alert_id: Set(Some(alert)),
        payload: Set(payload),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}
