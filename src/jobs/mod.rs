//! Loops that take no input: they look at the database, do what is due, and sleep until a hint or a deadline.

pub mod escalation;
pub mod events_bridge;
mod link;
pub mod outbox;
