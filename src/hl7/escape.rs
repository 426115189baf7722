//! Escape sequences of chapter 2: `\F\`, `\X0D\`, `\.br\` and their kin.
//!
//! What is not a known sequence is kept as it was sent. `50\ml` and `C:\data` are common, and a
//! decoder that drops what it does not know changes a result.

use super::message::Delimiters;
use std::borrow::Cow;

/// More blank lines or blanks than this in one command are not formatting.
const MAX_SKIP: usize = 40;

/// What a line end becomes on output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newline {
    /// `\.br\`, for FT and TX.
    Break,
    /// A blank, for ST and the components of names and codes.
    Blank,
}

/// The text with its escapes decoded; borrowed when it has none.
pub fn decode<'a>(raw: &'a str, delims: &Delimiters) -> Cow<'a, str> {
    walk(raw, *delims).0
}

/// Whether the text holds an escape character that starts no known sequence.
pub fn has_unknown(raw: &str, delims: &Delimiters) -> bool {
    walk(raw, *delims).1
}

fn walk(raw: &str, delims: Delimiters) -> (Cow<'_, str>, bool) {
    let escape = char::from(delims.escape);
    // Values are short; looking at each byte beats setting up a search.
    let Some(first) = raw.bytes().position(|b| b == delims.escape) else {
        return (Cow::Borrowed(raw), false);
    };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut rest = &raw[first + 1..];
    let mut unknown = false;
    loop {
        // `rest` stands behind an escape character.
        if let Some((body, after)) = rest.split_once(escape)
            && sequence(body, delims, &mut out)
        {
            rest = after;
        } else {
            out.push(escape);
            unknown = true;
        }
        let Some((plain, after)) = rest.split_once(escape) else { break };
        out.push_str(plain);
        rest = after;
    }
    out.push_str(rest);
    (Cow::Owned(out), unknown)
}

/// Appends what the sequence stands for; false if it stands for nothing we know.
fn sequence(body: &str, delims: Delimiters, out: &mut String) -> bool {
    match body {
        "F" => out.push(delims.field.into()),
        "S" => out.push(delims.component.into()),
        "T" => out.push(delims.subcomponent.into()),
        "R" => out.push(delims.repetition.into()),
        "E" => out.push(delims.escape.into()),
        "P" => out.push(delims.truncation.unwrap_or(b'#').into()),
        "H" | "N" => {}
        _ => {
            return match body.split_at_checked(1) {
                Some(("X", hex)) => hex_text(hex).is_some_and(|text| {
                    out.push_str(&text);
                    true
                }),
                Some((".", command)) => format_command(command, out),
                _ => false,
            };
        }
    }
    true
}

/// Formatting commands of FT; those that only move the margin leave no trace in plain text.
fn format_command(command: &str, out: &mut String) -> bool {
    let Some((name, argument)) = command.split_at_checked(2) else { return false };
    let argument = argument.trim();
    let count = if argument.is_empty() { Some(1) } else { argument.parse::<usize>().ok() };
    let (text, count) = match (name, count) {
        ("br" | "ce", _) if argument.is_empty() => ("\n", 1),
        ("sp", Some(n)) => ("\n", n.clamp(1, MAX_SKIP)),
        ("sk", Some(n)) => (" ", n.clamp(1, MAX_SKIP)),
        ("fi" | "nf", _) if argument.is_empty() => ("", 0),
        ("in" | "ti", _) if argument.is_empty() || argument.parse::<i32>().is_ok() => ("", 0),
        _ => return false,
    };
    out.extend(std::iter::repeat_n(text, count));
    true
}

