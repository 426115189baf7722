//! Messages by HTTP.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::config::AuthMode;
use crate::domain::ids::EndpointId;
use crate::http::app::App;
use crate::http::auth::{CameFrom, SignedIn};
use crate::http::error::ApiError;
use crate::http::extract::{BodyLimit, Raw, essence};
use crate::http::problem::{Loc, Problem};
use crate::lab::LabError;
use crate::lab::api_keys;
use crate::lab::sign_in::Origin;
use crate::lab::submit_hl7::{self, Submitter};

const TAG: &str = "HL7 Messages";
const KEY_HEADER: &str = "x-api-key";
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

/// Who hands in: by a key, else signed in.
struct Submits(Submitter);

impl FromRequestParts<App> for Submits {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let CameFrom(origin) = CameFrom::from_request_parts(parts, app).await?;
        if let Some(key) = parts.headers.get(KEY_HEADER) {
            let key = key.to_str().unwrap_or_default().trim();
            let found = api_keys::submitter_of(&app.ctx, &app.directory, &origin, key).await?;
            return match found {
                Some(submitter) => Ok(Self(submitter)),
                None => Err(refuse(app, &origin).await?),
            };
        }
        if app.ctx.config.auth != AuthMode::Dev && !parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(refuse(app, &origin).await?);
        }
        match SignedIn::from_request_parts(parts, app).await {
            Ok(SignedIn(caller)) => Ok(Self(Submitter { caller, endpoint: EndpointId::new(0) })),
            Err(ApiError::Unauthorized { .. }) => Err(refuse(app, &origin).await?),
            Err(other) => Err(other),
        }
    }
}

/// The answer to who is not known. The tries of one address leave a few rows a minute and no more: keys cannot be guessed,
/// so the only thing to be had from more would be a full disk.
async fn refuse(app: &App, origin: &Origin) -> Result<ApiError, ApiError> {
    let most = app.ctx.config.login_rate_limit_per_minute;
    if app.sign_in_limit.begin(KEY_HEADER, origin.ip, most, app.ctx.clock.now()).is_ok() {
        api_keys::refused(&app.ctx, origin).await?;
    }
    metrics::counter!("pms_hl7_http_refused_total", "reason" => "key").increment(1);
    Ok(ApiError::InvalidApiKey)
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
    Submits(submitter): Submits,
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
