//! The start page at `/`: what to try, and alerts as they come. A reference, not a console; its files are in `static/`.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use crate::config::Config;
use crate::http::error::ApiError;

/// Our own files and nothing else. No form is ever sent by the browser itself: a password must not end in a URL.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// The page and its files. They are no part of the API's document.
pub(in crate::http) fn router<S: Clone + Send + Sync + 'static>(config: &Config) -> Router<S> {
    let page = page(config);
    Router::new()
        .route("/", get(async move || page.clone().map(html).ok_or(ApiError::Internal)))
        .route("/static/{name}", get(asset))
}

/// The page with the names and the port that its commands need.
fn page(config: &Config) -> Option<String> {
    let file = Files::get("index.html")?;
    let text = String::from_utf8_lossy(&file.data);
    let port = config.mllp_port.to_string();
    let values = [
        ("{{application}}", &config.sending_application),
        ("{{facility}}", &config.sending_facility),
        ("{{mllp_port}}", &port),
    ];
    Some(values.iter().fold(text.into_owned(), |text, (mark, value)| text.replace(mark, &escape(value))))
}

/// The names come from the operator and may hold anything that HL7 allows.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn html(page: String) -> Response {
    file("text/html; charset=utf-8", page)
}

async fn asset(Path(name): Path<String>) -> Result<Response, ApiError> {
    const MISSING: ApiError = ApiError::NotFound("Not Found");
    let content_type = match name.rsplit_once('.') {
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => return Err(MISSING),
    };
    let found = Files::get(&name).ok_or(MISSING)?;
    Ok(file(content_type, found.data.into_owned()))
}

fn file(content_type: &'static str, content: impl IntoResponse) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CSP),
        // Nothing secret, but a new binary may bring new files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::config::Layers;

    async fn fetch(path: &str) -> (u16, String, String) {
        let env = [("MLLP_LISTEN_PORT", "2999"), ("SENDING_FACILITY", "A<B")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (config, _) = Config::load(&Layers::new(None, env.into_iter()).unwrap()).unwrap();
        let app: Router = router(&config);
        let response = app.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let policy = response.headers().get(header::CONTENT_SECURITY_POLICY);
        let policy = policy.map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 1_000_000).await.unwrap();
        (status, policy, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_page_is_whole_and_filled_in() {
        let (status, policy, page) = fetch("/").await;
        assert_eq!((status, policy.as_str()), (200, CSP));
        assert!(page.contains(" 2999</code>") && page.contains("A&lt;B"), "port and facility");
        assert!(!page.contains("{{") && !page.contains("<script>") && !page.contains(" style="));
        let files: Vec<&str> = page.split('"').filter(|part| part.starts_with("/static/")).collect();
        assert_eq!(files.len(), 2);
        for name in files {
            let (status, policy, content) = fetch(name).await;
            assert_eq!((status, policy.as_str()), (200, CSP), "{name}");
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "http://",
                "https://",
            ] {
                assert!(!content.contains(forbidden), "{name} has {forbidden}");
            }
        }
    }

    #[tokio::test]
    async fn nothing_else_is_served() {
        for path in
            ["/static/index.html", "/static/none.js", "/static/..%2fCargo.toml", "/static/..%2f..%2fx.js"]
        {
            assert_eq!(fetch(path).await.0, 404, "{path}");
        }
    }
}
