//! LIS endpoints, with row 0 for the sender that no endpoint names.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::prelude::{DateTimeUtc, Json};

use crate::column::{flag, id, int, json, opt, or, text, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

/// Creates `lis_endpoints`.
const TABLE: CreateTable = CreateTable {
    name: "m0004_lis_endpoints",
    table: "lis_endpoints",
    columns: || {
        vec![
            id(),
            text("name"),
            opt(text("host")),
            opt(int("port")),
            varchar("direction", 10),
            or(flag("enabled"), true),
            or(flag("paused"), false),
            or(flag("is_default"), false),
            or(flag("tls"), false),
            or(flag("allow_plaintext"), false),
            opt(text("client_cert_fingerprint")),
            json("allowed_networks"),
            text("receiving_application"),
            text("receiving_facility"),
            opt(text("sending_application")),
            opt(text("sending_facility")),
            or(varchar("order_message", 10), "ORM_O01"),
            or(varchar("hl7_version", 10), "2.5.1"),
            or(varchar("ack_mode", 10), "auto"),
            opt(varchar("charset", 30)),
            or(varchar("time_zone", 60), "UTC"),
            json("profile"),
            opt(ts("last_message_at")),
            or(varchar("connection_state", 20), "idle"),
            opt(text("connection_detail")),
            opt(text("lease_owner")),
            opt(ts("lease_until")),
            ts("created_at"),
            ts("updated_at"),
            opt(ts("deleted_at")),
        ]
    },
    unique: &[("uq_lis_endpoints_name", &["name"])],
    ..EMPTY
};

/// Creates the table and the loopback sender in it.
pub(crate) struct Step;

/// The step as the migrator takes it.
pub(crate) const STEP: Step = Step;

impl MigrationName for Step {
    fn name(&self) -> &str {
        TABLE.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        TABLE.up(manager).await?;
        manager.execute(loopback()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        TABLE.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        TABLE.use_transaction()
    }
}

/// Row 0: messages and results of a sender that no endpoint names point here, so that the endpoint
/// can stand in unique keys without being NULL. The explicit id takes nothing from the sequence.
/// Its times are the epoch: a step has no clock, and the row is older than anything that happens.
fn loopback() -> InsertStatement {
    let no_entries: [(String, Json); 0] = [];
    Query::insert()
        .into_table("lis_endpoints")
        .columns([
            "id",
            "name",
            "direction",
            "allowed_networks",
            "receiving_application",
            "receiving_facility",
            "profile",
            "created_at",
            "updated_at",
        ])
        .values_panic([
            0_i64.into(),
            "(loopback)".into(),
            "inbound".into(),
            Json::Array(Vec::new()).into(),
            "".into(),
            "".into(),
            Json::from_iter(no_entries).into(),
            DateTimeUtc::UNIX_EPOCH.into(),
            DateTimeUtc::UNIX_EPOCH.into(),
        ])
        .to_owned()
}
