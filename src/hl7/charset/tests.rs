#![allow(clippy::unwrap_used)]

use super::*;

fn header(msh_18: &str) -> Vec<u8> {
    format!("MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5.1||||||{msh_18}\rPID|1||").into_bytes()
}

fn with(msh_18: &str, name: &[u8]) -> Vec<u8> {
    [header(msh_18), name.to_vec()].concat()
}

#[test]
fn known_spellings() {
    let table = [
        ("UNICODE UTF-8", "UNICODE UTF-8"),
        ("utf8", "UNICODE UTF-8"),
        ("UTF-8", "UNICODE UTF-8"),
        ("UNICODE", "UNICODE UTF-8"),
        ("8859/1", "8859/1"),
        ("8859-1", "8859/1"),
        ("ISO-8859-1", "8859/1"),
        ("ISO8859-1", "8859/1"),
        ("ISO_8859-15", "8859/15"),
        ("WINDOWS-1252", "windows-1252"),
        ("ASCII", "ASCII"),
        ("ISO IR87", "ISO IR87"),
        ("GB18030", "GB 18030-2000"),
        ("BIG5", "BIG-5"),
        ("ISO IR6", "ASCII"),
        ("ISO_IR 100", "8859/1"),
        ("ISO IR100", "8859/1"),
        ("ISO IR144", "8859/5"),
        ("ISO_IR 192", "UNICODE UTF-8"),
        ("UNICODE UTF-8 ", "UNICODE UTF-8"),
        ("UTF_8", "UNICODE UTF-8"),
        ("8859/10", "8859/10"),
        ("8859/13", "8859/13"),
        ("8859/14", "8859/14"),
        ("ISO-8859-16", "8859/16"),
        ("LATIN1", "8859/1"),
        ("windows-1250", "windows-1250"),
        ("WINDOWS1251", "windows-1251"),
        ("CP1252", "windows-1252"),
        ("CP-1257", "windows-1257"),
        ("KOI8-R", "KOI8-R"),
        ("GBK", "GBK"),
        ("GB2312", "GBK"),
        ("SHIFT_JIS", "ISO IR14"),
        ("EUC-JP", "EUC-JP"),
        ("KS X 1001", "KS X 1001"),
        ("EUC-KR", "KS X 1001"),
    ];
    for (label, name) in table {
        assert_eq!(Charset::parse(label).map(|c| c.name()), Some(name), "{label}");
    }
    for label in
        ["", "UTF-16", "EN", "USA", "CNS 11643-1992", "CP850", "IBM037", "UNICODE UTF-16", "ISO IR159"]
    {
        assert_eq!(Charset::parse(label), None, "{label}");
    }
}

