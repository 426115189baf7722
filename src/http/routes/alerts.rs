//! Critical alerts.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::{line, lines};
use crate::lab::acknowledge_alert::{self, Acknowledgement, ReadBack};
use crate::lab::read_alerts::{self, AlertFilter};
use crate::lab::stream_tickets;
use crate::lab::views::AlertView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Alerts";
const STATUSES: [&str; 4] = ["open", "acknowledged", "escalated", "resolved"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_alerts))
        .routes(routes!(create_stream_ticket))
        .routes(routes!(get_alert))
        .routes(routes!(acknowledge_alert))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct AlertsQuery {
    /// `open`, `acknowledged`, `escalated` or `resolved`.
    status: Option<String>,
    /// About one patient.
    patient_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for AlertsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            status: fields.opt_choice("status", &STATUSES).map(str::to_owned),
            patient_id: fields.opt_int("patient_id"),
            page: Page::read(fields),
        }
    }
}

/// What was done about an alert.
#[derive(Validate, ToSchema)]
struct AlertAcknowledge {
    /// In words. Must not be empty.
    #[validate(length(max = 4000), custom(function = "lines"))]
    note: String,
    /// When the value was passed on by voice.
    #[schema(value_type = Option<AlertReadBack>)]
    read_back: Option<AlertReadBack>,
}

/// A value passed on by voice and repeated by whoever heard it.
#[derive(Validate, ToSchema)]
struct AlertReadBack {
    /// What was repeated.
    #[validate(length(max = 200), custom(function = "line"))]
    value: String,
    /// Who told it.
    #[validate(length(max = 200), custom(function = "line"))]
    caller: Option<String>,
    /// Who repeated it.
    #[validate(length(max = 200), custom(function = "line"))]
    receiver: Option<String>,
    /// By what means, such as `phone`.
    #[validate(length(max = 50), custom(function = "line"))]
    method: Option<String>,
    /// When.
    at: Option<DateTime<Utc>>,
    /// Why it differs from the result; needed when it does.
    #[validate(length(max = 1000), custom(function = "lines"))]
    mismatch_reason: Option<String>,
}

impl FromFields for AlertAcknowledge {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { note: fields.str("note"), read_back: fields.opt_object("read_back") }
    }
}

impl FromFields for AlertReadBack {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            value: fields.str("value"),
            caller: fields.opt_str("caller"),
            receiver: fields.opt_str("receiver"),
            method: fields.opt_str("method"),
            at: fields.opt_datetime("at"),
            mismatch_reason: fields.opt_str("mismatch_reason"),
        }
    }
}

impl From<AlertAcknowledge> for Acknowledgement {
    fn from(body: AlertAcknowledge) -> Self {
        let read_back = body.read_back.map(|read_back| ReadBack {
            value: read_back.value,
            caller: read_back.caller,
            receiver: read_back.receiver,
            method: read_back.method,
            at: read_back.at,
            mismatch_reason: read_back.mismatch_reason,
        });
        Self { note: body.note, read_back }
    }
}

/// A ticket for one stream.
#[derive(Serialize, ToSchema)]
struct StreamTicket {
    /// To be used once, within 30 seconds, as `?ticket=`.
    ticket: String,
}

/// List alerts
#[utoipa::path(get, path = "/api/alerts", tag = TAG, params(AlertsQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<AlertView>)))]
async fn list_alerts(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<AlertsQuery>,
) -> Result<Response, ApiError> {
    let filter = AlertFilter {
        status: query.status.and_then(|status| status.parse().ok()),
        patient_id: query.patient_id,
    };
    let part = read_alerts::list_alerts(&app.ctx, &caller, filter, query.page.request()).await?;
    Ok(listing::answer(part, &uri))
}

/// One alert
#[utoipa::path(get, path = "/api/alerts/{alert_id}", tag = TAG,
    params(("alert_id" = i64, Path, description = "Id of the alert")),
    responses((status = 200, description = "The alert", body = AlertView)))]
async fn get_alert(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<AlertView>, ApiError> {
    Ok(Json(read_alerts::read_alert(&app.ctx, &caller, id).await?))
}

/// Take an alert on
///
/// Of several who try at once one succeeds; the others get a 409 that says who and when.
#[utoipa::path(post, path = "/api/alerts/{alert_id}/acknowledge", tag = TAG, request_body = AlertAcknowledge,
    params(("alert_id" = i64, Path, description = "Id of the alert")),
    responses((status = 200, description = "Taken on", body = AlertView)))]
async fn acknowledge_alert(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Body(body): Body<AlertAcknowledge>,
) -> Result<Json<AlertView>, ApiError> {
    Ok(Json(acknowledge_alert::acknowledge_alert(&app.ctx, &caller, id, body.into()).await?))
}

/// Get a ticket for the event stream
#[utoipa::path(post, path = "/api/alerts/stream-ticket", tag = TAG,
    responses((status = 200, description = "Good for one stream, within 30 seconds", body = StreamTicket)))]
async fn create_stream_ticket(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
) -> Result<Json<StreamTicket>, ApiError> {
    Ok(Json(StreamTicket { ticket: stream_tickets::issue_ticket(&app.ctx, &caller).await? }))
}
