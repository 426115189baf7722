//! Whether the service can do its work.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::context::Ctx;

/// A database that takes longer to say "1" is as good as away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the database answers.
pub async fn database_answers(ctx: &Ctx) -> bool {
    let answer = ctx.db.reader().execute_unprepared("SELECT 1");
    matches!(tokio::time::timeout(PATIENCE, answer).await, Ok(Ok(_)))
}
