//! A message that is no report of results: something happened elsewhere. It has a transaction to itself, because what it
//! changes (a chart, an order, an appointment) is what the next message of the batch is decided by.

mod admission;
mod appointment;
mod orders;
mod visit;

use sea_orm::{ActiveModelTrait, DbErr};

use super::{
    Ack, Outcome, load,
    rows::{self, Filed},
};
use crate::{
    context::Ctx,
    domain::{
        event::Event,
        ids::{OrderId, PatientId},
        intake::{Known, Rules},
        matching::{MatchOutcome, PatientClaim},
    },
    hl7::{Fault, ack_orders::AnsweredOrder},
    lab::{
        answer::{Reply, Verdict},
        arrival::{Arrival, Content},
        error::LabError,
        publish_news::Origin,
    },
    store::{
        db::{self, Tx},
        intake::{count_resends, reserve_ids},
    },
};

/// What became of an event.
#[derive(Default)]
pub(super) struct Applied {
    /// The chart it is part of.
    pub(super) patient: Option<PatientId>,
    /// The order it concerns.
    pub(super) order: Option<OrderId>,
    /// Whether something of it waits for a person.
    pub(super) in_review: bool,
    /// Words for what was lenient or odd; no content.
    pub(super) warnings: Vec<String>,
    /// The answer to each order of an order message.
    pub(super) orders: Vec<AnsweredOrder>,
    /// Why it was not applied after all. Nothing may have been written then.
    pub(super) refusal: Option<(Verdict, Fault)>,
}

impl Applied {
    /// Not applied, for a reason in what is stored here.
    pub(super) fn refused(verdict: Verdict, fault: Fault) -> Self {
        Self { refusal: Some((verdict, fault)), ..Self::default() }
    }
}

/// Everything at hand while an event is applied.
pub(super) struct Desk<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) rules: &'a Rules,
    pub(super) arrival: &'a Arrival,
    /// Row of the message, written before anything that points at it.
    pub(super) message: i64,
    /// Whether the message waits for a person already, so that nothing need be said of that again.
    pub(super) waits: bool,
}

/// The event in a message, when it is one.
pub(super) fn in_message(arrival: &Arrival) -> Option<&Event> {
    match &arrival.content {
        Content::Event(event) => Some(event),
        _ => None,
    }
}

/// How an event ends.
pub(super) enum Settlement {
    /// The same bytes were here before, as this message, got this answer, and were turned away or not.
    Resent(i64, Vec<Vec<u8>>, bool),
    /// New: what became of it, its answer, and whether its control id was used before.
    New(Applied, Ack, bool),
}

/// Applies one event and answers, in one transaction.
pub(super) async fn commit(
    ctx: &Ctx,
    rules: &Rules,
    arrival: &Arrival,
    event: &Event,
) -> Result<Reply, DbErr> {
    let mut tx = db::write(&ctx.db, "intake_event").await?;
    let settlement = settle(ctx, &mut tx, rules, arrival, event).await?;
    let receipt = tx.commit().await?;
    ctx.hints.orders.wake();
    ctx.hints.outbox.wake();
    match settlement {
        Settlement::Resent(message, answer, refused) => {
            tracing::info!(
                message,
                control_id = arrival.control_id(),
                "ACK again: the same message came again"
            );
            Ok(Reply::accept(&receipt, answer).refused_if(refused))
        }
        Settlement::New(applied, ack, reused_id) => {
            super::count(arrival, &filed(arrival, &applied, reused_id), &ack);
            let refused = !ack.faults.is_empty();
            Ok(Reply::accept(&receipt, ack.frames).refused_if(refused))
        }
    }
}

/// Applies one event in a transaction that the caller commits or drops.
pub(super) async fn settle(
    ctx: &Ctx,
    tx: &mut Tx,
    rules: &Rules,
    arrival: &Arrival,
    event: &Event,
) -> Result<Settlement, DbErr> {
    let mut messages = load::messages(tx, &[arrival]).await?;
    if let Some(Outcome::Resent { message, answer, refused }) = messages.stored(arrival) {
        count_resends(tx, message, 1).await?;
        return Ok(Settlement::Resent(message, answer, refused));
    }
    let reused_id = messages.uses_known_id(arrival);
    let [mut ids] = reserve_ids(tx, [("hl7_messages", 1)]).await?;
    let desk = Desk { ctx, rules, arrival, message: ids.pop_front().unwrap_or_default(), waits: false };
    desk.write_message(tx).await?;
    let applied = desk.apply(tx, event).await?;
    let ack = desk.settle(tx, &applied, reused_id).await?;
    Ok(Settlement::New(applied, ack, reused_id))
}

/// What the message's row says.
pub(super) fn filed<'a>(arrival: &Arrival, applied: &'a Applied, reused_id: bool) -> Filed<'a> {
    Filed {
        status: match applied.refusal {
            Some(_) => "refused",
            None => rows::status(arrival, applied.in_review),
        },
        patient: applied.patient.map(PatientId::get),
        order: applied.order.map(OrderId::get),
        stored: 0,
        in_review: 0,
        warnings: &applied.warnings,
        reused_id,
    }
}

impl Desk<'_> {
    /// Applies an event.
    pub(super) async fn apply(&self, tx: &mut Tx, event: &Event) -> Result<Applied, DbErr> {
        match event {
            Event::Appointment(appointment) => self.appointment(tx, appointment).await,
            Event::Admission(admission) => self.admission(tx, admission).await,
            Event::Orders(orders) => self.orders(tx, orders).await,
        }
    }

    /// The row as far as it is known before the event is applied.
    async fn write_message(&self, tx: &Tx) -> Result<(), DbErr> {
        let ack = Ack { code: None, frames: Vec::new(), faults: Vec::new() };
        let nothing = Applied::default();
        let filed = filed(self.arrival, &nothing, false);
        let row = rows::message(self.arrival, Some(self.message), &filed, &ack, self.ctx.clock.now());
        row.insert(&**tx).await.map(|_| ())
    }

    /// Writes the outcome and the answer into the message's row.
    async fn settle(&self, tx: &Tx, applied: &Applied, reused_id: bool) -> Result<Ack, DbErr> {
        let (verdict, faults) = match &applied.refusal {
            Some((verdict, fault)) => (*verdict, vec![fault.clone()]),
            None => (Verdict::Accept, Vec::new()),
        };
        let (code, frames) = self.arrival.answer_orders(self.ctx, verdict, &faults, &applied.orders);
        let ack = Ack { code, frames, faults };
        let filed = filed(self.arrival, applied, reused_id);
        let row = rows::message(self.arrival, Some(self.message), &filed, &ack, self.ctx.clock.now());
        row.update(&**tx).await?;
        Ok(ack)
    }

    /// Where the news come from that this message brings.
    fn origin(&self) -> Origin {
        Origin { endpoint: self.arrival.profile.id.get(), message: self.message }
    }

    /// Whom a claim means, by the same rule as for results.
    pub(super) async fn owner(&self, tx: &Tx, claim: &PatientClaim) -> Result<MatchOutcome, DbErr> {
        let mut known = Known::default();
        load::patients(self.ctx, tx, std::iter::once(claim), &mut known).await?;
        Ok(known.owner(claim, &self.rules.local_authority))
    }
}

/// What a use case met, for the intake. Only a database fails here; what else can happen (a laboratory that was deleted at
/// this moment) is over when the message comes again.
pub(super) fn database(error: LabError) -> DbErr {
    match error {
        LabError::Database(error) => error,
        other => DbErr::Custom(other.class().to_owned()),
    }
}
