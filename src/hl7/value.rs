//! OBX-5 read by OBX-2. Whatever a laboratory sends is kept and can be shown; what can be computed
//! with is offered beside it. Nothing here can fail a message.

use super::datatypes::Coded;
use super::datetime::{Timestamp, display_time};
pub use super::document::{BadDocument, Document};
use super::message::{Field, Repetition};
pub use super::number::{Comparator, Numeric};

/// RP: a document elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it is.
    pub pointer: String,
    /// In which application.
    pub application: Option<String>,
    /// Table 0191.
    pub kind: Option<String>,
    /// Table 0291.
    pub subtype: Option<String>,
}

/// What kind of thing a value is.
#[derive(Clone, PartialEq)]
pub enum Content {
    /// Nothing was sent.
    Empty,
    /// `""`: the value is deleted.
    Null,
    /// NM, and SN that is one number.
    Number,
    /// SN `^2^-^5`.
    Range(Numeric, Numeric),
    /// SN `^1^:^128`.
    Ratio(Numeric, Numeric),
    /// ST, TX, FT and whatever could not be read as its type.
    Text,
    /// CE, CWE, CNE.
    Coded(Vec<Coded>),
    /// DT, TS, DTM.
    Time(Timestamp),
    /// ED, or a document under another type.
    Document(Document),
    /// RP.
    Reference(Reference),
    /// A type we do not know, as sent.
    Other,
}

/// The value of an observation.
#[derive(Clone, PartialEq)]
pub struct Value {
    /// As sent; for an embedded document what stands before its data.
    pub raw: String,
    /// For the eye; repetitions are lines.
    pub display: String,
    /// The number, when the value is exactly one: of NM, SN, and of ST that holds nothing else.
    pub numeric: Option<Numeric>,
    /// What it is.
    pub content: Content,
}

super::redact_debug!(Reference, Content, Value);

impl Value {
    /// Reads OBX-5 by the type in OBX-2.
    pub fn read(kind: &str, field: Field<'_>) -> Self {
        if field.is_empty() {
            return Self::of(field, String::new(), Content::Empty);
        }
        if field.is_null() {
            return Self::of(field, String::new(), Content::Null);
        }
        if let Some(document) = Document::recognised(field).filter(|_| kind != "RP") {
            return Self::document(field, document);
        }
        match kind {
            "NM" => Self::number(field),
            "SN" => Self::structured(field),
            "CE" | "CWE" | "CNE" => Self::coded(field),
            "DT" | "TS" | "DTM" | "TM" => Self::time(field, kind == "TM"),
            "ED" => Self::document(field, Document::declared(field)),
            "RP" => Self::reference(field),
            "ST" | "TX" | "FT" | "IS" | "ID" | "" => Self::text(field),
            _ => Self { content: Content::Other, ..Self::text(field) },
        }
    }

    /// No value: nothing sent, or deleted.
    pub fn is_absent(&self) -> bool {
        matches!(self.content, Content::Empty | Content::Null)
    }

    /// The codes of a coded value.
    pub fn codes(&self) -> &[Coded] {
        if let Content::Coded(codes) = &self.content { codes } else { &[] }
    }

    fn of(field: Field<'_>, display: String, content: Content) -> Self {
        Self { raw: field.raw().to_owned(), display, numeric: None, content }
    }

    fn text(field: Field<'_>) -> Self {
        let display = lines(field, |r| clean_lines(&r.text()));
        let numeric = Numeric::strict(&display);
        Self { numeric, ..Self::of(field, display, Content::Text) }
    }

    fn number(field: Field<'_>) -> Self {
        let display = lines(field, |r| r.text().trim().to_owned());
        let numeric = Numeric::lenient(&display);
        let content = if numeric.is_some() { Content::Number } else { Content::Text };
        Self { numeric, ..Self::of(field, display, content) }
    }

    fn structured(field: Field<'_>) -> Self {
        let display = lines(field, display_sn);
        let mut repetitions = field.repetitions();
        let only = repetitions.next().filter(|_| repetitions.next().is_none());
        let (numeric, content) = only.map_or((None, Content::Text), read_sn);
        Self { numeric, ..Self::of(field, display, content) }
    }

