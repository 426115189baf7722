//! Questions of the machines that watch over the service. No patient data, so nobody signs in.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::app::App;
use crate::http::gauges;
use crate::lab::health::database_answers;
use crate::lab::read_endpoint_health::endpoint_gauges;

const TAG: &str = "Health";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Alive.
#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Whether work can be done.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// The database answers.
    database: bool,
    /// The tasks are alive, the intake among them.
    tasks: bool,
    /// The service is on its way out.
    stopping: bool,
}

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = TAG, security(()),
    responses((status = 200, description = "Yes", body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Can the service do its work?
#[utoipa::path(get, path = "/readyz", tag = TAG, security(()),
    responses((status = 200, description = "Yes", body = Readiness), (status = 503, description = "No", body = Readiness)))]
async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let (database, tasks, stopping) =
        (database_answers(&app.ctx).await, app.is_ready(), app.stop.is_cancelled());
    let ready = database && tasks && !stopping;
    let (code, status) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not_ready") };
    (code, Json(Readiness { status, database, tasks, stopping }))
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = TAG, security(()),
    responses((status = 200, description = "Text exposition format", content_type = "text/plain", body = String)))]
async fn metrics(State(app): State<App>) -> Response {
    app.metrics.run_upkeep();
    let mut text = app.metrics.render();
    match endpoint_gauges(&app.ctx).await {
        Ok(rows) => text.push_str(&gauges::text(&rows)),
        // The figures of this process are wanted most when the database is away.
        Err(error) => tracing::warn!(class = error.class(), "no figures of endpoints"),
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}
