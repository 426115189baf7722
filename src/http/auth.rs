//! Who makes a request.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;

use super::app::App;
use super::error::ApiError;
use super::extract::Bearer;
use super::request_id::RequestId;
use crate::config::AuthMode;
use crate::context::Caller;
use crate::lab::sign_in::{self, Origin};

/// Where a request comes from, whoever makes it.
pub struct CameFrom(pub Origin);

impl<S: Sync> FromRequestParts<S> for CameFrom {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let request_id = RequestId::from_request_parts(parts, state).await?.as_str().to_owned();
        // Absent where the routes are called without a socket, as in tests.
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(Origin { request_id, ip: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical()) }))
    }
}

/// The signed-in user. First argument of every handler that is not public, so that a stranger learns nothing, not
/// even which fields are wrong.
pub struct SignedIn(pub Caller);

impl FromRequestParts<App> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let CameFrom(origin) = CameFrom::from_request_parts(parts, app).await?;
        if app.ctx.config.auth == AuthMode::Dev {
            return Ok(Self(sign_in::developer(&origin)));
        }
        let Bearer(token) = Bearer::from_request_parts(parts, app).await?;
        Ok(Self(sign_in::authenticate(&app.ctx, &origin, &token).await?))
    }
}
