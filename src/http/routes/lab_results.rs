//! Laboratory results.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::{filled_line, line, lines, test_code};
use crate::lab::read_results::{self, Document, ResultFilter};
use crate::lab::record_result::{self, NewResult};
use crate::lab::views::{CriticalResultView, ResultView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Lab Results";
/// What a browser may take as what the lab says it is; anything else is only bytes to us.
const SHOWABLE: [(&str, &str); 5] = [
    ("application/pdf", "pdf"),
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/tiff", "tif"),
    ("text/plain", "txt"),
];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_lab_results, create_lab_result))
        .routes(routes!(list_critical_results))
        .routes(routes!(get_lab_result))
        .routes(routes!(list_result_versions))
        .routes(routes!(read_result_document))
        .routes(routes!(review_lab_result))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ResultsQuery {
    /// Of one patient; without `limit` the list is then whole, up to 5,000 rows.
    patient_id: Option<i64>,
    /// Only what a flag or a limit calls abnormal.
    #[param(default = false, required = false)]
    abnormal_only: bool,
    /// Of one order.
    lab_order_id: Option<i64>,
    /// Code as sent, or its LOINC code.
    #[validate(custom(function = "line"))]
    test_code: Option<String>,
    /// That arrived at or after this time.
    since: Option<DateTime<Utc>>,
    /// Reviewed, or not yet.
    reviewed: Option<bool>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for ResultsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.opt_int("patient_id"),
            abnormal_only: fields.bool_or("abnormal_only", false),
            lab_order_id: fields.opt_int("lab_order_id"),
            test_code: fields.opt_str("test_code"),
            since: fields.opt_datetime("since"),
            reviewed: fields.opt_bool("reviewed"),
            page: Page::read(fields),
        }
    }
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct CriticalQuery {
    /// Those whose alert somebody took on, or those that wait.
    #[param(default = false, required = false)]
    acknowledged: bool,
    #[param(ignore)]
    page: Page,
}

impl FromFields for CriticalQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { acknowledged: fields.bool_or("acknowledged", false), page: Page::read(fields) }
    }
}

/// A result that no HL7 message brings.
#[derive(Validate, ToSchema)]
struct LabResultCreate {
    /// Whose it is.
    patient_id: i64,
    /// The order it answers.
    lab_order_id: Option<i64>,
    /// Code of the test, local or LOINC.
    #[validate(custom(function = "test_code"))]
    test_code: String,
    /// Name of the test.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    test_name: String,
    /// The value, as text.
    #[validate(length(min = 1, max = 65536), custom(function = "lines"))]
    value: String,
    /// Units.
    #[validate(length(max = 100), custom(function = "line"))]
    units: Option<String>,
    /// Reference range.
    #[validate(length(max = 200), custom(function = "line"))]
    reference_range: Option<String>,
    /// Interpretation (table 0078).
    #[validate(length(max = 50), custom(function = "line"))]
    abnormal_flag: Option<String>,
    /// Status (table 0085).
    #[schema(default = "F", required = false)]
    result_status: String,
    /// Who measured it.
    #[validate(length(max = 180), custom(function = "line"))]
    sending_facility: Option<String>,
}

impl FromFields for LabResultCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.int("patient_id"),
            lab_order_id: fields.opt_int("lab_order_id"),
            test_code: fields.str("test_code"),
            test_name: fields.str("test_name"),
            value: fields.str("value"),
            units: fields.opt_str("units"),
            reference_range: fields.opt_str("reference_range"),
            abnormal_flag: fields.opt_str("abnormal_flag"),
            result_status: fields.str_or("result_status", "F"),
            sending_facility: fields.opt_str("sending_facility"),
        }
    }
}

impl From<LabResultCreate> for NewResult {
    fn from(body: LabResultCreate) -> Self {
        Self {
            patient_id: body.patient_id,
            lab_order_id: body.lab_order_id,
            test_code: body.test_code.trim().to_owned(),
            test_name: body.test_name,
            value: body.value,
            units: body.units,
            reference_range: body.reference_range,
            abnormal_flag: body.abnormal_flag.filter(|flag| !flag.trim().is_empty()),
            result_status: body.result_status,
            sending_facility: body.sending_facility,
        }
    }
}

