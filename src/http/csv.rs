//! Tables for spreadsheets (RFC 4180).

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// A table as CSV, with a line of names first.
pub(super) struct Csv {
    text: String,
    name: &'static str,
}

impl Csv {
    /// An empty table; `name` is what its file is called.
    pub(super) fn new(name: &'static str, columns: &[&str]) -> Self {
        let mut table = Self { text: String::new(), name };
        table.line(columns.iter().map(|column| (*column).to_owned()));
        table
    }

    /// Adds a line.
    pub(super) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| quoted(&cell)).collect();
        self.text.push_str(&cells.join(","));
        self.text.push_str("\r\n");
    }
}

/// What a spreadsheet would run as a formula is text here: names come from outside.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let safe = if formula { format!("'{cell}") } else { cell.to_owned() };
    if safe.contains([',', '"', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        let file = format!("attachment; filename=\"{}.csv\"", self.name);
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, file),
        ];
        (headers, self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_can_break_its_table_or_become_a_formula() {
        let table = [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("@x,y", "\"'@x,y\""),
            ("-5", "-5"),
            ("-cmd", "'-cmd"),
        ];
        for (cell, expected) in table {
            assert_eq!(quoted(cell), expected);
        }
        let mut csv = Csv::new("t", &["a", "b"]);
        csv.line(["1".to_owned(), String::new()]);
        assert_eq!(csv.text, "a,b\r\n1,\r\n");
    }
}
