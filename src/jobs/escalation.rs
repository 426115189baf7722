//! Moves alerts up when their deadline passes.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Ctx,
    lab::{LabError, escalate_alerts::escalate_alerts},
};

/// How often to look without being woken: another process may have raised an alert.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The shortest time between two looks: a burst of messages is one look.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);

/// Runs until told to stop. A database that is away is asked again.
pub async fn run(ctx: Ctx, stop: CancellationToken) -> Result<(), LabError> {
    let mut hints = ctx.hints.events.listen();
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        let deadline = escalate_alerts(&ctx).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "alerts cannot be escalated now");
            None
        });
        let next = async {
            sleep(SHORTEST_PAUSE).await;
            let due = async {
                match deadline {
                    Some(instant) => ctx.clock.sleep_until(instant).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                _ = timeout(LOOK_EVERY, hints.changed()) => {}
            }
        };
        stop.run_until_cancelled(next).await;
    }
    Ok(())
}
