//! `/api/lab-orders` and `/api/lab-orders/` are one address.
//!
//! FastAPI redirects from one to the other; behind a proxy the redirect points to plain HTTP, and clients drop
//! the `Authorization` header on the way. We answer at both spellings.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Takes one trailing slash off, before routing.
pub(super) fn strip_slash(mut request: Request) -> Request {
    if let Some(uri) = without_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_slash_goes_the_rest_stays() {
        for (given, wanted) in [
            ("/api/lab-orders/", "/api/lab-orders"),
            ("/api/lab-results/?patient_id=5&q=a/", "/api/lab-results?patient_id=5&q=a/"),
            ("/a//", "/a/"),
            ("/a/?", "/a?"),
            ("http://host:1/a/", "http://host:1/a"),
        ] {
            assert_eq!(without_slash(&given.parse().unwrap()).unwrap().to_string(), wanted);
        }
        for same in ["/", "/a", "/a?b=/", "*", "/?a=1"] {
            assert_eq!(without_slash(&same.parse().unwrap()), None, "{same}");
        }
    }
}
