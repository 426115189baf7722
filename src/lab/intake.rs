//! What happens when a result arrives. Promise: an AA means that the bytes, the results or the review item, the alerts
//! and the answer itself are committed; the same message again gets the same answer and changes nothing; one message
//! that cannot be stored never holds up another.
//!
//! A worker takes what is queued, one message when it is quiet and up to a batch when it is busy; it never waits to
//! fill one. It loads what the batch needs in a handful of queries, decides in memory (`domain::intake`), saves in a
//! handful of statements, commits, and only then answers. On PostgreSQL there are two, so that one decides while the
//! other's commit is under way; all messages of a patient go to the same one, in the order they came.

mod acknowledgment;
mod event;
mod held;
mod load;
mod preview;
mod queue;
mod replay;
mod rows;
mod save;
mod unmapped;

use std::{collections::HashMap, time::Instant};

pub(super) use held::{Footprint, HeldBlocks, OrderBefore, file_held};
pub(super) use load::known_patient;
pub(super) use preview::{Preview, preview};
pub use queue::{IntakeInbox, IntakeQueue, IntakeWatch, queue};
use queue::{Submission, Work};
pub(super) use replay::{Replayed, replay};
use rows::Filed;
pub(super) use rows::{set_assessment, source_in_message, stated};
pub(super) use save::annotate;
use sea_orm::DbErr;

use super::{
    answer::{Reply, Verdict},
    arrival::{Arrival, Content},
    endpoint_profile::{Profile, Unmatched},
    rules,
};
use crate::{
    context::Ctx,
    domain::{
        intake::{Decision, Ids, Known, Rules, any_held, decide},
        report::ReportedMessage,
    },
    hl7::{ErrorCode, Fault, Location, SegmentName},
    store::{
        db::{self, Receipt, Tx},
        intake::{Failure, judge},
    },
};

/// How long loaded rules are used before they are looked up again.
const RULES_FRESH: std::time::Duration = std::time::Duration::from_secs(2);
/// Bytes of messages in one transaction at most, unless one alone has more. A document travels to PostgreSQL several times
/// its length, and a statement of more than a gigabyte is refused, whoever is in it.
const BATCH_BYTES: usize = 32 << 20;
/// How often a batch that lost a race is decided anew.
const RACES: u32 = 5;

/// The worker. Ends when every sender of the queue is gone and nothing waits.
pub async fn run(ctx: Ctx, mut inbox: IntakeInbox) {
    let mut worker = Worker { ctx, rules: None, unmapped: unmapped::Seen::default() };
    let limit = worker.ctx.config.intake_batch_max;
    while let Some(work) = inbox.next(limit).await {
        match work {
            Work::Batch(batch) => worker.settle(batch).await,
            Work::Meeting(meeting, ours) => {
                meeting.begin.wait().await;
                worker.settle(ours).await;
                meeting.end.wait().await;
            }
        }
    }
}

struct Worker {
    ctx: Ctx,
    rules: Option<(Instant, Rules)>,
    unmapped: unmapped::Seen,
}

/// One message with what was decided on it.
struct Settled<'a> {
    arrival: &'a Arrival,
    outcome: Outcome,
}

/// What became of a message.
enum Outcome {
    /// The same bytes were here before: the stored answer goes out again.
    Resent { message: i64, answer: Vec<Vec<u8>>, refused: bool },
    /// New; stored under this id with this answer.
    New { message: i64, decision: Box<Decision>, reused_id: bool, ack: Ack },
    /// The same bytes stand earlier in this very batch, as this message.
    SameAs { message: i64, first: usize },
}

/// The answer to a message, and why, where it does not accept.
struct Ack {
    code: Option<&'static str>,
    frames: Vec<Vec<u8>>,
    faults: Vec<Fault>,
}

