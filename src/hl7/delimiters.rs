//! The characters that structure a message. Every message brings its own.

/// The characters a message declares in MSH-1 and MSH-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// MSH-1.
    pub field: u8,
    /// First of MSH-2.
    pub component: u8,
    /// Second.
    pub repetition: u8,
    /// Third.
    pub escape: u8,
    /// Fourth.
    pub subcomponent: u8,
    /// Fifth, from version 2.7 on.
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// `|^~\&`
    pub const DEFAULT: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: b'&',
        truncation: None,
    };

    /// Whether the character is one of them.
    pub fn contains(&self, c: char) -> bool {
        u8::try_from(c).is_ok_and(|b| self.all().any(|d| d == b))
    }

    /// MSH-2.
    pub fn encoding_characters(&self) -> String {
        self.all().skip(1).map(char::from).collect()
    }

    /// From MSH-1 and MSH-2; the flag says that MSH-2 was repaired: defaults stand in where it was
    /// short, and `^~\\&`, the mark of a backslash that was escaped once too often, is read as meant.
    pub fn read(separator: u8, encoding: &[u8]) -> Option<(Self, bool)> {
        let doubled = encoding.len() == 5 && encoding[2] == b'\\' && encoding[3] == b'\\';
        let repaired = [&encoding[..encoding.len().min(3)], encoding.get(4..).unwrap_or_default()].concat();
        let encoding = if doubled { repaired.as_slice() } else { encoding };
        let at = |i: usize, default: u8| encoding.get(i).copied().unwrap_or(default);
        let delims = Self {
            field: separator,
            component: at(0, b'^'),
            repetition: at(1, b'~'),
            escape: at(2, b'\\'),
            subcomponent: at(3, b'&'),
            truncation: encoding.get(4).copied(),
        };
        let sane = |b: u8| b.is_ascii_graphic() && !b.is_ascii_alphanumeric();
        let distinct = delims.all().enumerate().all(|(i, d)| delims.all().skip(i + 1).all(|e| e != d));
        let good = encoding.len() <= 5 && distinct && delims.all().all(sane);
        good.then_some((delims, doubled || encoding.len() < 4))
    }

    fn all(self) -> impl Iterator<Item = u8> + use<> {
        [self.field, self.component, self.repetition, self.escape, self.subcomponent]
            .into_iter()
            .chain(self.truncation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn msh_2_forms() {
        let read = |encoding: &str| Delimiters::read(b'|', encoding.as_bytes());
        assert_eq!(read(r"^~\&"), Some((Delimiters::DEFAULT, false)));
        assert_eq!(read(r"^~\&#").and_then(|(d, _)| d.truncation), Some(b'#'));
        assert_eq!(read("^~"), Some((Delimiters::DEFAULT, true)));
        assert_eq!(read(""), Some((Delimiters::DEFAULT, true)));
        assert_eq!(read(r"^~\\&"), Some((Delimiters::DEFAULT, true)));
        for bad in [r"^^\&", r"^~\|", "abcd", r"^~\&#!", "^~\\ ", "~"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
