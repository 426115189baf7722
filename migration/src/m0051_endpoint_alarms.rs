//! Alarms about LIS endpoints, one row from when the trouble was found to when it was over.

use sea_orm_migration::prelude::*;

use crate::column::{big, id, opt, ts, varchar};
use crate::create_table::{CreateTable, EMPTY};

const TABLE: CreateTable = CreateTable {
    name: "m0051_endpoint_alarms",
    table: "endpoint_alarms",
    columns: || {
        vec![
            id(),
            big("lis_endpoint_id"),
            varchar("kind", 20),
            ts("since"),
            opt(big("usual_gap_seconds")),
            big("limit_seconds"),
            ts("opened_at"),
            opt(ts("closed_at")),
            opt(varchar("closed_reason", 20)),
        ]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    indexes: &[&["lis_endpoint_id", "id"]],
    partial: &[(&["id"], "closed_at IS NULL")],
    ..EMPTY
};

/// Creates the table, and the key that lets one alarm of a kind be open for an endpoint, whichever process opens it.
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
        manager.create_index(one_open()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        TABLE.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        TABLE.use_transaction()
    }
}

fn one_open() -> IndexCreateStatement {
    Index::create()
        .name("uq_endpoint_alarms_open")
        .table(TABLE.table)
        .col("lis_endpoint_id")
        .col("kind")
        .unique()
        .and_where(Expr::cust("closed_at IS NULL"))
        .to_owned()
}
