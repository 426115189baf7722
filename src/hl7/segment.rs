//! Segments, fields, repetitions, components: all borrowed, all total. Asking for what is not there
//! gives the empty piece.

use super::delimiters::Delimiters;
use super::message::{Message, Span};
use super::{Location, SegmentName, escape};
use std::borrow::Cow;

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    text: &'a str,
    delims: &'a Delimiters,
    name: SegmentName,
    nth: u32,
    /// Where the fields start, the name first.
    starts: &'a [u32],
    end: u32,
}

impl<'a> Segment<'a> {
    pub(super) fn new(message: &'a Message<'a>, span: &Span) -> Self {
        let starts = &message.starts[span.first_field as usize..=span.last_field as usize];
        Self {
            text: message.text,
            delims: &message.delims,
            name: span.name,
            nth: span.nth,
            starts,
            end: span.end,
        }
    }

    /// The three characters.
    pub fn name(&self) -> &'a str {
        let start = self.starts[0] as usize;
        &self.text[start..start + 3]
    }

    /// The name as a type.
    pub fn kind(&self) -> SegmentName {
        self.name
    }

    /// The how-manieth segment of its kind, from 1.
    pub fn index_of_kind(&self) -> u32 {
        self.nth
    }

    /// The line as sent.
    pub fn raw(&self) -> &'a str {
        &self.text[self.starts[0] as usize..self.end as usize]
    }

    /// The number of the last field.
    pub fn field_count(&self) -> u16 {
        let shift = usize::from(self.name.defines_delimiters());
        u16::try_from(self.starts.len() - 1 + shift).unwrap_or(u16::MAX)
    }

    /// A field by its HL7 number.
    pub fn field(&self, n: u16) -> Field<'a> {
        let defines = self.name.defines_delimiters();
        let raw = match n {
            0 => "",
            1 if defines => self.separator(),
            n => self.piece(n - u16::from(defines)),
        };
        Field { raw, delims: self.delims, literal: defines && n <= 2 }
    }

    /// Field 1 of a segment that defines delimiters: the byte before the first piece.
    fn separator(&self) -> &'a str {
        let Some(&first) = self.starts.get(1) else { return "" };
        &self.text[first as usize - 1..first as usize]
    }

    fn piece(&self, index: u16) -> &'a str {
        let index = usize::from(index);
        let Some(&start) = self.starts.get(index) else { return "" };
        let end = self.starts.get(index + 1).map_or(self.end, |next| next - 1);
        &self.text[start as usize..end as usize]
    }

    /// The value of a field's first component; none if empty or null.
    pub fn value(&self, n: u16) -> Option<Cow<'a, str>> {
        self.field(n).component(1).value()
    }

    /// The place of this segment.
    pub fn location(&self) -> Location {
        Location::segment(self.name, self.nth)
    }

    /// The place of one of its fields.
    pub fn at(&self, field: u16) -> Location {
        self.location().field(field)
    }
}

impl std::fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Segment({})", self.location())
    }
}

/// The trimmed text; `""` stands for deletion and empty for "not sent", so both are none.
fn present(raw: &str, delims: Delimiters, literal: bool) -> Option<Cow<'_, str>> {
    if raw.is_empty() || raw == "\"\"" {
        return None;
    }
    let text = match text(raw, delims, literal) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty() && text != "\"\"").then_some(text)
}

fn text(raw: &str, delims: Delimiters, literal: bool) -> Cow<'_, str> {
    if literal { Cow::Borrowed(raw) } else { escape::decode(raw, &delims) }
}

/// The pieces between delimiters, by looking at each byte: values are short.
#[derive(Clone)]
struct Pieces<'a> {
    rest: Option<&'a str>,
    /// None for MSH-1 and MSH-2, which are not split.
    delimiter: Option<u8>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        let cut = self.delimiter.and_then(|d| rest.bytes().position(|b| b == d));
        let Some(cut) = cut else { return self.rest.take() };
        // Delimiters are ASCII, so both sides are whole characters.
        self.rest = rest.get(cut + 1..);
        rest.get(..cut)
    }
}

fn split(raw: &str, delimiter: u8, literal: bool) -> Pieces<'_> {
    Pieces { rest: Some(raw), delimiter: (!literal).then_some(delimiter) }
}

/// A piece by number, from 1; the empty text if there is none.
fn piece(mut pieces: Pieces<'_>, n: u16) -> &str {
    usize::from(n).checked_sub(1).and_then(|n| pieces.nth(n)).unwrap_or_default()
}

