//! Bytes are read in the set they say or refused: nothing is replaced, and what was read can be written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pms::hl7::charset::{self, Charset};

const FALLBACKS: [&str; 6] = ["", "8859/1", "8859/2", "WINDOWS-1252", "ISO IR87", "GB 18030-2000"];
/// U+FFFD where the sender wrote it.
const REPLACEMENTS: [&[u8]; 2] = [b"\xEF\xBF\xBD", b"\x84\x31\xA4\x37"];

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let fallback = Charset::parse(FALLBACKS[usize::from(*first) % FALLBACKS.len()]);
    let Ok(decoded) = charset::decode(bytes, fallback) else { return };
    assert!(!decoded.text.contains('\0'), "no database takes a NUL");
    let wrote_it = REPLACEMENTS.iter().any(|sign| bytes.windows(sign.len()).any(|seen| seen == *sign));
    assert!(wrote_it || !decoded.text.contains('\u{fffd}'), "a character was replaced");
    if let Ok(written) = charset::encode(&decoded.text, decoded.charset)
        // A second byte order mark is text in a set of single bytes, and would be taken off as a first one is.
        && !written.starts_with(b"\xEF\xBB\xBF")
        && let Ok(again) = charset::decode(&written, fallback)
    {
        assert!(
            again.charset != decoded.charset || again.text == decoded.text,
            "read, written, read: another text"
        );
    }
});
