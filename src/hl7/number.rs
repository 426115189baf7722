//! Numbers as laboratories write them, and how they are bounded.

/// How a number is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparator {
    /// The sign.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Takes a comparator off the front of a text; `=` is none.
    pub(super) fn strip(text: &str) -> (Option<Self>, &str) {
        let signs = [
            ("<=", Some(Self::LessOrEqual)),
            ("≤", Some(Self::LessOrEqual)),
            (">=", Some(Self::GreaterOrEqual)),
            ("≥", Some(Self::GreaterOrEqual)),
            ("<", Some(Self::Less)),
            (">", Some(Self::Greater)),
            ("=", None),
        ];
        let found = signs.iter().find_map(|(sign, c)| Some((*c, text.strip_prefix(sign)?)));
        found.unwrap_or((None, text))
    }
}

/// A number, as text and to compute with.
#[derive(Clone, PartialEq)]
pub struct Numeric {
    /// `<` and the like.
    pub comparator: Option<Comparator>,
    /// The digits as sent, without comparator and flags, the decimal sign a full stop.
    pub text: String,
    /// The same as a float.
    pub value: f64,
    /// It took guessing: a comma, a flag behind the number.
    pub lenient: bool,
}

impl Numeric {
    /// A number with an optional comparator, in the strict grammar of NM.
    pub fn strict(text: &str) -> Option<Self> {
        let (comparator, rest) = Comparator::strip(text.trim());
        let rest = rest.trim();
        Some(Self { comparator, text: rest.to_owned(), value: plain(rest)?, lenient: false })
    }

    /// Also `1,234`, `6,8`, `5.0 H`.
    pub fn lenient(text: &str) -> Option<Self> {
        if let Some(number) = Self::strict(text) {
            return Some(number);
        }
        let (comparator, rest) = Comparator::strip(text.trim());
        let digits = without_commas(without_flag(rest.trim()))?;
        Some(Self { comparator, value: plain(&digits)?, text: digits, lenient: true })
    }
}

/// Digits, one full stop, a sign, an exponent; never `inf` or `nan`.
fn plain(text: &str) -> Option<f64> {
    let first_ok = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let all_ok = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    if !first_ok || !all_ok {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn without_flag(text: &str) -> &str {
    const FLAGS: &[&str] = &["HH", "LL", "H", "L", "AA", "A", "N", "*", "↑", "↓"];
    let end = text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
    let (number, flag) = text.split_at(end);
    if FLAGS.contains(&flag.trim()) { number } else { text }
}

/// `1,234` and `1,234.5` have thousands; a comma that cannot part thousands is a decimal sign.
fn without_commas(text: &str) -> Option<String> {
    let Some((head, tail)) = text.split_once(',') else { return Some(text.to_owned()) };
    let digits = head.trim_start_matches(['+', '-']);
    let (groups, fraction) = tail.split_once('.').map_or((tail, None), |(g, f)| (g, Some(f)));
    let thousands = (1..=3).contains(&digits.len())
        && !digits.starts_with('0')
        && groups.split(',').all(|g| g.len() == 3 && g.bytes().all(|b| b.is_ascii_digit()));
    if thousands {
        return Some(text.replace(',', ""));
    }
    (!tail.contains(',') && fraction.is_none() && !tail.is_empty()).then(|| text.replace(',', "."))
}

super::redact_debug!(Numeric);
