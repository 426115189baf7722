//! A document that was too long for one OBX: its parts follow each other under the same code.

use super::Warning;
use super::document::{Document, can_continue};
use super::observation::Observation;
use super::value::Content;

/// Puts the parts of such documents together, in the observation that begins the document. The others stay, and say what
/// they were part of: no observation may vanish.
pub(super) fn join(observations: &mut [Observation], warnings: &mut Vec<Warning>) {
    let mut first = 0;
    while first + 1 < observations.len() {
        let (before, after) = observations.split_at_mut(first + 1);
        let head = &mut before[first];
        let parts = match &head.value.content {
            Content::Document(document) if head.code == after[0].code && !document.is_whole() => {
                after.iter().take_while(|next| next.code == head.code && part(next).is_some()).count()
            }
            _ => 0,
        };
        if let (Content::Document(document), 1..) = (&mut head.value.content, parts) {
            take_in(document, &mut after[..parts]);
            warnings.push(Warning::at("document_in_parts", head.location.field(5)));
        }
        first += 1 + parts;
    }
}

/// What an observation could add to a document.
fn part(observation: &Observation) -> Option<&str> {
    let value = &observation.value;
    let data = match &value.content {
        // One that begins as a document is another document.
        Content::Document(document) => document.tail()?,
        Content::Text | Content::Coded(_) | Content::Number | Content::Other => &value.raw,
        _ => return None,
    };
    let data = data.trim_end();
    can_continue(data).then_some(data)
}

fn take_in(document: &mut Document, parts: &mut [Observation]) {
    let of = parts.len() + 1;
    for (number, observation) in (2..).zip(parts) {
        if let Some(data) = part(observation) {
            document.append(data);
        }
        let value = &mut observation.value;
        value.display = format!("Part {number} of {of} of a document");
        value.raw.clear();
        value.numeric = None;
        value.content = Content::Text;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::hl7::message::Message;
    use crate::hl7::oru::Oru;
    use crate::hl7::value::Content;
    use base64::Engine;

    fn read(lines: &[String]) -> (Vec<(String, Option<usize>)>, Vec<&'static str>) {
        let body = lines.join("\r");
        let text =
            format!("MSH|^~\\&|L|F|P|M|20240101+0000||ORU^R01^ORU_R01|1|P|2.5.1\rPID|||1\rOBR|1\r{body}");
        let view = Oru::read(&Message::parse(&text).unwrap()).unwrap();
        let shown = view.observations().map(|o| {
            let length = match &o.value.content {
                Content::Document(document) => document.bytes().ok().map(|bytes| bytes.len()),
                _ => None,
            };
            (o.value.display.clone(), length)
        });
        let codes = view.warnings.iter().map(|w| w.code).filter(|c| c.starts_with("document")).collect();
        (shown.collect(), codes)
    }

    fn pdf() -> Vec<u8> {
        [b"%PDF-1.4\n".as_slice(), &[b'x'; 200], b"\n%%EOF\n"].concat()
    }

    fn obx(kind: &str, code: &str, value: &str) -> String {
        format!("OBX|1|{kind}|{code}^Report^L||{value}||||||F")
    }

    #[test]
    fn parts_are_put_together() {
        let engine = base64::engine::general_purpose::STANDARD;
        let data = engine.encode(pdf());
        let cut = |shape: fn(&str) -> String| -> Vec<String> {
            data.as_bytes().chunks(60).map(|c| shape(std::str::from_utf8(c).unwrap())).collect()
        };
        let encoded_apart: Vec<String> =
            pdf().chunks(50).map(|chunk| obx("TX", "PDF", &engine.encode(chunk))).collect();
        let kinds = [
            cut(|data| obx("TX", "PDF", data)),
            cut(|data| obx("ED", "PDF", &format!("^application^pdf^Base64^{data}"))),
            cut(|data| obx("CE", "PDF", data)),
            encoded_apart,
        ];
        for mut lines in kinds {
            lines.push(obx("TX", "NOTE", "NEGATIVE"));
            let (shown, warnings) = read(&lines);
            assert_eq!(shown[0].1, Some(pdf().len()), "{}", lines[0]);
            let parts = lines.len() - 1;
            assert_eq!(shown[1], (format!("Part 2 of {parts} of a document"), None));
            assert_eq!(shown.last().unwrap().0, "NEGATIVE");
            assert_eq!(
                (shown.len(), warnings),
                (
                    lines.len(),
                    vec!["document_in_text", "document_in_parts"][usize::from(lines[0].contains("|ED|"))..]
                        .to_vec()
                )
            );
        }
    }

    #[test]
    fn a_whole_document_takes_nothing_in() {
        let data = base64::engine::general_purpose::STANDARD.encode(pdf());
        let lines = [obx("TX", "PDF", &data), obx("TX", "PDF", "NEGATIVE"), obx("TX", "PDF", &data)];
        let (shown, _) = read(&lines);
        assert_eq!(shown[1].0, "NEGATIVE");
        assert_eq!((shown[0].1, shown[2].1), (Some(pdf().len()), Some(pdf().len())));
        let cut =
            [obx("TX", "PDF", &data[..60]), obx("TX", "TEXT", "NEGATIVE"), obx("TX", "PDF", "see paper")];
        assert_eq!(read(&cut).0[1].0, "NEGATIVE", "another code");
        let cut = [obx("TX", "PDF", &data[..60]), obx("TX", "PDF", "see the paper")];
        assert_eq!(read(&cut).0[1].0, "see the paper");
    }
}
