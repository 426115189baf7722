//! Patients.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::{filled_line, line, lines, mrn};
use crate::lab::merge_patients;
use crate::lab::read_patients::{self, PatientFilter};
use crate::lab::register_patient::{self, NewPatient, PatientChange};
use crate::lab::views::PatientView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Patients";
const GENDERS: [&str; 4] = ["male", "female", "other", "unknown"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_patients, create_patient))
        .routes(routes!(search_patients))
        .routes(routes!(get_patient, update_patient))
        .routes(routes!(merge_patient))
        .routes(routes!(unmerge_patient))
}

/// With `mrn` the one patient, without it a list.
#[derive(ToSchema)]
#[schema(as = PatientOrPatients)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes an answer that is made elsewhere")]
enum PatientOrPatients {
    /// The patient of the number.
    One(Box<PatientView>),
    /// The list.
    Many(Vec<PatientView>),
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct PatientsQuery {
    /// Medical record number; the answer is then one patient, not a list.
    #[validate(custom(function = "line"))]
    mrn: Option<String>,
    /// Beginnings of names, or a medical record number.
    #[validate(length(max = 200), custom(function = "line"))]
    q: Option<String>,
    /// Birth date.
    birth_date: Option<NaiveDate>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for PatientsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            mrn: fields.opt_str("mrn"),
            q: fields.opt_str("q"),
            birth_date: fields.opt_date("birth_date"),
            page: Page::read(fields),
        }
    }
}

/// A search that must not stand in a URL, where proxies log it.
#[derive(Validate, ToSchema)]
struct PatientSearch {
    /// Beginnings of names, or a medical record number.
    #[validate(length(max = 200), custom(function = "line"))]
    q: Option<String>,
    /// Birth date.
    birth_date: Option<NaiveDate>,
    /// Medical record number.
    #[validate(custom(function = "line"))]
    mrn: Option<String>,
    /// Rows, 1 to 200; 50 when absent.
    #[schema(rename = "limit", value_type = Option<u16>)]
    page: Page,
}

impl FromFields for PatientSearch {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            q: fields.opt_str("q"),
            birth_date: fields.opt_date("birth_date"),
            mrn: fields.opt_str("mrn"),
            page: Page::read(fields),
        }
    }
}

/// A new patient.
#[derive(Validate, ToSchema)]
struct PatientCreate {
    /// Medical record number; unique.
    #[validate(custom(function = "mrn"))]
    mrn: String,
    /// Family name.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    last_name: String,
    /// Given name.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    first_name: String,
    /// Second and further given names.
    #[validate(length(max = 200), custom(function = "line"))]
    middle_name: Option<String>,
    /// Birth date.
    date_of_birth: Option<NaiveDate>,
    /// `male`, `female`, `other` or `unknown`.
    #[schema(default = "unknown", required = false)]
    gender: String,
    /// Phone number.
    #[validate(length(max = 50), custom(function = "line"))]
    phone: Option<String>,
    /// E-mail address.
    #[validate(length(max = 254), custom(function = "line"))]
    email: Option<String>,
    /// Postal address.
    #[validate(length(max = 500), custom(function = "lines"))]
    address: Option<String>,
    /// Whether the chart opens only by break-glass.
    #[schema(default = false, required = false)]
    restricted: bool,
}

impl FromFields for PatientCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            mrn: fields.str("mrn"),
            last_name: fields.str("last_name"),
            first_name: fields.str("first_name"),
            middle_name: fields.opt_str("middle_name"),
            date_of_birth: fields.opt_date("date_of_birth"),
            gender: fields.choice_or("gender", &GENDERS, "unknown").to_owned(),
            phone: fields.opt_str("phone"),
            email: fields.opt_str("email"),
            address: fields.opt_str("address"),
            restricted: fields.bool_or("restricted", false),
        }
    }
}

impl From<PatientCreate> for NewPatient {
    fn from(body: PatientCreate) -> Self {
        Self {
            mrn: body.mrn.trim().to_owned(),
            last_name: body.last_name,
            first_name: body.first_name,
            middle_name: body.middle_name,
            date_of_birth: body.date_of_birth,
            gender: body.gender,
            phone: body.phone,
            email: body.email,
            address: body.address,
            restricted: body.restricted,
        }
    }
}

/// What changes. Absent keeps, null clears.
#[derive(Validate, ToSchema)]
#[allow(clippy::option_option, reason = "absent and null are two things here")]
struct PatientUpdate {
    /// Family name.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    last_name: Option<String>,
    /// Given name.
    #[validate(length(max = 200), custom(function = "filled_line"))]
    first_name: Option<String>,
    /// Second and further given names.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 200), custom(function = "line"))]
    middle_name: Option<Option<String>>,
    /// Birth date.
    #[schema(value_type = Option<NaiveDate>)]
    date_of_birth: Option<Option<NaiveDate>>,
    /// `male`, `female`, `other` or `unknown`.
    gender: Option<String>,
    /// Phone number.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 50), custom(function = "line"))]
    phone: Option<Option<String>>,
    /// E-mail address.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 254), custom(function = "line"))]
    email: Option<Option<String>>,
    /// Postal address.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 500), custom(function = "lines"))]
    address: Option<Option<String>>,
    /// Whether the chart opens only by break-glass.
    restricted: Option<bool>,
}

