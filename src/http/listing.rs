//! Between the pages of the use cases and those of the wire.

use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::page::{Cursor, Page, Paged};
use crate::lab::page::{Page as Part, PageRequest};

impl Page {
    /// The part asked for.
    pub(super) fn request(&self) -> PageRequest {
        PageRequest { limit: u64::from(self.limit()), before: self.cursor.map(|cursor| cursor.id) }
    }

    /// The part asked for, or everything if no limit was named: existing clients read no `Link`.
    pub(super) fn request_or_everything(&self) -> PageRequest {
        match self.limit {
            Some(_) => self.request(),
            None => PageRequest { before: self.cursor.map(|cursor| cursor.id), ..PageRequest::everything() },
        }
    }
}

/// A bare array with the headers that say how to go on.
pub(super) fn answer<T: Serialize>(part: Part<T>, uri: &Uri) -> Response {
    let next = part.next.map(|id| Cursor { id, at: None });
    Paged { items: part.items, next, total: part.total }.answer(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_means_everything_only_where_that_is_promised() {
        let (bare, limited) = (Page::default(), Page { limit: Some(7), cursor: None });
        assert_eq!((bare.request().limit, limited.request().limit), (50, 7));
        let everything = |page: &Page| page.request_or_everything().limit;
        assert_eq!((everything(&bare), everything(&limited)), (5000, 7));
    }

    #[test]
    fn the_cursor_goes_on_below_its_id() {
        let page = Page { limit: None, cursor: Some(Cursor { id: 9, at: None }) };
        assert_eq!((page.request().before, page.request_or_everything().before), (Some(9), Some(9)));
    }
}
