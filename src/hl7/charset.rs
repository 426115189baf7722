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
    ("8859/10", encoding_rs::ISO_8859_10),
    ("8859/11", encoding_rs::WINDOWS_874),
    ("8859/13", encoding_rs::ISO_8859_13),
    ("8859/14", encoding_rs::ISO_8859_14),
    ("8859/15", encoding_rs::ISO_8859_15),
    ("8859/16", encoding_rs::ISO_8859_16),
    ("ISO IR14", encoding_rs::SHIFT_JIS),
    ("ISO IR87", encoding_rs::ISO_2022_JP),
    ("GB 18030-2000", encoding_rs::GB18030),
    ("KS X 1001", encoding_rs::EUC_KR),
    ("BIG-5", encoding_rs::BIG5),
];

/// Numbers of the ISO register, as senders that also speak DICOM write them, and the names in table 0211.
const ISO_IR: &[(&str, &str)] = &[
    ("6", "ASCII"),
    ("13", "ISO IR14"),
    ("58", "GB 18030-2000"),
    ("100", "8859/1"),
    ("101", "8859/2"),
    ("109", "8859/3"),
    ("110", "8859/4"),
    ("126", "8859/7"),
    ("127", "8859/6"),
    ("138", "8859/8"),
    ("144", "8859/5"),
    ("148", "8859/9"),
    ("149", "KS X 1001"),
    ("157", "8859/10"),
    ("166", "8859/11"),
    ("179", "8859/13"),
    ("192", "UNICODE UTF-8"),
    ("199", "8859/14"),
    ("203", "8859/15"),
    ("226", "8859/16"),
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
            "USASCII" | "ANSI_X3.4" | "ISO646" => return Some(Self::ASCII),
            "ANSI" | "LATIN1" => return Some(Self::LATIN_1),
            _ => {}
        }
        let registered = key.strip_prefix("ISOIR").and_then(|n| ISO_IR.iter().find(|(known, _)| *known == n));
        if let Some((_, name)) = registered {
            return Self::parse(name);
        }
        let part = key.strip_prefix("ISO").unwrap_or(&key);
        if part.starts_with("8859") && part != key {
            return Self::parse(part);
        }
        let page = key.strip_prefix("WINDOWS").or(key.strip_prefix("CP")).or(key.strip_prefix("WIN"));
        let label = page.map_or(label.trim().to_owned(), |page| format!("windows-{page}"));
        let encoding = Encoding::for_label(label.as_bytes())
            .or_else(|| Encoding::for_label(key.as_bytes()))
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
    /// `bom`, `trailing_nul`, `charset_misplaced`, `charset_unknown`, `charset_not_ascii`, `charset_not_as_declared`,
    /// `charset_fallback`.
    pub warnings: Vec<Warning>,
}

/// Decodes a message by its MSH-18; without one by strict UTF-8, then by the sender's fallback.
pub fn decode(bytes: &[u8], fallback: Option<Charset>) -> Result<Decoded<'_>, Fault> {
    decode_as(bytes, fallback, false)
}

/// The same; with `over_declared` the fallback also stands in for a set that MSH-18 names and the bytes are not of. For
/// senders known to name UTF-8 and send something else.
pub fn decode_as(bytes: &[u8], fallback: Option<Charset>, over_declared: bool) -> Result<Decoded<'_>, Fault> {
    if is_wide(bytes) {
        return Err(Fault::new(ErrorCode::DataType, "UTF-16 and UTF-32 cannot travel over MLLP").at(msh_18()));
    }
    let mut warnings = Vec::new();
    let bytes = strip(bytes, &mut warnings);
    let charset = declared(bytes, &mut warnings)?;
    let decoded = |text, charset, warnings| Ok(Decoded { text, charset, warnings });
    if let Some(charset) = charset {
        match strict(charset.encoding, bytes) {
            Some(text) => return decoded(text, charset, warnings),
            None if over_declared && fallback.is_some() => {
                warnings.push(Warning::at("charset_not_as_declared", msh_18()));
            }
            None => return Err(undecodable(charset.encoding, bytes)),
        }
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
    // Code pages of DOS and of mainframes: their letters would be read as others.
    let page = key.strip_prefix("CP").or(key.strip_prefix("IBM")).or(key.strip_prefix("EBCDIC"));
    let is_page = page.is_some_and(|page| page.bytes().all(|byte| byte.is_ascii_digit()));
    is_page || key.contains("UTF16") || key.contains("UTF32") || key.starts_with("CNS") || key == "ISOIR159"
}

/// Whether the text has two or four bytes a character: by its mark, or by the zeros in its first letters.
pub(super) fn is_wide(bytes: &[u8]) -> bool {
    let starts =
        [b"\xFF\xFE".as_slice(), b"\xFE\xFF", b"M\0S\0H\0", b"\0M\0S\0H", b"M\0\0\0S", b"\0\0\0M\0\0\0S"];
    starts.iter().any(|start| bytes.starts_with(start))
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
    let label = header_field(bytes, 18);
    if label.is_empty() {
        let found = misplaced(bytes).filter(|(_, charset)| strict(charset.encoding, bytes).is_some());
        return Ok(found.map(|(field, charset)| {
            warnings.push(Warning::at("charset_misplaced", msh_18().field(field)));
            charset
        }));
    }
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

/// A character set in one of the fields around MSH-18. Only what nobody could mean otherwise: `GREEK` is a language.
fn misplaced(bytes: &[u8]) -> Option<(u16, Charset)> {
    const SIGNS: [&str; 7] = ["UNICODE", "UTF8", "8859", "ISO8859", "ISOIR", "WINDOWS", "GB18030"];
    [17, 19, 20, 16].into_iter().find_map(|field| {
        let label = std::str::from_utf8(header_field(bytes, field)).ok()?.trim();
        let key = squeeze(label);
        let charset = SIGNS.iter().any(|sign| key.starts_with(sign)).then(|| Charset::parse(label))?;
        Some((field, charset?))
    })
}

/// A field of MSH before anything is decoded. The header is ASCII in every set we can read.
fn header_field(bytes: &[u8], number: u16) -> &[u8] {
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
    let bytes = &bytes[start..];
    let (Some(b"MSH"), Some(&separator)) = (bytes.get(..3), bytes.get(3)) else { return &[] };
    let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes[..end].split(|&b| b == separator).nth(usize::from(number) - 1).unwrap_or_default()
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
    // ISO-2022-JP has no katakana of half width, and its encoder writes the full ones: another text than was meant.
    let changed = charset.encoding == encoding_rs::ISO_2022_JP
        && charset.encoding.decode_without_bom_handling(&bytes).0 != text;
    if unmappable || beyond || changed {
        return Err(Unencodable(charset.name));
    }
    Ok(bytes.into_owned())
}

#[cfg(test)]
mod tests;
