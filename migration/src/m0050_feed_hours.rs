//! When each sender is heard, hour by hour: what was learnt outlives the messages it was learnt from.

use sea_orm_migration::prelude::*;

use crate::add_columns::AddColumns;
use crate::column::{big, id, int, or, ts};
use crate::create_table::{CreateTable, EMPTY};

const HOURS: CreateTable = CreateTable {
    name: "m0050_feed_hours",
    table: "feed_hours",
    columns: || {
        vec![id(), big("lis_endpoint_id"), ts("hour_start"), int("messages"), big("longest_gap_seconds")]
    },
    foreign_keys: &[("lis_endpoint_id", "lis_endpoints")],
    unique: &[("uq_feed_hours_hour", &["lis_endpoint_id", "hour_start"])],
    ..EMPTY
};

/// How far the messages of an endpoint were counted.
const ENDPOINTS: AddColumns = AddColumns {
    name: "m0050_feed_hours",
    table: "lis_endpoints",
    columns: || vec![or(big("heard_to_id"), 0_i64)],
    indexes: &[],
};

/// Creates `feed_hours` and extends `lis_endpoints`.
pub(crate) struct Step;

/// The step as the migrator takes it.
pub(crate) const STEP: Step = Step;

impl MigrationName for Step {
    fn name(&self) -> &str {
        HOURS.name()
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        HOURS.up(manager).await?;
        ENDPOINTS.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ENDPOINTS.down(manager).await?;
        HOURS.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
