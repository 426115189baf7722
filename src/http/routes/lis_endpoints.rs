//! The laboratory systems we talk to.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::lab::manage_endpoints::{self, EndpointCreate, EndpointUpdate};
use crate::lab::test_endpoint;
use crate::lab::views::{EndpointView, SelfTestView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "LIS Endpoints";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_endpoints, create_endpoint))
        .routes(routes!(get_endpoint, update_endpoint, delete_endpoint))
        .routes(routes!(pause_endpoint))
        .routes(routes!(resume_endpoint))
        .routes(routes!(test_endpoint))
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

/// How an endpoint is tested.
#[derive(Validate, ToSchema)]
#[schema(as = LisEndpointTestRequest)]
struct TestRequest {
    /// False leaves the test order out, for a laboratory that cannot tell a `T` in MSH-11 from a `P`.
    #[schema(default = true)]
    order: bool,
}

impl FromFields for TestRequest {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { order: fields.bool_or("order", true) }
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

/// Test whether orders would get there
///
/// Looks the address up, connects, and sends an order with MSH-11 `T` for a patient that does not exist, on a connection of
/// its own. Also for an endpoint that is paused or switched off. It may take as long as the ACK time-out and the connect
/// take. 409 where nothing is sent to.
#[utoipa::path(post, path = "/api/lis-endpoints/{endpoint_id}/test", tag = TAG, request_body = Option<TestRequest>,
    params(("endpoint_id" = i64, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "What was found, step by step", body = SelfTestView)))]
async fn test_endpoint(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    body: Option<Body<TestRequest>>,
) -> Result<Json<SelfTestView>, ApiError> {
    let order = body.is_none_or(|Body(request)| request.order);
    Ok(Json(test_endpoint::test_endpoint(&app.ctx, &caller, app.bench()?, id, order).await?))
}
