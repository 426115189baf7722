//! Filing what waited for a person, as if it had come today: by the same rules, in the same rows, under the message it came
//! in. Two things differ. Where no time tells, what came in while it waited is the newer one. And the alerts it raised
//! while it was nobody's become the patient's; they are not raised again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    load, rows,
    save::{self, Filing, annotate},
};
use crate::{
    context::Ctx,
    domain::{
        alert::AlertStatus,
        ids::PatientId,
        intake::{Decision, Known, NewResult, Owner, decide_for},
        order::{OrderStatus, TestStatus},
        report::{Report, ReportedMessage},
        result::Stamp,
    },
    lab::rules,
    store::{
        db::Tx,
        entity::{alert_event, critical_alert, lab_order_test, patient},
        intake::Rows,
        orders, reviews,
    },
};

/// Blocks of a message that a person has found the patient of.
pub(crate) struct HeldBlocks<'a> {
    /// What the message says.
    pub(crate) message: &'a ReportedMessage,
    /// Its row.
    pub(crate) message_id: i64,
    /// MSH-4.
    pub(crate) facility: Option<&'a str>,
    /// Which blocks.
    pub(crate) blocks: &'a [usize],
    /// Who found the patient.
    pub(crate) actor: &'a str,
}

/// What filing wrote and changed: all that is needed to take it back.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Footprint {
    /// New reports.
    pub(crate) reports: Vec<i64>,
    /// New result versions.
    pub(crate) results: Vec<i64>,
    /// Versions that were shown before.
    pub(crate) superseded: Vec<i64>,
    /// Versions whose stamp moved, with the stamp they had.
    pub(crate) confirmed: Vec<StampBefore>,
    /// Alerts that were tied to the patient, or raised.
    pub(crate) alerts: Vec<i64>,
    /// Orders that moved, with where they stood.
    pub(crate) orders: Vec<OrderBefore>,
}

/// A result's stamp before it was confirmed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StampBefore {
    pub(crate) result: i64,
    pub(crate) status_changed_at: Option<DateTime<Utc>>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
}

/// Where an order stood, and where it stands since.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OrderBefore {
    pub(crate) order: i64,
    pub(crate) before: OrderStatus,
    pub(crate) after: OrderStatus,
    pub(crate) tests: Vec<TestBefore>,
}

/// Where a test stood, and where it stands since.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TestBefore {
    pub(crate) test: i64,
    pub(crate) before: TestStatus,
    pub(crate) after: TestStatus,
    pub(crate) filler: Option<String>,
}

/// Files the blocks to the patient.
pub(crate) async fn file_held(
    ctx: &Ctx,
    tx: &mut Tx,
    held: &HeldBlocks<'_>,
    patient: patient::Model,
) -> Result<Footprint, DbErr> {
    let rules = rules::load(ctx, &**tx).await?;
    let owners = owners(held, PatientId::new(patient.id));
    let mut known = load::held(tx, held.message, held.message_id, patient).await?;
    let stamps = stamps(&known);
    let before: HashMap<i64, OrderStatus> =
        known.orders.iter().map(|(id, order)| (id.get(), order.status)).collect();
    let reports: Vec<&Report> =
        held.blocks.iter().flat_map(|block| &held.message.blocks[*block].reports).collect();
    let mut ids = load::ids_of(tx, &reports).await?;
    let decision = decide_for(held.message, &owners, &mut known, &rules, &mut ids);
    let orders = orders_before(tx, &decision, &before, &known).await?;
    let raised = raised_while_held(tx, held.message_id).await?;
    let rows = rows(ctx, tx, held, &decision, &raised);
    let new_alerts: Vec<i64> = rows.alerts.iter().map(|row| *row.id.as_ref()).collect();
    let filing =
        Filing { content: held.message, message: held.message_id, decision: &decision, actor: held.actor };
    save::write(ctx, tx, rows, &[filing]).await?;
    let tied = tie_alerts(ctx, tx, held, &decision, raised).await?;
    Ok(Footprint {
        reports: decision.reports.iter().map(|new| new.id.get()).collect(),
        results: decision.results.iter().map(|new| new.id.get()).collect(),
        superseded: superseded(&decision),
        confirmed: confirmed(&decision, &stamps),
        alerts: [tied, new_alerts].concat(),
        orders,
    })
}

fn owners(held: &HeldBlocks<'_>, patient: PatientId) -> Vec<Owner> {
    let mut owners = vec![Owner::Settled; held.message.blocks.len()];
    for block in held.blocks {
        if let Some(owner) = owners.get_mut(*block) {
            *owner = Owner::Said(patient);
        }
    }
    owners
}

fn stamps(known: &Known) -> HashMap<i64, Stamp> {
    known.current.values().map(|current| (current.id.get(), current.facts.stamp)).collect()
}

/// The alerts of a message that belong to nobody yet, by their source.
async fn raised_while_held(
    tx: &Tx,
    message_id: i64,
) -> Result<HashMap<String, critical_alert::Model>, DbErr> {
    let alerts = reviews::alerts_of(&**tx, message_id).await?;
    let unowned = alerts.into_iter().filter(|alert| alert.lab_result_id.is_none());
    Ok(unowned.map(|alert| (alert.source_ref.clone(), alert)).collect())
}

