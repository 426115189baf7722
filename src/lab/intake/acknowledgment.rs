//! An acknowledgment that comes by itself, as a message to our listener. It is kept and never answered; where it is a word on
//! something that we sent to the same endpoint, it acts on that.

use sea_orm::{ActiveModelTrait, DbErr, EntityTrait};

use super::{
    Ack, decide_all, load, log, replies,
    rows::{self, Filed},
    save,
};
use crate::{
    context::Ctx,
    domain::intake::Rules,
    hl7::{ack::Reply as Acknowledgment, datatypes::Hd},
    lab::{
        answer::Reply,
        application_ack::{Matched, apply},
        arrival::Arrival,
        error::LabError,
    },
    store::{
        db::{self, Tx},
        endpoints,
        entity::hl7_message,
        outbox,
    },
};

/// Keeps it and applies it, in one transaction. An application's answer to an order that is about nothing we sent is a message
/// of a type that is not taken, like any other.
pub(super) async fn commit(
    ctx: &Ctx,
    rules: &Rules,
    arrival: &Arrival,
    said: &Acknowledgment,
) -> Result<Vec<Reply>, DbErr> {
    let mut tx = db::write(&ctx.db, "intake_acknowledgment").await?;
    if load::messages(&tx, &[arrival]).await?.stored(arrival).is_none() {
        let endpoint = speaker(&tx, arrival, said).await?;
        let matched =
            apply(ctx, &mut tx, endpoint, (said, &arrival.acknowledgment)).await.map_err(database)?;
        if let Some(matched) = matched {
            keep(ctx, &tx, arrival, &matched).await?;
            let receipt = tx.commit().await?;
            ctx.hints.orders.wake();
            tracing::info!(
                control_id = arrival.control_id(),
                message = matched.message,
                "acknowledgment applied"
            );
            return Ok(vec![Reply::accept(&receipt, Vec::new())]);
        }
    }
    let settled = decide_all(ctx, &tx, rules, &[arrival]).await?;
    save::batch(ctx, &mut tx, &settled).await?;
    let receipt = tx.commit().await?;
    log(&settled);
    Ok(replies(&receipt, &settled))
}

/// Whose word it is. A sender on this machine that no endpoint names by its address speaks for the endpoint that has its names,
/// of what was sent there: without that, its answers would be refused, while its results are taken.
async fn speaker(tx: &Tx, arrival: &Arrival, said: &Acknowledgment) -> Result<i64, DbErr> {
    let known = arrival.profile.id.get();
    let Some(about) = said.acknowledged_id.as_deref().filter(|_| known == 0) else { return Ok(known) };
    let header = &arrival.header;
    let name = |hd: &Hd| hd.namespace.clone().unwrap_or_default();
    let (application, facility) = (name(&header.sending_application), name(&header.sending_facility));
    let all: Vec<i64> = endpoints::all(&**tx).await?.into_iter().map(|row| row.id).collect();
    let sent_to = outbox::endpoint_of_control_id(&**tx, all, about, (&application, &facility)).await?;
    Ok(sent_to.unwrap_or(known))
}

/// Its row, with the order of what it answers, so that it is found with it. No answer is due.
async fn keep(ctx: &Ctx, tx: &Tx, arrival: &Arrival, matched: &Matched) -> Result<(), DbErr> {
    let answered = hl7_message::Entity::find_by_id(matched.message).one(&**tx).await?;
    let filed = Filed {
        status: "logged",
        patient: answered.and_then(|row| row.patient_id),
        order: matched.order,
        stored: 0,
        in_review: 0,
        warnings: &[],
        reused_id: false,
    };
    let ack = Ack { code: None, frames: Vec::new(), faults: Vec::new() };
    let row = rows::message(arrival, None, &filed, &ack, ctx.clock.now());
    row.insert(&**tx).await.map(|_| ())
}

/// Only a database fails here.
fn database(error: LabError) -> DbErr {
    match error {
        LabError::Database(error) => error,
        other => DbErr::Custom(other.class().to_owned()),
    }
}
