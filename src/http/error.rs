//! Every way a request can fail, and the JSON the existing clients expect for it.
//!
//! `detail` is a string for every status but 422, where it is a list: clients switch on that. Nothing from a
//! source error reaches a client; a use case's error is mapped to one of these by an exhaustive `match`.

use std::borrow::Cow;
use std::fmt;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::reader::problem::Problem;

/// How long a client should wait for a database that is away.
const RETRY_UNAVAILABLE_S: u32 = 5;

/// A failed request, free of patient data in its `Debug` form.
pub enum ApiError {
    /// 400: the request could not be read at all.
    BadRequest(&'static str),
    /// 401: who are you? The answer names the scheme.
    Unauthorized {
        /// What the caller is told.
        detail: &'static str,
    },
    /// 401 as plain text, as the senders of `POST /api/hl7` know it.
    InvalidApiKey,
    /// 403: known, but not allowed.
    Forbidden,
    /// 404: what is missing, such as "Lab order not found".
    NotFound(&'static str),
    /// 404: the noun that is missing, such as "Lab order".
    Missing(&'static str),
    /// 409: the state forbids it.
    Conflict(Conflict),
    /// 413: the body is over the limit of the route.
    TooLarge,
    /// 415: not a type that the route reads; the text says which ones it does.
    UnsupportedMediaType(&'static str),
    /// 422: one entry for every field at fault.
    Unprocessable(Vec<Problem>),
    /// 429: come back in so many seconds.
    TooManyRequests {
        /// Seconds until a new try makes sense.
        retry_after: u32,
    },
    /// 503: not ready, or the database is away. A new try may work.
    Unavailable,
    /// 500: our fault; the log has the reason under the request id, the client has not.
    Internal,
}

impl From<Vec<Problem>> for ApiError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Unprocessable(problems)
    }
}

/// Why a state forbids a change, and facts a client can show ("acknowledged by … at …").
pub struct Conflict {
    detail: Cow<'static, str>,
    facts: Map<String, Value>,
}

impl ApiError {
    /// No credentials, or a scheme other than Bearer.
    pub const NOT_AUTHENTICATED: Self = Self::Unauthorized { detail: "Not authenticated" };

    /// A 409 that says only why.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict(Conflict { detail: detail.into(), facts: Map::new() })
    }

    /// A 409 with facts beside `detail`, so that `detail` stays the string clients expect.
    pub fn conflict_with(detail: impl Into<Cow<'static, str>>, facts: Map<String, Value>) -> Self {
        Self::Conflict(Conflict { detail: detail.into(), facts })
    }

    /// The status this error is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized { .. } | Self::InvalidApiKey => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound(_) | Self::Missing(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the caller is told, where it is one sentence.
    fn detail(&self) -> Cow<'_, str> {
        let sentence = match self {
            Self::BadRequest(detail)
            | Self::NotFound(detail)
            | Self::UnsupportedMediaType(detail)
            | Self::Unauthorized { detail } => detail,
            Self::InvalidApiKey => "Unauthorized: Invalid API key",
            Self::Missing(noun) => return format!("{noun} not found").into(),
            Self::Forbidden => "Not enough permissions",
            Self::Conflict(conflict) => &conflict.detail,
            Self::TooLarge => "Request body too large",
            Self::Unprocessable(_) => "Unprocessable",
            Self::TooManyRequests { .. } => "Too many requests",
            Self::Unavailable => "Service unavailable",
            Self::Internal => "Internal Server Error",
        };
        sentence.into()
    }

    fn body(&self) -> Response {
        match self {
            // Straight from the struct: a detour over `Value` would lose the order of the members.
            Self::Unprocessable(problems) => Json(Problems { detail: problems }).into_response(),
            Self::Conflict(conflict) => {
                let mut facts = conflict.facts.clone();
                facts.insert("detail".to_owned(), Value::from(self.detail()));
                Json(facts).into_response()
            }
            Self::InvalidApiKey => self.detail().into_owned().into_response(),
            _ => Json(json!({ "detail": self.detail() })).into_response(),
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized { .. } | Self::InvalidApiKey => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::TooManyRequests { retry_after } => {
                Some((header::RETRY_AFTER, HeaderValue::from(*retry_after)))
            }
            Self::Unavailable => Some((header::RETRY_AFTER, HeaderValue::from(RETRY_UNAVAILABLE_S))),
            _ => None,
        }
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiError({})", self.status().as_u16())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.body();
        *response.status_mut() = self.status();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[derive(serde::Serialize)]
struct Problems<'a> {
    detail: &'a [Problem],
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn told(error: ApiError) -> (u16, String) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn detail_is_a_string_except_for_422() {
        let facts = Map::from_iter([("by".to_owned(), Value::from("nurse"))]);
        let table = [
            (ApiError::BadRequest("No"), 400, r#"{"detail":"No"}"#),
            (ApiError::NOT_AUTHENTICATED, 401, r#"{"detail":"Not authenticated"}"#),
            (ApiError::InvalidApiKey, 401, "Unauthorized: Invalid API key"),
            (ApiError::UnsupportedMediaType("No"), 415, r#"{"detail":"No"}"#),
            (ApiError::Forbidden, 403, r#"{"detail":"Not enough permissions"}"#),
            (ApiError::NotFound("Lab order not found"), 404, r#"{"detail":"Lab order not found"}"#),
            (ApiError::Missing("Lab order"), 404, r#"{"detail":"Lab order not found"}"#),
            (ApiError::conflict("Already done"), 409, r#"{"detail":"Already done"}"#),
            (
                ApiError::conflict_with("Already done", facts),
                409,
                r#"{"by":"nurse","detail":"Already done"}"#,
            ),
            (ApiError::TooLarge, 413, r#"{"detail":"Request body too large"}"#),
            (ApiError::TooManyRequests { retry_after: 7 }, 429, r#"{"detail":"Too many requests"}"#),
            (ApiError::Internal, 500, r#"{"detail":"Internal Server Error"}"#),
            (ApiError::Unavailable, 503, r#"{"detail":"Service unavailable"}"#),
            (
                ApiError::Unprocessable(vec![Problem::value_error(vec!["body".into()], "too late")]),
                422,
                r#"{"detail":[{"type":"value_error","loc":["body"],"msg":"Value error, too late","input":null,"ctx":{"error":{}}}]}"#,
            ),
        ];
        for (error, status, body) in table {
            assert_eq!(told(error).await, (status, body.to_owned()));
        }
    }

    #[test]
    fn headers_say_how_to_go_on() {
        let unauthorized = ApiError::NOT_AUTHENTICATED.into_response();
        assert_eq!(unauthorized.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let limited = ApiError::TooManyRequests { retry_after: 7 }.into_response();
        assert_eq!(limited.headers()[header::RETRY_AFTER], "7");
    }
}
