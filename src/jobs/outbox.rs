//! One loop for each endpoint that takes orders, so that a slow or dead lab never delays another. A nudge after an
//! order, a restart and a second instance all take the same path: look what is due, and do it.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::link::{Link, Peer};
use crate::{
    context::Ctx,
    lab::{LabError, deliver},
};

/// How often to look without being woken: another process may have changed an endpoint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to look for orders that no lab was there for.
const ROUTE_EVERY: Duration = Duration::from_secs(10);

/// Runs until told to stop; then lets each endpoint finish the exchange it is in.
pub async fn run(
    ctx: Ctx,
    owner: String,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> Result<(), LabError> {
    let mut links = Links { ctx, owner, tracker, running: HashMap::new() };
    let mut hints = links.ctx.hints.outbox.listen();
    let mut routed: Option<Instant> = None;
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        let route = routed.is_none_or(|at| at.elapsed() >= ROUTE_EVERY);
        if let Err(error) = links.look(route).await {
            tracing::warn!(%error, "delivery cannot use the database");
        }
        routed = if route { Some(Instant::now()) } else { routed };
        stop.run_until_cancelled(timeout(LOOK_EVERY, hints.changed())).await;
    }
    links.finish().await;
    Ok(())
}

/// The loops that run.
struct Links {
    ctx: Ctx,
    owner: String,
    tracker: TaskTracker,
    running: HashMap<i64, Running>,
}

struct Running {
    /// The endpoint as it was when the loop began.
    as_of: DateTime<Utc>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Links {
    /// Starts and ends loops as endpoints come, change and go.
    async fn look(&mut self, route: bool) -> Result<(), LabError> {
        if route {
            deliver::route_leftovers(&self.ctx).await?;
        }
        let endpoints = deliver::outbound_endpoints(&self.ctx).await?;
        for (id, running) in &self.running {
            if !endpoints.iter().any(|row| row.id == *id && row.updated_at == running.as_of) {
                running.stop.cancel();
            }
        }
        self.reap().await;
        for row in endpoints {
            // A loop that was told to stop finishes its exchange first: two loops to one lab would overtake each other.
            self.running.entry(row.id).or_insert_with(|| {
                let as_of = row.updated_at;
                let stop = CancellationToken::new();
                let link = Link::new(self.ctx.clone(), self.owner.clone(), Peer::from(row), stop.clone());
                Running { as_of, stop, task: self.tracker.spawn(link.run()) }
            });
        }
        Ok(())
    }

    /// Forgets the loops that have ended. One that panicked takes this task, and so the process, with it: a lab that
    /// silently gets no orders any more is worse than a restart.
    async fn reap(&mut self) {
        let ended: Vec<i64> =
            self.running.iter().filter(|(_, link)| link.task.is_finished()).map(|(id, _)| *id).collect();
        for id in ended {
            if let Some(link) = self.running.remove(&id) {
                join(link.task).await;
            }
        }
    }

    async fn finish(&mut self) {
        for link in self.running.values() {
            link.stop.cancel();
        }
        for (_, link) in self.running.drain() {
            join(link.task).await;
        }
    }
}

async fn join(task: JoinHandle<()>) {
    if let Err(error) = task.await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
