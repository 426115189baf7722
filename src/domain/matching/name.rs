//! Names as two systems write them: in capitals, without accents, with or without the hyphen. Letters of
//! other scripts that only look like Latin ones stay what they are: a look-alike is another name.

/// Latin letters with marks, by the letters they are written with where there are no marks.
const FOLDS: &[(&str, &str)] = &[
    ("a", "àáâãäåāăąǎǻạảấầẩẫậắằẳẵặª"),
    ("c", "çćĉċč"),
    ("d", "ďđḍð"),
    ("e", "èéêëēĕėęěẹẻẽếềểễệ"),
    ("g", "ĝğġģǧ"),
    ("h", "ĥħḥ"),
    ("i", "ìíîïĩīĭįǐıịỉ"),
    ("j", "ĵ"),
    ("k", "ķ"),
    ("l", "ĺļľŀł"),
    ("n", "ñńņňŉṇ"),
    ("o", "òóôõöøōŏőơǒǿọỏốồổỗộớờởỡợº"),
    ("r", "ŕŗř"),
    ("s", "śŝşšșṣ"),
    ("t", "ţťŧțṭ"),
    ("u", "ùúûüũūŭůűųưǔụủứừửữự"),
    ("w", "ŵẁẃẅ"),
    ("y", "ýÿŷỳỵỷỹ"),
    ("z", "źżžẓ"),
    ("ae", "æǽ"),
    ("oe", "œ"),
    ("ss", "ß"),
    ("th", "þ"),
];

/// The same letters where the marks are written out: Müller and Mueller, Sørensen and Soerensen, Åberg and
/// Aaberg.
const WRITTEN_OUT: &[(&str, &str)] = &[("ae", "ä"), ("oe", "öø"), ("ue", "ü"), ("aa", "å")];

const COMBINING_DIAERESIS: char = '\u{308}';

/// A name without case, accents (composed or combining), hyphens, apostrophes, full stops and blanks.
pub fn normalised(name: &str) -> String {
    fold(name, false)
}

/// Whether two names are one. Empty names are equal to nothing.
pub fn same_name(a: &str, b: &str) -> bool {
    let plain = normalised(a);
    if plain.is_empty() {
        return false;
    }
    let (plain_b, out_a, out_b) = (normalised(b), fold(a, true), fold(b, true));
    plain == plain_b || out_a == out_b
}

fn fold(name: &str, written_out: bool) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        if written_out && c == COMBINING_DIAERESIS && folded.ends_with(['a', 'o', 'u']) {
            folded.push('e');
        } else if !is_dropped(c) {
            push_folded(&mut folded, c, written_out);
        }
    }
    folded
}

fn push_folded(folded: &mut String, c: char, written_out: bool) {
    if c.is_ascii() {
        folded.push(c);
        return;
    }
    let find = |table: &[(&'static str, &str)]| {
        table.iter().find(|(_, marked)| marked.contains(c)).map(|(plain, _)| *plain)
    };
    let special = if written_out { find(WRITTEN_OUT) } else { None };
    match special.or_else(|| find(FOLDS)) {
        Some(plain) => folded.push_str(plain),
        None => folded.push(c),
    }
}

/// Blanks, hyphens, apostrophes, full stops and combining marks.
fn is_dropped(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '\'' | '.' | '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | '’' | '‘' | '′')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{300}'..='\u{36f}')
}
