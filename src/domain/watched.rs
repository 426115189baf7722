//! Files in a watched directory: which are meant, when one is whole, and what it is called while it is worked on.

use std::cmp::Ordering;

/// Letters of a claim's random part: 8 bytes in hexadecimal.
const TOKEN: usize = 16;
/// Longest file name, in bytes, that Unix file systems take.
const LONGEST_NAME: usize = 255;
/// What is added to a name at most: the mark, the token, and the ending of the acknowledgment beside it.
const LONGEST_ADDITION: usize = 1 + TOKEN + ACK_ENDING.len();
/// Longest pattern, in characters.
const LONGEST_PATTERN: usize = 100;
/// Between the name and the token of a claim.
const MARK: char = '~';
/// Ending of the file with the acknowledgments.
pub const ACK_ENDING: &str = ".ack";

/// Which names are meant: `*` stands for any characters, `?` for one. ASCII letters match in either case, because systems
/// that write `RESULT.HL7` and `result.hl7` mean the same. Names that begin with a dot are never meant: they are hidden, and
/// what is being uploaded is often called so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// Reads a pattern. Errors: what is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.starts_with('.') {
            return Err("pattern must not be empty or begin with a dot");
        }
        if text.chars().any(|c| c == '/' || c.is_control()) {
            return Err("pattern is for names, without directories and control characters");
        }
        if text.chars().count() > LONGEST_PATTERN {
            return Err("pattern is too long");
        }
        Ok(Self(text.to_ascii_lowercase().chars().collect()))
    }

    /// Whether a name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_ascii_lowercase().chars().collect();
        !name.starts_with(&['.']) && fits(&self.0, &name)
    }
}

/// Goes back to the last `*` only, so that no pattern takes long.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(c) if *c == '?' || *c == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                read = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// What shows that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// Time of the last change of its content, in nanoseconds.
    pub modified: i128,
    /// Bytes.
    pub size: u64,
    /// Number of the file itself, whatever it is called.
    pub inode: u64,
}

/// Whether a file may be taken: it is as it was at the look before. An empty one is still to be written; nothing is lost by
/// waiting.
pub fn is_whole(before: Option<&Stamp>, now: &Stamp) -> bool {
    now.size > 0 && before == Some(now)
}

/// The order in which files are taken: the oldest first, since a later result may correct an earlier one.
pub fn by_age<N: Ord>(left: &(N, Stamp), right: &(N, Stamp)) -> Ordering {
    left.1.modified.cmp(&right.1.modified).then_with(|| left.0.cmp(&right.0))
}

/// The name of a claim on a file; `token` is random and tells it from others of the same name. None: the name is too long
/// to add to.
pub fn claim_name(name: &[u8], token: &str) -> Option<Vec<u8>> {
    let fits = name.len() + LONGEST_ADDITION <= LONGEST_NAME && token.len() == TOKEN;
    fits.then(|| [name, MARK.to_string().as_bytes(), token.as_bytes()].concat())
}

/// The name that a claimed file came with. None: it is no claim.
pub fn claimed_name(claim: &[u8]) -> Option<&[u8]> {
    let (name, token) = claim.split_at_checked(claim.len().checked_sub(TOKEN)?)?;
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let name = name.strip_suffix(MARK.to_string().as_bytes())?;
    (token.iter().all(hex) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        let table = [
            ("*.hl7", "a.hl7", true),
            ("*.hl7", "A.HL7", true),
            ("*.hl7", "a.hl7.part", false),
            ("*.hl7", ".a.hl7", false),
            ("*.hl7", ".hl7", false),
            ("*", "anything", true),
            ("*", ".hidden", false),
            ("oru_??.txt", "ORU_01.txt", true),
            ("oru_??.txt", "oru_1.txt", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-c-d", false),
            ("?.hl7", "ä.hl7", true),
            ("a", "", false),
            ("**", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for bad in ["", ".hl7", "a/b", "a\n", &"x".repeat(101)] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_is_whole_when_it_rests() {
        let stamp = Stamp { modified: 5, size: 7, inode: 1 };
        let empty = Stamp { size: 0, ..stamp };
        assert!(is_whole(Some(&stamp), &stamp));
        for (before, now) in [
            (None, stamp),
            (Some(Stamp { size: 6, ..stamp }), stamp),
            (Some(Stamp { modified: 4, ..stamp }), stamp),
            (Some(Stamp { inode: 2, ..stamp }), stamp),
            (Some(empty), empty),
        ] {
            assert!(!is_whole(before.as_ref(), &now), "{before:?} {now:?}");
        }
    }

    #[test]
    fn claims_and_their_names() {
        assert_eq!(claim_name(b"a.hl7", "0123456789abcdef").unwrap(), b"a.hl7~0123456789abcdef");
        assert_eq!(claim_name(&[b'x'; 235], "0123456789abcdef"), None);
        for other in ["a.hl7", "a.hl7~0123", "~0123456789abcdef", "a~0123456789ABCDEF", "a-0123456789abcdef"]
        {
            assert_eq!(claimed_name(other.as_bytes()), None, "{other}");
        }
        assert_eq!(claimed_name(b"a~0123456789abcdef.ack"), None, "the acknowledgment is no claim");
    }

    /// By the definition, without cleverness.
    fn slowly(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['*', rest @ ..] => (0..=name.len()).any(|n| slowly(rest, &name[n..])),
            [c, rest @ ..] => name
                .split_first()
                .is_some_and(|(first, name)| (c == first || *c == '?') && slowly(rest, name)),
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_they_say(pattern in "[ab*?]{1,8}", name in "[ab]{0,8}") {
            let chars: Vec<char> = pattern.chars().collect();
            let expected = slowly(&chars, &name.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::parse(&pattern).unwrap().matches(&name), expected);
        }

        #[test]
        fn a_claim_gives_its_name_back(name in proptest::collection::vec(any::<u8>(), 1..=234), token in "[0-9a-f]{16}") {
            let claim = claim_name(&name, &token).unwrap();
            prop_assert!(claim.len() + ACK_ENDING.len() <= LONGEST_NAME);
            prop_assert_eq!(claimed_name(&claim).unwrap(), name);
        }
    }
}
