//! Table `lab_reports`.

use sea_orm::entity::prelude::*;

/// One report: an OBR and what was said for all its observations.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lab_reports")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Message it came in.
    pub hl7_message_id: i64,
    /// Chart it was filed to.
    pub patient_id: i64,
    /// Order it answers.
    pub lab_order_id: Option<i64>,
    /// Test it answers.
    pub lab_order_test_id: Option<i64>,
    /// Laboratory it came from.
    pub lis_endpoint_id: i64,
    /// OBR-3.
    pub filler_order_number: Option<String>,
    /// OBR-2.
    pub placer_order_number: Option<String>,
    /// OBR-4.1.
    pub service_code: String,
    /// OBR-4.2.
    pub service_text: Option<String>,
    /// OBR-4.3.
    pub service_system: Option<String>,
    /// OBR-25.
    pub status: Option<String>,
    /// OBR-7.
    pub observed_at: Option<DateTimeUtc>,
    /// OBR-22.
    pub reported_at: Option<DateTimeUtc>,
    /// OBR-16.
    pub ordering_provider: Option<String>,
    /// Specimen as described (SPM or OBR-15).
    pub specimen: Option<String>,
    /// NTE under the OBR.
    #[sea_orm(column_type = "JsonBinary")]
    pub notes: Json,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// Specimens in detail; none where the sender named none.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub specimens: Option<Json>,
    /// It belongs to its order without being the answer to a test of it: a reflex, susceptibilities.
    pub is_child: bool,
    /// The laboratory added it by itself (OBR-11 G).
    pub is_reflex: bool,
    /// OBR-29.1, else ORC-8.1.
    pub parent_placer_number: Option<String>,
    /// OBR-29.2, else ORC-8.2.
    pub parent_filler_number: Option<String>,
    /// OBR-26.1.
    pub parent_code: Option<String>,
    /// OBR-26.2.
    pub parent_sub_id: Option<String>,
    /// OBR-26.3.
    pub parent_text: Option<String>,
    /// When a person found that it does not belong into this chart.
    pub withdrawn_at: Option<DateTimeUtc>,
    /// `specimen_rejected` or `not_done`, where the laboratory says so by it.
    pub refusal: Option<String>,
}

super::plain_entity!("lab_report");
