//! MSH-18: from bytes to text and back, never with a replacement character.
//!
//! A wrong letter in a name or a unit is worse than a refused message, so bytes that do not belong
//! to the character set are a fault with a place. The archive keeps the bytes; text is only a view.

use super::{ErrorCode, Fault, Location, SegmentName, Warning};
use encoding_rs::{DecoderResult, Encoding};
use std::borrow::Cow;

/// A character set of table 0211.
#[derive(Clone, Copy)]
pub struct Charset {
    name: &'static str,
    encoding: &'static Encoding,
}

/// HL7's name, then the encoding. Latin sets are read by their Windows supersets: a byte of
/// 0x80–0x9F under `8859/1` is a Windows character in practice, never a C1 control.
const TABLE_0211: &[(&str, &Encoding)] = &[
    ("UNICODE UTF-8", encoding_rs::UTF_8),
    ("ASCII", encoding_rs::UTF_8),
    ("8859/1", encoding_rs::WINDOWS_1252),
    ("8859/2", encoding_rs::ISO_8859_2),
    ("8859/3", encoding_rs::ISO_8859_3),
    ("8859/4", encoding_rs::ISO_8859_4),
    ("8859/5", encoding_rs::ISO_8859_5),
    ("8859/6", encoding_rs::ISO_8859_6),
    ("8859/7", encoding_rs::ISO_8859_7),
    ("8859/8", encoding_rs::ISO_8859_8),
    ("8859/9", encoding_rs::WINDOWS_1254),
    ("8859/15", encoding_rs::ISO_8859_15),
    ("ISO IR14", encoding_rs::SHIFT_JIS),
    ("ISO IR87", encoding_rs::ISO_2022_JP),
    ("GB 18030-2000", encoding_rs::GB18030),
    ("KS X 1001", encoding_rs::EUC_KR),
    ("BIG-5", encoding_rs::BIG5),
];

impl Charset {
    /// What we send unless told otherwise.
    pub const UTF_8: Self = Self { name: "UNICODE UTF-8", encoding: encoding_rs::UTF_8 };
    /// Seven bits.
    pub const ASCII: Self = Self { name: "ASCII", encoding: encoding_rs::UTF_8 };
    /// The usual fallback for senders that leave MSH-18 empty.
    pub const LATIN_1: Self = Self { name: "8859/1", encoding: encoding_rs::WINDOWS_1252 };

    /// By HL7's name or one of the spellings vendors use (`UTF-8`, `ISO-8859-1`, `WINDOWS-1252`).
    /// UTF-16 and UTF-32 cannot travel over MLLP and are unknown here.
    pub fn parse(label: &str) -> Option<Self> {
        let named = |same: &dyn Fn(&str) -> bool| {
            let found = TABLE_0211.iter().find(|(name, _)| same(name));
            found.map(|&(name, encoding)| Self { name, encoding })
        };
        // Spelled as the table does, nearly always: no need to compare loosely.
        if let Some(charset) = named(&|name| name == label) {
            return Some(charset);
        }
        let key = squeeze(label);
        if let Some(charset) = named(&|name| squeeze(name) == key) {
            return Some(charset);
        }
        match key.as_str() {
            "UNICODE" | "UTF8" | "UNICODEUTF" => return Some(Self::UTF_8),
            "USASCII" | "ANSI_X3.4" => return Some(Self::ASCII),
            "ANSI" => return Some(Self::LATIN_1),
            _ => {}
        }
        let part = key.strip_prefix("ISO").unwrap_or(&key);
        if part.starts_with("8859") && part != key {
            return Self::parse(part);
        }
        let encoding = Encoding::for_label(label.trim().as_bytes())
            .filter(|e| e.is_ascii_compatible() || *e == encoding_rs::ISO_2022_JP)?;
        let table = TABLE_0211.iter().find(|(_, e)| *e == encoding);
        // A Windows label keeps its own name, so that `encode` allows its extra characters.
        let name =
            table.map_or(
                encoding.name(),
                |(name, _)| {
                    if name.starts_with("8859") { encoding.name() } else { name }
                },
            );
        Some(Self { name, encoding })
    }

    /// The name for MSH-18.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// Upper case without blanks, dashes, slashes and underscores: `ISO_8859-1` = `ISO 8859/1`.
fn squeeze(label: &str) -> String {
    let kept = label.chars().filter(|c| !matches!(c, ' ' | '-' | '/'));
    let kept = kept.filter(|&c| c != '_' || label.starts_with("ANSI"));
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

impl PartialEq for Charset {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Charset {}

impl std::fmt::Debug for Charset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A message as text.
pub struct Decoded<'a> {
    /// The text; borrowed when the bytes were UTF-8 or ASCII already.
    pub text: Cow<'a, str>,
    /// The set it was read with.
    pub charset: Charset,
    /// `bom`, `trailing_nul`, `charset_unknown`, `charset_not_ascii`, `charset_fallback`.
    pub warnings: Vec<Warning>,
}

/// Decodes a message by its MSH-18; without one by strict UTF-8, then by the sender's fallback.
pub fn decode(bytes: &[u8], fallback: Option<Charset>) -> Result<Decoded<'_>, Fault> {
    let mut warnings = Vec::new();
    let bytes = strip(bytes, &mut warnings);
    let charset = declared(bytes, &mut warnings)?;
    let decoded = |text, charset, warnings| Ok(Decoded { text, charset, warnings });
    if let Some(charset) = charset {
        return match strict(charset.encoding, bytes) {
            Some(text) => decoded(text, charset, warnings),
            None => Err(undecodable(charset.encoding, bytes)),
        };
    }
    if let Some(text) = strict(encoding_rs::UTF_8, bytes) {
        let charset = if text.is_ascii() { Charset::ASCII } else { Charset::UTF_8 };
        return decoded(text, charset, warnings);
    }
    let fallback = fallback.ok_or_else(|| undecodable(encoding_rs::UTF_8, bytes))?;
    let text = strict(fallback.encoding, bytes);
    let text = text.ok_or_else(|| undecodable(fallback.encoding, bytes))?;
    warnings.push(Warning::at("charset_fallback", msh_18()));
    decoded(text, fallback, warnings)
}

/// Sets that exist but cannot travel over MLLP, or that we have no table for.
fn is_unreadable(label: &str) -> bool {
    let key = squeeze(label);
    key.contains("UTF16") || key.contains("UTF32") || key.starts_with("CNS") || key == "ISOIR159"
}

fn msh_18() -> Location {
    Location::segment(SegmentName::MSH, 1).field(18)
}

fn strip<'a>(mut bytes: &'a [u8], warnings: &mut Vec<Warning>) -> &'a [u8] {
    if let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        warnings.push(Warning::new("bom"));
        bytes = rest;
    }
    if bytes.last() == Some(&0) {
        warnings.push(Warning::new("trailing_nul"));
        let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
        bytes = &bytes[..end];
    }
    bytes
}

