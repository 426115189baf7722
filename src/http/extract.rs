//! Extractors for handlers: what arrives typed has been read, checked and, where wrong, already answered.

use axum::body::{Body as RawBody, Bytes};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Value, json};

use super::error::ApiError;
use super::json_fault;
use crate::reader::problem::Fault;
use crate::reader::{FromFields, Reader, Reading};

/// How many bytes a body may have where the route does not say otherwise.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// Put on a route with `.layer(Extension(BodyLimit(bytes)))` where [`BODY_LIMIT`] does not fit.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

/// A JSON body. As `Option<Body<T>>` it may also be empty or `null`.
pub struct Body<T>(pub T);

/// The query string. The last of a repeated name counts, unknown names are ignored.
pub struct Query<T>(pub T);

/// An `application/x-www-form-urlencoded` body.
pub struct Form<T>(pub T);

/// Request headers, read by their lower-case names.
pub struct Headers<T>(pub T);

/// The integer in the path. With several parameters it is the first one.
pub struct PathId<T>(pub T);

/// A body as it came, for what is not JSON.
pub struct Raw(pub Bytes);

/// The token of `Authorization: Bearer …`; without one the answer is 401.
pub struct Bearer(pub String);

impl<S: Sync, T: FromFields> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let reading = reading(request.extensions());
        let value = json_body(request).await?.unwrap_or(Value::Null);
        Ok(Self(Reader::body(&value, reading).read()?))
    }
}

impl<S: Sync, T: FromFields> OptionalFromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        let reading = reading(request.extensions());
        let value = json_body(request).await?.filter(|value| !value.is_null());
        Ok(value.map(|value| Reader::body(&value, reading).read().map(Self)).transpose()?)
    }
}

impl<S: Sync, T: FromFields> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self(Reader::query(&pairs, reading(&parts.extensions)).read()?))
    }
}

impl<S: Sync, T: FromFields> FromRequest<S> for Form<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let reading = reading(request.extensions());
        let is_form = essence(request.headers()) == "application/x-www-form-urlencoded";
        let bytes = read_body(request).await?;
        // Anything else is a form in which nothing is filled in, as in FastAPI.
        let pairs = if is_form { pairs(&bytes) } else { Vec::new() };
        Ok(Self(Reader::form(&pairs, reading).read()?))
    }
}

impl<S: Sync, T: FromFields> FromRequestParts<S> for Headers<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let pairs: Vec<_> =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(Self(Reader::header(&pairs, reading(&parts.extensions)).read()?))
    }
}

impl<S: Send + Sync, T: From<i64>> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| ApiError::NotFound("Not Found"))?;
        // A route without a parameter is a mistake of ours, not of the caller.
        let (name, text) = params.iter().next().ok_or(ApiError::Internal)?;
        Ok(Self(Reader::path_int(name, text, reading(&parts.extensions))?.into()))
    }
}

impl<S: Sync> FromRequest<S> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read_body(request).await.map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.map(|(_, token)| token.trim()).filter(|token| !token.is_empty());
        token.map(|token| Self(token.to_owned())).ok_or(ApiError::NOT_AUTHENTICATED)
    }
}

fn reading(extensions: &Extensions) -> Reading {
    extensions.get().copied().unwrap_or_default()
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// The content type without its parameters, in lower case.
pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(essence: &str) -> bool {
    essence
        .strip_prefix("application/")
        .is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// The parsed body; `None` if it is empty. A body of another type is handed on as one string, which then is
/// not the object a reader asks for.
async fn json_body(request: Request) -> Result<Option<Value>, ApiError> {
    let json = is_json(&essence(request.headers()));
    let bytes = read_body(request).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if !json {
        return Ok(Some(Value::from(String::from_utf8_lossy(&bytes))));
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    serde_json::from_slice(text).map(Some).map_err(|_| not_json(text))
}

fn not_json(bytes: &[u8]) -> ApiError {
    let (at, error) = match std::str::from_utf8(bytes) {
        Ok(text) => json_fault::find(text),
        Err(error) => (error.valid_up_to(), "Invalid UTF-8"),
    };
    let fault = Fault::with("json_invalid", "JSON decode error".to_owned(), json!({ "error": error }));
    ApiError::Unprocessable(vec![fault.at(vec!["body".into(), at.into()], json!({}))])
}

/// Reads a body up to the limit of its route. What announces itself as too large is not read at all.
async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let limit = request.extensions().get().map_or(BODY_LIMIT, |BodyLimit(limit)| *limit);
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(ApiError::TooLarge);
    }
    let body: Limited<RawBody> = Limited::new(request.into_body(), limit);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge),
        Err(_) => Err(ApiError::BadRequest("There was an error parsing the body")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    fn request(length: Option<&'static str>, body: impl Into<RawBody>, limit: Option<usize>) -> Request {
        let mut request = Request::new(body.into());
        if let Some(length) = length {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static(length));
        }
        limit.map(|limit| request.extensions_mut().insert(BodyLimit(limit)));
        request
    }

    #[tokio::test]
    async fn bodies_are_bounded_by_announcement_and_by_count() {
        for (length, size, limit, fits) in [
            (None, BODY_LIMIT, None, true),
            (None, BODY_LIMIT + 1, None, false),
            (Some("1048577"), 3, None, false),
            (None, 11, Some(10), false),
            (None, BODY_LIMIT + 1, Some(BODY_LIMIT * 2), true),
        ] {
            let read = read_body(request(length, vec![b'x'; size], limit)).await;
            assert_eq!(read.is_ok(), fits, "{length:?} {size} {limit:?}");
            assert_eq!(read.err().map(|error| error.status().as_u16()), (!fits).then_some(413));
        }
    }

    #[test]
    fn json_goes_by_its_content_type() {
        let mut headers = HeaderMap::new();
        assert!(!is_json(&essence(&headers)));
        for (value, json) in [
            ("application/json", true),
            ("APPLICATION/JSON; charset=utf-8", true),
            ("application/fhir+json", true),
            ("application/jsonp", false),
            ("text/json", false),
        ] {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_json(&essence(&headers)), json, "{value}");
        }
    }

    #[tokio::test]
    async fn only_a_bearer_token_authenticates() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
        ] {
            let (mut parts, _) = request(None, "", None).into_parts();
            parts.headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            let read = Bearer::from_request_parts(&mut parts, &()).await;
            assert_eq!(read.ok().map(|bearer| bearer.0).as_deref(), token, "{value}");
        }
    }
}
