//! Tells of orders that became late, were refused or called off.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Ctx,
    lab::{LabError, raise_concerns::raise_concerns},
};

/// How often to look without being woken: orders become late by time alone.
const LOOK_EVERY: TimeDelta = TimeDelta::seconds(30);
/// The shortest time between two looks: a burst of messages is one look.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs until told to stop. A database that is away is asked again.
pub async fn run(ctx: Ctx, stop: CancellationToken) -> Result<(), LabError> {
    let mut hints = ctx.hints.orders.listen();
    while !stop.is_cancelled() {
        hints.mark_unchanged();
        let due = ctx.clock.now() + LOOK_EVERY;
        if let Err(error) = raise_concerns(&ctx).await {
            tracing::warn!(class = error.class(), "orders cannot be looked after now");
        }
        let next = async {
            sleep(SHORTEST_PAUSE).await;
            tokio::select! {
                () = ctx.clock.sleep_until(due) => {}
                _ = hints.changed() => {}
            }
        };
        stop.run_until_cancelled(next).await;
    }
    Ok(())
}
