//! Headers every answer carries. A handler that set one of them itself keeps its own.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// An answer of the API is data: it loads nothing and stands in no frame.
const API_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// Swagger UI puts styles into its elements and images into its stylesheet; everything else is our own.
pub(super) const DOCS_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const DEFAULTS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, API_CSP),
];

/// Middleware: charts must not stay in a cache, and a JSON answer must not be taken for a page.
pub(super) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
