//! Documents inside OBX-5: ED, and those that come under another type.
//!
//! Labs send a PDF report as ED, and as TX, ST, FT, CE or CWE just as often: bare base64, or the shape of an ED in a
//! coded field. What a document is, its first bytes say; the type in OBX-2 and the subtype in OBX-5.3 are often wrong.

use super::escape::hex_bytes;
use super::message::{Field, Repetition};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What a document is, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `%PDF-`
    Pdf,
    /// `{\rtf`
    Rtf,
    /// JPEG image.
    Jpeg,
    /// PNG image.
    Png,
    /// TIFF image.
    Tiff,
    /// GIF image.
    Gif,
}

/// Media, the first bytes, and how they look in base64 and in hex.
const HEADS: &[(Media, &[u8], &str, &str)] = &[
    (Media::Pdf, b"%PDF-", "JVBERi0", "255044462D"),
    (Media::Rtf, b"{\\rtf", "e1xydG", "7B5C727466"),
    (Media::Jpeg, &[0xff, 0xd8, 0xff], "/9j/", "FFD8FF"),
    (Media::Png, b"\x89PNG\r\n\x1a\n", "iVBORw0KGg", "89504E470D0A1A0A"),
    (Media::Tiff, b"II*\0", "SUkqA", "49492A00"),
    (Media::Tiff, b"MM\0*", "TU0AK", "4D4D002A"),
    (Media::Gif, b"GIF8", "R0lGOD", "47494638"),
];

/// Heads this short also begin words; then only a value of this many characters is a document.
const SHORT_HEAD: usize = 6;
const LONG_VALUE: usize = 64;

impl Media {
    fn of(bytes: &[u8]) -> Option<Self> {
        HEADS.iter().find(|(_, head, ..)| bytes.starts_with(head)).map(|(media, ..)| *media)
    }

    /// The type on the web.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Rtf => "application/rtf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Tiff => "image/tiff",
            Self::Gif => "image/gif",
        }
    }

    /// Whether the last bytes are those with which such a document ends. Unknown for TIFF.
    fn is_whole(self, bytes: &[u8]) -> bool {
        let tail = bytes.get(bytes.len().saturating_sub(1024)..).unwrap_or_default();
        let holds = |end: &[u8]| tail.windows(end.len()).any(|window| window == end);
        match self {
            Self::Pdf => holds(b"%%EOF"),
            Self::Rtf => tail.trim_ascii_end().ends_with(b"}"),
            Self::Jpeg => holds(&[0xff, 0xd9]),
            Self::Png => holds(b"IEND"),
            Self::Gif => holds(b";"),
            Self::Tiff => false,
        }
    }
}

/// How the data are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Base64,
    Hex,
}

/// A document inside the message.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Source application.
    pub application: Option<String>,
    /// Table 0191, such as `AP`, `IM`, `TEXT`; some senders write a media type.
    pub kind: Option<String>,
    /// Table 0291, such as `PDF`.
    pub subtype: Option<String>,
    /// Table 0299: `A`, `Hex`, `Base64`.
    pub encoding: Option<String>,
    /// What its first characters say, whatever is declared.
    seen: Option<(Media, Coding)>,
    data: String,
}

/// The document's data are not what its encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("embedded document cannot be decoded")]
pub struct BadDocument;

super::redact_debug!(Document);

impl Document {
    /// ED as the standard has it: the data are component 5. Further repetitions carry them on.
    pub(super) fn declared(field: Field<'_>) -> Self {
        Self::at(field, 5, None)
    }

    /// A document whatever the type says: found by the first characters of its data, in any component.
    pub(super) fn recognised(field: Field<'_>) -> Option<Self> {
        let parts = field.repetition(1).components().take(8);
        let found = parts.zip(1..).find_map(|(part, n)| Some((n, seen(part.raw())?)));
        found.map(|(n, seen)| Self::at(field, n, Some(seen)))
    }

    fn at(field: Field<'_>, place: u16, seen: Option<(Media, Coding)>) -> Self {
        let first = field.repetition(1);
        // Only an ED has its description in front of the data.
        let part = |n| first.value(n).filter(|_| place == 5).map(std::borrow::Cow::into_owned);
        let mut data = first.component(place).text().into_owned();
        for more in field.repetitions().skip(1) {
            data.push_str(&continued(more, place));
        }
        Self { application: part(1), kind: part(2), subtype: part(3), encoding: part(4), seen, data }
    }

