//! Keyset paging: lists are bare arrays; how to go on stands in the headers.
//!
//! Existing clients read the array and nothing else, so there is no envelope. The cursor names the last row
//! seen, not a count of rows: a result that arrives while somebody pages neither repeats nor hides a row.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::IntoParams;

use crate::reader::Reader;

/// Rows of a page when the caller does not say.
pub const DEFAULT_LIMIT: u16 = 50;
/// Rows of the largest page.
pub const MAX_LIMIT: u16 = 200;
/// Above this, counting costs more than the figure is worth, and the header is left out.
pub const MAX_EXACT_TOTAL: u64 = 10_000;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
const CURSOR: &str = "cursor";

/// Which part of a list is asked for. Part of a query type: `page: Page::read(fields)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Rows per page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, required = false)]
    pub limit: Option<u16>,
    /// Where the next page starts, as given in the `Link` header of the page before.
    #[param(value_type = Option<String>, required = false)]
    pub cursor: Option<Cursor>,
}

/// The last row of a page: its time, where the list is sorted by time, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// Unique within the list.
    pub id: i64,
    /// First sort key; absent where the id alone sorts.
    pub at: Option<DateTime<Utc>>,
}

impl Page {
    /// Reads `limit` and `cursor`.
    pub fn read(fields: &mut Reader<'_>) -> Self {
        let limit = fields.opt_int_within("limit", 1, i32::from(MAX_LIMIT));
        let text = fields.opt_str(CURSOR);
        let cursor = text.as_deref().and_then(Cursor::parse);
        if text.is_some() && cursor.is_none() {
            fields.refuse(CURSOR, "not a cursor of this list");
        }
        Self { limit: limit.and_then(|limit| u16::try_from(limit).ok()), cursor }
    }

    /// Rows to load at most.
    pub fn limit(&self) -> u16 {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (id, micros) = match text.split_once('_') {
            Some((id, micros)) => (id, Some(micros.parse().ok()?)),
            None => (text, None),
        };
        let at = match micros {
            Some(micros) => Some(DateTime::from_timestamp_micros(micros)?),
            None => None,
        };
        Some(Self { id: id.parse().ok()?, at })
    }

    fn text(self) -> String {
        match self.at {
            Some(at) => format!("{}_{}", self.id, at.timestamp_micros()),
            None => self.id.to_string(),
        }
    }
}

/// One page of a list, ready to be answered.
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The last row of this page, if there are more.
    pub next: Option<Cursor>,
    /// Rows of the whole list, where counted exactly.
    pub total: Option<u64>,
}

impl<T: Serialize> Paged<T> {
    /// A list that is complete.
    pub fn all(items: Vec<T>) -> Self {
        let total = Some(items.len() as u64);
        Self { items, next: None, total }
    }

    /// The answer to a request for `uri`. The link is relative: behind a proxy we do not know our own name.
    pub fn answer(self, uri: &Uri) -> Response {
        let link = self.next.and_then(|next| HeaderValue::from_str(&next_link(uri, next)).ok());
        let mut response = Json(self.items).into_response();
        if let Some(link) = link {
            response.headers_mut().insert(header::LINK, link);
        }
        if let Some(total) = self.total.filter(|total| *total <= MAX_EXACT_TOTAL) {
            response.headers_mut().insert(TOTAL, HeaderValue::from(total));
        }
        response
    }
}

fn next_link(uri: &Uri, next: Cursor) -> String {
    let query = uri.query().unwrap_or_default().as_bytes();
    let others = form_urlencoded::parse(query).filter(|(name, _)| name != CURSOR);
    let mut target = form_urlencoded::Serializer::new(String::new());
    target.extend_pairs(others).append_pair(CURSOR, &next.text());
    format!("<{}?{}>; rel=\"next\"", uri.path(), target.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::reader::{Reading, problem::Problem};

    fn read(query: &[(&str, &str)]) -> Result<Page, Vec<Problem>> {
        let pairs: Vec<_> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut fields = Reader::query(&pairs, Reading::default());
        let page = Page::read(&mut fields);
        fields.finish(page)
    }

    fn kinds(query: &[(&str, &str)]) -> Vec<String> {
        read(query).unwrap_err().iter().map(|problem| problem.kind.to_string()).collect()
    }

    #[test]
    fn limits_have_limits() {
        assert_eq!(read(&[]).unwrap().limit(), DEFAULT_LIMIT);
        assert_eq!(read(&[("limit", "200")]).unwrap().limit(), 200);
        assert_eq!(kinds(&[("limit", "0"), ("cursor", "x")]), ["greater_than_equal", "value_error"]);
        assert_eq!(kinds(&[("limit", "201")]), ["less_than_equal"]);
        assert_eq!(kinds(&[("limit", "many")]), ["int_parsing"]);
    }

    #[test]
    fn the_next_page_keeps_the_filters() {
        let uri: Uri = "/api/alerts?status=open&cursor=9&q=a%20%26b".parse().unwrap();
        let page = Paged { items: vec![1, 2], next: Some(Cursor { id: 7, at: None }), total: Some(3) };
        let response = page.answer(&uri);
        assert_eq!(
            response.headers()[header::LINK],
            r#"</api/alerts?status=open&q=a+%26b&cursor=7>; rel="next""#
        );
        assert_eq!(response.headers()[TOTAL], "3");
    }

    #[test]
    fn a_last_page_links_nowhere_and_a_huge_list_is_not_counted() {
        let response = Paged { items: vec![1], next: None, total: Some(MAX_EXACT_TOTAL + 1) }
            .answer(&Uri::from_static("/a"));
        assert!(!response.headers().contains_key(header::LINK));
        assert!(!response.headers().contains_key(TOTAL));
    }

    proptest! {
        #[test]
        fn cursors_come_back(id in any::<i64>(), micros in proptest::option::of(0_i64..4_000_000_000_000_000)) {
            let cursor = Cursor { id, at: micros.and_then(DateTime::from_timestamp_micros) };
            prop_assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        }
    }
}
