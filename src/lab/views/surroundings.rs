use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::entity::lab_report;

/// What was examined. Times are as sent.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Specimen)]
pub struct SpecimenView {
    /// The lab's number, else ours.
    pub id: Option<String>,
    /// Kind in words.
    pub kind: Option<String>,
    /// Code of the kind.
    pub kind_code: Option<String>,
    /// Where on the body it was taken.
    pub site: Option<String>,
    /// How it was taken.
    pub collection_method: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// When it was taken.
    pub collected_at: Option<String>,
    /// When the lab received it.
    pub received_at: Option<String>,
    /// Why the lab rejected it.
    pub reject_reason: Option<String>,
    /// Its condition.
    pub condition: Option<String>,
}

/// The order and the result that a report hangs on.
#[derive(Clone, Default, Serialize, ToSchema)]
#[schema(as = ParentResult)]
pub struct ParentView {
    /// Code of the parent result (OBR-26.1).
    pub code: Option<String>,
    /// Its sub-id (OBR-26.2).
    pub sub_id: Option<String>,
    /// Its text, as the child tells it (OBR-26.3).
    pub text: Option<String>,
    /// Placer number of the parent order (OBR-29.1).
    pub placer_order_number: Option<String>,
    /// Filler number of the parent order (OBR-29.2).
    pub filler_order_number: Option<String>,
    /// The current version of the parent result, once it is here and no other fits as well.
    pub result_id: Option<i64>,
}

/// How a result came about.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ResultParticulars)]
pub struct ParticularsView {
    /// Number of the performing lab (OBX-23).
    pub performing_lab_id: Option<String>,
    /// Its address (OBX-24).
    pub performing_lab_address: Option<String>,
    /// Its medical director (OBX-25).
    pub performing_lab_director: Option<String>,
    /// Who observed (OBX-16).
    pub observer: Option<String>,
    /// Method (OBX-17).
    pub method: Option<String>,
    /// Instrument (OBX-18).
    pub equipment: Option<String>,
    /// Time of the analysis, as sent (OBX-19).
    pub analysed_at: Option<String>,
    /// Codes of a coded value.
    #[serde(default)]
    pub codes: Vec<ValueCodeView>,
}

/// One code of a coded value.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ValueCode)]
pub struct ValueCodeView {
    /// The code.
    pub code: Option<String>,
    /// Its text.
    pub text: Option<String>,
    /// Its system.
    pub system: Option<String>,
}

/// The specimens in a row.
pub(crate) fn specimens(row: &lab_report::Model) -> Vec<SpecimenView> {
    let json = row.specimens.clone().unwrap_or_default();
    serde_json::from_value(json).unwrap_or_default()
}

/// The parent in a row; none when nothing was said of one.
pub(crate) fn parent(row: &lab_report::Model) -> Option<ParentView> {
    let told = [&row.parent_code, &row.parent_placer_number, &row.parent_filler_number];
    told.iter().any(|part| part.is_some()).then(|| ParentView {
        code: row.parent_code.clone(),
        sub_id: row.parent_sub_id.clone(),
        text: row.parent_text.clone(),
        placer_order_number: row.parent_placer_number.clone(),
        filler_order_number: row.parent_filler_number.clone(),
        result_id: None,
    })
}