fn rows(
    ctx: &Ctx,
    tx: &mut Tx,
    held: &HeldBlocks<'_>,
    decision: &Decision,
    raised: &HashMap<String, critical_alert::Model>,
) -> Rows {
    let now = ctx.clock.now();
    let around = rows::Surroundings {
        message: held.message,
        message_id: held.message_id,
        facility: held.facility,
        // When it came into the chart: who asks for what is new since an hour ago must find it.
        received_at: now,
    };
    let mut rows = Rows {
        reports: decision
            .reports
            .iter()
            .map(|new| rows::report(held.message, held.message_id, new, now))
            .collect(),
        results: decision.results.iter().map(|new| rows::result(&around, new)).collect(),
        superseded: decision.superseded.iter().map(|id| id.get()).collect(),
        ..Rows::default()
    };
    let escalate_at = now + chrono::Duration::from_std(ctx.config.alert_escalation).unwrap_or_default();
    for new in &decision.alerts {
        let source = rows::source_in_message(held.message_id, new.at);
        if raised.contains_key(&source) {
            continue;
        }
        // Critical for this patient, although it was not for somebody of whom little was known. Should the link be taken
        // back, it is the alert of a held observation like the others, so it is written as one.
        let claim = &held.message.blocks[new.at.block].claim;
        let mut row = rows::alert(&around, new, now, escalate_at);
        row.source_ref = Set(source);
        row.claimed_patient = Set(Some(rows::claimed(claim)));
        rows.alerts.push(row);
        tx.emit(rows::alert_event(&around, new, now));
    }
    rows
}

/// The alerts that were raised while nobody knew whose the value was are the patient's now. Whoever took one on has found
/// out whose it is, or has told somebody: that stands. One that still waits goes on the screens again, this time with its
/// patient; one that does not is told of as `alert_linked`, because `critical_result` would alarm a second time.
async fn tie_alerts(
    ctx: &Ctx,
    tx: &mut Tx,
    held: &HeldBlocks<'_>,
    decision: &Decision,
    mut raised: HashMap<String, critical_alert::Model>,
) -> Result<Vec<i64>, DbErr> {
    let mut tied = Vec::new();
    for new in &decision.results {
        let source = rows::source_in_message(held.message_id, new.at);
        let Some(alert) = raised.remove(&source) else { continue };
        tied.push(alert.id);
        tx.emit(tied_event(ctx, &alert, new));
        let note = json!({
            "effect": "linked",
            "result_id": new.id.get(),
            "patient_id": new.patient.get(),
            "is_current": new.is_current,
            "is_critical": new.assessment.critical,
            "by": held.actor,
            "at": ctx.clock.now(),
        });
        let mut change = critical_alert::ActiveModel { id: Set(alert.id), ..Default::default() };
        change.lab_result_id = Set(Some(new.id.get()));
        change.patient_id = Set(Some(new.patient.get()));
        change.lab_order_id = Set(new.order.map(crate::domain::ids::OrderId::get));
        change.update(&**tx).await?;
        annotate(tx, alert, note).await?;
    }
    Ok(tied)
}

fn tied_event(ctx: &Ctx, alert: &critical_alert::Model, new: &NewResult) -> alert_event::ActiveModel {
    let status: AlertStatus = alert.status.parse().unwrap_or(AlertStatus::Open);
    let order = new.order.map(crate::domain::ids::OrderId::get);
    alert_event::ActiveModel {
        kind: Set(if status.is_waiting() { "critical_result" } else { "alert_linked" }.into()),
        alert_id: Set(Some(alert.id)),
        patient_id: Set(Some(new.patient.get())),
        lab_order_id: Set(order),
        payload: Set(json!({
            "alert_id": alert.id,
            "patient_id": new.patient.get(),
            "lab_result_id": new.id.get(),
            "test_name": alert.test_name,
            "value": alert.value,
            "units": alert.units,
            "abnormal_flag": alert.abnormal_flag,
            "status": alert.status,
        })),
        created_at: Set(ctx.clock.now()),
        ..Default::default()
    }
}

/// Versions of others that are not shown any more; one of this very message that was overtaken in it is not meant.
fn superseded(decision: &Decision) -> Vec<i64> {
    let ours: std::collections::HashSet<i64> = decision.results.iter().map(|new| new.id.get()).collect();
    decision.superseded.iter().map(|id| id.get()).filter(|id| !ours.contains(id)).collect()
}

fn confirmed(decision: &Decision, stamps: &HashMap<i64, Stamp>) -> Vec<StampBefore> {
    let before = |result: i64| stamps.get(&result).map(|stamp| (result, stamp));
    decision
        .confirmed
        .iter()
        .filter_map(|(result, _)| before(result.get()))
        .map(|(result, stamp)| StampBefore {
            result,
            status_changed_at: stamp.status_changed_at,
            sent_at: stamp.sent_at,
        })
        .collect()
}

async fn orders_before(
    tx: &Tx,
    decision: &Decision,
    before: &HashMap<i64, OrderStatus>,
    known: &Known,
) -> Result<Vec<OrderBefore>, DbErr> {
    let ids: Vec<i64> = decision.orders.iter().map(|moved| moved.order.get()).collect();
    let tests: HashMap<i64, lab_order_test::Model> =
        orders::tests_of(&**tx, &ids).await?.into_iter().map(|row| (row.id, row)).collect();
    let mut found = Vec::new();
    for moved in &decision.orders {
        let Some(after) = known.orders.get(&moved.order) else { continue };
        let of_test = |test: &crate::domain::intake::KnownTest| {
            let row =
                tests.get(&test.id.get()).filter(|_| moved.tests.iter().any(|(id, ..)| *id == test.id))?;
            Some(TestBefore {
                test: row.id,
                before: row.status.parse().unwrap_or(TestStatus::Ordered),
                after: test.status,
                filler: row.filler_order_number.clone(),
            })
        };
        found.push(OrderBefore {
            order: moved.order.get(),
            before: before.get(&moved.order.get()).copied().unwrap_or(after.status),
            after: after.status,
            tests: after.tests.iter().filter_map(of_test).collect(),
        });
    }
    Ok(found)
}
