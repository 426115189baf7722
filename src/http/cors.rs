//! Cross-origin answers as the existing clients get them today, on every status: a browser that may not read
//! a 422 shows "network error" instead of the fields at fault.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const METHODS: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
const EXPOSED: &str = "X-Request-ID, X-Total-Count, Link, Retry-After";
const MAX_AGE_S: &str = "600";

/// Origins that may read answers, credentials included. There is no wildcard on purpose: with credentials it
/// would open the chart to every page a nurse visits.
#[derive(Clone, Debug, Default)]
pub struct Origins(Arc<[HeaderValue]>);

impl Origins {
    /// Takes origins such as `https://pms.example.org`; an entry that cannot stand in a header matches nothing.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            origins
                .into_iter()
                .filter_map(|origin| HeaderValue::from_str(origin.trim_end_matches('/')).ok())
                .collect(),
        )
    }

    fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// Middleware: answers preflights and marks all other answers. Belongs outside of everything else.
pub(super) async fn cors(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    if request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return preflight(&origins, &origin, request.headers());
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    if origins.allow(&origin) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

fn preflight(origins: &Origins, origin: &HeaderValue, asked: &HeaderMap) -> Response {
    let known_origin = origins.allow(origin);
    let known_method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD).is_some_and(known_method);
    let refused: Vec<&str> = [(known_origin, "origin"), (known_method, "method")]
        .into_iter()
        .filter_map(|(known, what)| (!known).then_some(what))
        .collect();
    let mut response = if refused.is_empty() {
        (StatusCode::OK, "OK").into_response()
    } else {
        (StatusCode::BAD_REQUEST, format!("Disallowed CORS {}", refused.join(", "))).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    if known_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

fn known_method(method: &HeaderValue) -> bool {
    METHODS.split(", ").any(|known| method == known)
}
