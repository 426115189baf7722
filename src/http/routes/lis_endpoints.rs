//! The laboratory systems we talk to.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::lab::manage_endpoints::{self, EndpointCreate, EndpointUpdate};
use crate::lab::views::EndpointView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "LIS Endpoints";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_endpoints, create_endpoint))
        .routes(routes!(get_endpoint, update_endpoint, delete_endpoint))
        .routes(routes!(pause_endpoint))
        .routes(routes!(resume_endpoint))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct EndpointsQuery {
    #[param(ignore)]
    page: Page,
}

impl FromFields for EndpointsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { page: Page::read(fields) }
    }
}

/// List endpoints
#[utoipa::path(get, path = "/api/lis-endpoints", tag = TAG, params(Page),
    responses((status = 200, description = "Newest first", body = Vec<EndpointView>)))]
async fn list_endpoints(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<EndpointsQuery>,
) -> Result<Response, ApiError> {
    let part = manage_endpoints::list_endpoints(&app.ctx, &caller, query.page.request()).await?;
    Ok(listing::answer(part, &uri))
}

/// Set up an endpoint
#[utoipa::path(post, path = "/api/lis-endpoints", tag = TAG, request_body = EndpointCreate,
    responses((status = 201, description = "Set up", body = EndpointView)))]
async fn create_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<EndpointCreate>,
) -> Result<(StatusCode, Json<EndpointView>), ApiError> {
    let endpoint = manage_endpoints::create_endpoint(&app.ctx, &caller, body.settings()).await?;
    Ok((StatusCode::CREATED, Json(endpoint)))
}

/// One endpoint
#[utoipa::path(get, path = "/api/lis-endpoints/{endpoint_id}", tag = TAG,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "The endpoint", body = EndpointView)))]
async fn get_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(manage_endpoints::read_endpoint(&app.ctx, &caller, id).await?))
}

/// Change an endpoint
#[utoipa::path(patch, path = "/api/lis-endpoints/{endpoint_id}", tag = TAG, request_body = EndpointUpdate,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "The endpoint as it is now", body = EndpointView)))]
async fn update_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<EndpointUpdate>,
) -> Result<Json<EndpointView>, ApiError> {
    let change = |settings: &mut _| body.apply(settings);
    Ok(Json(manage_endpoints::update_endpoint(&app.ctx, &caller, id, change).await?))
}

/// Take an endpoint out of use
#[utoipa::path(delete, path = "/api/lis-endpoints/{endpoint_id}", tag = TAG,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 204, description = "Out of use; its messages stay in the log")))]
async fn delete_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<StatusCode, ApiError> {
    manage_endpoints::delete_endpoint(&app.ctx, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stop sending; what is ordered meanwhile waits
#[utoipa::path(post, path = "/api/lis-endpoints/{endpoint_id}/pause", tag = TAG,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "Paused", body = EndpointView)))]
async fn pause_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(manage_endpoints::pause_endpoint(&app.ctx, &caller, id).await?))
}

/// Go on sending
#[utoipa::path(post, path = "/api/lis-endpoints/{endpoint_id}/resume", tag = TAG,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "Sending", body = EndpointView)))]
async fn resume_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<EndpointView>, ApiError> {
    Ok(Json(manage_endpoints::resume_endpoint(&app.ctx, &caller, id).await?))
}