    /// The document's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>, BadDocument> {
        match self.coding() {
            Some(Coding::Base64) => base64(&self.data).ok_or(BadDocument),
            // Long data are often folded; line ends and blanks mean nothing.
            Some(Coding::Hex) => {
                hex_bytes(&self.data.split_whitespace().collect::<String>()).ok_or(BadDocument)
            }
            None => Ok(self.data.clone().into_bytes()),
        }
    }

    fn coding(&self) -> Option<Coding> {
        let declared = match self.encoding.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("base64") => Some(Coding::Base64),
            Some("hex") => Some(Coding::Hex),
            _ => None,
        };
        self.seen.map(|(_, coding)| coding).or(declared)
    }

    /// Whether the data are text to be read as they stand.
    pub fn is_plain(&self) -> bool {
        self.coding().is_none()
    }

    /// The data as sent.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// What it is by its bytes; by what is declared where they do not tell.
    pub fn media_type(&self, bytes: &[u8]) -> &'static str {
        if let Some(media) = Media::of(bytes) {
            return media.mime();
        }
        let said = |text: &Option<String>| text.as_deref().unwrap_or_default().to_ascii_lowercase();
        match said(&self.subtype).rsplit('/').next().unwrap_or_default() {
            "pdf" => "application/pdf",
            "jpeg" | "jpg" => "image/jpeg",
            "png" => "image/png",
            "tiff" | "tif" => "image/tiff",
            "gif" => "image/gif",
            "rtf" => "application/rtf",
            "html" | "htm" => "text/html",
            "xml" | "x-hl7-cda-level-one" => "application/xml",
            "plain" | "text" | "txt" => "text/plain",
            _ if matches!(said(&self.kind).as_str(), "text" | "tx" | "ft") => "text/plain",
            _ => "application/octet-stream",
        }
    }

    /// Its data, when they do not begin as a document does.
    pub(super) fn tail(&self) -> Option<&str> {
        self.seen.is_none().then_some(self.data.as_str())
    }

    /// Takes the data of another observation behind its own.
    pub(super) fn append(&mut self, data: &str) {
        self.data.push_str(data);
    }

    /// Whether its data can be decoded and end as such a document does. What cannot be told counts as whole.
    pub(super) fn is_whole(&self) -> bool {
        let Some((media, _)) = self.seen else { return true };
        self.bytes().is_ok_and(|bytes| media.is_whole(&bytes))
    }
}

/// What a further repetition adds: the same component, or all of it when it has only one.
fn continued(more: Repetition<'_>, place: u16) -> String {
    let part = more.component(place).text();
    if part.is_empty() { more.component(1).text().into_owned() } else { part.into_owned() }
}

/// Whether the text begins as a document does.
fn seen(raw: &str) -> Option<(Media, Coding)> {
    let bytes = raw.trim_start().as_bytes();
    let bytes = match bytes.get(..5) {
        Some(head) if head.eq_ignore_ascii_case(b"data:") => after_data_url(bytes),
        _ => bytes,
    };
    // Every value of every message passes here: most leave at once.
    if !matches!(
        bytes.first()?,
        b'J' | b'e' | b'/' | b'i' | b'S' | b'T' | b'R' | b'2' | b'7' | b'F' | b'f' | b'8' | b'4'
    ) {
        return None;
    }
    let long = |head: &str| head.len() > SHORT_HEAD - 1 || bytes.len() >= LONG_VALUE;
    let head_is =
        |head: &str| bytes.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head.as_bytes()));
    HEADS.iter().find_map(|(media, _, base64, hex)| {
        let rest_fits = |fits: fn(u8) -> bool| bytes.iter().take(LONG_VALUE).all(|byte| fits(*byte));
        if bytes.starts_with(base64.as_bytes()) && long(base64) && rest_fits(is_base64) {
            Some((*media, Coding::Base64))
        } else if head_is(hex) && bytes.len() >= LONG_VALUE && rest_fits(|byte| byte.is_ascii_hexdigit()) {
            Some((*media, Coding::Hex))
        } else {
            None
        }
    })
}

fn after_data_url(bytes: &[u8]) -> &[u8] {
    let comma = bytes.iter().take(100).position(|byte| *byte == b',');
    comma.map_or(bytes, |comma| &bytes[comma + 1..])
}

/// The alphabet with its padding, the alphabet of web addresses, folding, and the escape of a line end (`\.br\`).
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_\\. ".contains(&byte) || byte.is_ascii_whitespace()
}

/// Whether a text can be the middle or the end of base64 data.
pub(super) fn can_continue(text: &str) -> bool {
    !text.trim().is_empty()
        && text.bytes().all(|byte| is_base64(byte) && !matches!(byte, b'\\' | b'.' | b' '))
}

/// Padding is often missing, and the last bits are sometimes not zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Base64, folded or not. Data that were cut before they were encoded have padding in the middle: each piece is decoded
/// by itself.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_start();
    let data = match text.as_bytes().get(..5) {
        Some(head) if head.eq_ignore_ascii_case(b"data:") => after_data_url(text.as_bytes()),
        _ => text.as_bytes(),
    };
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    };
    let folded: Vec<u8> = data.iter().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    let mut bytes = Vec::with_capacity(folded.len() / 4 * 3 + 3);
    for piece in folded.split(|byte| *byte == b'=').filter(|piece| !piece.is_empty()) {
        BASE64.decode_vec(piece, &mut bytes).ok()?;
    }
    Some(bytes)
}

/// For the eye: `PDF document, 2.9 MB`.
pub fn describe(media_type: &str, size: usize) -> String {
    let what = match media_type {
        "application/pdf" => "PDF document",
        "application/rtf" => "RTF document",
        "application/xml" => "XML document",
        "text/html" => "HTML document",
        "text/plain" => "Text document",
        "image/jpeg" => "JPEG image",
        "image/png" => "PNG image",
        "image/tiff" => "TIFF image",
        "image/gif" => "GIF image",
        _ => "Document",
    };
    format!("{what}, {}", length(size))
}

/// A length for the eye, in decimal units.
pub fn length(bytes: usize) -> String {
    let tenths = |unit: usize| {
        let tenths = (bytes * 10 + unit / 2) / unit;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..999_950 => format!("{} kB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

#[cfg(test)]
mod tests;
