//! Rules for texts that come in and are shown, printed or sent on: nothing that cannot be seen.

use validator::ValidationError;

use crate::domain::ids::{Mrn, TestCode, TextError, is_invisible};

/// One line.
pub(super) fn line(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(is_invisible) { Err(refused(TextError::Invisible)) } else { Ok(()) }
}

/// One line with something on it.
pub(super) fn filled_line(text: &str) -> Result<(), ValidationError> {
    if text.trim().is_empty() {
        return Err(refused(TextError::Empty));
    }
    line(text)
}

/// Several lines.
pub(super) fn lines(text: &str) -> Result<(), ValidationError> {
    let hidden = |c: char| is_invisible(c) && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(hidden) { Err(refused(TextError::Invisible)) } else { Ok(()) }
}

/// A medical record number.
pub(super) fn mrn(text: &str) -> Result<(), ValidationError> {
    Mrn::new(text).map(|_| ()).map_err(refused)
}

/// The code of a test.
pub(super) fn test_code(text: &str) -> Result<(), ValidationError> {
    TestCode::new(text).map(|_| ()).map_err(refused)
}

fn refused(why: TextError) -> ValidationError {
    ValidationError::new("text").with_message(why.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_refused() {
        for hidden in ["a\0", "a\u{1b}[31m", "a\u{202e}b", "\u{feff}a"] {
            assert!(line(hidden).is_err() && lines(hidden).is_err() && mrn(hidden).is_err(), "{hidden:?}");
        }
        assert!(line("a\nb").is_err());
        assert!(lines("a\r\n\tb").is_ok());
        assert!(line("Þórunn O'Brien-Müller").is_ok() && line("").is_ok());
        assert!(filled_line(" ").is_err() && filled_line(" a").is_ok());
        assert!(mrn("").is_err() && test_code(&"x".repeat(51)).is_err());
    }
}
