//! Messages that were given up.

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
use crate::http::plain_text::lines;
use crate::lab::dead_letters;
use crate::lab::views::{DeadLetterDetail, DeadLetterView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Dead Letters";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_dead_letters))
        .routes(routes!(get_dead_letter))
        .routes(routes!(retry_dead_letter))
        .routes(routes!(discard_dead_letter))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeadLettersQuery {
    /// To this endpoint.
    lis_endpoint_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for DeadLettersQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { lis_endpoint_id: fields.opt_int("lis_endpoint_id"), page: Page::read(fields) }
    }
}

/// Why it is put aside.
#[derive(Validate, ToSchema)]
struct DeadLetterDiscard {
    /// In words. Must not be empty.
    #[validate(length(max = 1000), custom(function = "lines"))]
    reason: String,
}

impl FromFields for DeadLetterDiscard {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { reason: fields.str("reason") }
    }
}

/// List what was given up
#[utoipa::path(get, path = "/api/dead-letters", tag = TAG, params(DeadLettersQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<DeadLetterView>)))]
async fn list_dead_letters(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = dead_letters::list_dead_letters(&app.ctx, &caller, query.lis_endpoint_id, request).await?;
    Ok(listing::answer(part, &uri))
}

/// One dead letter with every try
#[utoipa::path(get, path = "/api/dead-letters/{letter_id}", tag = TAG,
    params(("letter_id" = i64, Path, description = "Id of the letter")),
    responses((status = 200, description = "The letter", body = DeadLetterDetail)))]
async fn get_dead_letter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<DeadLetterDetail>, ApiError> {
    Ok(Json(dead_letters::read_dead_letter(&app.ctx, &caller, id).await?))
}

/// Put it back into the queue
///
/// The same bytes under the same control id, with all tries before it. 409 when it is no dead letter any more.
#[utoipa::path(post, path = "/api/dead-letters/{letter_id}/retry", tag = TAG,
    params(("letter_id" = i64, Path, description = "Id of the letter")),
    responses((status = 202, description = "Queued", body = DeadLetterView)))]
async fn retry_dead_letter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<(StatusCode, Json<DeadLetterView>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(dead_letters::retry_dead_letter(&app.ctx, &caller, id).await?)))
}

/// Put it aside
///
/// It leaves the list; its order stays failed or rejected, and its history says who gave it up and why.
#[utoipa::path(post, path = "/api/dead-letters/{letter_id}/discard", tag = TAG,
    params(("letter_id" = i64, Path, description = "Id of the letter")), request_body = DeadLetterDiscard,
    responses((status = 200, description = "Put aside", body = DeadLetterView)))]
async fn discard_dead_letter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<DeadLetterDiscard>,
) -> Result<Json<DeadLetterView>, ApiError> {
    Ok(Json(dead_letters::discard_dead_letter(&app.ctx, &caller, id, &body.reason).await?))
}
