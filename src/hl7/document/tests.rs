#![allow(clippy::unwrap_used)]

use super::*;
use crate::hl7::message::Message;
use crate::hl7::value::{Content, Value};
use proptest::prelude::*;

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n%%EOF\n";

fn encoded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn read(kind: &str, raw: &str) -> Value {
    let text = format!("MSH|^~\\&|A\rOBX|1|{kind}|||{raw}");
    let message = Message::parse(&text).unwrap();
    Value::read(kind, message.segment("OBX").unwrap().field(5))
}

fn document(kind: &str, raw: &str) -> Option<Document> {
    match read(kind, raw).content {
        Content::Document(document) => Some(document),
        _ => None,
    }
}

fn folded(text: &str, width: usize, end: &str) -> String {
    let lines: Vec<&str> = text.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
    lines.join(end)
}

#[test]
fn a_pdf_is_a_pdf_whatever_its_type_says() {
    let data = encoded(PDF);
    let bare = data.trim_end_matches('=');
    let shapes = [
        data.clone(),
        bare.to_owned(),
        format!("^application^pdf^Base64^{data}"),
        format!("LAB^AP^PDF^Base64^{data}"),
        format!("PDF^Base64^{data}"),
        format!("^^^{data}"),
        format!("data:application/pdf;base64,{data}"),
        folded(&data, 20, "\\.br\\"),
        folded(&data, 20, "\\X0D0A\\"),
        folded(&data, 20, " "),
        folded(&data, 20, "~"),
        format!("^application^pdf^Base64^{}", folded(&data, 20, "~^application^pdf^Base64^")),
        format!("{}~{}", encoded(&PDF[..20]), encoded(&PDF[20..])),
        data.replace('+', "-").replace('/', "_"),
        PDF.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02X}")),
    ];
    for kind in ["TX", "ST", "FT", "CE", "CWE", "CNE", "NM", "ED", "", "ZZ"] {
        for shape in &shapes {
            let found = document(kind, shape).unwrap_or_else(|| panic!("{kind} {shape}"));
            assert_eq!(found.bytes().as_deref(), Ok(PDF), "{kind} {shape}");
            assert_eq!(found.media_type(PDF), "application/pdf");
            assert!(found.is_whole());
            let raw = read(kind, shape).raw;
            assert!(raw.len() < 40, "no data beside the document: {raw}");
        }
    }
}

#[test]
fn other_documents_by_their_first_bytes() {
    let long = [b' '; 60];
    let table: [(&[u8], &str); 6] = [
        (b"{\\rtf1 x", "application/rtf"),
        (&[0xff, 0xd8, 0xff, 0xe0], "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"GIF89a", "image/gif"),
    ];
    for (head, media_type) in table {
        let bytes = [head, &long].concat();
        let found = document("TX", &encoded(&bytes)).unwrap_or_else(|| panic!("{media_type}"));
        assert_eq!((found.bytes().as_deref(), found.media_type(&bytes)), (Ok(bytes.as_slice()), media_type));
    }
}

#[test]
fn what_is_text_stays_text() {
    for text in [
        "",
        "JVBERi",
        "/9j/4",
        "SUkqA",
        "R0l",
        "{\\rtf1 plain}",
        "JVBERi0 (the head of a PDF) was sent",
        "Jane said e1xydG is what it begins with: #!",
        "255044462D",
        "%PDF-1.4",
        "7B5C727466",
        "4.5",
    ] {
        assert!(document("TX", text).is_none(), "{text}");
    }
    assert!(document("RP", &encoded(PDF)).is_none());
}

#[test]
fn the_subtype_is_asked_where_the_bytes_do_not_tell() {
    let media_type = |raw: &str| {
        let document = document("ED", raw).unwrap();
        document.media_type(&document.bytes().unwrap())
    };
    assert_eq!(media_type("LAB^TEXT^plain^A^all well"), "text/plain");
    assert_eq!(media_type("LAB^TEXT^^Base64^YWxsIHdlbGw="), "text/plain");
    assert_eq!(media_type("LAB^application^pdf^Base64^YWxs"), "application/pdf");
    assert_eq!(media_type("LAB^image^image/jpeg^Base64^YWxs"), "image/jpeg");
    assert_eq!(media_type("LAB^AP^Octet-stream^Base64^YWxs"), "application/octet-stream");
}

#[test]
fn a_cut_document_is_known_by_its_end() {
    for cut in [20, 40, PDF.len() - 7] {
        assert!(!document("TX", &encoded(&PDF[..cut])).unwrap().is_whole(), "{cut}");
    }
    assert!(can_continue(&encoded(&PDF[21..])) && !can_continue("see the report") && !can_continue(" "));
}

#[test]
fn data_that_cannot_be_decoded_say_so() {
    let broken = format!("{}!{}", encoded(PDF), encoded(PDF));
    assert_eq!(document("TX", &broken).unwrap().bytes(), Err(BadDocument));
    assert_eq!(document("ED", "^^PDF^Base64^***").unwrap().bytes(), Err(BadDocument));
}

#[test]
fn lengths_for_the_eye() {
    let table = [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_949_999, "2.9 MB"),
        (16_000_000, "16.0 MB"),
    ];
    for (bytes, text) in table {
        assert_eq!(length(bytes), text);
    }
    assert_eq!(describe("application/pdf", 2_900_000), "PDF document, 2.9 MB");
    assert_eq!(describe("video/mpeg", 12), "Document, 12 bytes");
}

proptest! {
    #[test]
    fn any_document_comes_back(body in proptest::collection::vec(any::<u8>(), 0..200), width in 4usize..80) {
        let bytes = [b"%PDF-1.7\n".as_slice(), &body].concat();
        for end in ["", "~", "\\.br\\", "\\X0A\\"] {
            let raw = if end.is_empty() { encoded(&bytes) } else { folded(&encoded(&bytes), width.max(12), end) };
            let found = document("FT", &raw).expect("a document");
            prop_assert_eq!(found.bytes(), Ok(bytes.clone()));
        }
    }
}
