//! The log of HL7 messages.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::http::plain_text::line;
use crate::lab::read_messages::{self, MessageFilter};
use crate::lab::replay_message;
use crate::lab::resend_message;
use crate::lab::views::{MessageDetail, MessageView, ReplayView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "HL7 Messages";
const DIRECTIONS: [&str; 2] = ["inbound", "outbound"];
/// The bytes are in the set that MSH-18 names, so no charset stands here.
const ER7: &str = "application/hl7-v2";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(list_messages))
        .routes(routes!(get_message))
        .routes(routes!(read_raw_message))
        .routes(routes!(resend_message))
        .routes(routes!(replay_message))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct MessagesQuery {
    /// `inbound` or `outbound`.
    direction: Option<String>,
    /// Family, such as `ORU`, or family and event, such as `ORU^R01`.
    #[validate(custom(function = "line"))]
    message_type: Option<String>,
    /// What became of it.
    #[validate(custom(function = "line"))]
    status: Option<String>,
    /// Control id (MSH-10).
    #[validate(custom(function = "line"))]
    control_id: Option<String>,
    /// Peer.
    lis_endpoint_id: Option<i64>,
    /// Patient it was tied to.
    patient_id: Option<i64>,
    /// That arrived at or after this time.
    since: Option<DateTime<Utc>>,
    /// That arrived before this time.
    until: Option<DateTime<Utc>>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for MessagesQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            direction: fields.opt_choice("direction", &DIRECTIONS).map(str::to_owned),
            message_type: fields.opt_str("message_type"),
            status: fields.opt_str("status"),
            control_id: fields.opt_str("control_id"),
            lis_endpoint_id: fields.opt_int("lis_endpoint_id"),
            patient_id: fields.opt_int("patient_id"),
            since: fields.opt_datetime("since"),
            until: fields.opt_datetime("until"),
            page: Page::read(fields),
        }
    }
}

impl From<MessagesQuery> for MessageFilter {
    fn from(query: MessagesQuery) -> Self {
        Self {
            direction: query.direction,
            message_type: query.message_type,
            status: query.status,
            control_id: query.control_id,
            lis_endpoint_id: query.lis_endpoint_id,
            patient_id: query.patient_id,
            since: query.since,
            until: query.until,
        }
    }
}

/// List messages
#[utoipa::path(get, path = "/api/hl7/messages", tag = TAG, params(MessagesQuery, Page),
    responses((status = 200, description = "Newest first, without contents", body = Vec<MessageView>)))]
async fn list_messages(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<MessagesQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = read_messages::list_messages(&app.ctx, &caller, &query.into(), request).await?;
    Ok(listing::answer(part, &uri))
}

/// One message with its acknowledgment and what it led to
///
/// `tree` is null for those who may read the log but no contents.
#[utoipa::path(get, path = "/api/hl7/messages/{message_id}", tag = TAG,
    params(("message_id" = i64, Path, description = "Id of the message")),
    responses((status = 200, description = "The message", body = MessageDetail)))]
async fn get_message(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<MessageDetail>, ApiError> {
    Ok(Json(read_messages::read_message(&app.ctx, &caller, id).await?))
}

/// The bytes of a message as they crossed the wire
#[utoipa::path(get, path = "/api/hl7/messages/{message_id}/raw", tag = TAG,
    params(("message_id" = i64, Path, description = "Id of the message")),
    responses((status = 200, description = "ER7", content_type = "application/hl7-v2", body = String)))]
async fn read_raw_message(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Response, ApiError> {
    let bytes = read_messages::read_raw_message(&app.ctx, &caller, id).await?;
    Ok(([(header::CONTENT_TYPE, ER7)], bytes).into_response())
}

/// Send a message that was sent before once more
///
/// The same bytes under the same control id, behind what waits. 409 while it waits already.
#[utoipa::path(post, path = "/api/hl7/messages/{message_id}/resend", tag = TAG,
    params(("message_id" = i64, Path, description = "Id of the message")),
    responses((status = 202, description = "Queued", body = MessageView)))]
async fn resend_message(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<(StatusCode, Json<MessageView>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(resend_message::resend_message(&app.ctx, &caller, id).await?)))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReplayQuery {
    /// Only show what would change.
    #[param(required = false)]
    dry_run: bool,
}

impl FromFields for ReplayQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { dry_run: fields.bool_or("dry_run", false) }
    }
}

/// Run a message that came in again, by the rules of today
///
/// Answers the differences row by row. What is stored as today's rules would store it does not change; what was refused, or
/// waits for a person, is taken if nothing stands in its way any more, and a resend gets the new answer from then on.
#[utoipa::path(post, path = "/api/hl7/messages/{message_id}/replay", tag = TAG,
    params(("message_id" = i64, Path, description = "Id of the message"), ReplayQuery),
    responses((status = 200, description = "What changed, or would", body = ReplayView)))]
async fn replay_message(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<ReplayView>, ApiError> {
    Ok(Json(replay_message::replay_message(&app.ctx, &caller, id, query.dry_run).await?))
}
