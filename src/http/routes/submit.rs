//! Messages by HTTP.

use axum::extract::{FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{BodyLimit, Raw, essence};
use crate::http::keyed::Keyed;
use crate::lab::LabError;
use crate::lab::submit_hl7;
use crate::reader::problem::{Loc, Problem};

const TAG: &str = "HL7 Messages";
/// Answers have no charset here: each acknowledgment is in the set that its MSH-18 names.
const ER7: &str = "application/hl7-v2";
/// What ER7 is called on the wire; bodies without a type are taken too.
const ER7_TYPES: [&str; 6] = [
    ER7,
    "application/hl7-v2+er7",
    "x-application/hl7-v2+er7",
    "application/edi-hl7",
    "application/octet-stream",
    "text/plain",
];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(submit_hl7))
}

/// A body of ER7, as it came.
struct Er7(Vec<u8>);

impl FromRequest<App> for Er7 {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, ApiError> {
        let kind = essence(request.headers());
        if !kind.is_empty() && !ER7_TYPES.contains(&kind.as_str()) {
            return Err(ApiError::UnsupportedMediaType(
                "Unsupported media type; send ER7 as application/hl7-v2 or text/plain",
            ));
        }
        request.extensions_mut().insert(BodyLimit(app.ctx.config.max_message_size));
        let Raw(bytes) = Raw::from_request(request, app).await?;
        Ok(Self(bytes.into()))
    }
}

/// Hand in a message or a batch
///
/// The same way in as by MLLP; the acknowledgment is the answer, whatever it says. The key (`x-api-key`) is bound to an
/// endpoint, and MSH-3 and MSH-4 must be that endpoint's. Several messages in one body are acknowledged one behind the other;
/// a batch with FHS or BHS is acknowledged by a batch. 503 with an acknowledgment: hand in the same bytes again.
#[utoipa::path(post, path = "/api/hl7", tag = TAG,
    request_body(content = String, content_type = "application/hl7-v2", description = "ER7, at most MAX_MESSAGE_SIZE bytes"),
    responses(
        (status = 200, description = "The acknowledgment: AA, AE, AR, CA, CE or CR", content_type = "application/hl7-v2", body = String),
        (status = 204, description = "Kept; the message asks for no acknowledgment"),
        (status = 401, description = "Wrong or missing key", content_type = "text/plain", body = String),
        (status = 415, description = "Not ER7", body = crate::http::schema::HTTPError),
    ),
    security(("ApiKey" = []), ("OAuth2PasswordBearer" = [])))]
async fn submit_hl7(
    Keyed(submitter): Keyed,
    State(app): State<App>,
    Er7(body): Er7,
) -> Result<Response, ApiError> {
    let reception = app.reception().ok_or(ApiError::Unavailable)?;
    let answer =
        submit_hl7::submit_hl7(&reception, &submitter, &body).await.map_err(|error| match error {
            LabError::Invalid { message, .. } => {
                ApiError::Unprocessable(vec![Problem::value_error(vec![Loc::from("body")], &message)])
            }
            other => other.into(),
        })?;
    let status = match (answer.is_settled, answer.messages.is_empty()) {
        (false, _) => StatusCode::SERVICE_UNAVAILABLE,
        (true, true) => return Ok(StatusCode::NO_CONTENT.into_response()),
        (true, false) => StatusCode::OK,
    };
    Ok((status, [(header::CONTENT_TYPE, ER7)], answer.messages.concat()).into_response())
}
