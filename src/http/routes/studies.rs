//! Studies in the JSON of imaging systems.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use validator::Validate;

use crate::http::app::App;
use crate::http::auth::SignedIn;
use crate::http::error::ApiError;
use crate::http::extract::{Body, PathId};
use crate::http::keyed::Keyed;
use crate::lab::order_study::{self, NewStudy, StudyName, StudyPatient};
use crate::lab::read_studies;
use crate::lab::views::{PatientStudiesView, ReportView, StudyOrderView};
use crate::reader::{FromFields, Reader};

const TAG: &str = "Imaging";
const QUERIES: [&str; 1] = ["patient_studies"];

pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(order_study))
        .routes(routes!(query_studies))
        .routes(routes!(get_lab_result_report))
}

/// A study to be ordered: under `order`, or the short form `{patientId, study, priority}`.
#[derive(Validate, ToSchema)]
#[schema(as = StudyOrderCreate)]
struct StudyCreate {
    /// The study.
    order: Option<StudyPart>,
    #[serde(flatten)]
    short: StudyPart,
}

/// A study.
#[derive(Validate, ToSchema, Default)]
#[schema(as = StudyOrderPart, rename_all = "camelCase")]
struct StudyPart {
    /// Number under which the pictures are to be filed; without one our own is taken.
    accession_number: Option<String>,
    /// For whom.
    patient: Option<PatientPart>,
    /// Medical record number, in place of `patient`.
    patient_id: Option<String>,
    /// What is to be done: an object, or its name alone.
    study: ProcedurePart,
    /// `ROUTINE`, `STAT` or `ASAP`; may stand in `study` too.
    priority: Option<String>,
    /// Where and when.
    scheduling: Option<SchedulingPart>,
    /// Who orders.
    ordering_provider: Option<String>,
}

/// A patient; whatever is said besides the number must agree with the chart.
#[derive(Validate, ToSchema)]
#[schema(as = StudyOrderPatient, rename_all = "camelCase")]
struct PatientPart {
    /// Medical record number.
    id: String,
    /// The name in one, or an object of `family` and `given`.
    #[schema(value_type = Option<Object>)]
    name: Option<Value>,
    /// `1990-03-15`.
    date_of_birth: Option<NaiveDate>,
}

/// What is to be done.
#[derive(Validate, ToSchema, Default)]
#[schema(as = StudyProcedurePart)]
struct ProcedurePart {
    /// Code of the procedure (OBR-4.1); without one its name stands there.
    code: Option<String>,
    /// Its name (OBR-4.2).
    description: String,
    /// Such as `CT`.
    modality: Option<String>,
    /// `ROUTINE`, `STAT` or `ASAP`.
    priority: Option<String>,
}

/// Where and when.
#[derive(Validate, ToSchema)]
#[schema(as = StudyOrderScheduling, rename_all = "camelCase")]
struct SchedulingPart {
    /// Name of the device on its network.
    ae_title: Option<String>,
    /// Start.
    scheduled_date_time: Option<DateTime<Utc>>,
}

/// A question about studies.
#[derive(Validate, ToSchema)]
#[schema(as = StudyQuery, rename_all = "camelCase")]
struct StudyQuery {
    /// `patient_studies`.
    #[allow(dead_code, reason = "there is one question; the reader refuses any other")]
    query_type: String,
    /// Medical record number.
    patient_id: String,
}

impl FromFields for StudyCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        let order: Option<StudyPart> = fields.opt_object("order");
        let short = if order.is_some() { StudyPart::default() } else { StudyPart::read(fields) };
        Self { order, short }
    }
}

impl FromFields for StudyPart {
    fn read(fields: &mut Reader<'_>) -> Self {
        let patient = fields.opt_object("patient");
        let patient_id = if patient.is_some() { None } else { Some(text_or_number(fields, "patientId")) };
        Self {
            accession_number: fields.opt_str("accessionNumber"),
            patient,
            patient_id,
            study: ProcedurePart::of(fields),
            priority: fields.opt_str("priority"),
            scheduling: fields.opt_object("scheduling"),
            ordering_provider: fields.opt_str("orderingProvider"),
        }
    }
}

impl FromFields for PatientPart {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            id: text_or_number(fields, "id"),
            name: fields.opt_json("name"),
            date_of_birth: fields.opt_date("dateOfBirth"),
        }
    }
}

impl FromFields for ProcedurePart {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            code: fields.opt_str("code"),
            description: fields.opt_str("description").unwrap_or_default(),
            modality: fields.opt_str("modality"),
            priority: fields.opt_str("priority"),
        }
    }
}

impl ProcedurePart {
    /// An object, or its name alone.
    fn of(fields: &mut Reader<'_>) -> Self {
        match fields.opt_json("study") {
            Some(Value::String(description)) => Self { description, ..Self::default() },
            _ => fields.object("study"),
        }
    }
}

