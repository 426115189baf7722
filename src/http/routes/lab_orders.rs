//! Laboratory orders.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::{Validate, ValidationError};

use crate::domain::ids::IdempotencyKey;
use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Headers, PathId, Query};
use crate::http::listing;
use crate::http::page::Page;
use crate::lab::cancel_order;
use crate::lab::place_order::{self, NewOrder};
use crate::lab::read_orders::{self, OrderFilter};
use crate::lab::resend_order::{self, Correction};
use crate::lab::views::{OrderDetail, OrderView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Lab Orders";
const PRIORITIES: [&str; 3] = ["R", "S", "A"];
const STATUSES: [&str; 8] =
    ["pending", "sent", "acknowledged", "partial", "resulted", "rejected", "failed", "cancelled"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(create_lab_order, list_lab_orders))
        .routes(routes!(get_lab_order))
        .routes(routes!(cancel_lab_order))
        .routes(routes!(resend_lab_order))
}

/// A new order.
#[derive(Validate, ToSchema)]
struct LabOrderCreate {
    /// For whom.
    patient_id: i64,
    /// During which visit.
    encounter_id: Option<i64>,
    /// What is ordered. Codes outside the catalogue are sent as given.
    #[validate(length(min = 1, max = 100))]
    test_codes: Vec<String>,
    /// Who orders.
    ordering_provider: String,
    /// `R` routine, `S` stat, `A` as soon as possible.
    #[schema(default = "R", required = false)]
    priority: String,
    /// The laboratory; without one the default, or the only one.
    lis_endpoint_id: Option<i64>,
    /// Diagnoses (ICD).
    #[schema(required = false)]
    #[validate(length(max = 50))]
    diagnosis_codes: Vec<String>,
    /// Note to the laboratory.
    note: Option<String>,
}

impl FromFields for LabOrderCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.int("patient_id"),
            encounter_id: fields.opt_int("encounter_id"),
            test_codes: fields.str_list("test_codes"),
            ordering_provider: fields.str("ordering_provider"),
            priority: fields.choice_or("priority", &PRIORITIES, "R").to_owned(),
            lis_endpoint_id: fields.opt_int("lis_endpoint_id"),
            diagnosis_codes: fields.opt_str_list("diagnosis_codes").unwrap_or_default(),
            note: fields.opt_str("note"),
        }
    }
}

impl LabOrderCreate {
    fn under(self, key: OrderHeaders) -> NewOrder {
        NewOrder {
            patient_id: self.patient_id,
            encounter_id: self.encounter_id,
            test_codes: self.test_codes,
            ordering_provider: self.ordering_provider,
            priority: self.priority,
            lis_endpoint_id: self.lis_endpoint_id,
            diagnosis_codes: self.diagnosis_codes,
            note: self.note,
            idempotency_key: key.idempotency_key,
        }
    }
}

/// What of an order is corrected. A field that is absent stays as it is.
#[derive(Validate, ToSchema)]
#[allow(clippy::option_option, reason = "absent and null are two things here")]
struct LabOrderCorrection {
    /// What is ordered.
    #[validate(length(min = 1, max = 100))]
    test_codes: Option<Vec<String>>,
    /// Who orders.
    ordering_provider: Option<String>,
    /// `R` routine, `S` stat, `A` as soon as possible.
    priority: Option<String>,
    /// Diagnoses (ICD).
    #[validate(length(max = 50))]
    diagnosis_codes: Option<Vec<String>>,
    /// Note to the laboratory; null takes it away.
    #[schema(value_type = Option<String>)]
    note: Option<Option<String>>,
    /// During which visit; null takes it away.
    #[schema(value_type = Option<i64>)]
    encounter_id: Option<Option<i64>>,
    /// The laboratory.
    lis_endpoint_id: Option<i64>,
}

impl FromFields for LabOrderCorrection {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            test_codes: fields.opt_str_list("test_codes"),
            ordering_provider: fields.opt_str("ordering_provider"),
            priority: fields.opt_choice("priority", &PRIORITIES).map(str::to_owned),
            diagnosis_codes: fields.opt_str_list("diagnosis_codes"),
            note: fields.patch("note", Reader::opt_str),
            encounter_id: fields.patch("encounter_id", Reader::opt_int),
            lis_endpoint_id: fields.opt_int("lis_endpoint_id"),
        }
    }
}