/// `\X..\`: the bytes as text, if they are UTF-8. CR and CRLF become a line end. A NUL is refused
/// because no database column takes it.
fn hex_text(hex: &str) -> Option<String> {
    let text = String::from_utf8(hex_bytes(hex)?).ok()?;
    (!text.contains('\0')).then(|| text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Pairs of hex digits to bytes.
pub(crate) fn hex_bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    hex.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

/// The text made safe to stand in a field: delimiters and control characters escaped.
pub fn encode<'a>(text: &'a str, delims: &Delimiters, newline: Newline) -> Cow<'a, str> {
    let special = |c: char| c.is_control() || delims.contains(c);
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\n' => push_newline(&mut out, *delims, newline),
            '\0' => out.push_str(if delims.contains(' ') { "" } else { " " }),
            c if special(c) => push_escaped(&mut out, c, *delims),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn push_newline(out: &mut String, delims: Delimiters, newline: Newline) {
    let escape = char::from(delims.escape);
    match newline {
        Newline::Blank => out.push(' '),
        // A sender may have chosen the full stop as a delimiter.
        Newline::Break if delims.contains('.') => push_hex(out, '\n', delims),
        Newline::Break => {
            out.push(escape);
            out.push_str(".br");
            out.push(escape);
        }
    }
}

fn push_escaped(out: &mut String, c: char, delims: Delimiters) {
    let letter = match u8::try_from(c) {
        Ok(b) if b == delims.field => 'F',
        Ok(b) if b == delims.component => 'S',
        Ok(b) if b == delims.subcomponent => 'T',
        Ok(b) if b == delims.repetition => 'R',
        Ok(b) if b == delims.escape => 'E',
        Ok(b) if Some(b) == delims.truncation => 'P',
        _ => return push_hex(out, c, delims),
    };
    let escape = char::from(delims.escape);
    out.extend([escape, letter, escape]);
}

fn push_hex(out: &mut String, c: char, delims: Delimiters) {
    let escape = char::from(delims.escape);
    out.extend([escape, 'X']);
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        let digits = [byte >> 4, byte & 15].map(|d| char::from_digit(d.into(), 16));
        out.extend(digits.into_iter().flatten().map(|d| d.to_ascii_uppercase()));
    }
    out.push(escape);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_what_the_standard_names() {
        let table = [
            (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
            (r"one\.br\two\.sp\three\.sp2\four", "one\ntwo\nthree\n\nfour"),
            (r"\.sp +3\x", "\n\n\nx"),
            (r"a\X0D\b\X0A\c\X0D0A\d", "a\nb\nc\nd"),
            (r"\XC3A9\", "é"),
            (r"\H\bold\N\", "bold"),
            (r"\.fi\\.nf\\.in+5\\.ti-2\a\.sk3\b\.ce\c", "a   b\nc"),
            (r"\P\", "#"),
            (r"\X0D\\X0A\", "\n\n"),
        ];
        for (raw, text) in table {
            assert_eq!(decode(raw, &Delimiters::DEFAULT), text, "{raw}");
            assert!(!has_unknown(raw, &Delimiters::DEFAULT), "{raw}");
        }
    }

    #[test]
    fn keeps_what_it_does_not_know() {
        let table = [
            (r"50\ml", r"50\ml"),
            (r"C:\temp\new", r"C:\temp\new"),
            (r"\\srv\share", r"\\srv\share"),
            (r"\Zab\", r"\Zab\"),
            (r"\X0\ \X00\ \XFF\", r"\X0\ \X00\ \XFF\"),
            (r"\.xx\", r"\.xx\"),
            (r"a\", r"a\"),
            (r"\é\", r"\é\"),
            (r"\q\F\x", r"\q|x"),
        ];
        for (raw, text) in table {
            assert_eq!(decode(raw, &Delimiters::DEFAULT), text, "{raw}");
            assert!(has_unknown(raw, &Delimiters::DEFAULT), "{raw}");
        }
    }

    #[test]
    fn a_skip_cannot_fill_the_memory() {
        assert_eq!(decode(r"\.sp999999999\", &Delimiters::DEFAULT).len(), MAX_SKIP);
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(decode("Hämoglobin", &Delimiters::DEFAULT), Cow::Borrowed(_)));
        assert!(matches!(encode("Hämoglobin", &Delimiters::DEFAULT, Newline::Blank), Cow::Borrowed(_)));
    }

    #[test]
    fn line_ends_on_output() {
        let text = "a\r\nb\rc\nd";
        assert_eq!(encode(text, &Delimiters::DEFAULT, Newline::Break), r"a\.br\b\.br\c\.br\d");
        assert_eq!(encode(text, &Delimiters::DEFAULT, Newline::Blank), "a b c d");
        assert_eq!(encode("\u{b}\u{1c}\0", &Delimiters::DEFAULT, Newline::Blank), r"\X0B\\X1C\ ");
    }

    pub(crate) fn delimiters() -> impl Strategy<Value = Delimiters> {
        let marks: Vec<u8> = (b'!'..=b'~').filter(|b| !b.is_ascii_alphanumeric()).collect();
        (proptest::sample::subsequence(marks, 6).prop_shuffle(), any::<bool>()).prop_map(|(m, truncation)| {
            Delimiters {
                field: m[0],
                component: m[1],
                repetition: m[2],
                escape: m[3],
                subcomponent: m[4],
                truncation: truncation.then_some(m[5]),
            }
        })
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(text in r"[^\p{Cc}]{0,40}", marks in "[|^~&#.]{0,8}", delims in delimiters()) {
            let text = format!("{text}{marks}\\");
            for newline in [Newline::Break, Newline::Blank] {
                let encoded = encode(&text, &delims, newline);
                prop_assert_eq!(decode(&encoded, &delims), text.as_str());
            }
        }

        #[test]
        fn encoded_text_is_safe(text in r"[\x00-\x1f|^~\\&#.a-z]{0,40}", delims in delimiters()) {
            let encoded = encode(&text, &delims, Newline::Break);
            let escape = char::from(delims.escape);
            prop_assert!(!encoded.contains(|c: char| c.is_control() || (delims.contains(c) && c != escape)));
            let back = decode(&encoded, &delims).replace(' ', "");
            let lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "");
            prop_assert_eq!(back, lines);
        }

        #[test]
        fn decoding_never_panics(raw in r"[\\XFTéx0-9.brsp ]{0,40}") {
            decode(&raw, &Delimiters::DEFAULT);
        }
    }
}
