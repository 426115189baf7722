//! What is answered where no handler is.

use std::any::Any;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::ApiError;

/// No such path.
pub(super) async fn not_found() -> ApiError {
    ApiError::NotFound("Not Found")
}

/// The path exists, the method does not. axum adds `Allow` with all methods of the path.
pub(super) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "detail": "Method Not Allowed" }))).into_response()
}

/// A handler panicked. The payload may quote patient data, so it is neither answered nor logged.
#[allow(clippy::needless_pass_by_value)] // the signature is the one `CatchPanicLayer` asks for
pub(super) fn panicked(_payload: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    ApiError::Internal.into_response()
}
