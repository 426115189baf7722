//! Figures and worklists over many patients.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::csv::Csv;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::page::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::lab::reconcile_orders::{self, ReconciliationQuery};
use crate::lab::views::{MissingView, ReconciliationView, WorklistRow};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Reports";
const FORMATS: [&str; 2] = ["json", "csv"];
const COLUMNS: [&str; 19] = [
    "worklist",
    "order_id",
    "report_id",
    "patient_id",
    "mrn",
    "last_name",
    "first_name",
    "date_of_birth",
    "lis_endpoint_id",
    "lab",
    "priority",
    "status",
    "test_codes",
    "ordered_at",
    "since",
    "age_minutes",
    "reason",
    "said",
    "missing",
];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(get_reconciliation))
}

#[derive(Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReconciliationParams {
    /// Of one laboratory.
    lis_endpoint_id: Option<i64>,
    /// Rows of each worklist, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, required = false)]
    limit: Option<i64>,
    /// `json` or `csv`.
    #[param(value_type = Option<String>, required = false)]
    format: String,
}

impl FromFields for ReconciliationParams {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            lis_endpoint_id: fields.opt_int("lis_endpoint_id"),
            limit: fields.opt_int_within("limit", 1, i32::from(MAX_LIMIT)),
            format: fields.choice_or("format", &FORMATS, "json").to_owned(),
        }
    }
}

/// Orders against results: the worklists
///
/// Orders that the laboratory has not taken, or not answered, in time for their priority; panels with members that have not
/// come; results without an order, of laboratories that normally answer orders; rejected specimens; what the laboratory
/// called off or did not do. Each list has its count and at most `limit` rows. Those who may not read orders get the counts.
#[utoipa::path(get, path = "/api/reports/reconciliation", tag = TAG, params(ReconciliationParams),
    responses((status = 200, description = "As it stands now; with `format=csv` as `text/csv`, a line for each row",
        body = ReconciliationView)))]
async fn get_reconciliation(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    Query(query): Query<ReconciliationParams>,
) -> Result<Response, ApiError> {
    let limit = query.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT.into());
    let asked = ReconciliationQuery { lis_endpoint_id: query.lis_endpoint_id, limit };
    let view = reconcile_orders::reconcile_orders(&app.ctx, &caller, asked).await?;
    Ok(if query.format == "csv" { table(&view).into_response() } else { Json(view).into_response() })
}

fn table(view: &ReconciliationView) -> Csv {
    let mut csv = Csv::new("reconciliation", &COLUMNS);
    for (list, rows) in view.worklists.named() {
        for row in rows {
            csv.line(cells(list, row));
        }
    }
    csv
}

fn cells(list: &str, row: &WorklistRow) -> [String; 19] {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let number = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let person = row.patient.as_ref();
    let missing: Vec<String> = row.missing.iter().map(MissingView::text).collect();
    [
        list.to_owned(),
        number(row.order_id),
        number(row.report_id),
        row.patient_id.to_string(),
        person.map(|person| person.mrn.clone()).unwrap_or_default(),
        person.map(|person| person.last_name.clone()).unwrap_or_default(),
        person.map(|person| person.first_name.clone()).unwrap_or_default(),
        person.and_then(|person| person.date_of_birth).map(|date| date.to_string()).unwrap_or_default(),
        number(row.lis_endpoint_id),
        text(&row.lab),
        text(&row.priority),
        text(&row.status),
        row.test_codes.join(" "),
        row.ordered_at.map(time).unwrap_or_default(),
        time(row.since),
        row.age_minutes.to_string(),
        row.reason.clone(),
        text(&row.said),
        missing.join("; "),
    ]
}
