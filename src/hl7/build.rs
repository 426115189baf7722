//! Writing segments. Every value passes through [`encode`] on its way in, so nothing a user
//! typed can end a field or begin a segment; only what came from a message may be put in as it is.

use super::SegmentName;
use super::datatypes::Coded;
use super::escape::{Newline, encode};
use super::message::Delimiters;
use std::borrow::Cow;

/// Writes a message segment by segment.
pub struct Writer {
    delims: Delimiters,
    out: String,
}

impl Writer {
    /// An empty message.
    pub fn new(delims: Delimiters) -> Self {
        Self { delims, out: String::with_capacity(512) }
    }

    /// Begins a segment; it is written by [`SegmentWriter::end`].
    pub fn segment(&mut self, name: &'static str) -> SegmentWriter<'_> {
        SegmentWriter { writer: self, name, fields: Vec::new() }
    }

    /// Begins an MSH with its delimiters in place.
    pub fn header(&mut self) -> SegmentWriter<'_> {
        let encoding = self.delims.encoding_characters();
        self.segment("MSH").verbatim(2, encoding)
    }

    /// The message; each segment ends with CR.
    pub fn finish(self) -> String {
        self.out
    }
}

/// A segment being filled, field by field, in any order.
pub struct SegmentWriter<'w> {
    writer: &'w mut Writer,
    name: &'static str,
    fields: Vec<String>,
}

impl SegmentWriter<'_> {
    /// A plain text field; line ends become blanks.
    #[must_use]
    pub fn text(self, n: usize, text: &str) -> Self {
        let safe = safe(text, self.writer.delims, Newline::Blank).into_owned();
        self.verbatim(n, safe)
    }

    /// The same, if there is something to write.
    #[must_use]
    pub fn maybe(self, n: usize, text: Option<&str>) -> Self {
        self.text(n, text.unwrap_or_default())
    }

    /// A long text; line ends become `\.br\`.
    #[must_use]
    pub fn long_text(self, n: usize, text: &str) -> Self {
        let safe = safe(text, self.writer.delims, Newline::Break).into_owned();
        self.verbatim(n, safe)
    }

    /// A field of components; empty ones at the end are left out.
    #[must_use]
    pub fn parts(self, n: usize, parts: &[&str]) -> Self {
        let joined = self.join(parts, self.writer.delims.component);
        self.verbatim(n, joined)
    }

    /// CE or CWE.
    #[must_use]
    pub fn coded(self, n: usize, value: &Coded) -> Self {
        let parts =
            [&value.code, &value.text, &value.system, &value.alt_code, &value.alt_text, &value.alt_system];
        self.parts(n, &parts.map(|p| p.as_deref().unwrap_or_default()))
    }

    /// Several repetitions of a plain text field.
    #[must_use]
    pub fn repeated(self, n: usize, values: &[&str]) -> Self {
        let joined = self.join(values, self.writer.delims.repetition);
        self.verbatim(n, joined)
    }

    /// A field that is escaped already, in this writer's delimiters.
    #[must_use]
    pub fn verbatim(mut self, n: usize, raw: String) -> Self {
        let shift =
            usize::from(SegmentName::new(self.name.as_bytes()).is_some_and(SegmentName::defines_delimiters));
        let index = n - 1 - shift;
        if self.fields.len() <= index {
            self.fields.resize(index + 1, String::new());
        }
        self.fields[index] = raw;
        self
    }

    /// Writes the segment, without the empty fields at its end.
    pub fn end(self) {
        let separator = char::from(self.writer.delims.field);
        let out = &mut self.writer.out;
        let filled = self.fields.iter().rposition(|f| !f.is_empty()).map_or(0, |last| last + 1);
        out.push_str(self.name);
        for field in &self.fields[..filled] {
            out.push(separator);
            out.push_str(field);
        }
        out.push('\r');
    }

    fn join(&self, parts: &[&str], delimiter: u8) -> String {
        let filled = parts.iter().rposition(|p| !p.is_empty()).map_or(0, |last| last + 1);
        let mut joined = String::new();
        for (i, part) in parts[..filled].iter().enumerate() {
            if i > 0 {
                joined.push(char::from(delimiter));
            }
            joined.push_str(&safe(part, self.writer.delims, Newline::Blank));
        }
        joined
    }
}

/// The text, escaped. Two quotation marks and nothing else would tell the receiver to delete what it has (chapter 2, the
/// null value).
fn safe(text: &str, delims: Delimiters, newline: Newline) -> Cow<'_, str> {
    if text == "\"\"" {
        let escape = char::from(delims.escape);
        return Cow::Owned(format!("{escape}X2222{escape}"));
    }
    encode(text, &delims, newline)
}

/// A version such as `2.5.1` in numbers, so that it can be compared; none if it is not one.
pub fn version_number(version: &str) -> Option<(u8, u8, u8)> {
    let mut parts = version.split('.').map(str::parse::<u8>);
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    let number = (next()?, next()?, next()?);
    (number.0 > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_they_are_put() {
        let mut writer = Writer::new(Delimiters::DEFAULT);
        writer.header().text(10, "a|b").end();
        writer.segment("PID").parts(5, &["Do^e", "", "Q", ""]).text(3, "x\ny").text(9, "").end();
        writer.segment("NTE").long_text(3, "one\ntwo").end();
        writer.segment("OBX").repeated(8, &["H", "A"]).end();
        assert_eq!(
            writer.finish(),
            "MSH|^~\\&||||||||a\\F\\b\rPID|||x y||Do\\S\\e^^Q\rNTE|||one\\.br\\two\rOBX||||||||H~A\r"
        );
    }

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(version_number("2.5.1"), Some((2, 5, 1)));
        assert_eq!(version_number("2.3"), Some((2, 3, 0)));
        assert!(version_number("2.10") > version_number("2.9"));
        for bad in ["", "x", "2.x", "0"] {
            assert_eq!(version_number(bad), None, "{bad}");
        }
    }
}
