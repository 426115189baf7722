//! Keys for `x-api-key`.

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
use crate::http::plain_text::filled_line;
use crate::lab::api_keys;
use crate::lab::views::{ApiKeyView, NewApiKeyView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "API Keys";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_api_keys, create_api_key)).routes(routes!(revoke_api_key))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct KeysQuery {
    #[param(ignore)]
    page: Page,
}

impl FromFields for KeysQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { page: Page::read(fields) }
    }
}

/// A new key.
#[derive(Validate, ToSchema)]
struct ApiKeyCreate {
    /// What it is for, such as the name of the sending system.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    name: String,
    /// The endpoint whose messages it brings. Without one the messages are read like those of a sender on this machine
    /// that no endpoint names.
    lis_endpoint_id: Option<i64>,
}

impl FromFields for ApiKeyCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { name: fields.str("name"), lis_endpoint_id: fields.opt_int("lis_endpoint_id") }
    }
}

/// List the keys in use
#[utoipa::path(get, path = "/api/api-keys", tag = TAG, params(Page),
    responses((status = 200, description = "Newest first, without the keys themselves", body = Vec<ApiKeyView>)))]
async fn list_api_keys(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<KeysQuery>,
) -> Result<Response, ApiError> {
    let part = api_keys::list_api_keys(&app.ctx, &caller, query.page.request()).await?;
    Ok(listing::answer(part, &uri))
}

/// Make a key
///
/// The answer is the only place where the key is ever shown.
#[utoipa::path(post, path = "/api/api-keys", tag = TAG, request_body = ApiKeyCreate,
    responses((status = 201, description = "Made", body = NewApiKeyView)))]
async fn create_api_key(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<ApiKeyCreate>,
) -> Result<(StatusCode, Json<NewApiKeyView>), ApiError> {
    let key = api_keys::create_api_key(&app.ctx, &caller, body.name, body.lis_endpoint_id).await?;
    Ok((StatusCode::CREATED, Json(key)))
}

/// End a key
#[utoipa::path(delete, path = "/api/api-keys/{key_id}", tag = TAG,
    params(("key_id" = i64, Path, description = "Id of the key")),
    responses((status = 204, description = "Ended; it opens nothing any more")))]
async fn revoke_api_key(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<StatusCode, ApiError> {
    api_keys::revoke_api_key(&app.ctx, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
