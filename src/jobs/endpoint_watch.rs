//! Tells of laboratories that have fallen silent and of queues that do not move.

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Ctx,
    lab::{LabError, watch_endpoints::watch_endpoints},
};

/// How often to look. Nothing is out of the ordinary within minutes.
const LOOK_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Runs until told to stop. A database that is away is asked again.
pub async fn run(ctx: Ctx, stop: CancellationToken) -> Result<(), LabError> {
    let since = ctx.clock.now();
    while !stop.is_cancelled() {
        let due = ctx.clock.now() + LOOK_EVERY;
        if let Err(error) = watch_endpoints(&ctx, since).await {
            tracing::warn!(class = error.class(), "endpoints cannot be watched now");
        }
        stop.run_until_cancelled(ctx.clock.sleep_until(due)).await;
    }
    Ok(())
}
