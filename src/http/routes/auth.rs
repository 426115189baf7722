//! Signing in and out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::{Validate, ValidationError};

use crate::config::Secret;
use crate::domain::access::{Action, permitted};
use crate::http::app::App;
use crate::http::auth::{CameFrom, SignedIn};
use crate::http::error::ApiError;
use crate::http::extract::{Body, Form};
use crate::http::plain_text::line;
use crate::lab::sign_in::{self, Tokens};
use crate::reader::{FromFields, Reader, pattern_mismatch};

const TAG: &str = "Authentication";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(create_token))
        .routes(routes!(refresh_token))
        .routes(routes!(logout))
        .routes(routes!(read_me))
}

/// The OAuth2 password form.
#[derive(Validate, ToSchema)]
#[schema(as = TokenRequest)]
struct TokenForm {
    /// `password`, or nothing.
    #[validate(custom(function = "password_grant"))]
    grant_type: Option<String>,
    /// Sign-in name.
    #[validate(custom(function = "line"))]
    username: String,
    /// Password.
    #[schema(format = Password)]
    password: String,
}

fn password_grant(grant: &str) -> Result<(), ValidationError> {
    if grant == "password" { Ok(()) } else { Err(pattern_mismatch("password")) }
}

impl FromFields for TokenForm {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            grant_type: fields.opt_str("grant_type"),
            username: fields.str("username"),
            password: fields.str("password"),
        }
    }
}

/// A refresh token.
#[derive(Validate, ToSchema)]
struct RefreshRequest {
    /// As given with the last pair.
    refresh_token: String,
}

impl FromFields for RefreshRequest {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { refresh_token: fields.str("refresh_token") }
    }
}

/// A pair of tokens.
#[derive(Serialize, ToSchema)]
struct TokenPair {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// Always `bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: i64,
    /// For the next pair.
    refresh_token: String,
}

impl From<Tokens> for TokenPair {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access,
            token_type: "bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh,
        }
    }
}

/// The signed-in user.
#[derive(Serialize, ToSchema)]
struct Me {
    /// Id; 0 while nobody signs in.
    id: i64,
    /// Sign-in name.
    username: String,
    /// Role.
    role: String,
    /// Everything the role may do.
    permissions: Vec<&'static str>,
}

/// Sign in
#[utoipa::path(post, path = "/api/auth/token", tag = TAG, security(()),
    request_body(content = inline(TokenForm), content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "Signed in", body = TokenPair)))]
async fn create_token(
    CameFrom(origin): CameFrom,
    State(app): State<App>,
    Form(form): Form<TokenForm>,
) -> Result<Json<TokenPair>, ApiError> {
    let (most, now) = (app.ctx.config.login_rate_limit_per_minute, app.ctx.clock.now());
    let tried = app.sign_in_limit.begin(&form.username, origin.ip, most, now);
    let tried = tried.map_err(|retry_after| ApiError::TooManyRequests { retry_after })?;
    let tokens = sign_in::sign_in(&app.ctx, &origin, &form.username, Secret::new(form.password)).await?;
    tried.forgive();
    Ok(Json(tokens.into()))
}

/// Get a new pair of tokens
#[utoipa::path(post, path = "/api/auth/refresh", tag = TAG, security(()), request_body = RefreshRequest,
    responses((status = 200, description = "A new pair", body = TokenPair)))]
async fn refresh_token(
    State(app): State<App>,
    Body(body): Body<RefreshRequest>,
) -> Result<Json<TokenPair>, ApiError> {
    Ok(Json(sign_in::refresh(&app.ctx, &body.refresh_token).await?.into()))
}

/// Sign out everywhere
#[utoipa::path(post, path = "/api/auth/logout", tag = TAG,
    responses((status = 204, description = "All tokens of the user have ended")))]
async fn logout(SignedIn(caller): SignedIn, State(app): State<App>) -> Result<StatusCode, ApiError> {
    sign_in::sign_out(&app.ctx, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who am I?
#[utoipa::path(get, path = "/api/auth/me", tag = TAG,
    responses((status = 200, description = "The signed-in user", body = Me)))]
async fn read_me(SignedIn(caller): SignedIn) -> Json<Me> {
    Json(Me {
        id: caller.user_id,
        username: caller.username,
        role: caller.role.to_string(),
        permissions: permitted(caller.role).map(Action::as_str).collect(),
    })
}
