//! Keeps listening for events of other processes.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    context::Ctx,
    lab::{LabError, event_bridge::bridge_events},
};

/// How long to wait before listening again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Runs until told to stop. Where there is nothing to listen to, it waits for that: a job that ends looks dead.
pub async fn run(ctx: Ctx, stop: CancellationToken) -> Result<(), LabError> {
    while let Some(ended) = stop.run_until_cancelled(bridge_events(&ctx)).await {
        let pause = async {
            match ended {
                Ok(()) => std::future::pending().await,
                Err(error) => {
                    tracing::warn!(%error, "events of other processes come late until the database is back");
                    sleep(AGAIN_AFTER).await;
                }
            }
        };
        stop.run_until_cancelled(pause).await;
    }
    Ok(())
}
