//! Use cases, one verb a file; each owns its transaction. Start with [`intake`] (what happens when a result arrives),
//! [`place_order`] (what happens when an order goes out) and [`access`] (who may, and who did).

pub mod access;
pub mod acknowledge_alert;
pub mod answer;
pub mod appointments;
pub mod arrival;
pub mod cancel_order;
pub mod code_maps;
pub mod deliver;
pub mod demo_data;
pub mod encounters;
pub mod endpoint_directory;
pub mod endpoint_profile;
mod error;
pub mod escalate_alerts;
pub mod event_bridge;
pub mod follow_events;
pub mod health;
pub mod intake;
pub mod manage_endpoints;
mod new_order;
mod order_message;
pub mod order_progress;
mod order_reply;
pub mod page;
pub mod place_order;
pub mod preview_message;
mod queue_message;
pub mod read_alerts;
pub mod read_messages;
pub mod read_orders;
pub mod read_patients;
pub mod read_results;
mod record_attempt;
pub mod record_result;
pub mod register_patient;
pub mod route_order;
pub mod rules;
pub mod seed;
pub mod sign_in;
pub mod stream_tickets;
mod translate;
pub mod views;

pub use error::LabError;
