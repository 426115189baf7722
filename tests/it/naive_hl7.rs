//! HL7 read the plain way, for tests that check the service's own reading: split at line ends, at the separators of MSH, and
//! nothing else. It shares no code with the product on purpose.

/// A message, as far as a test has to know it.
pub(crate) struct Sent {
    /// Its lines with their ends, from MSH to the next one.
    pub(crate) bytes: Vec<u8>,
    /// MSH-10.
    pub(crate) control_id: String,
    /// Whether nobody answers it: an acknowledgment, or one that wants none when all is well (MSH-15, MSH-16).
    pub(crate) is_silent: bool,
    /// OBX segments.
    pub(crate) observations: usize,
    /// The first PID that names a patient.
    pub(crate) patient: Option<Named>,
}

/// A patient as PID names one.
#[derive(Clone)]
pub(crate) struct Named {
    pub(crate) number: String,
    pub(crate) authority: String,
    pub(crate) family: String,
    pub(crate) given: String,
    /// Eight digits, or nothing.
    pub(crate) born: String,
}

/// MSA with what its ERR say.
pub(crate) struct Told {
    /// MSA-1.
    pub(crate) code: String,
    /// MSA-2.
    pub(crate) control_id: String,
    /// Codes of table 0357, other than 0.
    pub(crate) errors: Vec<String>,
    /// Observations that were left aside.
    pub(crate) left_aside: usize,
}

/// The messages in bytes: each line that begins with MSH and a separator begins one.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Sent> {
    let mut messages: Vec<Sent> = Vec::new();
    for line in lines(bytes) {
        let bare = bare(line);
        match segment(bare) {
            Some(("MSH", separator)) => messages.push(begin(bare, separator)),
            Some(("OBX", _)) => {
                messages.iter_mut().last().into_iter().for_each(|last| last.observations += 1);
            }
            Some(("PID", separator)) => {
                if let Some(last) = messages.last_mut() {
                    last.patient = last.patient.take().or_else(|| named(&text(bare), separator));
                }
            }
            Some(("BHS" | "FHS" | "BTS" | "FTS", _)) => continue,
            _ => {}
        }
        if let Some(last) = messages.last_mut() {
            last.bytes.extend_from_slice(line);
        }
    }
    messages
}

/// The acknowledgments in an answer; a batch answers with several.
pub(crate) fn acknowledgments(answer: &[u8]) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    let mut marks = vec!['^', '~', '\\', '&'];
    for line in lines(answer) {
        let line = text(bare(line));
        let Some(separator) = line.chars().nth(3) else { continue };
        let fields: Vec<&str> = line.split(separator).collect();
        match fields[0] {
            "MSH" => marks = fields[1].chars().collect(),
            "MSA" => told.push(Told {
                code: fields[1].to_owned(),
                control_id: fields.get(2).unwrap_or(&"").trim().to_owned(),
                errors: Vec::new(),
                left_aside: 0,
            }),
            "ERR" => told.iter_mut().last().into_iter().for_each(|last| errors(last, &fields, &marks)),
            _ => {}
        }
    }
    told
}

/// From 2.5 on: the place in ERR-2, the code in ERR-3. Before: one ERR-1 that repeats, the code in its fourth component.
fn errors(told: &mut Told, fields: &[&str], marks: &[char]) {
    let field = |n: usize| fields.get(n).copied().unwrap_or_default();
    let mut note = |place: &str, code: &str| match code {
        "0" if place.starts_with("OBX") => told.left_aside += 1,
        "0" | "" => {}
        code => told.errors.push(code.to_owned()),
    };
    if field(3).is_empty() {
        for repetition in field(1).split(marks[1]) {
            let parts: Vec<&str> = repetition.split(marks[0]).collect();
            note(parts[0], parts.get(3).and_then(|code| code.split(marks[3]).next()).unwrap_or_default());
        }
    } else {
        note(field(2), field(3).split(marks[0]).next().unwrap_or_default());
    }
}

/// With their ends. The bytes of MLLP end a line too.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n' | 0x0b | 0x1c))
}

/// Without blanks, ends and byte order mark.
fn bare(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0x0b | 0x1c | 0xef | 0xbb | 0xbf);
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    line[start..].trim_ascii_end()
}

fn segment(line: &[u8]) -> Option<(&str, char)> {
    let separator = *line.get(3).filter(|byte| byte.is_ascii_punctuation())?;
    Some((std::str::from_utf8(&line[..3]).ok()?, char::from(separator)))
}

/// One character a byte, which is as good as any set for what is compared here.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn begin(line: &[u8], separator: char) -> Sent {
    let line = text(line);
    let fields: Vec<&str> = line.split(separator).collect();
    let field = |n: usize| fields.get(n - 1).map_or("", |field| field.trim());
    // Original mode where both are empty; otherwise each asks for itself.
    let original = field(15).is_empty() && field(16).is_empty();
    let is_asked = |n: usize| matches!(field(n), "AL" | "SU");
    let due = original || is_asked(15) || is_asked(16);
    Sent {
        bytes: Vec::new(),
        control_id: field(10).to_owned(),
        is_silent: field(9).starts_with("ACK") || !due,
        observations: 0,
        patient: None,
    }
}

/// With the usual marks only: who writes others is not among the patients of a test.
fn named(line: &str, separator: char) -> Option<Named> {
    let fields: Vec<&str> = line.split(separator).collect();
    let part = |field: usize, component: usize| {
        let first = fields.get(field).and_then(|field| field.split('~').next()).unwrap_or_default();
        let part = first.split('^').nth(component - 1).unwrap_or_default();
        part.split('&').find(|part| !part.is_empty()).unwrap_or_default().trim().to_owned()
    };
    let digits: String = part(7, 1).chars().take_while(char::is_ascii_digit).take(8).collect();
    let named = Named {
        number: part(3, 1),
        authority: part(3, 4),
        family: part(5, 1),
        given: part(5, 2),
        born: if digits.len() == 8 { digits } else { String::new() },
    };
    (!named.number.is_empty() && !named.family.is_empty()).then_some(named)
}