impl Worker {
    /// Settles a batch: as a whole, and where the data of some message cannot be stored, by halves until that message
    /// stands alone.
    async fn settle(&mut self, batch: Vec<Submission>) {
        let alone = |entry: &Submission| {
            event::in_message(&entry.arrival).is_some() || entry.arrival.acknowledges.is_some()
        };
        let mut work = parts(batch, |entry| entry.arrival.sealed.len(), alone);
        work.reverse();
        while let Some(mut batch) = work.pop() {
            let arrivals: Vec<&Arrival> = batch.iter().map(|entry| &entry.arrival).collect();
            match self.attempt(&arrivals).await {
                Ok(replies) => answer(batch, replies),
                Err(Failure::Poisoned) if batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    work.push(second);
                    work.push(batch);
                }
                Err(Failure::Poisoned) => {
                    let replies = self.quarantine(&batch[0].arrival).await;
                    answer(batch, vec![replies]);
                }
                Err(Failure::Raced | Failure::Unavailable) => {
                    let replies = batch.iter().map(|entry| self.not_now(&entry.arrival)).collect();
                    answer(batch, replies);
                }
            }
        }
    }

    /// Tries a batch, anew when another process was faster.
    async fn attempt(&mut self, arrivals: &[&Arrival]) -> Result<Vec<Reply>, Failure> {
        for _ in 0..RACES {
            match self.commit(arrivals).await {
                Ok(replies) => return Ok(replies),
                Err(error) => match judge(&error) {
                    // An index decided against us, and loading again shows why. A lone message that keeps losing is
                    // not in a race.
                    Failure::Raced => {}
                    failure => {
                        tracing::error!(messages = arrivals.len(), ?failure, "intake cannot commit");
                        return Err(failure);
                    }
                },
            }
        }
        tracing::error!(messages = arrivals.len(), "intake lost every race");
        Err(Failure::Poisoned)
    }

    /// Load, decide, save, commit; then, and only then, the replies.
    async fn commit(&mut self, arrivals: &[&Arrival]) -> Result<Vec<Reply>, DbErr> {
        self.refresh_rules().await?;
        let Some((_, rules)) = &self.rules else { return Ok(Vec::new()) };
        if let [arrival] = arrivals
            && let Some(event) = event::in_message(arrival)
        {
            return Ok(vec![event::commit(&self.ctx, rules, arrival, event).await?]);
        }
        if let [arrival] = arrivals
            && let Some(said) = &arrival.acknowledges
        {
            return acknowledgment::commit(&self.ctx, rules, arrival, said).await;
        }
        let mut tx = db::write(&self.ctx.db, "intake").await?;
        let settled = decide_all(&self.ctx, &tx, rules, arrivals).await?;
        save::batch(&self.ctx, &mut tx, &settled).await?;
        let now = self.ctx.clock.now();
        let codes = self.unmapped.note(&tx, &settled, now).await?;
        let receipt = tx.commit().await?;
        self.unmapped.remember(codes, now);
        self.ctx.hints.orders.wake();
        log(&settled);
        Ok(replies(&receipt, &settled))
    }

    async fn refresh_rules(&mut self) -> Result<(), DbErr> {
        if self.rules.as_ref().is_none_or(|(at, _)| at.elapsed() > RULES_FRESH) {
            let rules = rules::load(&self.ctx, self.ctx.db.reader()).await?;
            if self.rules.as_ref().is_none_or(|(_, before)| before.codes != rules.codes) {
                self.unmapped.forget();
            }
            self.rules = Some((Instant::now(), rules));
        }
        Ok(())
    }

    /// Nothing was stored and nothing is wrong with the message: AR 207, so that the sender sends it again.
    fn not_now(&self, arrival: &Arrival) -> Reply {
        let fault = Fault::new(ErrorCode::Internal, "not stored, send it again");
        let (_, frames) = arrival.answer(&self.ctx, Verdict::Reject, &[fault]);
        tracing::warn!(control_id = arrival.control_id(), "NACK AR: the database is not available");
        Reply::not_now(frames)
    }

    /// Keeps the bytes of a message whose content the database refuses, and says so.
    async fn quarantine(&self, arrival: &Arrival) -> Reply {
        let fault = Fault::new(ErrorCode::Internal, "content cannot be stored; kept for a person to look at");
        let (code, frames) = arrival.answer(&self.ctx, Verdict::Error, std::slice::from_ref(&fault));
        let ack = Ack { code, frames: frames.clone(), faults: vec![fault] };
        match save::quarantined(&self.ctx, arrival, ack).await {
            Ok(()) => Reply::refuse(frames),
            Err(_) => self.not_now(arrival),
        }
    }
}

