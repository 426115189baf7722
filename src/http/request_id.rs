//! One name for a request in the answer, the logs and the access rows.

use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::error::ApiError;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LEN: usize = 64;

/// Makes a new id; randomness comes from outside so that tests can fix it.
#[derive(Clone)]
pub struct NewRequestId(Arc<dyn Fn() -> String + Send + Sync>);

impl NewRequestId {
    /// Wraps a generator. Its ids must look like the ones we accept: `[A-Za-z0-9._-]{1,64}`.
    pub fn new(generate: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(generate))
    }
}

impl fmt::Debug for NewRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewRequestId")
    }
}

/// The id of the request at hand. A handler takes it as an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get().cloned().ok_or(ApiError::Internal)
    }
}

/// Middleware: takes the caller's id if it is harmless, else makes one; everything inside logs under it.
pub(super) async fn request_id(
    State(new): State<NewRequestId>,
    mut request: Request,
    next: Next,
) -> Response {
    let given =
        request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|id| is_harmless(id));
    let id = RequestId(given.map_or_else(|| (new.0)(), ToOwned::to_owned).into());
    // Neither the path nor the query: both can carry a patient's identifiers.
    let span = tracing::info_span!("http", request_id = id.as_str(), method = %request.method());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// What a caller may put into our logs.
fn is_harmless(id: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_LEN).contains(&id.len()) && id.bytes().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_forge_a_log_line_are_refused() {
        for id in ["a", "01J-x_y.Z", &"x".repeat(MAX_LEN)] {
            assert!(is_harmless(id), "{id}");
        }
        for id in ["", "a b", "a\n", "é", "a=b", &"x".repeat(MAX_LEN + 1)] {
            assert!(!is_harmless(id), "{id}");
        }
    }
}
