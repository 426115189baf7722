//! The HTTP door: FastAPI's manners on axum.
//!
//! A handler takes typed extractors ([`extract`]), calls one use case and wraps the outcome. What a request
//! type looks like on the wire is written once, in [`crate::reader::FromFields`]; every failure is an
//! [`error::ApiError`]. What holds for all routes is put around them by [`conventions::wrap`].

pub mod app;
pub mod auth;
pub mod conventions;
pub mod cors;
mod csv;
pub mod docs;
pub mod error;
pub mod extract;
mod fallback;
mod gauges;
#[cfg(test)]
mod golden;
mod headers;
mod json_fault;
mod keyed;
mod lab_error;
mod listing;
pub mod page;
mod plain_text;
pub mod request_id;
mod routes;
pub mod schema;
mod seats;
mod secure_listener;
mod sign_in_limit;
mod slash;
