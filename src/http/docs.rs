//! The API described: `/openapi.json`, Swagger UI at `/docs`, a page for reading at `/redoc`.
//!
//! All files are part of the binary. Hospital networks have no way to a CDN, and a page that may call this API
//! must not run somebody else's script.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::headers::DOCS_CSP;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The document as text: what `/openapi.json` serves, what the command line prints and the repository holds.
pub fn text(document: &OpenApi) -> Result<String, serde_json::Error> {
    document.to_pretty_json().map(|text| text + "\n")
}

/// The routes of the documentation, serving `document` (the answer of [`text`]).
pub fn router<S: Clone + Send + Sync + 'static>(document: String) -> Router<S> {
    let document: Arc<str> = document.into();
    Router::new()
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document.to_string())),
        )
        .route("/docs", get(async || file(HTML, include_str!("docs/index.html"))))
        .route("/docs/oauth2-redirect", get(async || file(HTML, include_str!("docs/oauth2-redirect.html"))))
        .route("/docs/start.js", get(async || file(SCRIPT, include_str!("docs/start.js"))))
        .route("/docs/{file}", get(vendored))
        .route("/redoc", get(async || file(HTML, include_str!("docs/reading.html"))))
        .route("/redoc/reading.js", get(async || file(SCRIPT, include_str!("docs/reading.js"))))
}

fn file(content_type: &'static str, content: impl IntoResponse) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, DOCS_CSP),
        // Nothing secret, but a new binary may bring new files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

/// Swagger UI's own files. Its start page and start script stay out: ours name absolute paths, so that `/docs`
/// works without a redirect.
async fn vendored(Path(name): Path<String>) -> Result<Response, ApiError> {
    let content_type = match name.rsplit_once('.') {
        Some(("swagger-initializer", _)) => None,
        Some((_, "js")) => Some(SCRIPT),
        Some((_, "css")) => Some("text/css; charset=utf-8"),
        Some((_, "png")) => Some("image/png"),
        _ => None,
    };
    let content_type = content_type.ok_or(ApiError::NotFound("Not Found"))?;
    let config = Arc::new(Config::from("/openapi.json"));
    let found = utoipa_swagger_ui::serve(&name, config).map_err(|_| ApiError::Internal)?;
    let found = found.ok_or(ApiError::NotFound("Not Found"))?;
    Ok(file(content_type, found.bytes.into_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn fetch(path: &str) -> (u16, String, String) {
        let app: Router = router(text(&OpenApi::default()).unwrap());
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let header = |name| {
            response.headers().get(name).map(|v: &axum::http::HeaderValue| v.to_str().unwrap().to_owned())
        };
        let (status, kind) = (response.status().as_u16(), header(header::CONTENT_TYPE).unwrap_or_default());
        let bytes = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        (status, kind, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a page refers to, from its `src` and `href` attributes.
    fn references(html: &str) -> Vec<String> {
        let after = |mark: &str| {
            html.split(mark)
                .skip(1)
                .filter_map(|rest| rest.split('"').next())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        [after("src=\""), after("href=\"")].concat()
    }

    #[tokio::test]
    async fn pages_are_whole_and_load_only_what_we_serve() {
        for (page, least) in [("/docs", 4), ("/docs/oauth2-redirect", 1), ("/redoc", 1)] {
            let (status, kind, html) = fetch(page).await;
            assert_eq!((status, kind.as_str()), (200, HTML), "{page}");
            let references = references(&html);
            assert!(references.len() >= least, "{page}: {references:?}");
            for reference in references {
                let (status, kind, content) = fetch(&reference).await;
                assert_eq!(status, 200, "{page} refers to {reference}");
                assert!(!kind.is_empty() && !content.is_empty(), "{reference}");
            }
            assert!(!html.contains("<script>"), "{page}: the policy forbids inline scripts");
        }
    }

    #[tokio::test]
    async fn the_document_is_openapi_3_1() {
        let (status, kind, body) = fetch("/openapi.json").await;
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        let document: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        assert!(fetch("/docs/start.js").await.2.contains("\"/openapi.json\""));
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in ["/docs/nope.js", "/docs/index.html", "/docs/swagger-initializer.js", "/docs/..%2fx.js"] {
            assert_eq!(fetch(path).await.0, 404, "{path}");
        }
    }
}
