//! What local codes of laboratories mean in LOINC.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::{filled_line, line};
use crate::lab::code_maps::{self, CodeMapEntry};
use crate::lab::views::{CodeMapView, UnmappedCodeView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Code Maps";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_code_maps, set_code_maps)).routes(routes!(list_unmapped))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct CodesQuery {
    /// Of one laboratory; 0 for what holds for all.
    lis_endpoint_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for CodesQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { lis_endpoint_id: fields.opt_int("lis_endpoint_id"), page: Page::read(fields) }
    }
}

/// Entries to set.
#[derive(Validate, ToSchema)]
struct CodeMapUpdate {
    /// Each is set or removed; entries that are not named stay as they are.
    #[validate(nested)]
    entries: Vec<CodeMapItem>,
}

/// One entry to set.
#[derive(Validate, ToSchema)]
struct CodeMapItem {
    /// Whose code; 0 for every laboratory.
    #[schema(default = 0, required = false)]
    lis_endpoint_id: i64,
    /// Code as the laboratory sends it.
    #[validate(length(min = 1, max = 100), custom(function = "filled_line"))]
    local_code: String,
    /// Its coding system; empty for any.
    #[schema(default = "", required = false)]
    #[validate(length(max = 50), custom(function = "line"))]
    local_system: String,
    /// LOINC it means; null removes the entry.
    #[validate(length(max = 20), custom(function = "line"))]
    loinc_code: Option<String>,
    /// Name.
    #[validate(length(max = 200), custom(function = "line"))]
    name: Option<String>,
}

impl FromFields for CodeMapUpdate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { entries: fields.objects("entries") }
    }
}

impl FromFields for CodeMapItem {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            lis_endpoint_id: fields.int_or("lis_endpoint_id", 0),
            local_code: fields.str("local_code"),
            local_system: fields.str_or("local_system", ""),
            loinc_code: fields.opt_str("loinc_code"),
            name: fields.opt_str("name"),
        }
    }
}

impl From<CodeMapItem> for CodeMapEntry {
    fn from(item: CodeMapItem) -> Self {
        Self {
            lis_endpoint_id: item.lis_endpoint_id,
            local_code: item.local_code,
            local_system: item.local_system,
            loinc_code: item.loinc_code,
            name: item.name,
        }
    }
}

/// List code maps
#[utoipa::path(get, path = "/api/code-maps", tag = TAG, params(CodesQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<CodeMapView>)))]
async fn list_code_maps(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<CodesQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = code_maps::list_code_maps(&app.ctx, &caller, query.lis_endpoint_id, request).await?;
    Ok(listing::answer(part, &uri))
}

/// Set code maps
///
/// All entries or none. What was said before is kept.
#[utoipa::path(put, path = "/api/code-maps", tag = TAG, request_body = CodeMapUpdate,
    responses((status = 200, description = "The entries as they are now", body = Vec<CodeMapView>)))]
async fn set_code_maps(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<CodeMapUpdate>,
) -> Result<Json<Vec<CodeMapView>>, ApiError> {
    let entries = body.entries.into_iter().map(CodeMapEntry::from).collect();
    Ok(Json(code_maps::set_code_maps(&app.ctx, &caller, entries).await?))
}

/// List codes that nobody has mapped
///
/// Codes that results came under and that lead to no LOINC.
#[utoipa::path(get, path = "/api/code-maps/unmapped", tag = TAG, params(CodesQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<UnmappedCodeView>)))]
async fn list_unmapped(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<CodesQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = code_maps::list_unmapped(&app.ctx, &caller, query.lis_endpoint_id, request).await?;
    Ok(listing::answer(part, &uri))
}
