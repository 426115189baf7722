//! Everything that holds for all routes, put around them in one place.

use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_request, map_response};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;

use super::cors::{self, Origins};
use super::request_id::{self, NewRequestId};
use super::{fallback, headers, slash};
use crate::reader::Reading;

/// What the door is told by the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Origins whose pages may call us.
    pub cors_origins: Origins,
    /// How request fields are read and echoed.
    pub reading: Reading,
    /// Makes ids for requests that bring none.
    pub new_request_id: NewRequestId,
}

/// Puts the conventions around finished routes; routes added to the result afterwards would not have them.
///
/// From outside in: CORS (its headers stand on every answer), request id, security headers, panics, settings,
/// the trailing slash. The routes are a service inside an otherwise empty router: a layer of a router runs
/// after its own routing, so the slash can only be taken off outside of the one that matches paths.
pub fn wrap(routes: Router, settings: Settings) -> Router {
    let routes =
        routes.fallback(fallback::not_found).method_not_allowed_fallback(fallback::method_not_allowed);
    Router::new()
        .fallback_service(routes)
        .layer(map_request(async |request: Request| slash::strip_slash(request)))
        .layer(Extension(settings.reading))
        .layer(CatchPanicLayer::custom(fallback::panicked))
        .layer(map_response(headers::harden))
        .layer(from_fn_with_state(settings.new_request_id, request_id::request_id))
        .layer(from_fn_with_state(settings.cors_origins, cors::cors))
}
