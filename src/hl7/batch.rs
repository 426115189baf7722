//! Files and batches: `[FHS] ([BHS] [MSH …]* [BTS])* [FTS]`, or messages simply put one behind the
//! other. Each message goes its own way; the counts of the trailers are checked, nothing is lost.

use super::Warning;

/// The messages of a file.
#[derive(Default, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Each from its MSH to its last segment.
    pub messages: Vec<&'a [u8]>,
    /// `batch_count` when a trailer says another number; `batch_lead` when bytes before the first
    /// header belong to nothing.
    pub warnings: Vec<Warning>,
    /// Whether there was a file or batch header.
    pub has_envelope: bool,
}

impl std::fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} messages)", self.messages.len())
    }
}

/// Cuts a file into messages at each `MSH` that starts a line. Works on bytes, since every message
/// has its own character set.
pub fn split(bytes: &[u8]) -> Batch<'_> {
    let mut batch = Batch::default();
    let mut open: Option<usize> = None;
    let (mut in_batch, mut batches, mut at) = (0, 0, 0);
    for line in bytes.split_inclusive(|b| matches!(b, b'\r' | b'\n')) {
        let body = line.trim_ascii();
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let begins = body.get(..3).filter(|_| body.get(3).is_some_and(u8::is_ascii_punctuation));
        if matches!(begins, Some(b"MSH" | b"FHS" | b"BHS" | b"BTS" | b"FTS")) {
            batch.messages.extend(open.take().map(|start| &bytes[start..at]));
        }
        match begins {
            Some(b"MSH") => {
                open = Some(at);
                in_batch += 1;
            }
            Some(b"FHS" | b"BHS") => batch.has_envelope = true,
            Some(b"BTS") => {
                batch.check(body, in_batch);
                in_batch = 0;
                batches += 1;
            }
            Some(b"FTS") => batch.check(body, batches),
            _ if open.is_none() && !body.is_empty() => batch.warnings.push(Warning::new("batch_lead")),
            _ => {}
        }
        at += line.len();
    }
    batch.messages.extend(open.map(|start| &bytes[start..]));
    batch
}

impl Batch<'_> {
    /// Field 1 of a trailer is the count; empty says nothing.
    fn check(&mut self, trailer: &[u8], counted: u64) {
        let field = trailer[4..].split(|b| *b == trailer[3]).next().unwrap_or_default();
        let said = std::str::from_utf8(field).ok().map(str::trim).filter(|s| !s.is_empty());
        if said.is_some_and(|said| said.parse() != Ok(counted)) {
            self.warnings.push(Warning::new("batch_count"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(batch: &Batch<'a>) -> Vec<&'a str> {
        batch.messages.iter().filter_map(|m| std::str::from_utf8(m).ok()).map(str::trim_end).collect()
    }

    #[test]
    fn envelopes_and_bare_files() {
        let file = b"FHS|^~\\&\rBHS|^~\\&\rMSH|1\rPID|1\rMSH|2\rBTS|2\rFTS|1\r";
        let batch = split(file);
        assert_eq!(texts(&batch), ["MSH|1\rPID|1", "MSH|2"]);
        assert!(batch.has_envelope && batch.warnings.is_empty());
        let batch = split(b"\r\nMSH|1\nPID|1\n\nMSH|2\n");
        assert_eq!(texts(&batch), ["MSH|1\nPID|1", "MSH|2"]);
        assert!(!batch.has_envelope);
        assert_eq!(split(b"BHS|^~\\&\rBTS|0\r"), Batch { has_envelope: true, ..Batch::default() });
    }

    #[test]
    fn wrong_counts_and_lost_bytes_are_told() {
        let codes = |bytes| split(bytes).warnings.iter().map(|w| w.code).collect::<Vec<_>>();
        assert_eq!(codes(b"BHS|x\rMSH|1\rBTS|2\r"), ["batch_count"]);
        assert_eq!(codes(b"BHS|x\rMSH|1\rBTS|\rFTS|9"), ["batch_count"]);
        assert_eq!(codes(b"hello\rMSH|1"), ["batch_lead"]);
    }
}
