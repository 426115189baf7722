//! One loop for each watched directory, so that a long file or a slow disk never delays another laboratory.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::loops::Loops;
use crate::{
    context::Ctx,
    lab::{
        LabError,
        reception::ReceptionWatch,
        watch_directory::{Watch, WatchedEndpoint, watched_endpoints},
    },
};

/// How often to look without being woken: another process may have changed an endpoint.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until told to stop; then waits for the looks that are under way, which end early.
pub async fn run(
    ctx: Ctx,
    reception: ReceptionWatch,
    tracker: TaskTracker,
    stop: CancellationToken,
) -> Result<(), LabError> {
    let mut loops = Loops::new(tracker);
    let mut hints = ctx.hints.endpoints.listen();
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        match watched_endpoints(&ctx).await {
            Ok(endpoints) => {
                let watch = |row, stop| watch(ctx.clone(), reception.clone(), row, stop);
                loops.follow(endpoints, |row| (row.id, row.updated_at), watch).await;
            }
            Err(error) => tracing::warn!(%error, "watched directories cannot be looked up"),
        }
        stop.run_until_cancelled(timeout(LOOK_EVERY, hints.changed())).await;
    }
    loops.finish().await;
    Ok(())
}

async fn watch(ctx: Ctx, reception: ReceptionWatch, endpoint: WatchedEndpoint, stop: CancellationToken) {
    let mut watch = Watch::new(endpoint);
    while !stop.is_cancelled() {
        // Held only for a look: the intake ends when nobody holds it.
        if let Some(reception) = reception.open() {
            watch.look(&reception, &stop).await;
        }
        stop.run_until_cancelled(ctx.clock.sleep(watch.pause())).await;
    }
}
