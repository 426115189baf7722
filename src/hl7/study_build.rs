//! What only imaging needs of an order, written where Medsynapse PACS has it in HL7 2.3: accession number in OBR-2, priority in
//! OBR-5, station in OBR-18, location in OBR-20, AE title in OBR-21, modality in OBR-24, start in OBR-36.

use super::build::SegmentWriter;

/// A study to be done.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StudyOut {
    /// OBR-2: the number under which the pictures are filed; without one the placer number stands there.
    pub accession: String,
    /// OBR-18.
    pub station: String,
    /// OBR-20.
    pub location: String,
    /// OBR-21: name of the device on its network.
    pub ae_title: String,
    /// OBR-24, such as `CT`.
    pub modality: String,
    /// OBR-36, as HL7 writes times.
    pub starts_at: String,
}

super::redact_debug!(StudyOut);

impl StudyOut {
    pub(super) fn write<'w>(&self, obr: SegmentWriter<'w>, priority: &str) -> SegmentWriter<'w> {
        obr.text(5, priority)
            .text(18, &self.station)
            .text(20, &self.location)
            .text(21, &self.ae_title)
            .text(24, &self.modality)
            .text(36, &self.starts_at)
    }
}
