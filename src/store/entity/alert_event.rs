//! Table `alert_events`.

use sea_orm::entity::prelude::*;

/// One event of the alert stream; its id is the stream's event id.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alert_events")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Event name.
    pub kind: String,
    /// Alert it is about.
    pub alert_id: Option<i64>,
    /// Chart it is about; no foreign key, since the stream only filters by it.
    pub patient_id: Option<i64>,
    /// Order it is about; no foreign key, as above.
    pub lab_order_id: Option<i64>,
    /// Data of the event as sent.
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    /// When the row was written.
    pub created_at: DateTimeUtc,
}

super::plain_entity!("alert_event");
