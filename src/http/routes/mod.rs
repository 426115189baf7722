//! One file per resource: its addresses, what comes in, and which use case answers.

mod alerts;
mod api_keys;
mod appointments;
mod auth;
mod code_maps;
mod dead_letters;
mod encounters;
mod health;
mod lab_orders;
mod lab_results;
mod lis_endpoints;
mod messages;
mod ops;
mod patients;
mod preview;
mod reports;
mod review_queue;
pub(super) mod start;
mod stream;
mod studies;
mod submit;

use utoipa_axum::router::OpenApiRouter;

use super::app::App;

/// All routes with their documentation.
pub(super) fn all() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .merge(auth::router())
        .merge(patients::router())
        .merge(encounters::router())
        .merge(appointments::router())
        .merge(lab_orders::router())
        .merge(lab_results::router())
        .merge(alerts::router())
        .merge(review_queue::router())
        .merge(stream::router())
        .merge(messages::router())
        .merge(dead_letters::router())
        .merge(preview::router())
        .merge(submit::router())
        .merge(studies::router())
        .merge(api_keys::router())
        .merge(lis_endpoints::router())
        .merge(code_maps::router())
        .merge(reports::router())
        .merge(ops::router())
        .merge(health::router())
}
