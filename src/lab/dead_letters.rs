//! What was given up and waits for a person. Promise: nothing leaves the list but by a decision that says who made it, and an
//! order whose message is put aside keeps saying that it was not delivered.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    QueryFilter, QuerySelect,
};

use super::{
    access::{self, Resource},
    error::LabError,
    order_progress::{Cause, note},
    page::{self, Page, PageRequest},
    requeue::requeue,
    views::{DeadLetterDetail, DeadLetterView, TryView},
};
use crate::{
    context::{Caller, Ctx},
    domain::access::Action,
    store::{
        db::{self, Tx},
        entity::{hl7_message, lab_order, outbox as outbox_row},
        orders, outbox,
    },
};

const KIND: &str = "dead_letter";
/// Characters of a reason at most.
const LONGEST_REASON: usize = 1000;

/// What a letter takes from its message.
#[derive(Clone, Default, FromQueryResult)]
struct Carried {
    id: i64,
    message_control_id: String,
    patient_id: Option<i64>,
}

/// What was given up and waits, newest first.
pub async fn list_dead_letters(
    ctx: &Ctx,
    caller: &Caller,
    endpoint: Option<i64>,
    request: PageRequest,
) -> Result<Page<DeadLetterView>, LabError> {
    access::permit(ctx, caller, Action::ReadDeadLetter, KIND).await?;
    let reader = ctx.db.reader();
    let query = outbox::dead_letters(endpoint);
    let page = page::fetch(reader, query, outbox_row::Column::Id, request, |row| row.id).await?;
    let messages = carried(reader, page.items.iter().map(|row| row.hl7_message_id)).await?;
    let patients: Vec<i64> = messages.values().filter_map(|message| message.patient_id).collect();
    access::seen(ctx, caller, Action::ReadDeadLetter, Resource::many(KIND, &patients)).await?;
    Ok(page.map(|row| {
        let message = messages.get(&row.hl7_message_id).cloned().unwrap_or_default();
        DeadLetterView::new(row, message.message_control_id)
    }))
}

/// One of them with every try. One that was decided on is none any more.
pub async fn read_dead_letter(ctx: &Ctx, caller: &Caller, id: i64) -> Result<DeadLetterDetail, LabError> {
    access::permit(ctx, caller, Action::ReadDeadLetter, KIND).await?;
    let reader = ctx.db.reader();
    let row = outbox_row::Entity::find_by_id(id).one(reader).await?.filter(is_dead);
    let row = row.ok_or(LabError::NotFound("Dead letter"))?;
    let message = carried(reader, std::iter::once(row.hl7_message_id)).await?.remove(&row.hl7_message_id);
    let message = message.unwrap_or_default();
    let order = match row.lab_order_id {
        Some(order) => orders::find(reader, order).await?,
        None => None,
    };
    let tries = outbox::tries_of(reader, id).await?.into_iter().map(TryView::from).collect();
    let patients = message.patient_id.as_slice();
    access::seen(ctx, caller, Action::ReadDeadLetter, Resource::one(KIND, id, patients)).await?;
    Ok(DeadLetterDetail {
        letter: DeadLetterView::new(row, message.message_control_id),
        order_status: order.map(|order| order.status),
        tries,
    })
}

/// Puts a letter back into the queue: the same bytes under the same control id, with all tries before it. Errors: `Conflict`
/// when it is no dead letter any more, or nothing is sent there or for that order.
pub async fn retry_dead_letter(ctx: &Ctx, caller: &Caller, id: i64) -> Result<DeadLetterView, LabError> {
    access::permit(ctx, caller, Action::HandleDeadLetter, KIND).await?;
    let mut tx = db::write(&ctx.db, "retry_dead_letter").await?;
    let (letter, order) = taken(&tx, id).await?;
    requeue(ctx, &mut tx, &caller.username, letter, order).await?;
    finish(ctx, tx, caller, id).await
}

