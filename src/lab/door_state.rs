//! What stands in the way of a door that files come through, where the operator sees it: in the state of its endpoint.

use super::LabError;
use crate::{
    context::Ctx,
    store::{db, endpoints},
};

/// What the operator was told last of one door.
pub struct Telling {
    endpoint: i64,
    /// The state of an endpoint whose door is shut.
    shut: &'static str,
    trouble: Option<String>,
    is_told: bool,
}

impl Telling {
    /// Nothing was told yet.
    pub fn new(endpoint: i64, shut: &'static str) -> Self {
        Self { endpoint, shut, trouble: None, is_told: false }
    }

    /// Tells what stands in the way, or that nothing does any more, once. That it cannot be told holds nothing up.
    pub async fn tell(&mut self, ctx: &Ctx, trouble: Option<String>) {
        if self.is_told && self.trouble == trouble {
            return;
        }
        if let Some(detail) = &trouble {
            tracing::warn!(endpoint = self.endpoint, state = self.shut, detail, "files do not come in");
        }
        let told = show(ctx, self.endpoint, self.shut, trouble.as_deref()).await;
        if let Err(error) = &told {
            tracing::warn!(endpoint = self.endpoint, class = error.class(), "its state cannot be stored");
        }
        self.is_told = told.is_ok();
        self.trouble = trouble;
    }
}

/// The state is the sending side's as well: it is taken back only where it is still what was said here.
async fn show(ctx: &Ctx, endpoint: i64, shut: &str, trouble: Option<&str>) -> Result<(), LabError> {
    let tx = db::write(&ctx.db, "show_door").await?;
    match trouble {
        Some(detail) => endpoints::set_connection_state(&*tx, endpoint, shut, Some(detail)).await?,
        None => endpoints::end_connection_state(&*tx, endpoint, shut, "idle").await?,
    }
    tx.commit().await?;
    Ok(())
}