/// Cuts a batch where it grows too long for one transaction, and around what must have one to itself. The order stays.
fn parts<T>(batch: Vec<T>, size: impl Fn(&T) -> usize, alone: impl Fn(&T) -> bool) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = Vec::new();
    let mut length = 0;
    let mut closed = true;
    for entry in batch {
        length += size(&entry);
        let on_its_own = alone(&entry);
        match parts.last_mut() {
            Some(part) if length <= BATCH_BYTES && !closed && !on_its_own => part.push(entry),
            _ => {
                length = size(&entry);
                parts.push(vec![entry]);
            }
        }
        closed = on_its_own;
    }
    parts
}

fn answer(batch: Vec<Submission>, replies: Vec<Reply>) {
    for (entry, reply) in batch.into_iter().zip(replies) {
        // The sender may be gone; it will ask again and get the stored answer.
        let _ = entry.reply.send(reply);
    }
}

async fn decide_all<'a>(
    ctx: &Ctx,
    tx: &Tx,
    rules: &Rules,
    arrivals: &[&'a Arrival],
) -> Result<Vec<Settled<'a>>, DbErr> {
    let mut loaded = load::batch(ctx, tx, arrivals).await?;
    let (mut messages, mut ids) = load::ids(tx, arrivals).await?;
    let mut seen: HashMap<(i64, &str, &str), (i64, usize)> = HashMap::new();
    let mut settled = Vec::with_capacity(arrivals.len());
    for (index, arrival) in arrivals.iter().copied().enumerate() {
        let key = (arrival.profile.id.get(), arrival.control_id(), arrival.hash.as_str());
        let outcome = if let Some(stored) = loaded.messages.stored(arrival) {
            stored
        } else if let Some(&(message, first)) = seen.get(&key) {
            Outcome::SameAs { message, first }
        } else {
            let message = messages.pop_front().unwrap_or_default();
            seen.insert(key, (message, index));
            new(ctx, rules, &mut loaded, &mut ids, arrival, message)
        };
        settled.push(Settled { arrival, outcome });
    }
    Ok(settled)
}

fn new(
    ctx: &Ctx,
    rules: &Rules,
    loaded: &mut load::Loaded,
    ids: &mut Ids,
    arrival: &Arrival,
    message: i64,
) -> Outcome {
    let reused_id = loaded.messages.uses_known_id(arrival);
    let mut decision = Decision::default();
    let (verdict, faults) = match &arrival.content {
        Content::Results(results) if turned_away(arrival, results, loaded, rules) => {
            let fault = Fault::new(ErrorCode::UnknownKey, "the patient is not certain");
            (Verdict::Error, vec![fault.at(Location::segment(SegmentName::PID, 1).field(3))])
        }
        Content::Results(results) => {
            decision = decide(results, &mut loaded.known, rules, ids);
            (Verdict::Accept, Vec::new())
        }
        Content::Refused(verdict, faults) => (*verdict, faults.clone()),
        Content::Event(_) | Content::Ignored | Content::StrayAck => (Verdict::Accept, Vec::new()),
    };
    let (code, frames) = arrival.answer(ctx, verdict, &faults);
    Outcome::New { message, decision: Box::new(decision), reused_id, ack: Ack { code, frames, faults } }
}

/// The results in a message, when it is one of results.
fn results(arrival: &Arrival) -> Option<&ReportedMessage> {
    match &arrival.content {
        Content::Results(results) => Some(results),
        _ => None,
    }
}

