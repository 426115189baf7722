//! Table `order_concerns`.

use sea_orm::entity::prelude::*;

/// Something about an order that was told on the stream, once.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "order_concerns")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// What it is.
    pub kind: String,
    /// The order, the test or the report that it is about, as the kind says.
    pub subject_id: i64,
    /// The order.
    pub lab_order_id: Option<i64>,
    /// When it was told.
    pub raised_at: DateTimeUtc,
    /// When it was found to be over.
    pub resolved_at: Option<DateTimeUtc>,
}

super::plain_entity!("order_concern");
