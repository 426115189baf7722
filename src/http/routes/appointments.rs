//! Appointments.

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
use crate::lab::appointments;
use crate::lab::views::AppointmentView;
use crate::reader::{FromFields, Reader};

const TAG: &str = "Appointments";

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_appointments))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct AppointmentsQuery {
    /// Of one patient.
    patient_id: Option<i64>,
    #[param(ignore)]
    page: Page,
}

impl FromFields for AppointmentsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { patient_id: fields.opt_int("patient_id"), page: Page::read(fields) }
    }
}

/// List appointments
///
/// As scheduling systems tell of them (SIU^S12 to S15).
#[utoipa::path(get, path = "/api/appointments", tag = TAG, params(AppointmentsQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<AppointmentView>)))]
async fn list_appointments(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<AppointmentsQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let part = appointments::list_appointments(&app.ctx, &caller, query.patient_id, request).await?;
    Ok(listing::answer(part, &uri))
}