    fn coded(field: Field<'_>) -> Self {
        let mut codes: Vec<Coded> = field.repetitions().map(Coded::read).filter(|c| !c.is_empty()).collect();
        for code in &mut codes {
            code.promote_alternate();
        }
        let shown: Vec<&str> = codes.iter().filter_map(Coded::display).collect();
        Self::of(field, shown.join("\n"), Content::Coded(codes))
    }

    fn time(field: Field<'_>, of_day: bool) -> Self {
        let first = field.component(1).text();
        if of_day {
            let display = display_time(&first).unwrap_or_else(|| field.text().into_owned());
            return Self::of(field, display, Content::Text);
        }
        match Timestamp::parse(&first) {
            Some(time) => Self::of(field, time.display(), Content::Time(time)),
            None => Self { numeric: None, ..Self::text(field) },
        }
    }

    fn document(field: Field<'_>, document: Document) -> Self {
        let display = if document.is_plain() { clean_lines(document.data()) } else { String::new() };
        let first = field.repetition(1);
        let longest = first.components().map(|part| part.raw().len()).max().unwrap_or_default();
        // The data are by far the longest; what stands before them describes them.
        let before = first.components().take_while(|part| part.raw().len() < longest);
        let head: usize = before.map(|part| part.raw().len() + 1).sum();
        let raw = first.raw().get(..head).unwrap_or_default().to_owned();
        Self { raw, display, numeric: None, content: Content::Document(document) }
    }

    fn reference(field: Field<'_>) -> Self {
        let first = field.repetition(1);
        let part = |n| first.value(n).map(std::borrow::Cow::into_owned);
        // The pointer may hold `&` as a web address does: the component is not split.
        let pointer = part(1).unwrap_or_default();
        let display = pointer.clone();
        let reference = Reference { pointer, application: part(2), kind: part(3), subtype: part(4) };
        Self::of(field, display, Content::Reference(reference))
    }
}

fn lines(field: Field<'_>, show: impl Fn(Repetition<'_>) -> String) -> String {
    let mut repetitions = field.repetitions();
    let first = repetitions.next().map(&show).unwrap_or_default();
    repetitions.fold(first, |all, next| all + "\n" + &show(next))
}

