//! The way from the doors to the workers: a lane for each. All messages of a patient take the same lane, in the order they
//! came. A message that is about several patients (a merge above all) is taken while every lane stands still, when all
//! that came before it is settled and nothing that came after it is begun.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Barrier, mpsc, oneshot};

use crate::{
    context::Ctx,
    lab::{answer::Reply, arrival::Arrival, error::LabError},
};

/// Workers on PostgreSQL.
const WORKERS: usize = 2;

/// A message on its way to a worker.
pub(super) struct Submission {
    pub(super) arrival: Arrival,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What stands in a lane.
enum Entry {
    Message(Submission),
    /// The lanes meet here. One of them has the message that they meet for.
    Meeting(Arc<Meeting>, Option<Submission>),
}

/// What a worker has to do next.
pub(super) enum Work {
    /// Settle these.
    Batch(Vec<Submission>),
    /// Meet the others, and settle meanwhile what they meet for, if it is ours.
    Meeting(Arc<Meeting>, Vec<Submission>),
}

/// Where the workers wait for each other.
pub(super) struct Meeting {
    /// Everything before it is settled.
    pub(super) begin: Barrier,
    /// What it was for is settled.
    pub(super) end: Barrier,
}

/// The way to the workers. When it is full, whoever submits waits: back-pressure, not memory.
#[derive(Clone)]
pub struct IntakeQueue {
    lanes: Vec<mpsc::Sender<Entry>>,
    /// Two meetings stand in the same order in all lanes, or the workers would wait for each other for ever.
    order: Arc<Mutex<()>>,
}

/// The worker's end of a lane.
pub struct IntakeInbox {
    lane: mpsc::Receiver<Entry>,
    taken: VecDeque<Entry>,
}

/// Makes the queue, with an inbox for each worker. SQLite has one writer, so a second worker would only wait.
pub fn queue(ctx: &Ctx) -> (IntakeQueue, Vec<IntakeInbox>) {
    let workers = if ctx.db.is_postgres() { WORKERS } else { 1 };
    lanes(workers, ctx.config.intake_queue.div_ceil(workers))
}

fn lanes(workers: usize, length: usize) -> (IntakeQueue, Vec<IntakeInbox>) {
    let (lanes, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(length)).unzip();
    let inboxes = inboxes.into_iter().map(|lane| IntakeInbox { lane, taken: VecDeque::new() });
    (IntakeQueue { lanes, order: Arc::default() }, inboxes.collect())
}

impl IntakeQueue {
    /// Hands a message over. The answer comes when it is settled. Errors: `Unavailable` when the worker is gone.
    pub async fn submit(&self, arrival: Arrival) -> Result<oneshot::Receiver<Reply>, LabError> {
        let (reply, answer) = oneshot::channel();
        let lane = usize::from(arrival.lane()) % self.lanes.len();
        let meets = self.lanes.len() > 1 && arrival.is_of_several_lanes();
        let submission = Submission { arrival, reply };
        if meets {
            self.meet(lane, submission).await?;
        } else {
            let entry = Entry::Message(submission);
            self.lanes[lane].send(entry).await.map_err(|_| LabError::Unavailable)?;
        }
        Ok(answer)
    }

    /// Lets the lanes meet for a message. Room is kept in all of them first, so that a caller who gives up half-way leaves
    /// no lane waiting for the others.
    async fn meet(&self, own: usize, submission: Submission) -> Result<(), LabError> {
        let mut places = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            places.push(lane.reserve().await.map_err(|_| LabError::Unavailable)?);
        }
        let (begin, end) = (Barrier::new(places.len()), Barrier::new(places.len()));
        let meeting = Arc::new(Meeting { begin, end });
        let mut submission = Some(submission);
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        for (lane, place) in places.into_iter().enumerate() {
            let message = if lane == own { submission.take() } else { None };
            place.send(Entry::Meeting(meeting.clone(), message));
        }
        Ok(())
    }

    /// A look at the workers that does not keep the queue open.
    pub fn watch(&self) -> IntakeWatch {
        let lanes = self.lanes.iter().map(mpsc::Sender::downgrade).collect();
        IntakeWatch { lanes, order: self.order.clone() }
    }
}

/// Tells whether the workers live.
#[derive(Clone)]
pub struct IntakeWatch {
    lanes: Vec<mpsc::WeakSender<Entry>>,
    order: Arc<Mutex<()>>,
}

impl IntakeWatch {
    /// Whether messages can still be handed over.
    pub fn is_alive(&self) -> bool {
        self.lanes.iter().all(|lane| lane.upgrade().is_some_and(|lane| !lane.is_closed()))
    }

    /// The queue, as long as somebody keeps it open.
    pub fn open(&self) -> Option<IntakeQueue> {
        let lanes = self.lanes.iter().map(mpsc::WeakSender::upgrade).collect::<Option<_>>()?;
        Some(IntakeQueue { lanes, order: self.order.clone() })
    }
}

impl IntakeInbox {
    /// What is queued, up to a limit, or the next meeting; waits only when there is nothing. `None`: every sender is gone.
    pub(super) async fn next(&mut self, limit: usize) -> Option<Work> {
        if self.taken.is_empty() {
            let mut entries = Vec::new();
            if self.lane.recv_many(&mut entries, limit).await == 0 {
                return None;
            }
            self.taken.extend(entries);
        }
        let mut batch = Vec::new();
        while let Some(entry) = self.taken.pop_front() {
            match entry {
                Entry::Message(submission) => batch.push(submission),
                Entry::Meeting(meeting, message) if batch.is_empty() => {
                    return Some(Work::Meeting(meeting, message.into_iter().collect()));
                }
                meeting @ Entry::Meeting(..) => {
                    self.taken.push_front(meeting);
                    break;
                }
            }
        }
        Some(Work::Batch(batch))
    }
}
