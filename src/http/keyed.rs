//! Who calls where systems come in by a key (`x-api-key`) as well as people who are signed in.

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

use super::app::App;
use super::auth::{CameFrom, SignedIn};
use super::error::ApiError;
use crate::config::AuthMode;
use crate::domain::ids::EndpointId;
use crate::lab::api_keys;
use crate::lab::sign_in::Origin;
use crate::lab::submit_hl7::Submitter;

const KEY_HEADER: &str = "x-api-key";

/// Who calls: a system by its key, else somebody signed in.
pub struct Keyed(pub Submitter);

impl FromRequestParts<App> for Keyed {
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
            Ok(SignedIn(caller)) => {
                Ok(Self(Submitter { caller, endpoint: EndpointId::new(0), by_key: false }))
            }
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