/// The set MSH-18 names; none if it is empty, not known, or says ASCII while the bytes are not.
fn declared(bytes: &[u8], warnings: &mut Vec<Warning>) -> Result<Option<Charset>, Fault> {
    let label = raw_msh_18(bytes);
    let mut repetitions = label.split(|&b| b == b'~').map(|r| r.split(|&b| b == b'^').next());
    let labels: Vec<&str> = repetitions
        .by_ref()
        .flatten()
        .filter_map(|r| std::str::from_utf8(r).ok())
        .map(str::trim)
        .filter(|r| !r.is_empty() && *r != "\"\"")
        .collect();
    let Some(&first) = labels.first() else { return Ok(None) };
    // The base set is often left empty or ASCII when the text switches to JIS by escape sequences.
    let japanese = labels.iter().find(|l| l.ends_with("87") && squeeze(l) == "ISOIR87");
    let found = Charset::parse(japanese.copied().unwrap_or(first));
    let warning = match found {
        None if is_unreadable(first) => {
            let fault = Fault::new(ErrorCode::TableValueNotFound, "character set cannot be read");
            return Err(fault.at(msh_18()));
        }
        None => "charset_unknown",
        Some(charset) if charset == Charset::ASCII && !bytes.is_ascii() => "charset_not_ascii",
        Some(charset) => return Ok(Some(charset)),
    };
    warnings.push(Warning::at(warning, msh_18()));
    Ok(None)
}

/// MSH-18 before anything is decoded. The header is ASCII in every set we can read.
fn raw_msh_18(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
    let bytes = &bytes[start..];
    let (Some(b"MSH"), Some(&separator)) = (bytes.get(..3), bytes.get(3)) else { return &[] };
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes[..end].split(|&b| b == separator).nth(17).unwrap_or_default()
}

fn strict<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    if bytes.contains(&0) {
        return None;
    }
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

/// Names the segment and field of the first byte that does not decode.
fn undecodable(encoding: &'static Encoding, bytes: &[u8]) -> Fault {
    let bad = malformed_at(encoding, bytes).min(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
    let fault = Fault::new(ErrorCode::DataType, "bytes are not of the character set");
    match locate(&bytes[..bad.min(bytes.len())]) {
        Some(location) => fault.at(location),
        None => fault,
    }
}

fn malformed_at(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut buffer = [0; 4096];
    let mut at = 0;
    loop {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut buffer, true);
        at += read;
        match result {
            DecoderResult::OutputFull => {}
            DecoderResult::InputEmpty => return at,
            DecoderResult::Malformed(length, consumed) => {
                return at.saturating_sub(usize::from(length) + usize::from(consumed));
            }
        }
    }
}

/// Where the byte after `before` stands.
fn locate(before: &[u8]) -> Option<Location> {
    let mut lines = before.split(|b| matches!(b, b'\r' | b'\n'));
    let last = lines.next_back()?;
    let name = SegmentName::new(last)?;
    let sequence = 1 + lines.filter(|line| SegmentName::new(line) == Some(name)).count();
    let separator = before.get(before.windows(3).position(|w| w == b"MSH")? + 3)?;
    let fields = last.split(|b| b == separator).count() - 1;
    let field = fields + usize::from(name.defines_delimiters());
    Some(Location::segment(name, sequence as u32).field(u16::try_from(field).unwrap_or(u16::MAX)))
}

/// The text holds a character that the set lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text cannot be written in the character set {0}")]
pub struct Unencodable(&'static str);

/// Encodes text for sending.
pub fn encode(text: &str, charset: Charset) -> Result<Vec<u8>, Unencodable> {
    if text.is_ascii() && charset.encoding != encoding_rs::ISO_2022_JP {
        return Ok(text.as_bytes().to_vec());
    }
    let (bytes, _, unmappable) = charset.encoding.encode(text);
    // The Windows superset would write bytes that a true 8859 receiver reads as controls.
    let beyond = match charset.name {
        "ASCII" => true,
        name if name.starts_with("8859/") => bytes.iter().any(|b| (0x80..0xA0).contains(b)),
        _ => false,
    };
    if unmappable || beyond {
        return Err(Unencodable(charset.name));
    }
    Ok(bytes.into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
        ];
        for (label, name) in table {
            assert_eq!(Charset::parse(label).map(|c| c.name()), Some(name), "{label}");
        }
        for label in ["", "UTF-16", "EN", "USA"] {
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
}
