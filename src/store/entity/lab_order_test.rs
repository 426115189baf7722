//! Table `lab_order_tests`.

use sea_orm::entity::prelude::*;

/// One test of an order.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lab_order_tests")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Order it belongs to.
    pub lab_order_id: i64,
    /// Place in the order, from 1.
    pub position: i32,
    /// Code as sent (OBR-4.1).
    pub test_code: String,
    /// Name as sent (OBR-4.2).
    pub test_name: Option<String>,
    /// Coding system of the code.
    pub code_system: String,
    /// LOINC the code maps to.
    pub loinc_code: Option<String>,
    /// Number a result comes back with (OBR-2).
    pub placer_order_number: String,
    /// The laboratory's number, once known.
    pub filler_order_number: Option<String>,
    /// State of this test alone.
    pub status: String,
    /// When the row last changed.
    pub updated_at: DateTimeUtc,
    /// Number that somebody else ordered it under through us (ORC-2 of their message).
    pub outside_placer_number: Option<String>,
    /// Name space of that number, when one was sent.
    pub outside_placer_namespace: Option<String>,
}

super::plain_entity!("lab_order_test");
