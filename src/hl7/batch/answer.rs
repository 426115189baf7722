//! The answer to a batch: its acknowledgments in an envelope of their own, with the sender's delimiters and a reference
//! to what is answered (BHS-12, FHS-12).

use super::Envelope;

/// Who we are when the sender's header does not say whom it was for.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Application.
    pub application: &'a str,
    /// Facility.
    pub facility: &'a str,
}

/// The field separator of an envelope segment.
pub fn separator_of(line: &[u8]) -> u8 {
    line.get(3).copied().filter(u8::is_ascii_punctuation).unwrap_or(b'|')
}

/// The header that answers a header. Its fields are those of MSH up to 8; field 11 is its own id, 12 the id answered.
pub fn header(kind: Envelope, answered: &[u8], id: &str, time: &[u8], ours: Names<'_>) -> Vec<u8> {
    let separator = separator_of(answered);
    let fields: Vec<&[u8]> = answered.split(|byte| *byte == separator).collect();
    let field = |n: usize| fields.get(n - 1).copied().unwrap_or_default();
    let or_own = |n: usize, own: &str| match field(n) {
        b"" => own.as_bytes().to_vec(),
        sent => sent.to_vec(),
    };
    let delimiters: &[u8] = if field(2).is_empty() { b"^~\\&" } else { field(2) };
    let parts = [
        kind.name().as_bytes().to_vec(),
        delimiters.to_vec(),
        or_own(5, ours.application),
        or_own(6, ours.facility),
        field(3).to_vec(),
        field(4).to_vec(),
        time.to_vec(),
        Vec::new(),
        Vec::new(),
        Vec::new(),
        id.as_bytes().to_vec(),
        field(11).to_vec(),
    ];
    let mut line = parts.join(&separator);
    line.push(b'\r');
    line
}

/// The trailer with its count.
pub fn trailer(kind: Envelope, separator: u8, count: usize) -> Vec<u8> {
    let mut line = kind.name().as_bytes().to_vec();
    line.push(separator);
    line.extend(count.to_string().bytes());
    line.push(b'\r');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Names<'_> = Names { application: "PMS_LAB", facility: "MPS_PMS" };

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_header_is_turned_round() {
        let sent = b"BHS|^~\\&|LIS|LAB|PMS|CLINIC|20260302||name|comment|B7|";
        let answer = header(Envelope::BatchHeader, sent, "A1", b"20260303", OURS);
        assert_eq!(text(&answer), "BHS|^~\\&|PMS|CLINIC|LIS|LAB|20260303||||A1|B7\r");
        let answer = header(Envelope::FileHeader, b"FHS#*~\\&#LIS", "A2", b"", OURS);
        assert_eq!(text(&answer), "FHS#*~\\&#PMS_LAB#MPS_PMS#LIS######A2#\r");
        assert_eq!(text(&header(Envelope::BatchHeader, b"BHS", "A", b"", OURS)).matches('|').count(), 11);
    }

    #[test]
    fn a_trailer_counts() {
        assert_eq!(text(&trailer(Envelope::BatchTrailer, b'#', 12)), "BTS#12\r");
        assert_eq!(text(&trailer(Envelope::FileTrailer, separator_of(b"FHS"), 0)), "FTS|0\r");
    }
}