/// Whether the endpoint wants results back whose patient is not certain, and these are such.
fn turned_away(arrival: &Arrival, results: &ReportedMessage, loaded: &load::Loaded, rules: &Rules) -> bool {
    turned_away_by(&arrival.profile, results, &loaded.known, rules)
}

fn turned_away_by(profile: &Profile, results: &ReportedMessage, known: &Known, rules: &Rules) -> bool {
    profile.habits.unmatched == Unmatched::Reject && any_held(results, known, rules)
}

fn replies(receipt: &Receipt, settled: &[Settled<'_>]) -> Vec<Reply> {
    let frames = |outcome: &Outcome| match outcome {
        Outcome::Resent { answer, .. } => answer.clone(),
        Outcome::New { ack, .. } => ack.frames.clone(),
        Outcome::SameAs { .. } => Vec::new(),
    };
    let refused = |outcome: &Outcome| match outcome {
        Outcome::Resent { refused, .. } => *refused,
        Outcome::New { ack, .. } => !ack.faults.is_empty(),
        Outcome::SameAs { .. } => false,
    };
    let of = |entry: &Settled<'_>| {
        let outcome = match &entry.outcome {
            Outcome::SameAs { first, .. } => &settled[*first].outcome,
            outcome => outcome,
        };
        Reply::accept(receipt, frames(outcome)).refused_if(refused(outcome))
    };
    settled.iter().map(of).collect()
}

/// One line a message, with codes and counts only.
fn log(settled: &[Settled<'_>]) {
    for entry in settled {
        let (control_id, endpoint) = (entry.arrival.control_id(), entry.arrival.profile.id.get());
        match &entry.outcome {
            Outcome::New { decision, ack, reused_id, .. } => {
                count(entry.arrival, &Filed::of(entry.arrival, decision, *reused_id, ack), ack);
            }
            Outcome::Resent { message, .. } => {
                tracing::info!(message, endpoint, control_id, "ACK again: the same message came again");
            }
            Outcome::SameAs { message, .. } => {
                tracing::info!(message, endpoint, control_id, "ACK again: sent twice at once");
            }
        }
    }
}

/// Counts a new message, and what became of its observations: received = stored + in review + rejected.
fn count(arrival: &Arrival, filed: &Filed<'_>, ack: &Ack) {
    let code = ack.code.unwrap_or("none");
    metrics::counter!("pms_messages_total", "direction" => "inbound", "ack" => code).increment(1);
    let rejected = arrival.observations.saturating_sub(filed.stored + filed.in_review);
    let outcomes = [
        ("received", arrival.observations),
        ("stored", filed.stored),
        ("in_review", filed.in_review),
        ("rejected", rejected),
    ];
    for (outcome, count) in outcomes {
        metrics::counter!("pms_observations_total", "outcome" => outcome).increment(count as u64);
    }
    let (endpoint, control_id) = (arrival.profile.id.get(), arrival.control_id());
    if ack.faults.is_empty() {
        tracing::debug!(endpoint, control_id, code, results = filed.stored, "ACK");
    } else {
        tracing::warn!(endpoint, control_id, code, "NACK");
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH_BYTES, parts};

    #[test]
    fn a_long_batch_is_cut_and_keeps_its_order() {
        let half = BATCH_BYTES / 2;
        let cut = |sizes: &[usize]| parts(sizes.to_vec(), |size| *size, |size| *size == 9);
        assert_eq!(cut(&[1, 2, 3]), [[1, 2, 3]]);
        assert_eq!(cut(&[half, half, 7, half]), [vec![half, half], vec![7, half]]);
        assert_eq!(cut(&[1, 3 * half, 2]), [[1], [3 * half], [2]]);
        assert_eq!(cut(&[1, 9, 2, 3, 9, 9]), [vec![1], vec![9], vec![2, 3], vec![9], vec![9]]);
        assert!(cut(&[]).is_empty());
    }
}
