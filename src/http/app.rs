//! The API as a whole: its shared parts, its document, its router, its door.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::{Listener, ListenerExt, TapIo};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::{InfoBuilder, OpenApi};

use super::conventions::{self, Settings};
use super::cors::Origins;
use super::error::ApiError;
use super::request_id::NewRequestId;
use super::seats::Seats;
use super::secure_listener::SecureListener;
use super::sign_in_limit::SignInLimit;
use super::{docs, routes, schema};
use crate::context::Ctx;
use crate::lab::endpoint_directory::Directory;
use crate::lab::reception::{Reception, ReceptionWatch};
use crate::lab::stream_tickets::UsedTickets;
use crate::lab::test_endpoint::Bench;
use crate::reader::Reading;
use crate::security::random_hex;
use crate::security::tls::Door;

/// Paths that clients generated from the FastAPI document know with a trailing slash.
const WITH_SLASH: [&str; 2] = ["/api/lab-orders", "/api/lab-results"];

/// How long requests may take to finish once the service ends. Longer than any of ours; a client that never sends the
/// rest of its request, or never reads its answer, must not hold the service up.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The service's parts.
    pub ctx: Ctx,
    /// Ends the streams.
    pub(super) stop: CancellationToken,
    pub(super) metrics: PrometheusHandle,
    reception: Option<ReceptionWatch>,
    pub(super) directory: Directory,
    bench: Option<Bench>,
    pub(super) seats: Seats,
    pub(super) used_tickets: UsedTickets,
    pub(super) sign_in_limit: SignInLimit,
}

impl App {
    /// The API over a running service. `stop` ends its streams.
    pub fn new(ctx: Ctx, stop: CancellationToken, metrics: PrometheusHandle) -> Self {
        Self {
            ctx,
            stop,
            metrics,
            reception: None,
            directory: Directory::default(),
            bench: None,
            seats: Seats::default(),
            used_tickets: UsedTickets::default(),
            sign_in_limit: SignInLimit::default(),
        }
    }

    /// Opens the way in for messages. The service is ready only as long as it is open.
    #[must_use]
    pub fn receiving(self, reception: ReceptionWatch) -> Self {
        Self { directory: reception.directory(), reception: Some(reception), ..self }
    }

    /// Lets endpoints be tested.
    #[must_use]
    pub fn testing(self, bench: Bench) -> Self {
        Self { bench: Some(bench), ..self }
    }

    /// Where tests of endpoints are handed in.
    pub(super) fn bench(&self) -> Result<&Bench, ApiError> {
        self.bench.as_ref().ok_or(ApiError::Unavailable)
    }

    /// The way in, unless the service is stopping. Held no longer than it is used, since the intake ends when nobody holds
    /// it any more: a caller who sends slowly must not keep it up.
    pub(super) fn reception(&self) -> Option<Reception> {
        self.reception.as_ref()?.open()
    }

    /// Whether what the API needs is there, the database apart.
    pub(super) fn is_ready(&self) -> bool {
        self.reception.as_ref().is_none_or(ReceptionWatch::is_alive)
    }
}

/// The document that describes the API.
pub fn openapi() -> OpenApi {
    let (_, mut document) = routes::all().split_for_parts();
    document.info = InfoBuilder::new()
        .title("PMS")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Patient management and laboratory interface."))
        .build();
    // Before the operation ids are made: FastAPI makes them of the path with its slash.
    schema::spell_with_slash(&mut document, &WITH_SLASH);
    schema::complete(document)
}

/// The document as text: what is served, printed and committed.
pub fn openapi_text() -> Result<String, serde_json::Error> {
    docs::text(&openapi())
}

/// Everything behind the door.
pub fn router(app: App) -> Result<Router, serde_json::Error> {
    let settings = settings(&app);
    let (routes, _) = routes::all().split_for_parts();
    let documented = if app.ctx.config.docs { docs::router(openapi_text()?) } else { Router::new() };
    let start = routes::start::router(&app.ctx.config);
    Ok(conventions::wrap(routes.with_state(app).merge(documented).merge(start), settings))
}

fn settings(app: &App) -> Settings {
    let config = &app.ctx.config;
    Settings {
        cors_origins: Origins::new(config.cors_allowed_origins.iter().map(String::as_str)),
        reading: Reading { redact_input: config.redact_validation_input, ..Reading::default() },
        // Without random bytes nothing could be signed or sealed either; the log should still say so.
        new_request_id: NewRequestId::new(|| random_hex::<16>().unwrap_or_else(|_| "none".to_owned())),
    }
}

/// Answers requests until `stop`, then ends the streams and finishes what was begun, within [`FINISH_WITHIN`].
/// With a door, by TLS only.
pub async fn serve(
    listener: TcpListener,
    door: Option<Door>,
    app: App,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = router(app).map_err(std::io::Error::other)?;
    // Answers are small and complete: waiting to fill a packet only makes them late.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    match door {
        // The tap does nothing but make the peer's address known.
        Some(door) => answer(SecureListener::new(listener, door).tap_io(|_| {}), router, stop).await,
        None => answer(listener, router, stop).await,
    }
}

async fn answer<L, F>(listener: TapIo<L, F>, router: Router, stop: CancellationToken) -> std::io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
    F: FnMut(&mut L::Io) + Send + 'static,
{
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(FINISH_WITHIN).await;
    };
    tokio::select! {
        served = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned()) => served,
        () = given_up => {
            tracing::warn!("a request that did not end in time is cut off");
            Ok(())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    fn operations() -> Vec<(String, Value)> {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap().clone();
        let of_path = |(path, item): (String, Value)| {
            let item = item.as_object().unwrap().clone();
            item.into_iter()
                .map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        };
        paths.into_iter().flat_map(of_path).collect()
    }

    #[test]
    fn the_guides_routes_keep_their_names() {
        let operations = operations();
        for (line, id, tag) in [
            ("POST /api/lab-orders/", "create_lab_order_api_lab_orders__post", "Lab Orders"),
            ("GET /api/lab-orders/", "list_lab_orders_api_lab_orders__get", "Lab Orders"),
            ("GET /api/lab-orders/{order_id}", "get_lab_order_api_lab_orders__order_id__get", "Lab Orders"),
            ("GET /api/lab-results/", "list_lab_results_api_lab_results__get", "Lab Results"),
            ("POST /api/lab-results/", "create_lab_result_api_lab_results__post", "Lab Results"),
        ] {
            let (_, operation) = operations.iter().find(|(known, _)| known == line).unwrap();
            assert_eq!(
                (operation["operationId"].as_str(), operation["tags"][0].as_str()),
                (Some(id), Some(tag))
            );
        }
    }

    #[test]
    fn operation_ids_are_unique_and_few_routes_are_public() {
        let operations = operations();
        let ids: HashSet<_> =
            operations.iter().map(|(_, operation)| operation["operationId"].as_str()).collect();
        assert_eq!(ids.len(), operations.len());
        let public = |operation: &Value| operation["security"] == serde_json::json!([{}]);
        let mut open: Vec<_> =
            operations.iter().filter(|(_, o)| public(o)).map(|(line, _)| line.as_str()).collect();
        open.sort_unstable();
        assert_eq!(
            open,
            ["GET /healthz", "GET /metrics", "GET /readyz", "POST /api/auth/refresh", "POST /api/auth/token"]
        );
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let text = openapi_text().unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
        for name in ["LabOrderCreate", "LabOrderResponse", "LabResultCreate", "HTTPValidationError"] {
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}
