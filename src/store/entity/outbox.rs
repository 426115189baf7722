//! Table `outbox`.

use sea_orm::entity::prelude::*;

/// One message to be delivered to one endpoint, in order of id.
#[derive(Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Row id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// To whom.
    pub lis_endpoint_id: i64,
    /// What; one delivery per message.
    pub hl7_message_id: i64,
    /// Order it carries.
    pub lab_order_id: Option<i64>,
    /// What it asks for, such as a new order or a cancellation.
    pub kind: String,
    /// `queued`, `sent`, `dead` or `cancelled`.
    pub status: String,
    /// Attempts made.
    pub attempts: i32,
    /// Not before.
    pub next_attempt_at: DateTimeUtc,
    /// MSA-1 of the last attempt.
    pub last_code: Option<String>,
    /// Why the last attempt failed; never content.
    pub last_error: Option<String>,
    /// When the row was written.
    pub created_at: DateTimeUtc,
    /// When it was sent, given up or cancelled.
    pub finished_at: Option<DateTimeUtc>,
}

super::plain_entity!("outbox");
