use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    order::strings,
    surroundings::{ParentView, ParticularsView, SpecimenView},
};
use crate::store::entity::lab_result;

/// One version of a result.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = LabResult)]
pub struct ResultView {
    /// Id of this version.
    pub id: i64,
    /// The patient.
    pub patient_id: i64,
    /// The order it answers, when known.
    pub lab_order_id: Option<i64>,
    /// The visit, when known.
    pub encounter_id: Option<i64>,
    /// Code as sent (OBX-3.1).
    pub test_code: String,
    /// Name as sent (OBX-3.2).
    pub test_name: String,
    /// LOINC code, sent or mapped.
    pub loinc_code: Option<String>,
    /// Value type (OBX-2).
    pub value_type: String,
    /// The value as a reader sees it.
    pub value: Option<String>,
    /// The value as sent (OBX-5).
    pub raw_value: Option<String>,
    /// The number in the value, when it is one.
    pub numeric_value: Option<f64>,
    /// `<`, `<=`, `>` or `>=` in front of the number.
    pub comparator: Option<String>,
    /// Units as sent (OBX-6).
    pub units: Option<String>,
    /// Reference range as sent (OBX-7).
    pub reference_range: Option<String>,
    /// Interpretation as sent (OBX-8), repetitions joined by `~`. Null: the lab sent none, which is not "normal".
    pub abnormal_flag: Option<String>,
    /// Whether a flag says abnormal; null when there is no flag.
    pub is_abnormal: Option<bool>,
    /// Whether the flag or a threshold makes it critical.
    pub is_critical: bool,
    /// `critical`, `not_critical`, `not_evaluated` or `no_rule`.
    pub threshold_status: String,
    /// Status shown (table 0085): `F` final, `P` preliminary, `C` corrected, …; `unknown` when none was sent.
    pub result_status: String,
    /// 1 for the first report of this observation.
    pub version: i32,
    /// Whether this is the version charts show; false once a later one took its place.
    pub is_current: bool,
    /// Whether the lab took the value back (D or W).
    pub retracted: bool,
    /// When a person found that it does not belong into this chart; it stays in the history of what was shown.
    pub withdrawn_at: Option<DateTime<Utc>>,
    /// Who sent it (MSH-4).
    pub sending_facility: Option<String>,
    /// The lab's order number (OBR-3).
    pub filler_order_number: Option<String>,
    /// Performing laboratory (OBX-23).
    pub performing_lab: Option<String>,
    /// When the specimen was taken or the observation made; null when only a day is known, see the text.
    pub observation_date: Option<DateTime<Utc>>,
    /// The time as sent.
    pub observation_date_text: Option<String>,
    /// Whether the sender left the zone out and ours was taken.
    pub zone_assumed: bool,
    /// When it came into the chart: with its message, or when a person said whose it is.
    pub received_at: DateTime<Utc>,
    /// Whether a clinician has reviewed it.
    pub acknowledged: bool,
    /// Who reviewed it.
    pub reviewed_by: Option<String>,
    /// Comments of the lab (NTE).
    pub notes: Vec<String>,
    /// Tells apart what one report holds more than once under one code, such as organisms (OBX-4).
    pub sub_id: Option<String>,
    /// What was odd about this version, such as `f_changed_without_c`.
    pub warnings: Vec<String>,
    /// Media type of the document that is the value; see `/api/lab-results/{id}/document`.
    pub document_type: Option<String>,
    /// How it came about.
    pub particulars: Option<ParticularsView>,
    /// The report it is part of.
    pub lab_report_id: Option<i64>,
    /// The first specimen.
    pub specimen: Option<SpecimenView>,
    /// All specimens.
    pub specimens: Vec<SpecimenView>,
    /// What its report hangs on, such as an organism.
    pub parent: Option<ParentView>,
    /// The parent result, once it is here.
    pub parent_result_id: Option<i64>,
    /// The lab added the test by itself.
    pub is_reflex: bool,
    /// The message it came in.
    pub hl7_message_id: Option<i64>,
}

/// A critical result with the alert that it raised.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = CriticalLabResult)]
pub struct CriticalResultView {
    /// The result.
    #[serde(flatten)]
    pub result: ResultView,
    /// Its alert.
    pub alert_id: Option<i64>,
}

impl From<lab_result::Model> for ResultView {
    fn from(row: lab_result::Model) -> Self {
        Self {
            id: row.id,
            patient_id: row.patient_id,
            lab_order_id: row.lab_order_id,
            encounter_id: row.encounter_id,
            test_code: row.test_code,
            test_name: row.test_name,
            loinc_code: row.loinc_code,
            value_type: row.value_type,
            value: row.value,
            raw_value: row.raw_value,
            numeric_value: row.numeric_value,
            comparator: row.comparator,
            units: row.units,
            reference_range: row.reference_range,
            abnormal_flag: row.abnormal_flag,
            is_abnormal: row.is_abnormal,
            is_critical: row.is_critical,
            threshold_status: row.threshold_status,
            result_status: row.result_status,
            version: row.version,
            is_current: row.is_current,
            retracted: row.retracted,
            withdrawn_at: row.withdrawn_at,
            sending_facility: row.sending_facility,
            filler_order_number: row.filler_order_number,
            performing_lab: row.performing_lab,
            observation_date: row.observation_date,
            observation_date_text: row.observation_date_text,
            zone_assumed: row.zone_assumed,
            received_at: row.received_at,
            acknowledged: row.reviewed_at.is_some(),
            reviewed_by: row.reviewed_by,
            notes: strings(&row.notes),
            sub_id: row.sub_id,
            warnings: strings(&row.warnings),
            document_type: row.document_type,
            particulars: row.particulars.and_then(|json| serde_json::from_value(json).ok()),
            lab_report_id: row.lab_report_id,
            specimen: None,
            specimens: Vec::new(),
            parent: None,
            parent_result_id: None,
            is_reflex: false,
            hl7_message_id: row.hl7_message_id,
        }
    }
}
