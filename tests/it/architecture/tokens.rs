//! Just enough of a Rust lexer for the rules: words, marks and string literals with their lines. Comments, numbers,
//! characters and lifetimes are left out, so that a path in a comment is not taken for an import.

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word(String),
    /// One character of punctuation.
    Mark(char),
    /// What stands between the quotes of a string literal.
    Text(String),
}

impl Token {
    /// The name, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is this punctuation.
    pub(super) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// The tokens of a source file.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, found: Vec::new() };
    while let Some(first) = lexer.rest.chars().next() {
        lexer.step(first);
    }
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn step(&mut self, first: char) {
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(prefix) = string_prefix(self.rest) {
            self.string(&prefix);
        } else if first == '\'' || self.rest.starts_with("b'") {
            self.character_or_lifetime();
        } else if first.is_alphanumeric() || first == '_' {
            self.word(first);
        } else if first.is_whitespace() {
            self.take(first.len_utf8());
        } else {
            self.push(Kind::Mark(first));
            self.take(first.len_utf8());
        }
    }

    fn push(&mut self, kind: Kind) {
        self.found.push(Token { line: self.line, kind });
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn block_comment(&mut self) {
        let (mut depth, mut end) = (0, 0);
        loop {
            let here = &self.rest[end..];
            let (change, length) = match here.get(..2) {
                _ if here.is_empty() => break,
                Some("/*") => (1, 2),
                Some("*/") => (-1, 2),
                _ => (0, here.chars().next().map_or(1, char::len_utf8)),
            };
            depth += change;
            end += length;
            if depth == 0 {
                break;
            }
        }
        self.take(end);
    }

    fn string(&mut self, prefix: &StringPrefix) {
        let line = self.line;
        self.take(prefix.length);
        let end = prefix.end_of(self.rest);
        let text = self.take(end).to_owned();
        self.found.push(Token { line, kind: Kind::Text(text) });
        self.take(self.rest.len().min(1 + prefix.hashes));
    }

    /// `'a` is a lifetime, `'a'` and `'\n'` are characters.
    fn character_or_lifetime(&mut self) {
        self.take(self.rest.find('\'').map_or(self.rest.len(), |quote| quote + 1));
        let mut chars = self.rest.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), _) => {
                let end = self.rest[2..].find('\'').map_or(self.rest.len(), |quote| quote + 3);
                self.take(end);
            }
            (Some(one), Some('\'')) => {
                self.take(one.len_utf8() + 1);
            }
            _ => {
                self.take(length_of_word(self.rest));
            }
        }
    }

    fn word(&mut self, first: char) {
        let line = self.line;
        if self.rest.starts_with("r#") {
            self.take(2);
        }
        let word = self.take(length_of_word(self.rest)).to_owned();
        if !first.is_numeric() {
            self.found.push(Token { line, kind: Kind::Word(word) });
        }
    }
}

fn length_of_word(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// What stands before the content of a string literal: `"`, `b"`, `r#"` and so on.
struct StringPrefix {
    length: usize,
    hashes: usize,
    raw: bool,
}

fn string_prefix(text: &str) -> Option<StringPrefix> {
    let letters = text.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).unwrap_or(text.len());
    let raw = text[..letters].ends_with('r');
    let hashes = text[letters..].bytes().take_while(|byte| *byte == b'#').count();
    let quoted = letters <= 2 && text[letters + hashes..].starts_with('"') && (raw || hashes == 0);
    quoted.then_some(StringPrefix { length: letters + hashes + 1, hashes, raw })
}

impl StringPrefix {
    fn end_of(&self, text: &str) -> usize {
        if self.raw {
            let close = format!("\"{}", "#".repeat(self.hashes));
            return text.find(&close).unwrap_or(text.len());
        }
        let mut escaped = false;
        let end = text.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        end.unwrap_or(text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let show = |token: &Token| match &token.kind {
            Kind::Word(word) => word.clone(),
            Kind::Mark(mark) => mark.to_string(),
            Kind::Text(text) => format!("<{text}>"),
        };
        tokens(source).iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn only_words_marks_and_strings_are_left() {
        let table = [
            ("use a::b; // crate::c", "use a : : b ;"),
            ("/* crate::a /* nested */ still */ x", "x"),
            (r#"let s = "crate::a \" // no";"#, r#"let s = <crate::a \" // no> ;"#),
            (r##"r#"one " two"# b"three" br"four\" c"##, "<one \" two> <three> <four\\> c"),
            (r"f::<'a>('\'', 'x', b'\\', '\u{1F600}')", "f : : < > ( , , , )"),
            ("r#type 12u8 0..10 _x", "type . . _x"),
            ("\"open", "<open>"),
        ];
        for (source, expected) in table {
            assert_eq!(shown(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let lines: Vec<_> = tokens("a /*\n*/ \"x\ny\" b\n// c\nd").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 3, 5]);
    }
}
