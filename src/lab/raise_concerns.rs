//! Telling of what is late or refused. Promise: each thing is told once on the stream, whichever process finds it first, and
//! however often the service starts anew: a unique key decides.

mod over;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, QuerySelect};
use serde_json::{Value, json};

use super::{
    error::LabError,
    worklists::{Scene, makes_up_for, still_late},
};
use crate::{
    context::Ctx,
    domain::reconcile::{Concern, Duty, Refusal, windows},
    store::{
        db,
        entity::{alert_event, lab_order, lab_order_test, lab_report, order_concern},
        reconcile,
    },
};

/// Things told in one transaction at most.
const AT_ONCE: u64 = 100;

/// Something that is told now, unless it was.
struct News {
    concern: Concern,
    /// The order, test or report.
    subject: i64,
    order: Option<i64>,
    patient: i64,
    payload: Value,
    /// Not worth an event: somebody here wanted it, or it is over already. It is only never looked at again.
    known: bool,
}

/// Tells of everything that became late, was refused or called off, and marks as over what is. Answers how many things were
/// told.
pub async fn raise_concerns(ctx: &Ctx) -> Result<usize, LabError> {
    let scene = Scene::load(ctx, None).await?;
    let mut told = tell_of_late(ctx, &scene).await?;
    for refusal in Refusal::ALL.iter().copied() {
        told += tell_of_refused(ctx, &scene, refusal).await?;
    }
    told += tell_of_ended(ctx, &scene).await?;
    over::resolve_what_is_over(ctx, &scene).await?;
    Ok(told)
}

async fn tell_of_late(ctx: &Ctx, scene: &Scene) -> Result<usize, LabError> {
    let mut told = 0;
    for window in windows(&scene.limits, scene.now) {
        if !window.lab_says_it_takes && scene.silent.is_empty() {
            continue;
        }
        loop {
            let query = reconcile::late_untold(&window, &scene.silent).limit(AT_ONCE);
            let rows = query.all(ctx.db.reader()).await?;
            let found = rows.len() as u64;
            let news = rows.into_iter().map(|order| late(&order, window.duty, scene)).collect();
            told += tell(ctx, news).await?;
            if found < AT_ONCE {
                break;
            }
        }
    }
    Ok(told)
}

fn late(order: &lab_order::Model, duty: Duty, scene: &Scene) -> News {
    let due = still_late(order, scene).map(|(_, due)| due);
    News {
        concern: duty.into(),
        subject: order.id,
        order: Some(order.id),
        patient: order.patient_id,
        payload: json!({
            "order_id": order.id,
            "patient_id": order.patient_id,
            "reason": duty,
            "status": order.status,
            "priority": order.priority,
            "lis_endpoint_id": order.lis_endpoint_id,
            "ordered_at": order.created_at,
            "due_at": due,
        }),
        known: false,
    }
}

async fn tell_of_refused(ctx: &Ctx, scene: &Scene, refusal: Refusal) -> Result<usize, LabError> {
    let mut told = 0;
    loop {
        let query = reconcile::refused_untold(refusal, scene.since).limit(AT_ONCE);
        let rows = query.all(ctx.db.reader()).await?;
        let found = rows.len() as u64;
        let ids: Vec<i64> = rows.iter().filter_map(|report| report.lab_order_id).collect();
        let others = reconcile::reports_of(ctx.db.reader(), &ids).await?;
        let news = rows.iter().map(|report| {
            let known = others.iter().any(|other| makes_up_for(other, report));
            News { known, ..refused(report, refusal) }
        });
        told += tell(ctx, news.collect()).await?;
        if found < AT_ONCE {
            return Ok(told);
        }
    }
}

fn refused(report: &lab_report::Model, refusal: Refusal) -> News {
    News {
        concern: refusal.into(),
        subject: report.id,
        order: report.lab_order_id,
        patient: report.patient_id,
        payload: json!({
            "order_id": report.lab_order_id,
            "report_id": report.id,
            "patient_id": report.patient_id,
            "reason": refusal,
            "test_code": report.service_code,
            "test_name": report.service_text,
            "lis_endpoint_id": report.lis_endpoint_id,
        }),
        known: false,
    }
}

async fn tell_of_ended(ctx: &Ctx, scene: &Scene) -> Result<usize, LabError> {
    let reader = ctx.db.reader();
    let mut told = 0;
    loop {
        let query = reconcile::ended_untold(Concern::Ended.as_str(), scene.since).limit(AT_ONCE);
        let tests = query.all(reader).await?;
        let found = tests.len() as u64;
        let ids: Vec<i64> = tests.iter().map(|test| test.lab_order_id).collect();
        let ours = reconcile::called_off_by_us(reader, &ids).await?;
        let rows = reconcile::orders_by_id(reader, ids).await?;
        let news = tests.iter().filter_map(|test| {
            let order = rows.iter().find(|order| order.id == test.lab_order_id)?;
            Some(ended(test, order, ours.contains(&order.id)))
        });
        told += tell(ctx, news.collect()).await?;
        if found < AT_ONCE {
            return Ok(told);
        }
    }
}

fn ended(test: &lab_order_test::Model, order: &lab_order::Model, known: bool) -> News {
    let reason = if test.status == "rejected" { "refused_by_lab" } else { "cancelled_by_lab" };
    News {
        concern: Concern::Ended,
        subject: test.id,
        order: Some(order.id),
        patient: order.patient_id,
        payload: json!({
            "order_id": order.id,
            "patient_id": order.patient_id,
            "reason": reason,
            "test_code": test.test_code,
            "test_name": test.test_name,
            "lis_endpoint_id": order.lis_endpoint_id,
        }),
        known,
    }
}

/// Writes down what is told, with an event for each thing that nobody told of before.
async fn tell(ctx: &Ctx, news: Vec<News>) -> Result<usize, LabError> {
    if news.is_empty() {
        return Ok(0);
    }
    let now = ctx.clock.now();
    let mut tx = db::write(&ctx.db, "raise_concerns").await?;
    let mut told = 0;
    for one in news {
        if reconcile::tell_once(&*tx, concern(&one, now)).await? && !one.known {
            tracing::warn!(concern = %one.concern, order = one.order, "an order needs to be looked at");
            tx.emit(event(one, now));
            told += 1;
        }
    }
    tx.commit().await?;
    Ok(told)
}

fn concern(news: &News, now: DateTime<Utc>) -> order_concern::ActiveModel {
    order_concern::ActiveModel {
        kind: Set(news.concern.to_string()),
        subject_id: Set(news.subject),
        lab_order_id: Set(news.order),
        raised_at: Set(now),
        resolved_at: Set(news.known.then_some(now)),
        ..Default::default()
    }
}

fn event(news: News, now: DateTime<Utc>) -> alert_event::ActiveModel {
    alert_event::ActiveModel {
        kind: Set(news.concern.event().to_owned()),
        patient_id: Set(Some(news.patient)),
        lab_order_id: Set(news.order),
        payload: Set(news.payload),
        created_at: Set(now),
        ..Default::default()
    }
}