/// List results
///
/// The current version of each. With `patient_id` and without `limit` the list is whole, up to 5,000 rows.
#[utoipa::path(get, path = "/api/lab-results", tag = TAG, params(ResultsQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<ResultView>)))]
async fn list_lab_results(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ResultsQuery>,
) -> Result<Response, ApiError> {
    let whole = query.patient_id.is_some();
    let request = if whole { query.page.request_or_everything() } else { query.page.request() };
    let filter = ResultFilter {
        patient_id: query.patient_id,
        abnormal_only: query.abnormal_only,
        lab_order_id: query.lab_order_id,
        test_code: query.test_code,
        since: query.since,
        reviewed: query.reviewed,
    };
    let part = read_results::list_results(&app.ctx, &caller, &filter, request).await?;
    Ok(listing::answer(part, &uri))
}

/// Store a result
#[utoipa::path(post, path = "/api/lab-results", tag = TAG, request_body = LabResultCreate,
    responses((status = 201, description = "Stored", body = ResultView)))]
async fn create_lab_result(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<LabResultCreate>,
) -> Result<(StatusCode, Json<ResultView>), ApiError> {
    let result = record_result::record_result(&app.ctx, &caller, body.into()).await?;
    Ok((StatusCode::CREATED, Json(result)))
}

/// List critical results
#[utoipa::path(get, path = "/api/lab-results/critical", tag = TAG, params(CriticalQuery, Page),
    responses((status = 200, description = "Newest first, each with its alert", body = Vec<CriticalResultView>)))]
async fn list_critical_results(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<CriticalQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request_or_everything();
    let part = read_results::list_critical(&app.ctx, &caller, query.acknowledged, request).await?;
    Ok(listing::answer(part, &uri))
}

/// One version of a result
#[utoipa::path(get, path = "/api/lab-results/{result_id}", tag = TAG,
    params(("result_id" = i64, Path, description = "Id of the result version")),
    responses((status = 200, description = "The version", body = ResultView)))]
async fn get_lab_result(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<ResultView>, ApiError> {
    Ok(Json(read_results::read_result(&app.ctx, &caller, id).await?))
}

/// All versions of a result
#[utoipa::path(get, path = "/api/lab-results/{result_id}/history", tag = TAG,
    params(("result_id" = i64, Path, description = "Id of any version")),
    responses((status = 200, description = "Newest first", body = Vec<ResultView>)))]
async fn list_result_versions(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<Vec<ResultView>>, ApiError> {
    Ok(Json(read_results::result_history(&app.ctx, &caller, id).await?))
}

/// The document in a result
#[utoipa::path(get, path = "/api/lab-results/{result_id}/document", tag = TAG,
    params(("result_id" = i64, Path, description = "Id of the result version")),
    responses((status = 200, description = "The document, such as a PDF report",
        content_type = "application/octet-stream", body = String)))]
async fn read_result_document(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Response, ApiError> {
    let document = read_results::result_document(&app.ctx, &caller, id).await?;
    Ok((document_headers(id, &document), document.bytes).into_response())
}

/// The sender chooses the type and the bytes; a page or a script among them must never run on our origin.
fn document_headers(id: i64, document: &Document) -> [(HeaderName, HeaderValue); 2] {
    let named = document.media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let showable = SHOWABLE.iter().find(|(media_type, _)| *media_type == named);
    let (media_type, extension) = showable.copied().unwrap_or(("application/octet-stream", "bin"));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"lab-result-{id}.{extension}\""));
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment"))),
    ]
}

/// Sign a result as reviewed
#[utoipa::path(post, path = "/api/lab-results/{result_id}/review", tag = TAG,
    params(("result_id" = i64, Path, description = "Id of the current version")),
    responses((status = 200, description = "The result with its first signature", body = ResultView)))]
async fn review_lab_result(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<ResultView>, ApiError> {
    Ok(Json(read_results::review_result(&app.ctx, &caller, id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_shown_as_what_is_harmless() {
        for (sent, wanted) in [
            ("application/pdf", "application/pdf"),
            ("APPLICATION/PDF; x=1", "application/pdf"),
            ("text/html", "application/octet-stream"),
            ("image/svg+xml", "application/octet-stream"),
            ("text/html\r\nx: y", "application/octet-stream"),
        ] {
            let document = Document { media_type: sent.into(), bytes: Vec::new() };
            let [(_, kind), (_, disposition)] = document_headers(7, &document);
            assert_eq!(kind, wanted, "{sent}");
            assert!(disposition.as_bytes().starts_with(b"attachment; filename=\"lab-result-7."), "{sent}");
        }
    }
}
