//! Trying a message out.

use axum::extract::State;
use axum::{Extension, Json};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{BodyLimit, Query, Raw};
use crate::lab::preview_message;
use crate::lab::views::PreviewView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "HL7 Messages";
/// As much as a message may have by default.
const LARGEST: usize = 16 * 1024 * 1024;

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(preview_message)).layer(Extension(BodyLimit(LARGEST)))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The sender, whose profile is used; without it that of a sender on this machine that no endpoint names.
    lis_endpoint_id: Option<i64>,
}

impl FromFields for PreviewQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { lis_endpoint_id: fields.opt_int("lis_endpoint_id") }
    }
}

/// Try a message out
///
/// The body is one message as the laboratory sends it (ER7), with or without its MLLP frame. Nothing is stored: the answer
/// says what would be, what leniency it took, and how the laboratory would be answered.
#[utoipa::path(post, path = "/api/hl7/preview", tag = TAG, params(PreviewQuery),
    request_body(content = String, content_type = "application/hl7-v2"),
    responses((status = 200, description = "What it would do", body = PreviewView)))]
async fn preview_message(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Query(query): Query<PreviewQuery>,
    Raw(body): Raw,
) -> Result<Json<PreviewView>, ApiError> {
    let endpoint = query.lis_endpoint_id;
    let preview = preview_message::preview_message(&app.ctx, &caller, body.to_vec(), endpoint).await?;
    Ok(Json(preview))
}
