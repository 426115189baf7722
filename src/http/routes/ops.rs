//! How the installation does.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::listing;
use crate::http::page::Page;
use crate::lab::read_endpoint_health::{self, AlarmFilter};
use crate::lab::views::{EndpointAlarmView, EndpointHealthView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Operations";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_endpoint_health)).routes(routes!(list_endpoint_alarms))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct HealthQuery {
    #[param(ignore)]
    page: Page,
}

impl FromFields for HealthQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { page: Page::read(fields) }
    }
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct AlarmsQuery {
    /// `true`: those that last; `false`: those that are over.
    open: Option<bool>,
    /// About this endpoint.
    lis_endpoint_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for AlarmsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            open: fields.opt_bool("open"),
            lis_endpoint_id: fields.opt_int("lis_endpoint_id"),
            page: Page::read(fields),
        }
    }
}

/// How each endpoint does
///
/// What waits for it, what was given up, when it was heard last and how long it is usually silent, and what is wrong now.
#[utoipa::path(get, path = "/api/ops/endpoints", tag = TAG, params(Page),
    responses((status = 200, description = "Newest first", body = Vec<EndpointHealthView>)))]
async fn list_endpoint_health(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<HealthQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = read_endpoint_health::list_endpoint_health(&app.ctx, &caller, request).await?;
    Ok(listing::answer(part, &uri))
}

/// Alarms about endpoints
///
/// Each trouble is one alarm, from when it was found to when it was over. Its opening and its closing are events
/// `endpoint_alarm` on the stream.
#[utoipa::path(get, path = "/api/ops/alarms", tag = TAG, params(AlarmsQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<EndpointAlarmView>)))]
async fn list_endpoint_alarms(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<AlarmsQuery>,
) -> Result<Response, ApiError> {
    let filter = AlarmFilter { open: query.open, lis_endpoint_id: query.lis_endpoint_id };
    let request = query.page.request();
    let part = read_endpoint_health::list_endpoint_alarms(&app.ctx, &caller, filter, request).await?;
    Ok(listing::answer(part, &uri))
}
