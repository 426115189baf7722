//! Table `lab_results`.

use sea_orm::entity::prelude::*;
use sea_orm::{Iterable, QuerySelect, Select};

/// One version of one observation. A later version supersedes it; none is ever deleted.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lab_results")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Chart it stands in.
    pub patient_id: i64,
    /// Order it answers.
    pub lab_order_id: Option<i64>,
    /// Report it is part of.
    pub lab_report_id: Option<i64>,
    /// Visit it belongs to.
    pub encounter_id: Option<i64>,
    /// Where it came from; 0 for results typed in or sent by nobody we know.
    pub lis_endpoint_id: i64,
    /// Digest of what makes two OBX the same observation.
    pub result_key: String,
    /// Counts the versions of that observation, from 1.
    pub version: i32,
    /// The version charts show.
    pub is_current: bool,
    /// OBX-3.1.
    pub test_code: String,
    /// OBX-3.2.
    pub test_name: String,
    /// OBX-3.3.
    pub code_system: Option<String>,
    /// LOINC the code is or maps to.
    pub loinc_code: Option<String>,
    /// OBX-4.
    pub sub_id: Option<String>,
    /// OBX-2.
    pub value_type: String,
    /// Value as shown.
    pub value: Option<String>,
    /// OBX-5 as received, before unescaping.
    pub raw_value: Option<String>,
    /// Number in it, for rules and charts; the text stays the truth.
    pub numeric_value: Option<f64>,
    /// `<`, `>` and the like, where the value has one.
    pub comparator: Option<String>,
    /// OBX-6.
    pub units: Option<String>,
    /// OBX-7.
    pub reference_range: Option<String>,
    /// First OBX-8.
    pub abnormal_flag: Option<String>,
    /// All OBX-8.
    #[sea_orm(column_type = "JsonBinary")]
    pub flags: Json,
    /// None where nobody said and no range decides.
    pub is_abnormal: Option<bool>,
    /// Flagged by the laboratory or by a threshold.
    pub is_critical: bool,
    /// Whether a threshold could be applied.
    pub threshold_status: String,
    /// Every reason it is critical.
    #[sea_orm(column_type = "JsonBinary")]
    pub critical_reasons: Json,
    /// Status kept (OBX-11).
    pub result_status: String,
    /// Status as received, where it differs.
    pub reported_status: Option<String>,
    /// Corrects an earlier version.
    pub is_correction: bool,
    /// Withdrawn or deleted by the laboratory.
    pub retracted: bool,
    /// MSH-4.
    pub sending_facility: Option<String>,
    /// OBR-3.
    pub filler_order_number: Option<String>,
    /// OBR-2.
    pub placer_order_number: Option<String>,
    /// OBX-14, else OBR-7, as an instant.
    pub observation_date: Option<DateTimeUtc>,
    /// The same as the sender wrote it.
    pub observation_date_text: Option<String>,
    /// How much of it the sender gave.
    pub observation_date_precision: Option<String>,
    /// The sender gave no offset; the endpoint's zone was taken.
    pub zone_assumed: bool,
    /// OBR-22.
    pub status_changed_at: Option<DateTimeUtc>,
    /// MSH-7.
    pub message_time: Option<DateTimeUtc>,
    /// OBX-23.
    pub performing_lab: Option<String>,
    /// OBX-15.
    pub producer: Option<String>,
    /// NTE under the OBX.
    #[sea_orm(column_type = "JsonBinary")]
    pub notes: Json,
    /// Leniencies used while reading it.
    #[sea_orm(column_type = "JsonBinary")]
    pub warnings: Json,
    /// Media type of the document, where the value is one.
    pub document_type: Option<String>,
    /// The document, where the value is one.
    pub document: Option<Vec<u8>>,
    /// When it came into the chart: with its message, or when a person said whose it is.
    pub received_at: DateTimeUtc,
    /// Message it came in; none for results typed in, and for those withdrawn.
    pub hl7_message_id: Option<i64>,
    /// Username of who signed it off.
    pub reviewed_by: Option<String>,
    /// When.
    pub reviewed_at: Option<DateTimeUtc>,
    /// Username of who typed it in.
    pub created_by: Option<String>,
    /// Performing laboratory, method, instrument, codes of the value, as far as they were sent.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub particulars: Option<Json>,
    /// SHA-256 of the document. A version that confirms its predecessor's document has the hash without the bytes.
    pub document_hash: Option<String>,
    /// When a person found that it does not belong into this chart. It was shown until then, so it is kept.
    pub withdrawn_at: Option<DateTimeUtc>,
}

super::plain_entity!("lab_result");

/// Rows without their documents: who reads a hundred reports must not load a hundred PDF files.
pub fn without_documents() -> Select<Entity> {
    let columns = Column::iter().filter(|column| !matches!(column, Column::Document));
    Entity::find().select_only().columns(columns).column_as(Expr::cust("NULL"), "document")
}
