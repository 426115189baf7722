//! Writes what was decided.

use std::collections::{HashMap, HashSet};

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr};
use serde_json::{Value, json};

use super::{Ack, Outcome, Settled, results, rows};
use crate::{
    context::Ctx,
    domain::{
        intake::{Correction, Decision, OrderMove, OrderNews},
        order::OrderEvent,
        report::ReportedMessage,
    },
    lab::{
        arrival::Arrival,
        order_progress::{Cause, move_order},
    },
    store::{
        db::{self, Tx},
        entity::{alert_event, critical_alert, lab_order, lab_order_test},
        intake::{Rows, alerts_before, confirm, save},
        orders,
    },
};

/// Between the acknowledgments of one message (a commit and an application acknowledgment). MLLP data cannot hold it.
const FRAME_BREAK: u8 = 0x1c;

/// The acknowledgments of a message as one column.
pub(super) fn join_frames(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.join(&FRAME_BREAK)
}

/// The acknowledgments in a column.
pub(super) fn split_frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|byte| *byte == FRAME_BREAK).filter(|frame| !frame.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Saves a batch: everything in sets, but for orders and corrections, which are few.
pub(super) async fn batch(ctx: &Ctx, tx: &mut Tx, settled: &[Settled<'_>]) -> Result<(), DbErr> {
    let mut written = Rows::default();
    for entry in settled {
        collect(ctx, tx, entry, &mut written);
    }
    let filings: Vec<Filing<'_>> = settled.iter().filter_map(filing).collect();
    write(ctx, tx, written, &filings).await
}

/// Results that go into charts.
pub(super) struct Filing<'a> {
    /// What the message says.
    pub(super) content: &'a ReportedMessage,
    /// Its row.
    pub(super) message: i64,
    /// What was decided.
    pub(super) decision: &'a Decision,
    /// Who files them: `lab`, or the person who said whose they are.
    pub(super) actor: &'a str,
}

/// Writes the rows, and what follows from them for results, orders and readers.
pub(super) async fn write(
    ctx: &Ctx,
    tx: &mut Tx,
    mut rows: Rows,
    filings: &[Filing<'_>],
) -> Result<(), DbErr> {
    drop_superseded_in_batch(&mut rows, filings);
    save(tx, rows).await?;
    for filing in filings {
        for (result, stamp) in &filing.decision.confirmed {
            confirm(tx, result.get(), stamp.status_changed_at, stamp.sent_at).await?;
        }
    }
    move_orders(ctx, tx, filings).await?;
    tell_of_corrections(ctx, tx, filings).await
}

fn filing<'s>(entry: &'s Settled<'_>) -> Option<Filing<'s>> {
    match &entry.outcome {
        Outcome::New { message, decision, .. } => {
            let content = results(entry.arrival)?;
            Some(Filing { content, message: *message, decision, actor: "lab" })
        }
        _ => None,
    }
}

/// Adds the rows of one message.
fn collect(ctx: &Ctx, tx: &mut Tx, entry: &Settled<'_>, written: &mut Rows) {
    let now = ctx.clock.now();
    let (message, decision, reused_id, ack) = match &entry.outcome {
        Outcome::Resent { message, .. } | Outcome::SameAs { message, .. } => {
            *written.resent.entry(*message).or_default() += 1;
            return;
        }
        Outcome::New { message, decision, reused_id, ack } => (*message, decision, *reused_id, ack),
    };
    let filed = rows::Filed::of(entry.arrival, decision, reused_id, ack);
    written.messages.push(rows::message(entry.arrival, Some(message), &filed, ack, now));
    let Some(content) = results(entry.arrival) else { return };
    let around = rows::Surroundings {
        message: content,
        message_id: message,
        facility: entry.arrival.header.sending_facility.key(),
        received_at: entry.arrival.received_at,
    };
    collect_filed(ctx, tx, &around, decision, written);
}

/// Adds the rows of what a message of results does.
pub(super) fn collect_filed(
    ctx: &Ctx,
    tx: &mut Tx,
    around: &rows::Surroundings<'_>,
    decision: &Decision,
    written: &mut Rows,
) {
    let now = ctx.clock.now();
    let (content, message) = (around.message, around.message_id);
    let escalate_at = now + chrono::Duration::from_std(ctx.config.alert_escalation).unwrap_or_default();
    written.reports.extend(decision.reports.iter().map(|new| rows::report(content, message, new, now)));
    written.results.extend(decision.results.iter().map(|new| rows::result(around, new)));
    written.superseded.extend(decision.superseded.iter().map(|id| id.get()));
    written.alerts.extend(decision.alerts.iter().map(|new| rows::alert(around, new, now, escalate_at)));
    written.reviews.extend(decision.reviews.iter().map(|review| rows::review(around, review, now)));
    for new in &decision.alerts {
        tx.emit(rows::alert_event(around, new, now));
    }
}

/// A version that was superseded within its own batch is written as history at once.
fn drop_superseded_in_batch(written: &mut Rows, filings: &[Filing<'_>]) {
    let new: HashSet<i64> =
        filings.iter().flat_map(|filing| &filing.decision.results).map(|new| new.id.get()).collect();
    let (here, before): (Vec<i64>, Vec<i64>) =
        std::mem::take(&mut written.superseded).into_iter().partition(|id| new.contains(id));
    written.superseded = before;
    let here: HashSet<i64> = here.into_iter().collect();
    for row in &mut written.results {
        if here.contains(row.id.as_ref()) {
            row.is_current = Set(false);
        }
    }
}

async fn move_orders(ctx: &Ctx, tx: &mut Tx, filings: &[Filing<'_>]) -> Result<(), DbErr> {
    let ids: HashSet<i64> =
        filings.iter().flat_map(|filing| &filing.decision.orders).map(|moved| moved.order.get()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    let locked = orders::lock(&**tx, &ids).await?;
    let mut locked: HashMap<i64, lab_order::Model> = locked.into_iter().map(|row| (row.id, row)).collect();
    for filing in filings {
        for moved in &filing.decision.orders {
            let Some(order) = locked.remove(&moved.order.get()) else { continue };
            let order = move_one(ctx, tx, order, moved, filing).await?;
            locked.insert(order.id, order);
        }
    }
    Ok(())
}

async fn move_one(
    ctx: &Ctx,
    tx: &mut Tx,
    order: lab_order::Model,
    moved: &OrderMove,
    filing: &Filing<'_>,
) -> Result<lab_order::Model, DbErr> {
    for (test, status, filler) in &moved.tests {
        let mut change = lab_order_test::ActiveModel {
            id: Set(test.get()),
            status: Set(status.to_string()),
            updated_at: Set(ctx.clock.now()),
            ..Default::default()
        };
        if let Some(filler) = filler.as_ref().filter(|filler| filler.chars().count() <= 100) {
            change.filler_order_number = Set(Some(filler.clone()));
        }
        change.update(&**tx).await?;
    }
    let (event, kind) = match moved.news {
        None => return Ok(order),
        Some(OrderNews::Accepted) => (OrderEvent::LabAccepted, "accepted_by_lab"),
        Some(OrderNews::Refused) => (OrderEvent::LabRefused, "refused_by_lab"),
        Some(OrderNews::Cancelled) => (OrderEvent::CancelledByLab, "cancelled_by_lab"),
        Some(OrderNews::Results(reported)) => (OrderEvent::Results(reported), "results"),
    };
    let cause = Cause { actor: filing.actor, kind, detail: None, message_id: Some(filing.message) };
    move_order(ctx, tx, order, event, cause).await
}

/// A corrected or retracted value annotates the alerts it raised and goes on the stream; it closes nothing.
async fn tell_of_corrections(ctx: &Ctx, tx: &mut Tx, filings: &[Filing<'_>]) -> Result<(), DbErr> {
    for filing in filings {
        for correction in &filing.decision.corrections {
            let (_, sent) = rows::observation(filing.content, correction.at);
            let note = annotation(ctx, correction, sent.value.as_deref());
            for alert in alerts_before(&**tx, &sent.key, correction.patient.get(), correction.version).await?
            {
                annotate(tx, alert, note.clone()).await?;
            }
            tx.emit(alert_event::ActiveModel {
                kind: Set("result_corrected".into()),
                patient_id: Set(Some(correction.patient.get())),
                payload: Set(note),
                created_at: Set(ctx.clock.now()),
                ..Default::default()
            });
        }
    }
    Ok(())
}

fn annotation(ctx: &Ctx, correction: &Correction, new_value: Option<&str>) -> Value {
    json!({
        "result_id": correction.new.get(),
        "replaces_result_id": correction.old.get(),
        "patient_id": correction.patient.get(),
        "effect": correction.effect.to_string(),
        "old_value": correction.old_value,
        "new_value": new_value,
        "at": ctx.clock.now(),
    })
}

/// Adds a line to what is known of an alert.
pub(crate) async fn annotate(tx: &Tx, alert: critical_alert::Model, note: Value) -> Result<(), DbErr> {
    let mut annotations = alert.annotations.as_array().cloned().unwrap_or_default();
    annotations.push(note);
    let mut change: critical_alert::ActiveModel = alert.into();
    change.annotations = Set(Value::Array(annotations));
    change.update(&**tx).await.map(|_| ())
}

/// Keeps a message whose content the database refuses: its bytes, its hash and its answer.
pub(super) async fn quarantined(ctx: &Ctx, arrival: &Arrival, ack: Ack) -> Result<(), DbErr> {
    let tx = db::write(&ctx.db, "quarantine").await?;
    let decision = Decision::default();
    let filed = rows::Filed { status: "quarantined", ..rows::Filed::of(arrival, &decision, false, &ack) };
    let mut row = rows::message(arrival, None, &filed, &ack, ctx.clock.now());
    row.error_detail = Set(Some("content cannot be stored".into()));
    row.insert(&*tx).await?;
    tx.commit().await?;
    tracing::error!(control_id = arrival.control_id(), "NACK AE: message quarantined");
    Ok(())
}
