//! What a reader sees of a value, and the document in it.

use crate::{
    domain::report::Document,
    hl7::{
        Warning,
        document::{self, describe, length},
        observation::Observation,
        value::Content,
    },
    security::{hex, sha256},
};

/// Text of this many bytes that came as a document is also shown as the value.
const SHOWN_TEXT: usize = 100_000;
/// Data that cannot be decoded are shown as they came up to this length.
const SHOWN_DATA: usize = 1_000;

/// The value as a reader sees it, and the document in it. A document that cannot be decoded is kept as sent and said so.
pub(super) fn shown(sent: &Observation, warnings: &mut Vec<Warning>) -> (Option<String>, Option<Document>) {
    let shown = (!sent.value.is_absent()).then(|| sent.value.display.clone());
    let Content::Document(document) = &sent.value.content else { return (shown, None) };
    let Ok(bytes) = document.bytes() else {
        warnings.push(Warning::at("document_unreadable", sent.location.field(5)));
        let data = document.data();
        let value = if data.len() <= SHOWN_DATA {
            data.to_owned()
        } else {
            format!("Document that cannot be decoded, {} as sent", length(data.len()))
        };
        return (Some(value), Some(kept("text/plain", data.as_bytes().to_vec())));
    };
    let media_type = document.media_type(&bytes);
    (Some(words(document, media_type, &bytes, shown)), Some(kept(media_type, bytes)))
}

fn kept(media_type: &str, bytes: Vec<u8>) -> Document {
    Document { media_type: media_type.to_owned(), hash: hex(&sha256(&bytes)), bytes }
}

/// A text is shown as it reads; anything else by what it is and how long.
fn words(document: &document::Document, media_type: &str, bytes: &[u8], plain: Option<String>) -> String {
    if bytes.len() <= SHOWN_TEXT && !bytes.contains(&0) {
        if document.is_plain() {
            return plain.unwrap_or_default();
        }
        if let ("text/plain", Ok(text)) = (media_type, std::str::from_utf8(bytes)) {
            return text.replace("\r\n", "\n").replace('\r', "\n");
        }
    }
    describe(media_type, bytes.len())
}
