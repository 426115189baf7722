//! Visits.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
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
use crate::http::plain_text::line;
use crate::lab::encounters::{self, EncounterChange, NewEncounter};
use crate::lab::views::EncounterView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Encounters";
/// HL7 table 0004.
const CLASSES: [&str; 9] = ["O", "I", "E", "P", "R", "B", "C", "N", "U"];
const STATUSES: [&str; 4] = ["planned", "in-progress", "finished", "cancelled"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_encounters, create_encounter))
        .routes(routes!(get_encounter, update_encounter))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct EncountersQuery {
    /// Of one patient.
    patient_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for EncountersQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { patient_id: fields.opt_int("patient_id"), page: Page::read(fields) }
    }
}

/// A new visit.
#[derive(Validate, ToSchema)]
struct EncounterCreate {
    /// The patient.
    patient_id: i64,
    /// Patient class (table 0004): `O` outpatient, `I` inpatient, `E` emergency, …
    #[schema(default = "O", required = false)]
    class: String,
    /// `planned`, `in-progress`, `finished` or `cancelled`.
    #[schema(default = "in-progress", required = false)]
    status: String,
    /// Visit number.
    #[validate(length(max = 100), custom(function = "line"))]
    visit_number: Option<String>,
    /// Place.
    #[validate(length(max = 200), custom(function = "line"))]
    location: Option<String>,
    /// Attending provider.
    #[validate(length(max = 200), custom(function = "line"))]
    attending_provider: Option<String>,
    /// Begin; now, when absent.
    started_at: Option<DateTime<Utc>>,
    /// End.
    ended_at: Option<DateTime<Utc>>,
}

impl FromFields for EncounterCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.int("patient_id"),
            class: fields.choice_or("class", &CLASSES, "O").to_owned(),
            status: fields.choice_or("status", &STATUSES, "in-progress").to_owned(),
            visit_number: fields.opt_str("visit_number"),
            location: fields.opt_str("location"),
            attending_provider: fields.opt_str("attending_provider"),
            started_at: fields.opt_datetime("started_at"),
            ended_at: fields.opt_datetime("ended_at"),
        }
    }
}

impl From<EncounterCreate> for NewEncounter {
    fn from(body: EncounterCreate) -> Self {
        Self {
            patient_id: body.patient_id,
            class: body.class,
            status: body.status,
            visit_number: body.visit_number,
            location: body.location,
            attending_provider: body.attending_provider,
            started_at: body.started_at,
            ended_at: body.ended_at,
        }
    }
}

/// What changes. Absent keeps, null clears.
#[derive(Validate, ToSchema)]
#[allow(clippy::option_option, reason = "absent and null are two things here")]
struct EncounterUpdate {
    /// Patient class (table 0004).
    class: Option<String>,
    /// `planned`, `in-progress`, `finished` or `cancelled`.
    status: Option<String>,
    /// Place.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 200), custom(function = "line"))]
    location: Option<Option<String>>,
    /// Attending provider.
    #[schema(value_type = Option<String>)]
    #[validate(length(max = 200), custom(function = "line"))]
    attending_provider: Option<Option<String>>,
    /// Begin.
    #[schema(value_type = Option<DateTime<Utc>>)]
    started_at: Option<Option<DateTime<Utc>>>,
    /// End.
    #[schema(value_type = Option<DateTime<Utc>>)]
    ended_at: Option<Option<DateTime<Utc>>>,
}

impl FromFields for EncounterUpdate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            class: fields.opt_choice("class", &CLASSES).map(str::to_owned),
            status: fields.opt_choice("status", &STATUSES).map(str::to_owned),
            location: fields.patch("location", Reader::opt_str),
            attending_provider: fields.patch("attending_provider", Reader::opt_str),
            started_at: fields.patch("started_at", Reader::opt_datetime),
            ended_at: fields.patch("ended_at", Reader::opt_datetime),
        }
    }
}

impl From<EncounterUpdate> for EncounterChange {
    fn from(body: EncounterUpdate) -> Self {
        Self {
            class: body.class,
            status: body.status,
            location: body.location,
            attending_provider: body.attending_provider,
            started_at: body.started_at,
            ended_at: body.ended_at,
        }
    }
}

/// List visits
#[utoipa::path(get, path = "/api/encounters", tag = TAG, params(EncountersQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<EncounterView>)))]
async fn list_encounters(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<EncountersQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = encounters::list_encounters(&app.ctx, &caller, query.patient_id, request).await?;
    Ok(listing::answer(part, &uri))
}

/// Open a visit
#[utoipa::path(post, path = "/api/encounters", tag = TAG, request_body = EncounterCreate,
    responses((status = 201, description = "Opened", body = EncounterView)))]
async fn create_encounter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Body(body): Body<EncounterCreate>,
) -> Result<(StatusCode, Json<EncounterView>), ApiError> {
    let encounter = encounters::open_encounter(&app.ctx, &caller, body.into()).await?;
    Ok((StatusCode::CREATED, Json(encounter)))
}

/// One visit
#[utoipa::path(get, path = "/api/encounters/{encounter_id}", tag = TAG,
    params(("encounter_id" = i64, Path, description = "Id of the visit")),
    responses((status = 200, description = "The visit", body = EncounterView)))]
async fn get_encounter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<EncounterView>, ApiError> {
    Ok(Json(encounters::read_encounter(&app.ctx, &caller, id).await?))
}

/// Change a visit
#[utoipa::path(patch, path = "/api/encounters/{encounter_id}", tag = TAG, request_body = EncounterUpdate,
    params(("encounter_id" = i64, Path, description = "Id of the visit")),
    responses((status = 200, description = "The visit as it is now", body = EncounterView)))]
async fn update_encounter(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<EncounterUpdate>,
) -> Result<Json<EncounterView>, ApiError> {
    Ok(Json(encounters::update_encounter(&app.ctx, &caller, id, body.into()).await?))
}