#[test]
fn declared_sets() {
    let table: &[(&str, &[u8], &str)] = &[
        ("UNICODE UTF-8", "Müller".as_bytes(), "Müller"),
        ("8859/1", b"M\xfcller", "Müller"),
        ("8859/1", b"5\x80", "5€"),
        ("8859/7", b"\xe1\xe2", "αβ"),
        ("~ISO IR87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("BIG-5", b"\xa4\xa4\xa4\xe5", "中文"),
        ("ASCII~ISO IR87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("UNICODE UTF-8~8859/1", "Müller".as_bytes(), "Müller"),
        ("8859/16", b"\xaa\xde", "ȘȚ"),
        ("ISO IR144", b"\xb8\xd2", "Ив"),
        ("WINDOWS-1251", b"\xc8\xe2", "Ив"),
        ("KOI8-R", b"\xe9\xd7", "Ив"),
        ("GBK", b"\xd6\xd0", "中"),
        ("SHIFT_JIS", b"\x8e\x52", "山"),
        ("EUC-JP", b"\xbb\xb3", "山"),
        ("KS X 1001", b"\xb1\xe8", "김"),
        ("EN", "Müller".as_bytes(), "Müller"),
        ("ASCII", "Müller".as_bytes(), "Müller"),
    ];
    for (label, name, expected) in table {
        let bytes = with(label, name);
        let decoded = decode(&bytes, None).unwrap();
        assert!(decoded.text.ends_with(expected), "{label}");
    }
}

#[test]
fn an_empty_msh_18_falls_back_only_if_told() {
    let bytes = with("", b"M\xfcller");
    let fault = decode(&bytes, None).err().unwrap();
    assert_eq!(fault.location.unwrap().to_string(), "PID^1^3");
    assert_eq!(fault.code, ErrorCode::DataType);
    let decoded = decode(&bytes, Some(Charset::LATIN_1)).unwrap();
    assert!(decoded.text.ends_with("Müller"));
    assert_eq!(decoded.warnings[0].code, "charset_fallback");
}

#[test]
fn declared_is_declared() {
    let bytes = with("UNICODE UTF-8", b"M\xfcller");
    assert!(decode(&bytes, Some(Charset::LATIN_1)).is_err());
    assert!(decode(&with("UNICODE UTF-16", b"x"), None).is_err());
    assert!(decode(&with("", b"a\0b"), Some(Charset::LATIN_1)).is_err());
}

#[test]
fn wide_text_is_refused_by_name() {
    let text = String::from_utf8(header("UNICODE UTF-16")).unwrap();
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let four: Vec<u8> = text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
    let marked = [b"\xff\xfe".to_vec(), little.clone()].concat();
    for bytes in [little, big, four, marked] {
        let fault = decode(&bytes, Some(Charset::LATIN_1)).err().unwrap();
        assert_eq!(
            (fault.code, fault.location.unwrap().to_string().as_str()),
            (ErrorCode::DataType, "MSH^1^18")
        );
    }
}

#[test]
fn what_has_no_table_here_is_refused() {
    for label in ["CNS 11643-1992", "CP850", "IBM037", "UNICODE UTF-32", "ISO IR159"] {
        let fault = decode(&with(label, b"\xa4\xa4"), Some(Charset::LATIN_1)).err().unwrap();
        assert_eq!(fault.code, ErrorCode::TableValueNotFound, "{label}");
    }
}

#[test]
fn a_set_may_stand_beside_its_field() {
    let place = |fields: &str| {
        let text = format!("MSH|^~\\&|A|B|C|D|20240101||ORU^R01|1|P|2.5.1|{fields}\rPID|1||");
        let bytes = [text.as_bytes(), b"M\xfcller"].concat();
        let decoded = decode(&bytes, None).ok()?;
        Some((decoded.charset.name(), decoded.warnings[0].code))
    };
    assert_eq!(place("||||8859/1"), Some(("8859/1", "charset_misplaced")));
    assert_eq!(place("||||USA||WINDOWS-1252"), Some(("windows-1252", "charset_misplaced")));
    assert_eq!(place("||||UNICODE UTF-8"), None, "the bytes are not of it");
    assert_eq!(place("||||||greek"), None, "a language");
}

#[test]
fn the_fallback_goes_over_a_wrong_declaration_only_if_told() {
    let bytes = with("UNICODE UTF-8", b"M\xfcller");
    assert!(decode_as(&bytes, None, true).is_err());
    let decoded = decode_as(&bytes, Some(Charset::LATIN_1), true).unwrap();
    assert!(decoded.text.ends_with("Müller"));
    let codes: Vec<_> = decoded.warnings.iter().map(|w| w.code).collect();
    assert_eq!(codes, ["charset_not_as_declared", "charset_fallback"]);
    let right = with("UNICODE UTF-8", "Müller".as_bytes());
    assert!(decode_as(&right, Some(Charset::LATIN_1), true).unwrap().warnings.is_empty());
}

#[test]
fn bom_and_trailing_nul_are_dropped() {
    let bytes = [b"\xEF\xBB\xBF".to_vec(), with("", b"x\0\0")].concat();
    let decoded = decode(&bytes, None).unwrap();
    assert!(decoded.text.starts_with("MSH") && decoded.text.ends_with('x'));
    assert_eq!(decoded.warnings.len(), 2);
    assert!(matches!(decoded.text, Cow::Borrowed(_)));
}

#[test]
fn output_is_never_lossy() {
    assert_eq!(encode("Müller", Charset::LATIN_1), Ok(b"M\xfcller".to_vec()));
    assert!(encode("5 €", Charset::LATIN_1).is_err());
    assert!(encode("山", Charset::LATIN_1).is_err());
    assert!(encode("é", Charset::ASCII).is_err());
    assert_eq!(encode("5 €", Charset::parse("WINDOWS-1252").unwrap()), Ok(b"5 \x80".to_vec()));
}

#[test]
fn what_is_written_reads_as_it_was_meant() {
    // This set has no katakana of half width: its encoder would write the full ones, and another name.
    let japanese = Charset::parse("ISO IR87").unwrap();
    assert!(encode("\u{ff76}\u{ff85}", japanese).is_err());
    let text = "MSH|^~\\&|A|B|C|D|2000||ORU^R01|1|P|2.5||||||~ISO IR87\rPID|1||1||\u{30ab}\u{30ca}\r";
    assert_eq!(decode(&encode(text, japanese).unwrap(), None).unwrap().text, text);
}
