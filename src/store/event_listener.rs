//! LISTEN: how one process learns that another has written to `alert_events`.

use sea_orm::DbErr;
use sqlx::postgres::PgListener;

use super::db::{Db, EVENT_CHANNEL};
use crate::context::Hints;

/// Wakes the readers of events whenever any process commits one. Returns at once on SQLite, which has one process;
/// on PostgreSQL it returns only when listening is not possible.
pub async fn forward_events(db: &Db, hints: &Hints) -> Result<(), DbErr> {
    let Some(pool) = db.postgres_pool() else { return Ok(()) };
    let mut listener = PgListener::connect_with(pool).await.map_err(connection_lost)?;
    listener.listen(EVENT_CHANNEL).await.map_err(connection_lost)?;
    loop {
        // Whatever was committed while nobody listened is in the table; the same holds after a lost connection,
        // which `try_recv` reports as `None` and makes anew.
        hints.events.wake();
        listener.try_recv().await.map_err(connection_lost)?;
    }
}

/// The driver's own words may hold the address and the user of the database.
fn connection_lost(_: sqlx::Error) -> DbErr {
    DbErr::Custom("the listening connection is lost".to_owned())
}