impl FromFields for PatientUpdate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            last_name: fields.opt_str("last_name"),
            first_name: fields.opt_str("first_name"),
            middle_name: fields.patch("middle_name", Reader::opt_str),
            date_of_birth: fields.patch("date_of_birth", Reader::opt_date),
            gender: fields.opt_choice("gender", &GENDERS).map(str::to_owned),
            phone: fields.patch("phone", Reader::opt_str),
            email: fields.patch("email", Reader::opt_str),
            address: fields.patch("address", Reader::opt_str),
            restricted: fields.opt_bool("restricted"),
        }
    }
}

impl From<PatientUpdate> for PatientChange {
    fn from(body: PatientUpdate) -> Self {
        Self {
            last_name: body.last_name,
            first_name: body.first_name,
            middle_name: body.middle_name,
            date_of_birth: body.date_of_birth,
            gender: body.gender,
            phone: body.phone,
            email: body.email,
            address: body.address,
            restricted: body.restricted,
        }
    }
}

/// Find patients, or the one with a medical record number
#[utoipa::path(get, path = "/api/patients", tag = TAG, params(PatientsQuery, Page),
    responses((status = 200, description = "The patient, or the list", body = PatientOrPatients)))]
async fn list_patients(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<PatientsQuery>,
) -> Result<Response, ApiError> {
    if let Some(mrn) = &query.mrn {
        let found = read_patients::find_patient_by_mrn(&app.ctx, &caller, mrn).await?;
        return Ok(Json(found).into_response());
    }
    let filter = PatientFilter { text: query.q, birth_date: query.birth_date };
    let part = read_patients::list_patients(&app.ctx, &caller, &filter, query.page.request()).await?;
    Ok(listing::answer(part, &uri))
}

/// Find patients without naming them in a URL
#[utoipa::path(post, path = "/api/patients/search", tag = TAG, request_body = PatientSearch,
    responses((status = 200, description = "Those who match", body = Vec<PatientView>)))]
async fn search_patients(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<PatientSearch>,
) -> Result<Json<Vec<PatientView>>, ApiError> {
    if let Some(mrn) = &body.mrn {
        let found = read_patients::find_patient_by_mrn(&app.ctx, &caller, mrn).await;
        return match found.map_err(ApiError::from) {
            Ok(patient) => Ok(Json(vec![patient])),
            Err(ApiError::Missing(_)) => Ok(Json(Vec::new())),
            Err(error) => Err(error),
        };
    }
    let filter = PatientFilter { text: body.q, birth_date: body.birth_date };
    let part = read_patients::list_patients(&app.ctx, &caller, &filter, body.page.request()).await?;
    Ok(Json(part.items))
}

/// Register a patient
#[utoipa::path(post, path = "/api/patients", tag = TAG, request_body = PatientCreate,
    responses((status = 201, description = "Registered", body = PatientView)))]
async fn create_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<PatientCreate>,
) -> Result<(StatusCode, Json<PatientView>), ApiError> {
    let patient = register_patient::register_patient(&app.ctx, &caller, body.into()).await?;
    Ok((StatusCode::CREATED, Json(patient)))
}

/// One patient
#[utoipa::path(get, path = "/api/patients/{patient_id}", tag = TAG,
    params(("patient_id" = i64, Path, description = "Id of the patient")),
    responses((status = 200, description = "The patient", body = PatientView)))]
async fn get_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<PatientView>, ApiError> {
    Ok(Json(read_patients::read_patient(&app.ctx, &caller, id).await?))
}

/// Correct a patient's demographics
#[utoipa::path(patch, path = "/api/patients/{patient_id}", tag = TAG, request_body = PatientUpdate,
    params(("patient_id" = i64, Path, description = "Id of the patient")),
    responses((status = 200, description = "The patient as it is now", body = PatientView)))]
async fn update_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<PatientUpdate>,
) -> Result<Json<PatientView>, ApiError> {
    Ok(Json(register_patient::update_patient(&app.ctx, &caller, id, body.into()).await?))
}

/// The other chart of a merge.
#[derive(Validate, ToSchema)]
struct MergeRequest {
    /// The chart that goes, or went.
    merged_patient_id: i64,
}

impl FromFields for MergeRequest {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { merged_patient_id: fields.int("merged_patient_id") }
    }
}

/// Merge another chart into this one
///
/// Everything follows, and the old numbers go on finding it.
#[utoipa::path(post, path = "/api/patients/{patient_id}/merge", tag = TAG, request_body = MergeRequest,
    params(("patient_id" = i64, Path, description = "Id of the patient that stays")),
    responses((status = 200, description = "The patient as it is now", body = PatientView)))]
async fn merge_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<MergeRequest>,
) -> Result<Json<PatientView>, ApiError> {
    Ok(Json(merge_patients::merge_patients(&app.ctx, &caller, id, body.merged_patient_id).await?))
}

/// Take a merge back
///
/// What the merge moved returns; what came since stays.
#[utoipa::path(post, path = "/api/patients/{patient_id}/unmerge", tag = TAG, request_body = MergeRequest,
    params(("patient_id" = i64, Path, description = "Id of the patient that stayed")),
    responses((status = 200, description = "The patient as it is now", body = PatientView)))]
async fn unmerge_patient(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<MergeRequest>,
) -> Result<Json<PatientView>, ApiError> {
    Ok(Json(merge_patients::unmerge_patients(&app.ctx, &caller, id, body.merged_patient_id).await?))
}