impl From<LabOrderCorrection> for Correction {
    fn from(body: LabOrderCorrection) -> Self {
        Self {
            test_codes: body.test_codes,
            ordering_provider: body.ordering_provider,
            priority: body.priority,
            diagnosis_codes: body.diagnosis_codes,
            note: body.note,
            encounter_id: body.encounter_id,
            lis_endpoint_id: body.lis_endpoint_id,
        }
    }
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Header)]
struct OrderHeaders {
    /// A word of the client's for this request: sent again with the same word, it places no second order.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

impl FromFields for OrderHeaders {
    fn read(fields: &mut Reader<'_>) -> Self {
        let key = fields.opt_str("idempotency-key");
        if let Some(Err(fault)) = key.as_deref().map(IdempotencyKey::new) {
            fields.refuse("idempotency-key", &fault.to_string());
        }
        Self { idempotency_key: key }
    }
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct OrdersQuery {
    /// Of one patient.
    patient_id: Option<i64>,
    /// Where they stand.
    #[validate(custom(function = "known_status"))]
    status: Option<String>,
    /// Only those that the laboratory should have taken, or answered, by now.
    #[param(required = false)]
    overdue: bool,
    #[param(ignore)]
    page: Page,
}

fn known_status(status: &str) -> Result<(), ValidationError> {
    if STATUSES.contains(&status) {
        return Ok(());
    }
    Err(ValidationError::new("status").with_message(format!("must be one of {}", STATUSES.join(", ")).into()))
}

impl FromFields for OrdersQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.opt_int("patient_id"),
            status: fields.opt_str("status"),
            overdue: fields.bool_or("overdue", false),
            page: Page::read(fields),
        }
    }
}

/// Place an order
///
/// The answer waits a moment for the laboratory and tells the true status; the order is kept whatever comes of it.
#[utoipa::path(post, path = "/api/lab-orders", tag = TAG, params(OrderHeaders), request_body = LabOrderCreate,
    responses((status = 201, description = "Placed", body = OrderView)))]
async fn create_lab_order(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Headers(headers): Headers<OrderHeaders>,
    Body(body): Body<LabOrderCreate>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let order = place_order::place_order(&app.ctx, &caller, body.under(headers)).await?;
    Ok((StatusCode::CREATED, Json(order)))
}

/// List orders
#[utoipa::path(get, path = "/api/lab-orders", tag = TAG, params(OrdersQuery, Page),
    responses((status = 200, description = "Newest first", body = Vec<OrderView>)))]
async fn list_lab_orders(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<OrdersQuery>,
) -> Result<Response, ApiError> {
    let request = query.page.request();
    let filter = OrderFilter { patient_id: query.patient_id, status: query.status, overdue: query.overdue };
    let part = read_orders::list_orders(&app.ctx, &caller, &filter, request).await?;
    Ok(listing::answer(part, &uri))
}

/// One order with its results and its history
#[utoipa::path(get, path = "/api/lab-orders/{order_id}", tag = TAG,
    params(("order_id" = i64, Path, description = "Id of the order")),
    responses((status = 200, description = "The order", body = OrderDetail)))]
async fn get_lab_order(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<OrderDetail>, ApiError> {
    Ok(Json(read_orders::read_order(&app.ctx, &caller, id).await?))
}

/// Call an order off
#[utoipa::path(post, path = "/api/lab-orders/{order_id}/cancel", tag = TAG,
    params(("order_id" = i64, Path, description = "Id of the order")),
    responses((status = 202, description = "Called off, or asked of the laboratory", body = OrderView)))]
async fn cancel_lab_order(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(cancel_order::cancel_order(&app.ctx, &caller, id).await?)))
}

/// Send an order again that was given up or refused
///
/// Without a body, or with an empty one, the same bytes under the same control id. With fields, a new message that points at
/// the one before; the history says which fields were corrected. 409 in any other state.
#[utoipa::path(post, path = "/api/lab-orders/{order_id}/resend", tag = TAG, request_body = Option<LabOrderCorrection>,
    params(("order_id" = i64, Path, description = "Id of the order")),
    responses((status = 202, description = "Queued", body = OrderView)))]
async fn resend_lab_order(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
    body: Option<Body<LabOrderCorrection>>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let correction = body.map(|Body(body)| body.into()).unwrap_or_default();
    let order = resend_order::resend_order(&app.ctx, &caller, id, correction).await?;
    Ok((StatusCode::ACCEPTED, Json(order)))
}
