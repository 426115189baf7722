//! The wire facts of the FastAPI backend we replace, replayed against routes of the same shapes.
//!
//! Deliberate deviations: no redirect between the slash spellings, a 500 is JSON, `Allow` is complete, HEAD is
//! answered, a lost `+` in a query offset is put back, times without an offset get the facility's zone, a
//! string of digits that reads as a calendar date is not taken for seconds.

#![allow(clippy::unwrap_used)]

mod answers;

use axum::body::Body as RawBody;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde_json::{Value, json};
use tower::ServiceExt;
use validator::{Validate, ValidationError};

use super::conventions::{Settings, wrap};
use super::cors::Origins;
use super::error::ApiError;
use super::extract::{Bearer, Body, Form, Headers, PathId, Query};
use super::request_id::{NewRequestId, RequestId};
use crate::reader::{FromFields, Reader, Reading, pattern_mismatch};

const PRIORITIES: [&str; 3] = ["R", "S", "A"];

#[derive(Validate)]
#[allow(dead_code)] // read from the wire, not answered
struct LabOrderCreate {
    patient_id: i64,
    encounter_id: Option<i64>,
    test_codes: Vec<String>,
    ordering_provider: String,
    priority: String,
}

impl FromFields for LabOrderCreate {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            patient_id: fields.int("patient_id"),
            encounter_id: fields.opt_int("encounter_id"),
            test_codes: fields.str_list("test_codes"),
            ordering_provider: fields.str("ordering_provider"),
            priority: fields.choice_or("priority", &PRIORITIES, "R").to_owned(),
        }
    }
}

#[derive(Validate)]
struct Strict {
    n: i64,
    #[validate(length(min = 2, max = 4), custom(function = "capitals"))]
    s: String,
    p: &'static str,
    when: DateTime<Utc>,
    d: NaiveDate,
    #[validate(range(exclusive_min = 0.0, max = 10.0))]
    f: f64,
    b: bool,
    o: Option<String>,
}

fn capitals(s: &str) -> Result<(), ValidationError> {
    if s.bytes().all(|b| b.is_ascii_uppercase()) { Ok(()) } else { Err(pattern_mismatch("^[A-Z]+$")) }
}

impl FromFields for Strict {
    fn read(fields: &mut Reader<'_>) -> Self {
        let strict = Self {
            n: fields.int("n"),
            s: fields.str("s"),
            p: fields.choice("p", &PRIORITIES),
            when: fields.datetime("when"),
            d: fields.date("d"),
            f: fields.float("f"),
            b: fields.bool("b"),
            o: fields.opt_str("o"),
        };
        fields.deny_unknown();
        strict
    }
}

#[derive(Validate)]
struct Q {
    n: i64,
    #[validate(range(min = 1, max = 100))]
    limit: i64,
    p: &'static str,
    since: Option<DateTime<Utc>>,
    tag: Vec<String>,
}

impl FromFields for Q {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            n: fields.int("n"),
            limit: fields.int_or("limit", 50),
            p: fields.choice_or("p", &PRIORITIES, "R"),
            since: fields.opt_datetime("since"),
            tag: fields.opt_str_list("tag").unwrap_or_default(),
        }
    }
}

#[derive(Validate)]
struct ResultsQuery {
    patient_id: Option<i64>,
    acknowledged: bool,
}

impl FromFields for ResultsQuery {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { patient_id: fields.opt_int("patient_id"), acknowledged: fields.bool_or("acknowledged", false) }
    }
}

#[derive(Validate)]
#[allow(dead_code)] // the grant type is only checked
struct Token {
    #[validate(custom(function = "password_grant"))]
    grant_type: Option<String>,
    username: String,
    password: String,
}

fn password_grant(grant: &str) -> Result<(), ValidationError> {
    if grant == "password" { Ok(()) } else { Err(pattern_mismatch("password")) }
}

impl FromFields for Token {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self {
            grant_type: fields.opt_str("grant_type"),
            username: fields.str("username"),
            password: fields.str("password"),
        }
    }
}

#[derive(Validate)]
struct WantedHeader {
    id: String,
}

impl FromFields for WantedHeader {
    fn read(fields: &mut Reader<'_>) -> Self {
        Self { id: fields.str("x-request-id") }
    }
}

async fn create(Body(order): Body<LabOrderCreate>) -> impl IntoResponse {
    (StatusCode::CREATED, Json(json!({"patient_id": order.patient_id, "test_codes": order.test_codes})))
}

async fn strict(Body(x): Body<Strict>) -> Json<Value> {
    let when = x.when.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Json(json!({"n": x.n, "s": x.s, "p": x.p, "when": when, "d": x.d, "f": x.f, "b": x.b, "o": x.o}))
}

async fn q(Query(x): Query<Q>) -> Json<Value> {
    let since = x.since.map(|since| since.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    Json(json!({"n": x.n, "limit": x.limit, "p": x.p, "since": since, "tag": x.tag}))
}

async fn results(Query(x): Query<ResultsQuery>) -> Json<Value> {
    Json(json!({"patient_id": x.patient_id, "acknowledged": x.acknowledged}))
}

async fn token(Form(form): Form<Token>) -> Result<Json<Value>, ApiError> {
    if form.password != "ok" {
        return Err(ApiError::Unauthorized { detail: "Incorrect username or password" });
    }
    Ok(Json(json!({"access_token": form.username, "token_type": "bearer"})))
}

async fn order(PathId(_): PathId<i64>) -> ApiError {
    ApiError::NotFound("Lab order not found")
}

async fn boom() -> Json<Value> {
    panic!("PHI Doe Jane")
}

fn app() -> Router {
    let routes = Router::new()
        .route("/api/lab-orders", post(create).get(async || Json(json!([]))))
        .route("/api/lab-orders/{order_id}", get(order))
        .route("/api/lab-results", get(results))
        .route("/strict", post(strict))
        .route(
            "/optional",
            post(async |body: Option<Body<LabOrderCreate>>| Json(json!({"got": body.is_some()}))),
        )
        .route("/q", get(q))
        .route("/me", get(async |Bearer(token): Bearer| Json(json!({"t": token}))))
        .route("/token", post(token))
        .route("/boom", get(boom))
        .route("/hdr", get(async |Headers(h): Headers<WantedHeader>| Json(h.id)))
        .route("/id", get(async |id: RequestId| id.as_str().to_owned()))
        .route("/api/x/{i}", delete(async |PathId(_): PathId<i64>| StatusCode::NO_CONTENT));
    wrap(
        routes.merge(super::docs::router("{}".to_owned())),
        Settings {
            cors_origins: Origins::new(["http://localhost:3000"]),
            reading: Reading::default(),
            new_request_id: NewRequestId::new(|| "minted".to_owned()),
        },
    )
}

type Header = (&'static str, &'static str);

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// `METHOD path` with headers and a body.
async fn send(line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, uri) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app().oneshot(request.body(RawBody::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}
