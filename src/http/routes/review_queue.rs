//! Results that wait for a person to say whose they are.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::domain::review::ReviewStatus;
use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::lines;
use crate::lab::read_review_queue;
use crate::lab::resolve_review;
use crate::lab::views::ReviewItemView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Review Queue";
const STATUSES: [&str; 3] = ["open", "linked", "rejected"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_review_items))
        .routes(routes!(get_review_item))
        .routes(routes!(link_review_item))
        .routes(routes!(create_reviewed_patient))
        .routes(routes!(reject_review_item))
        .routes(routes!(undo_review_item))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReviewQuery {
    /// `open`, `linked` or `rejected`; `open` when absent.
    #[param(value_type = Option<String>, required = false)]
    status: String,
    #[param(ignore)]
    page: Page,
}

impl FromFields for ReviewQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { status: fields.choice_or("status", &STATUSES, "open").to_owned(), page: Page::read(fields) }
    }
}

/// Whose it is.
#[derive(Validate, ToSchema)]
struct ReviewLink {
    /// The patient to whose chart it is filed.
    patient_id: i64,
}

impl FromFields for ReviewLink {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { patient_id: fields.int("patient_id") }
    }
}

/// Why it belongs into no chart.
#[derive(Validate, ToSchema)]
struct ReviewReject {
    /// In words. Must not be empty.
    #[validate(length(max = 1000), custom(function = "lines"))]
    reason: String,
}

impl FromFields for ReviewReject {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { reason: fields.str("reason") }
    }
}

/// Why a decision is taken back.
#[derive(Validate, ToSchema)]
struct ReviewUndo {
    /// In words.
    #[validate(length(max = 1000), custom(function = "lines"))]
    reason: Option<String>,
}

impl FromFields for ReviewUndo {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { reason: fields.opt_str("reason") }
    }
}

/// List what waits for a person
#[utoipa::path(get, path = "/api/review-queue", tag = TAG, params(ReviewQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<ReviewItemView>)))]
async fn list_review_items(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ReviewQuery>,
) -> Result<Response, ApiError> {
    let status = query.status.parse().unwrap_or(ReviewStatus::Open);
    let part = read_review_queue::list_review_items(&app.ctx, &caller, status, query.page.request()).await?;
    Ok(listing::answer(part, &uri))
}

/// One item, with what it holds and who it might be
#[utoipa::path(get, path = "/api/review-queue/{item_id}", tag = TAG,
    params(("item_id" = i64, Path, description = "Id of the item")),
    responses((status = 200, description = "The item", body = ReviewItemView)))]
async fn get_review_item(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<ReviewItemView>, ApiError> {
    Ok(Json(read_review_queue::read_review_item(&app.ctx, &caller, id).await?))
}

/// File it to a patient
///
/// As if it had come today, but by its own times: an older result does not cover a newer one. A second `link` gets a 409
/// that says who and when.
#[utoipa::path(post, path = "/api/review-queue/{item_id}/link", tag = TAG, request_body = ReviewLink,
    params(("item_id" = i64, Path, description = "Id of the item")),
    responses((status = 200, description = "Filed", body = ReviewItemView)))]
async fn link_review_item(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<ReviewLink>,
) -> Result<Json<ReviewItemView>, ApiError> {
    Ok(Json(resolve_review::link_review(&app.ctx, &caller, id, body.patient_id).await?))
}

/// Register the patient whom the message states, and file it there
///
/// 409 when somebody has an identifier of the message; 422 when it states no identifier or no family name.
#[utoipa::path(post, path = "/api/review-queue/{item_id}/create-patient", tag = TAG,
    params(("item_id" = i64, Path, description = "Id of the item")),
    responses((status = 200, description = "Registered and filed", body = ReviewItemView)))]
async fn create_reviewed_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<ReviewItemView>, ApiError> {
    Ok(Json(resolve_review::create_reviewed_patient(&app.ctx, &caller, id).await?))
}

/// Keep it out of every chart
///
/// The message stays; alerts of it are closed with the reason.
#[utoipa::path(post, path = "/api/review-queue/{item_id}/reject", tag = TAG, request_body = ReviewReject,
    params(("item_id" = i64, Path, description = "Id of the item")),
    responses((status = 200, description = "Rejected", body = ReviewItemView)))]
async fn reject_review_item(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<ReviewReject>,
) -> Result<Json<ReviewItemView>, ApiError> {
    Ok(Json(resolve_review::reject_review(&app.ctx, &caller, id, &body.reason).await?))
}

/// Take the decision back
///
/// The item waits again. What it had put into a chart is withdrawn and told of as `result_corrected`; alerts that were
/// acknowledged for the wrong patient wait again. 409 when later results build on it.
#[utoipa::path(post, path = "/api/review-queue/{item_id}/undo", tag = TAG, request_body = Option<ReviewUndo>,
    params(("item_id" = i64, Path, description = "Id of the item")),
    responses((status = 200, description = "Open again", body = ReviewItemView)))]
async fn undo_review_item(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    body: Option<Body<ReviewUndo>>,
) -> Result<Json<ReviewItemView>, ApiError> {
    let reason = body.and_then(|Body(body)| body.reason);
    Ok(Json(resolve_review::undo_review(&app.ctx, &caller, id, reason.as_deref()).await?))
}