/// Puts a letter aside. Its order stands where it stands, failed or rejected, with a line that says who gave it up and why.
/// Errors: `Invalid` without a reason; `Conflict` when it is no dead letter any more.
pub async fn discard_dead_letter(
    ctx: &Ctx,
    caller: &Caller,
    id: i64,
    reason: &str,
) -> Result<DeadLetterView, LabError> {
    access::permit(ctx, caller, Action::HandleDeadLetter, KIND).await?;
    let reason = checked(reason)?;
    let tx = db::write(&ctx.db, "discard_dead_letter").await?;
    let (letter, order) = taken(&tx, id).await?;
    if let Some(order) = order {
        let message_id = Some(letter.hl7_message_id);
        let cause = Cause { actor: &caller.username, kind: "discarded", detail: Some(reason), message_id };
        note(ctx, &tx, &order, cause, None).await?;
    }
    put_aside(ctx, &tx, &caller.username, letter, reason).await?;
    finish(ctx, tx, caller, id).await
}

/// Takes a letter off the list without sending it.
pub(super) async fn put_aside(
    ctx: &Ctx,
    tx: &Tx,
    actor: &str,
    letter: outbox_row::Model,
    reason: &str,
) -> Result<(), DbErr> {
    let mut change: outbox_row::ActiveModel = letter.into();
    change.status = Set(outbox::DISCARDED.into());
    change.discarded_by = Set(Some(actor.to_owned()));
    change.discarded_at = Set(Some(ctx.clock.now()));
    change.discard_reason = Set(Some(reason.to_owned()));
    change.update(&**tx).await.map(|_| ())
}

fn is_dead(row: &outbox_row::Model) -> bool {
    row.status == outbox::DEAD
}

fn checked(reason: &str) -> Result<&str, LabError> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(LabError::invalid("reason", "a reason is required"));
    }
    if reason.chars().count() > LONGEST_REASON {
        return Err(LabError::invalid(
            "reason",
            format!("must not have more than {LONGEST_REASON} characters"),
        ));
    }
    Ok(reason)
}

/// A letter and its order, held: of two who decide at once the second finds what the first decided.
async fn taken(tx: &Tx, id: i64) -> Result<(outbox_row::Model, Option<lab_order::Model>), LabError> {
    let letter = outbox::lock(&**tx, id).await?.ok_or(LabError::NotFound("Dead letter"))?;
    if !is_dead(&letter) {
        return Err(LabError::Conflict(format!("This is no dead letter any more: it is {}", letter.status)));
    }
    let order = match letter.lab_order_id {
        Some(order) => orders::lock(&**tx, &[order]).await?.pop(),
        None => None,
    };
    Ok((letter, order))
}

async fn finish(ctx: &Ctx, tx: Tx, caller: &Caller, id: i64) -> Result<DeadLetterView, LabError> {
    let row = outbox_row::Entity::find_by_id(id).one(&*tx).await?.ok_or(LabError::NotFound("Dead letter"))?;
    let message = carried(&*tx, std::iter::once(row.hl7_message_id)).await?.remove(&row.hl7_message_id);
    let message = message.unwrap_or_default();
    let patients = message.patient_id.as_slice();
    access::wrote(ctx, &tx, caller, Action::HandleDeadLetter, Resource::one(KIND, id, patients)).await?;
    tx.commit().await?;
    ctx.hints.outbox.wake();
    ctx.hints.orders.wake();
    tracing::info!(
        dead_letter = id,
        message = row.hl7_message_id,
        status = row.status,
        "dead letter decided"
    );
    Ok(DeadLetterView::new(row, message.message_control_id))
}

/// The messages of letters, without their bytes.
async fn carried(
    connection: &impl ConnectionTrait,
    messages: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Carried>, DbErr> {
    use hl7_message::Column as C;
    let rows = hl7_message::Entity::find()
        .select_only()
        .columns([C::Id, C::MessageControlId, C::PatientId])
        .filter(C::Id.is_in(messages))
        .into_model::<Carried>()
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
