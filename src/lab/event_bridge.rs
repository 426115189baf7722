//! Events of other processes: a clinician's stream hangs on one process while the result comes in at another.

use super::error::LabError;
use crate::{context::Ctx, store::event_listener};

/// Wakes this process's streams on events of every process, until the database connection fails. Returns at once
/// where there is only one process.
pub async fn bridge_events(ctx: &Ctx) -> Result<(), LabError> {
    Ok(event_listener::forward_events(&ctx.db, &ctx.hints).await?)
}
