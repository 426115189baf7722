//! Reports by which a laboratory refuses, and orders that are to be done at a stated time.

use sea_orm_migration::prelude::*;

use crate::add_columns::AddColumns;
use crate::column::{opt, ts, varchar};

const REPORTS: AddColumns = AddColumns {
    name: "m0046_refusals",
    table: "lab_reports",
    columns: || vec![opt(varchar("refusal", 20))],
    indexes: &[&["refusal", "id"]],
};

const ORDERS: AddColumns = AddColumns {
    name: "m0046_refusals",
    table: "lab_orders",
    columns: || vec![opt(ts("scheduled_at"))],
    indexes: &[],
};

/// Extends `lab_reports` and `lab_orders`.
pub(crate) struct Step;

/// The step as the migrator takes it.
pub(crate) const STEP: Step = Step;

impl MigrationName for Step {
    fn name(&self) -> &str {
        REPORTS.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        REPORTS.up(manager).await?;
        ORDERS.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ORDERS.down(manager).await?;
        REPORTS.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
