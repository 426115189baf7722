//! One loop for each endpoint that takes orders, so that a slow or dead lab never delays another. A nudge after an
//! order, a restart and a second instance all take the same path: look what is due, and do it.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    link::{Link, Peer},
    loops::Loops,
};
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
    let mut loops = Loops::new(tracker);
    let mut hints = ctx.hints.endpoints.listen();
    let mut routed: Option<Instant> = None;
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        let route = routed.is_none_or(|at| at.elapsed() >= ROUTE_EVERY);
        if let Err(error) = look(&ctx, &owner, &mut loops, route).await {
            tracing::warn!(%error, "delivery cannot use the database");
        }
        routed = if route { Some(Instant::now()) } else { routed };
        stop.run_until_cancelled(timeout(LOOK_EVERY, hints.changed())).await;
    }
    loops.finish().await;
    Ok(())
}

/// Starts and ends loops as endpoints come, change and go.
async fn look(ctx: &Ctx, owner: &str, loops: &mut Loops<i64>, route: bool) -> Result<(), LabError> {
    if route {
        deliver::route_leftovers(ctx).await?;
    }
    let endpoints = deliver::outbound_endpoints(ctx).await?;
    let link = |row, stop| Link::new(ctx.clone(), owner.to_owned(), Peer::from(row), stop).run();
    loops.follow(endpoints, |row| (row.id, row.updated_at), link).await;
    Ok(())
}
