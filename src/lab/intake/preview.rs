//! What a message would do, by the very rules and the very statements of the intake, in a transaction that is dropped.

use super::{
    Ack, Outcome, Settled, decide_all, event,
    rows::{self, Filed},
};
use crate::{
    context::Ctx,
    domain::intake::Decision,
    lab::{LabError, arrival::Arrival, rules},
    store::{db, entity::hl7_message},
};

/// What would become of a message.
pub(crate) struct Preview {
    /// The message's row as it would be written; `None` when the same bytes are stored already.
    pub(crate) row: Option<hl7_message::ActiveModel>,
    /// The message that is stored already, when these bytes are.
    pub(crate) stored_as: Option<i64>,
    /// The acknowledgments.
    pub(crate) answer: Vec<Vec<u8>>,
    /// What was decided on results.
    pub(crate) decision: Decision,
}

/// Tries a message out.
pub(crate) async fn preview(ctx: &Ctx, arrival: &Arrival) -> Result<Preview, LabError> {
    let rules = rules::load(ctx, ctx.db.reader()).await?;
    let mut tx = db::write(&ctx.db, "preview").await?;
    if let Some(event) = event::in_message(arrival) {
        let settlement = event::settle(ctx, &mut tx, &rules, arrival, event).await?;
        return Ok(match settlement {
            event::Settlement::Resent(message, answer, _) => stored(message, answer),
            event::Settlement::New(applied, ack, reused_id) => {
                let filed = event::filed(arrival, &applied, reused_id);
                fresh(ctx, arrival, &filed, ack, Decision::default())
            }
        });
    }
    let mut settled = decide_all(ctx, &tx, &rules, &[arrival]).await?;
    let Some(Settled { outcome, .. }) = settled.pop() else { return Err(LabError::Unavailable) };
    Ok(match outcome {
        Outcome::Resent { message, answer, .. } => stored(message, answer),
        Outcome::New { decision, reused_id, ack, .. } => {
            let filed_as = (*decision).clone();
            fresh(ctx, arrival, &Filed::of(arrival, &filed_as, reused_id, &ack), ack, *decision)
        }
        // One message alone cannot be the second of its batch.
        Outcome::SameAs { message, .. } => stored(message, Vec::new()),
    })
}

fn stored(message: i64, answer: Vec<Vec<u8>>) -> Preview {
    Preview { row: None, stored_as: Some(message), answer, decision: Decision::default() }
}

fn fresh(ctx: &Ctx, arrival: &Arrival, filed: &Filed<'_>, ack: Ack, decision: Decision) -> Preview {
    let row = rows::message(arrival, None, filed, &ack, ctx.clock.now());
    Preview { row: Some(row), stored_as: None, answer: ack.frames, decision }
}