/// One kind of line end; a repetition that is null shows nothing.
fn clean_lines(text: &str) -> String {
    if text == "\"\"" {
        return String::new();
    }
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

fn display_sn(value: Repetition<'_>) -> String {
    let mut shown = String::new();
    for (i, part) in value.components().take(4).enumerate() {
        let part = part.text();
        let part = part.trim();
        if !(i == 0 && part == "=") {
            shown.push_str(part);
        }
    }
    shown
}

fn read_sn(value: Repetition<'_>) -> (Option<Numeric>, Content) {
    let [sign, low, separator, high] = [1, 2, 3, 4].map(|n| value.component(n).text().trim().to_owned());
    let number = if low.is_empty() {
        // Some write the whole value into the comparator.
        Numeric::lenient(&sign)
    } else if sign.is_empty() || Comparator::strip(&sign).1.is_empty() {
        Numeric::lenient(&format!("{sign}{low}"))
    } else {
        None
    };
    let Some(number) = number else { return (None, Content::Text) };
    match (separator.as_str(), Numeric::lenient(&high)) {
        ("", None) if high.is_empty() => (Some(number), Content::Number),
        ("-", Some(high)) => (None, Content::Range(number, high)),
        (":" | "/", Some(high)) => (None, Content::Ratio(number, high)),
        _ => (None, Content::Text),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hl7::message::Message;
    use proptest::prelude::*;

    fn read(kind: &str, raw: &str) -> Value {
        let text = format!("MSH|^~\\&|A\rOBX|1|{kind}|||{raw}");
        let message = Message::parse(&text).unwrap();
        Value::read(kind, message.segment("OBX").unwrap().field(5))
    }

    #[test]
    fn numbers() {
        let table: &[(&str, Option<(&str, f64)>)] = &[
            ("6.8", Some(("", 6.8))),
            (" 6.8 ", Some(("", 6.8))),
            ("-1", Some(("", -1.0))),
            (".5", Some(("", 0.5))),
            ("<0.01", Some(("<", 0.01))),
            (">= 5", Some((">=", 5.0))),
            ("1,234", Some(("", 1234.0))),
            ("1,234,567.5", Some(("", 1_234_567.5))),
            ("6,8", Some(("", 6.8))),
            ("0,125", Some(("", 0.125))),
            ("5.0 H", Some(("", 5.0))),
            ("5.0HH", Some(("", 5.0))),
            ("HEMOLYZED", None),
            ("2 of 3", None),
            ("10-20", None),
            ("1+", None),
            ("inf", None),
            ("NaN", None),
            ("1e999", None),
            ("1,2,3", None),
            ("5~6", None),
        ];
        for (raw, expected) in table {
            let value = read("NM", raw);
            let found =
                value.numeric.as_ref().map(|n| (n.comparator.map_or("", Comparator::as_str), n.value));
            assert_eq!(found, *expected, "{raw}");
            assert_eq!(value.raw.trim(), raw.trim());
            assert!(!value.display.is_empty());
        }
        assert!(read("NM", "1,234").numeric.unwrap().lenient);
    }

    #[test]
    fn structured_numbers() {
        let table = [
            (">^100", ">100", Some(100.0)),
            ("=^5", "5", Some(5.0)),
            ("^5", "5", Some(5.0)),
            (">100", ">100", Some(100.0)),
            ("^1^:^128", "1:128", None),
            ("^2^-^5", "2-5", None),
            ("^2^+", "2+", None),
            ("<>^3", "<>3", None),
        ];
        for (raw, shown, number) in table {
            let value = read("SN", raw);
            assert_eq!(value.display, shown, "{raw}");
            assert_eq!(value.numeric.map(|n| n.value), number, "{raw}");
        }
        assert!(matches!(read("SN", "^1^:^128").content, Content::Ratio(..)));
        assert!(matches!(read("SN", "^2^-^5").content, Content::Range(..)));
    }

    #[test]
    fn text_keeps_its_lines_and_its_marks() {
        assert_eq!(read("TX", r"one~two\.br\three\X0D\four").display, "one\ntwo\nthree\nfour");
        assert_eq!(read("ST", "Smith & Jones ^ x").display, "Smith & Jones ^ x");
        assert_eq!(read("FT", r"50\ml").display, r"50\ml");
        assert_eq!(read("ST", "  6.8 ").numeric.unwrap().text, "6.8");
        assert!(read("ST", "6,8").numeric.is_none());
    }

    #[test]
    fn codes_and_times() {
        let value = read("CWE", "POS^Positive^L~NEG~^^^X^Alt");
        assert_eq!(value.display, "Positive\nNEG\nAlt");
        assert_eq!(value.codes().len(), 3);
        assert_eq!(read("DTM", "20240315^D").display, "2024-03-15");
        assert_eq!(read("DT", "soon").display, "soon");
        assert_eq!(read("TM", "0930").display, "09:30");
    }

    #[test]
    fn documents() {
        for raw in ["LAB^AP^PDF^Base64^SGVs bG8=", "LAB^AP^PDF^base64^SGVsbG8", "^^PDF^Hex^48656C6C6F"] {
            let value = read("ED", raw);
            assert!(!value.raw.contains("SGVs") && !value.raw.contains("4865"));
            let Content::Document(document) = value.content else { panic!("a document") };
            assert_eq!(document.bytes().unwrap(), b"Hello");
        }
        let Content::Document(bad) = read("ED", "^^PDF^Base64^***").content else { panic!("a document") };
        assert_eq!(bad.bytes(), Err(BadDocument));
        assert_eq!(read("RP", "http://x/y?a=1&b=2^PACS").display, "http://x/y?a=1&b=2");
    }

    #[test]
    fn absence() {
        assert!(matches!(read("NM", "").content, Content::Empty));
        assert!(matches!(read("CWE", "\"\"").content, Content::Null));
        assert!(matches!(read("CX", "a^b").content, Content::Other));
    }

    proptest! {
        #[test]
        fn any_value_of_any_type_is_read(raw in r"[0-9A-Z<>=,.:^~&\\ é+-]{0,30}") {
            for kind in ["NM", "SN", "ST", "FT", "CE", "DTM", "TM", "ED", "RP", "ZZ", ""] {
                let value = read(kind, &raw);
                let finite = value.numeric.is_none_or(|n| n.value.is_finite());
                prop_assert!(finite);
            }
        }
    }
}
