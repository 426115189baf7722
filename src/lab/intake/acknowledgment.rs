//! An acknowledgment that comes by itself, as a message to our listener. It is kept and never answered; where it is a word on
//! something that we sent to the same endpoint, it acts on that.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, DbErr, EntityTrait};

use super::{Outcome, Settled, decide_all, log, replies, save};
use crate::{
    context::Ctx,
    domain::intake::Rules,
    hl7::ack::Reply as Acknowledgment,
    lab::{
        answer::Reply,
        application_ack::{Matched, apply},
        arrival::Arrival,
        error::LabError,
    },
    store::{
        db::{self, Tx},
        entity::hl7_message,
    },
};

/// Keeps it and applies it, in one transaction.
pub(super) async fn commit(
    ctx: &Ctx,
    rules: &Rules,
    arrival: &Arrival,
    said: &Acknowledgment,
) -> Result<Vec<Reply>, DbErr> {
    let mut tx = db::write(&ctx.db, "intake_acknowledgment").await?;
    let settled = decide_all(ctx, &tx, rules, &[arrival]).await?;
    save::batch(ctx, &mut tx, &settled).await?;
    if let [Settled { outcome: Outcome::New { message, .. }, .. }] = settled.as_slice() {
        let endpoint = arrival.profile.id.get();
        let matched =
            apply(ctx, &mut tx, endpoint, (said, &arrival.acknowledgment)).await.map_err(database)?;
        if let Some(matched) = matched {
            tie(&tx, *message, &matched).await?;
        }
    }
    let receipt = tx.commit().await?;
    ctx.hints.orders.wake();
    log(&settled);
    Ok(replies(&receipt, &settled))
}

/// So that it is found with what it answers.
async fn tie(tx: &Tx, id: i64, matched: &Matched) -> Result<(), DbErr> {
    let answered = hl7_message::Entity::find_by_id(matched.message).one(&**tx).await?;
    let change = hl7_message::ActiveModel {
        id: Set(id),
        lab_order_id: Set(matched.order),
        patient_id: Set(answered.and_then(|row| row.patient_id)),
        ..Default::default()
    };
    change.update(&**tx).await.map(|_| ())
}

/// Only a database fails here.
fn database(error: LabError) -> DbErr {
    match error {
        LabError::Database(error) => error,
        other => DbErr::Custom(other.class().to_owned()),
    }
}
