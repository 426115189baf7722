//! Everything that knows SQL. `db` owns the only BEGIN; `entity` has one file per table; the other files are finders
//! and writers per noun. Nothing outside `lab` imports this module, apart from `context` and `runtime`, which open the
//! database.

pub mod alerts;
pub mod bulk;
pub mod codes;
pub mod db;
pub mod endpoint_alarms;
pub mod endpoints;
pub mod entity;
pub mod escalations;
pub mod event_listener;
pub mod feeds;
pub mod intake;
pub mod merges;
pub mod orders;
pub mod outbox;
pub mod patients;
pub mod reconcile;
pub mod reports;
pub mod reviews;
pub mod row_changes;

/// Whether the database refused a row because a unique index holds it already.
pub fn is_unique_violation(error: &sea_orm::DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}
