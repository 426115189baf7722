//! Loops that take no input: they look at the database, do what is due, and sleep until a hint or a deadline.

pub mod directories;
pub mod endpoint_watch;
pub mod escalation;
pub mod events_bridge;
mod link;
mod loops;
pub mod outbox;
pub mod reconciliation;
pub mod self_tests;
pub mod sftp_pull;
