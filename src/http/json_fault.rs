//! Where and why a text is not JSON, in the words of Python's decoder.
//!
//! serde_json counts lines and columns and has its own phrases; the existing clients show the ones of FastAPI.
//! So a body that serde_json refused is walked once more, only to find the offset and the phrase.

/// Character offset and reason.
pub(super) type JsonFault = (usize, &'static str);

const VALUE: &str = "Expecting value";
const NAME: &str = "Expecting property name enclosed in double quotes";
const COMMA: &str = "Expecting ',' delimiter";
const COLON: &str = "Expecting ':' delimiter";
const UNICODE: &str = "Invalid \\uXXXX escape";
/// serde_json stops at the same depth.
const MAX_DEPTH: usize = 128;

/// The first fault in a text that is known not to be JSON.
pub(super) fn find(text: &str) -> JsonFault {
    let chars: Vec<char> = text.chars().collect();
    let mut walk = Walk { chars: &chars, at: 0 };
    // What passes this walk and failed before is a number out of range: no position is better than the start.
    walk.document().err().unwrap_or((0, VALUE))
}

struct Walk<'a> {
    chars: &'a [char],
    at: usize,
}

impl Walk<'_> {
    fn document(&mut self) -> Result<(), JsonFault> {
        self.spaces();
        self.value(0)?;
        self.spaces();
        if self.at < self.chars.len() { Err((self.at, "Extra data")) } else { Ok(()) }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), JsonFault> {
        if depth > MAX_DEPTH {
            return Err((self.at, "Nested too deeply"));
        }
        match self.peek() {
            Some('"') => self.string(),
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('n') => self.word("null"),
            Some('t') => self.word("true"),
            Some('f') => self.word("false"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonFault> {
        let end = self.at + word.len();
        if !self.chars.get(self.at..end).is_some_and(|found| found.iter().copied().eq(word.chars())) {
            return Err((self.at, VALUE));
        }
        self.at = end;
        Ok(())
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at > start
    }

    /// A fraction or exponent without digits is not part of the number; what follows is then the fault.
    fn number(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        self.eat('-');
        if !self.eat('0') && !self.digits() {
            return Err((start, VALUE));
        }
        let whole = self.at;
        if !(self.eat('.') && self.digits()) {
            self.at = whole;
        }
        let mantissa = self.at;
        if self.eat('e') || self.eat('E') {
            let _sign = self.eat('+') || self.eat('-');
            if !self.digits() {
                self.at = mantissa;
            }
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), JsonFault> {
        self.at += 1;
        self.spaces();
        if self.eat('}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some('"') {
                return Err((self.at, NAME));
            }
            self.string()?;
            self.spaces();
            if !self.eat(':') {
                return Err((self.at, COLON));
            }
            if self.end_of_element('}', depth)? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonFault> {
        self.at += 1;
        self.spaces();
        if self.eat(']') {
            return Ok(());
        }
        loop {
            if self.end_of_element(']', depth)? {
                return Ok(());
            }
        }
    }

    /// A value, then the closing sign (true) or a comma (false).
    fn end_of_element(&mut self, close: char, depth: usize) -> Result<bool, JsonFault> {
        self.spaces();
        self.value(depth + 1)?;
        self.spaces();
        if self.eat(close) {
            return Ok(true);
        }
        if !self.eat(',') {
            return Err((self.at, COMMA));
        }
        self.spaces();
        Ok(false)
    }

    fn string(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err((start, "Unterminated string starting at")),
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some('\\') => self.escape(start)?,
                Some(c) if c < ' ' => return Err((self.at, "Invalid control character at")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<(), JsonFault> {
        let backslash = self.at;
        self.at += 2;
        match self.chars.get(backslash + 1) {
            None => Err((start, "Unterminated string starting at")),
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => Ok(()),
            Some('u') => self.unit(backslash + 1),
            Some(_) => Err((backslash, "Invalid \\escape")),
        }
    }

    /// Python takes half a surrogate pair; it is no character, so we do not.
    fn unit(&mut self, at_u: usize) -> Result<(), JsonFault> {
        let fault = Err((at_u, UNICODE));
        let Some(unit) = self.hex() else { return fault };
        match unit {
            0xD800..=0xDBFF => {
                let low = if self.eat('\\') && self.eat('u') { self.hex() } else { None };
                if matches!(low, Some(0xDC00..=0xDFFF)) { Ok(()) } else { fault }
            }
            0xDC00..=0xDFFF => fault,
            _ => Ok(()),
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.chars.get(self.at..self.at + 4)?;
        let unit = digits.iter().try_fold(0, |sum, c| Some(sum * 16 + c.to_digit(16)?))?;
        // Python wants something after the escape, if only the closing quote.
        self.chars.get(self.at + 4)?;
        self.at += 4;
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn offsets_and_words_are_pythons() {
        for (text, wanted) in [
            ("{bad", (1, NAME)),
            (r#"{"a":1,}"#, (7, NAME)),
            ("[1,]", (3, VALUE)),
            (r#"{"a" 1}"#, (5, COLON)),
            (r#"{"a":1 "b":2}"#, (7, COMMA)),
            (r#"{"a":1}x"#, (7, "Extra data")),
            (r#"{"a":"x"#, (5, "Unterminated string starting at")),
            ("{\"a\":\"\x01\"}", (6, "Invalid control character at")),
            (r#"{"a":"\q"}"#, (6, "Invalid \\escape")),
            (r#"{"a":"\u12"}"#, (7, UNICODE)),
            ("  ", (2, VALUE)),
            (r#"{"a":01}"#, (6, COMMA)),
            (r#"{"a":-}"#, (5, VALUE)),
            (r#"{"é":x}"#, (5, VALUE)),
            (r#"{"a":1.}"#, (6, COMMA)),
            (r#"{"a":NaN}"#, (5, VALUE)),
            (r#""\ud800""#, (2, UNICODE)),
        ] {
            assert_eq!(find(text), wanted, "{text}");
        }
    }

    #[test]
    fn deep_nesting_does_not_exhaust_the_stack() {
        assert_eq!(find(&"[".repeat(100_000)), (MAX_DEPTH + 1, "Nested too deeply"));
    }

    proptest! {
        #[test]
        fn whatever_serde_refuses_has_a_place(text in r#"[\[\]{}",:0-9ntrue.\\ue-]{0,24}"#) {
            if serde_json::from_str::<serde_json::Value>(&text).is_err() {
                let (at, _) = find(&text);
                prop_assert!(at <= text.chars().count());
            } else {
                let chars: Vec<char> = text.chars().collect();
                let sound = Walk { chars: &chars, at: 0 }.document().is_ok();
                prop_assert!(sound);
            }
        }
    }
}