impl FromFields for SchedulingPart {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            ae_title: fields.opt_str("aeTitle"),
            scheduled_date_time: fields.opt_datetime("scheduledDateTime"),
        }
    }
}

impl FromFields for StudyQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            query_type: fields.choice("queryType", &QUERIES).to_owned(),
            patient_id: text_or_number(fields, "patientId"),
        }
    }
}

/// Record numbers are texts; those who have only digits are often sent as numbers.
fn text_or_number(fields: &mut Reader<'_>, name: &'static str) -> String {
    match fields.opt_json(name) {
        Some(Value::Number(number)) if number.is_u64() => number.to_string(),
        _ => fields.str(name),
    }
}

impl From<StudyPart> for NewStudy {
    fn from(part: StudyPart) -> Self {
        let scheduling = part.scheduling;
        let patient = match part.patient {
            Some(patient) => patient.into(),
            None => StudyPatient { mrn: part.patient_id.unwrap_or_default(), ..StudyPatient::default() },
        };
        Self {
            accession_number: part.accession_number,
            patient,
            code: part.study.code,
            description: part.study.description,
            modality: part.study.modality,
            priority: part.priority.or(part.study.priority),
            ae_title: scheduling.as_ref().and_then(|scheduling| scheduling.ae_title.clone()),
            scheduled_at: scheduling.and_then(|scheduling| scheduling.scheduled_date_time),
            provider: part.ordering_provider,
        }
    }
}

impl From<PatientPart> for StudyPatient {
    fn from(part: PatientPart) -> Self {
        let name = part.name.and_then(|name| match name {
            Value::String(whole) => Some(StudyName::Whole(whole)),
            parts => {
                parts.get("family").and_then(Value::as_str).map(|name| StudyName::Family(name.to_owned()))
            }
        });
        Self { mrn: part.id, name, birth_date: part.date_of_birth }
    }
}

/// Order a study
///
/// In the JSON of imaging systems: `{"order": {"accessionNumber", "patient": {"id", "name", "dateOfBirth"}, "study":
/// {"modality", "description", "priority"}, "scheduling": {"aeTitle", "scheduledDateTime"}}}`, or in short `{"patientId",
/// "study", "priority"}`. It becomes an order like any other, with its message to whoever makes the pictures. The same
/// accession number again is answered with the order that is here.
#[utoipa::path(post, path = "/api/orders", tag = TAG, request_body = StudyCreate,
    responses(
        (status = 201, description = "The order, as it stands", body = StudyOrderView),
        (status = 401, description = "Wrong or missing key", content_type = "text/plain", body = String),
        (status = 409, description = "Another patient's name or birth date, or an accession number in use", body = crate::http::schema::HTTPError),
    ),
    security(("ApiKey" = []), ("OAuth2PasswordBearer" = [])))]
async fn order_study(
    Keyed(submitter): Keyed,
    State(app): State<App>,
    Body(new): Body<StudyCreate>,
) -> Result<(StatusCode, Json<StudyOrderView>), ApiError> {
    let new = new.order.unwrap_or(new.short);
    let placed = order_study::order_study(&app.ctx, &submitter, new.into()).await?;
    Ok((StatusCode::CREATED, Json(placed)))
}

/// Ask for the studies of a patient
///
/// `{"queryType": "patient_studies", "patientId": "12345"}`. A key sees what its endpoint ordered or was sent.
#[utoipa::path(post, path = "/api/hl7/query", tag = TAG, request_body = StudyQuery,
    responses(
        (status = 200, description = "Newest first, each with its report", body = PatientStudiesView),
        (status = 401, description = "Wrong or missing key", content_type = "text/plain", body = String),
    ),
    security(("ApiKey" = []), ("OAuth2PasswordBearer" = [])))]
async fn query_studies(
    Keyed(submitter): Keyed,
    State(app): State<App>,
    Body(query): Body<StudyQuery>,
) -> Result<Json<PatientStudiesView>, ApiError> {
    let studies = read_studies::patient_studies(&app.ctx, &submitter, &query.patient_id).await?;
    Ok(Json(studies))
}

/// The report of a result, in words
///
/// The whole report that the result is a part of, as one text.
#[utoipa::path(get, path = "/api/lab-results/{result_id}/report", tag = TAG,
    params(("result_id" = i64, Path, description = "Id of the result")),
    responses((status = 200, description = "The report", body = ReportView)))]
async fn get_lab_result_report(
    SignedIn(caller): SignedIn,
    State(app): State<App>,
    PathId(id): PathId<i64>,
) -> Result<Json<ReportView>, ApiError> {
    Ok(Json(read_studies::read_report(&app.ctx, &caller, id).await?))
}
