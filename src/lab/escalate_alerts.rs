//! Alerts that nobody took. Promise: a critical result that is not taken on is announced again and again until somebody
//! does, whichever process is alive: the deadlines stand in the table.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set};
use serde_json::{Value, json};

use super::error::LabError;
use crate::{
    context::Ctx,
    domain::alert::{AlertEvent, AlertStatus},
    store::{
        db::{self, Tx},
        entity::{alert_event, critical_alert},
        escalations,
    },
};

/// Alerts moved in one transaction at most.
const AT_ONCE: u64 = 100;
/// The pause between two steps doubles up to this: an alert that stays open for weeks still says so every day, and its
/// row does not grow by a hundred entries a day.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Moves every alert whose deadline has passed one step up. Answers when the next deadline is, if there is one.
pub async fn escalate_alerts(ctx: &Ctx) -> Result<Option<DateTime<Utc>>, LabError> {
    loop {
        // Asked outside of a transaction, since most of the time the answer is "not yet".
        let next = escalations::next_deadline(ctx.db.reader()).await?;
        if next.is_none_or(|deadline| deadline > ctx.clock.now()) {
            return Ok(next);
        }
        let mut tx = db::write(&ctx.db, "escalate_alerts").await?;
        let due = escalations::due(&*tx, ctx.clock.now(), AT_ONCE).await?;
        for alert in due {
            escalate(ctx, &mut tx, alert).await?;
        }
        tx.commit().await?;
    }
}

async fn escalate(ctx: &Ctx, tx: &mut Tx, alert: critical_alert::Model) -> Result<(), LabError> {
    let from: AlertStatus = alert.status.parse().unwrap_or(AlertStatus::Open);
    let now = ctx.clock.now();
    let level = alert.escalation_level + 1;
    let mut change: critical_alert::ActiveModel = alert.clone().into();
    let Ok(to) = from.advance(AlertEvent::Escalate) else {
        change.escalate_at = Set(None);
        change.update(&**tx).await?;
        return Ok(());
    };
    let next = now + pause_after(ctx.config.alert_escalation, level);
    change.status = Set(to.to_string());
    change.escalation_level = Set(level);
    change.escalations = Set(with_step(&alert.escalations, level, now));
    change.escalate_at = Set(Some(next));
    change.update(&**tx).await?;
    tx.emit(escalated_event(&alert, level, now));
    tracing::warn!(alert_id = alert.id, level, "critical alert escalated");
    Ok(())
}

/// The pause before the step after this one.
fn pause_after(first: Duration, level: i32) -> chrono::Duration {
    let factor = 2_u32.checked_pow(level.max(0).unsigned_abs()).unwrap_or(u32::MAX);
    let pause = first.saturating_mul(factor).clamp(Duration::from_secs(1), LONGEST_PAUSE.max(first));
    chrono::Duration::from_std(pause).unwrap_or(chrono::Duration::days(1))
}

fn with_step(steps: &Value, level: i32, at: DateTime<Utc>) -> Value {
    let mut steps = steps.as_array().cloned().unwrap_or_default();
    steps.push(json!({ "level": level, "at": at }));
    Value::Array(steps)
}

fn escalated_event(alert: &critical_alert::Model, level: i32, at: DateTime<Utc>) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set("alert_escalated".into()),
        alert_id: Set(Some(alert.id)),
        patient_id: Set(alert.patient_id),
        lab_order_id: Set(alert.lab_order_id),
        payload: Set(json!({
            "alert_id": alert.id,
            "patient_id": alert.patient_id,
            "test_name": alert.test_name,
            "value": alert.value,
            "units": alert.units,
            "abnormal_flag": alert.abnormal_flag,
            "level": level,
            "raised_at": alert.raised_at,
            "at": at,
        })),
        created_at: Set(at),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day() {
        let minutes = |level| pause_after(Duration::from_mins(15), level).num_minutes();
        assert_eq!([1, 2, 3, 6, 7, 40, i32::MAX].map(minutes), [30, 60, 120, 960, 1440, 1440, 1440]);
    }

    #[test]
    fn a_pause_is_never_zero_nor_shorter_than_configured() {
        assert_eq!(pause_after(Duration::ZERO, 1).num_seconds(), 1);
        assert_eq!(pause_after(Duration::from_hours(72), 1).num_days(), 3);
    }

    #[test]
    fn steps_are_added_and_a_damaged_list_begins_anew() {
        let first = with_step(&Value::Null, 1, DateTime::UNIX_EPOCH);
        let second = with_step(&first, 2, DateTime::UNIX_EPOCH);
        assert_eq!(
            second,
            json!([{"level": 1, "at": "1970-01-01T00:00:00Z"}, {"level": 2, "at": "1970-01-01T00:00:00Z"}])
        );
    }
}