/// One field with all its repetitions.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    raw: &'a str,
    delims: &'a Delimiters,
    literal: bool,
}

impl<'a> Field<'a> {
    /// As sent.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Not sent: keep what you have.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// `""`: delete what you have.
    pub fn is_null(&self) -> bool {
        self.raw == "\"\""
    }

    /// The whole field with escapes decoded, delimiters left as they are.
    pub fn text(&self) -> Cow<'a, str> {
        text(self.raw, *self.delims, self.literal)
    }

    /// The trimmed text; none if empty or null.
    pub fn value(&self) -> Option<Cow<'a, str>> {
        present(self.raw, *self.delims, self.literal)
    }

    /// The sender cut it short and says so with the truncation character of HL7 v2.7 §2.5.5.2.
    pub fn is_truncated(&self) -> bool {
        let mark = self.delims.truncation.filter(|_| !self.literal);
        mark.is_some_and(|mark| self.raw.as_bytes().last() == Some(&mark))
    }

    /// The repetitions; an empty field has none.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'a>> + use<'a> {
        let Self { raw, delims, literal } = *self;
        let mut pieces = split(raw, delims.repetition, literal);
        if raw.is_empty() {
            pieces.rest = None;
        }
        pieces.map(move |raw| Repetition { raw, delims, literal })
    }

    /// A repetition, from 1.
    pub fn repetition(&self, n: u16) -> Repetition<'a> {
        let Self { raw, delims, literal } = *self;
        Repetition { raw: piece(split(raw, delims.repetition, literal), n), delims, literal }
    }

    /// A component of the first repetition, from 1.
    pub fn component(&self, n: u16) -> Component<'a> {
        self.repetition(1).component(n)
    }
}

/// One repetition of a field.
#[derive(Clone, Copy)]
pub struct Repetition<'a> {
    raw: &'a str,
    delims: &'a Delimiters,
    literal: bool,
}

impl<'a> Repetition<'a> {
    /// As sent.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The whole repetition with escapes decoded.
    pub fn text(&self) -> Cow<'a, str> {
        text(self.raw, *self.delims, self.literal)
    }

    /// The components, at least one.
    pub fn components(&self) -> impl Iterator<Item = Component<'a>> + use<'a> {
        let Self { raw, delims, literal } = *self;
        split(raw, delims.component, literal).map(move |raw| Component { raw, delims, literal })
    }

    /// A component, from 1.
    pub fn component(&self, n: u16) -> Component<'a> {
        let Self { raw, delims, literal } = *self;
        Component { raw: piece(split(raw, delims.component, literal), n), delims, literal }
    }

    /// A component's trimmed text; none if empty or null.
    pub fn value(&self, n: u16) -> Option<Cow<'a, str>> {
        self.component(n).value()
    }

    /// Whether an escape character starts no known sequence.
    pub fn has_unknown_escape(&self) -> bool {
        !self.literal && escape::has_unknown(self.raw, self.delims)
    }
}

/// One component.
#[derive(Clone, Copy)]
pub struct Component<'a> {
    raw: &'a str,
    delims: &'a Delimiters,
    literal: bool,
}

impl<'a> Component<'a> {
    /// As sent.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// With escapes decoded. A subcomponent delimiter stays: in ST it is an unescaped ampersand.
    pub fn text(&self) -> Cow<'a, str> {
        text(self.raw, *self.delims, self.literal)
    }

    /// The trimmed text; none if empty or null.
    pub fn value(&self) -> Option<Cow<'a, str>> {
        present(self.raw, *self.delims, self.literal)
    }

    /// The subcomponents, at least one.
    pub fn subcomponents(&self) -> impl Iterator<Item = Component<'a>> + use<'a> {
        let Self { raw, delims, literal } = *self;
        split(raw, delims.subcomponent, literal).map(move |raw| Component { raw, delims, literal })
    }

    /// A subcomponent, from 1.
    #[must_use]
    pub fn subcomponent(&self, n: u16) -> Component<'a> {
        let Self { raw, delims, literal } = *self;
        Component { raw: piece(split(raw, delims.subcomponent, literal), n), delims, literal }
    }

    /// The same text seen as a list of components one level down: a component that holds a whole
    /// HD or name writes its parts as subcomponents.
    pub fn part(&self, n: u16) -> Option<Cow<'a, str>> {
        self.subcomponent(n).value()
    }
}

/// Pieces of a message may hold patient data; their `Debug` does not show it.
macro_rules! redact_borrowed {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([phi])"))
            }
        }
    )+};
}
redact_borrowed!(Field, Repetition, Component);
