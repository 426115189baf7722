//! Table `lab_orders`.

use sea_orm::entity::prelude::*;

/// A laboratory order for one patient; its tests are rows of `lab_order_tests`.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lab_orders")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// For whom.
    pub patient_id: i64,
    /// During which visit.
    pub encounter_id: Option<i64>,
    /// Codes as ordered, before panels are expanded.
    #[sea_orm(column_type = "JsonBinary")]
    pub test_codes: Json,
    /// Who ordered.
    pub ordering_provider: String,
    /// `R` routine, `S` stat and the like.
    pub priority: String,
    /// Moves only through the order state machine.
    pub status: String,
    /// Our number for the whole order (ORC-4 where tests are numbered apart).
    pub placer_order_number: String,
    /// The laboratory's number, once known.
    pub filler_order_number: Option<String>,
    /// Message that carried it; no foreign key, since messages point at orders too.
    pub hl7_message_id: Option<i64>,
    /// Laboratory it goes to.
    pub lis_endpoint_id: Option<i64>,
    /// ICD codes given with the order.
    #[sea_orm(column_type = "JsonBinary")]
    pub diagnosis_codes: Json,
    /// Free text for the laboratory.
    pub note: Option<String>,
    /// Key the client gave, if any; looked up within its caller. Not a unique key, since a
    /// nullable column decides nothing.
    pub idempotency_key: Option<String>,
    /// Digest of that request: the same key with another body is an error.
    pub request_hash: Option<String>,
    /// Why it stands where it stands.
    pub status_reason: Option<String>,
    /// Username of who placed it.
    pub created_by: String,
    /// When it was placed.
    pub created_at: DateTimeUtc,
    /// When the laboratory had the bytes.
    pub sent_at: Option<DateTimeUtc>,
    /// When the laboratory accepted it.
    pub acknowledged_at: Option<DateTimeUtc>,
    /// When its last test was resulted.
    pub resulted_at: Option<DateTimeUtc>,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// Whose message placed it; 0 is a sender that no endpoint names, and NULL one of our own people.
    pub source_endpoint_id: Option<i64>,
    /// What only imaging needs, such as accession number and modality.
    #[sea_orm(column_type = "JsonBinary")]
    pub imaging: Option<Json>,
    /// When it is to be done, where that is stated; no result is awaited before.
    pub scheduled_at: Option<DateTimeUtc>,
}

super::plain_entity!("lab_order");
