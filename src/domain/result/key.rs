//! What makes two reports the same observation.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::ids::EndpointId;

/// The order a result belongs to, as its sender numbers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "number", rename_all = "snake_case")]
pub enum OrderRef {
    /// OBR-3.
    Filler(String),
    /// OBR-2, when there is no filler number.
    Placer(String),
    /// Neither was sent. The message's own control id stands in, so such results replace nothing: without a
    /// number, a second potassium of the day cannot be told from a correction of the first.
    Unnumbered(String),
}

impl OrderRef {
    /// Picks the number the identity rests on.
    pub fn choose(filler: Option<&str>, placer: Option<&str>, control_id: &str) -> Self {
        let sent = |number: Option<&str>| {
            number.map(str::trim).filter(|number| !number.is_empty()).map(ToOwned::to_owned)
        };
        sent(filler)
            .map(Self::Filler)
            .or_else(|| sent(placer).map(Self::Placer))
            .unwrap_or_else(|| Self::Unnumbered(control_id.to_owned()))
    }

    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Filler(number) => ("F", number),
            Self::Placer(number) => ("P", number),
            Self::Unnumbered(control_id) => ("U", control_id),
        }
    }
}

/// The identity of an observation over all its versions. OBX-1 is no part of it: it only counts lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResultKey {
    /// Who reports. Two laboratories may use the same numbers.
    pub endpoint: EndpointId,
    /// Filler number, else placer number.
    pub order: OrderRef,
    /// OBR-4.1.
    pub service_code: String,
    /// OBX-3.1.
    pub observation_code: String,
    /// OBX-4.
    pub sub_id: String,
    /// OBX-14 as sent, only where one message carries the same observation more than once.
    pub observed_at: Option<String>,
    /// Counts those that even the time does not tell apart, from 1.
    pub occurrence: Option<u32>,
}

impl ResultKey {
    /// The identity as one text. Every part carries its length, so no content of one part can pass for the
    /// border between two.
    pub fn canonical(&self) -> String {
        let (kind, number) = self.order.parts();
        let endpoint = self.endpoint.to_string();
        let occurrence = self.occurrence.map(|n| n.to_string());
        let parts = [
            Some(endpoint.as_str()),
            Some(kind),
            Some(number),
            Some(self.service_code.trim()),
            Some(self.observation_code.trim()),
            Some(self.sub_id.trim()),
            self.observed_at.as_deref().map(str::trim),
            occurrence.as_deref(),
        ];
        parts
            .iter()
            .map(|part| part.map_or_else(|| "-;".to_owned(), |text| format!("{}:{text};", text.len())))
            .collect()
    }

    /// The key for the database: the digest of [`Self::canonical`] in hex. The digest is passed in because
    /// cryptography does not live here; it has to be a collision-resistant one, since the contents come from
    /// outside and the texts have no bounded length.
    pub fn hex(&self, digest: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
        digest(self.canonical().as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
            use fmt::Write;
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
